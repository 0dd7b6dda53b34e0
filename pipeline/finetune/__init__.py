"""Stage 3, and how an interrupted training goes on.

finetune    what happens, in order
settings    what of the run and of the flags decides the examples; no TensorFlow
task        the pictures, the run and the settings, and the key that they make; no TensorFlow
start       the run's head, fitted again, and whether there is anything to gain; no TensorFlow
onward      from where a fine-tuned run ended, instead
network     that head on its base; what learns, and where it can be cut
examples    what is trained on: decoded pictures, or
maps        cached activations
training/   the loop
checkpoint  where a training stands, as one file
logs        the figures of its epochs: CSV, TensorBoard
outcome     what the run says of itself
"""
