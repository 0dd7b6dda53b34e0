"""A process in which some package is not installed, as far as Python can tell."""

import sys
from importlib.machinery import PathFinder


def block(*names):
    """Let these packages be found nowhere from now on."""
    assert not set(names) & set(sys.modules)

    class Without(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            found = name.split(".")[0] not in names
            return super().find_spec(name, path, target) if found else None

    sys.meta_path[sys.meta_path.index(PathFinder)] = Without
