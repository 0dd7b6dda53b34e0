"""Stage 2: heads on cached features, what judges them, and the runs that are left.

classify         the stage, in order
experiment       one head on one input: its run, from disk or trained
selection        which pictures judge, and how good a head is on pictures unseen
learning         fits a head in memory, or in blocks where features do not fit
tuning           the search on a data set, kept on disk
search           the search itself, on arrays
learning_curve   whether more pictures would help
"""
