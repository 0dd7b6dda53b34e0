"""The feature cache on disk: recipes, shards, quarantine. Features are read and written here only.

Owns keys, shards and their checks; refuses to know labels, splits or file names.
"""

from pipeline.store.cache import FeatureCache
from pipeline.store.recipe import Cut, Recipe
from pipeline.store.writer import ShardWriter

__all__ = ["Cut", "FeatureCache", "Recipe", "ShardWriter"]
