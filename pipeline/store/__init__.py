"""The feature cache on disk: recipes, shards, quarantine. Features are read and written here only.

Owns keys, files and their durability; refuses to know labels, splits or file names.
"""

from pipeline.store.cache import FeatureCache
from pipeline.store.files import atomic_path, write_json
from pipeline.store.recipe import Cut, Recipe

__all__ = ["Cut", "FeatureCache", "Recipe", "atomic_path", "write_json"]
