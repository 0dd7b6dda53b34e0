"""The feature cache on disk: recipes, shards, quarantine. Features are read and written here only.

Owns keys, shards and their checks; refuses to know labels, splits or file names.
"""

from pipeline.features.store.cache import FeatureCache
from pipeline.features.store.recipe import Recipe
from pipeline.features.store.writer import ShardWriter

__all__ = ["FeatureCache", "Recipe", "ShardWriter"]
