"""The training loop of stage 3: a Keras model, batches, a schedule.

It knows no files and no names of classes; where it stands is handed out as arrays, and taken back.

plan        how long and how gently, what an epoch was like, and which is kept
optimizer   AdamW whose step differs from block to block, and its schedule
average     the running mean of the weights, and the best of it
randomness  what is drawn in an epoch depends on the seed and its number alone
spread      a step on all devices of a host
trainer     all of it, epoch after epoch; can stop and go on anywhere between two
"""
