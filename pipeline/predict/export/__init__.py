"""A run as one model that predicts without this program: what formats there are, what they hold.

Every format takes RGB pictures (n, s, s, 3) of 0 to 255 and gives class probabilities (n, k), with
the preprocessing inside and any n. Decoding and resizing stay outside; the description beside the
model says how. What was written is loaded again in the format's own runtime and held against what
the run predicts before it gets its name.

export       what happens, in order
formats      which format is meant, what it needs, where it goes
description  what is said of a model, inside it and beside it
writers      what writes each format and loads it again; the only one that needs TensorFlow
"""
