"""Measured figures: `make bench`. Ratios within one run, because machines differ and are noisy."""

import os

# What a first run costs is measured, and the user's own models are left alone.
os.environ.setdefault("PIPELINE_MODELS_CACHE", "")
