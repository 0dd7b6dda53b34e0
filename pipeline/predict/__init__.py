"""Labelling pictures with a run, and a run as one model to take along."""
