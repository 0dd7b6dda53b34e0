"""The Python API: the stages as functions, features as arrays, and a scikit-learn transformer.

The room owns how the stages follow one another and how their results look to a program: arrays,
paths and keyword arguments. It holds no stage's logic, prints nothing unless it is asked to, and
installs no log handlers. Its public names are those of ``pipeline.__all__``, imported one by one:
some need scikit-learn or pandas, none TensorFlow before it computes.
"""
