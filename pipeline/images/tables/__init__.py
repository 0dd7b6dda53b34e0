"""Tables of pictures: which column says what, which files their paths mean, pictures inside them.

The folder reads text and Parquet, asks where columns may be read in more than one way, and knows
nothing of folders of classes.
"""
