"""The parts of stage 3: what is trained on what, and how an interrupted training goes on.

settings    what of the run and of the flags decides the examples; no TensorFlow
head        the run's head, fitted again without the pictures that decide when to stop
network     base and head as one model, what of it learns, and where it can be cut
order       which picture, and which view of it, comes when
pictures    examples that are decoded as they are needed
maps        examples that are cached activations
checkpoint  where a training stands, as one file
logs        the curves: CSV, TensorBoard, a figure
"""
