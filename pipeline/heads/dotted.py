"""Any classifier with scikit-learn's interface by its path: ``sklearn.svm:NuSVC(nu=0.3)``.

The module is imported when somebody asks for the head on a command line, never because a file
mentions it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.errors import InputError, UnknownNameError
from pipeline.system.units import named

_EXAMPLE = "write for example 'sklearn.svm:NuSVC(nu=0.3)'"


def make_estimator(path: str, params: Mapping[str, Any], seed: int) -> Any:
    """Import a classifier and return one, not fitted, seeded where it can be.

    Args:
        path: ``package.module:Class``.
        params: What it is made with.
        seed: Its ``random_state``, where it has one that ``params`` leave open.

    Raises:
        UnknownNameError: The module has no class, or the class no parameter, of that name.
        InputError: The module cannot be imported, the class is no classifier, or it needs what
            cannot be written as a literal.
    """
    module_name, class_name = path.split(":")
    module = _import(module_name, path)
    made = getattr(module, class_name, None)
    if made is None:
        names = [name for name in dir(module) if not name.startswith("_")]
        raise UnknownNameError(f"class of {module_name}", class_name, names, _EXAMPLE)
    if not (inspect.isclass(made) and hasattr(made, "fit") and hasattr(made, "get_params")):
        raise _no_classifier(path)
    known = _check_parameters(path, made, params)
    if "random_state" in known:
        params = {"random_state": seed, **params}
    try:
        estimator = made(**params)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"expected {path} to be made of literals, received {dict(params)}: {_line(error)}; "
            f"choose an estimator that needs no other one"
        ) from error
    if not _is_classifier(estimator):
        raise _no_classifier(path)
    return estimator


def _is_classifier(estimator: Any) -> bool:
    from sklearn.base import is_classifier

    try:
        return bool(is_classifier(estimator))
    except AttributeError:  # what an estimator is may depend on another one that was not given
        return False


def _import(name: str, path: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        near = UnknownNameError("module", name, _modules_beside(name)).nearest
        nearest = f"; nearest: {', '.join(near)}" if near else ""
        raise InputError(
            f"expected a module that can be imported in {path!r}, received {name!r}: "
            f"{error}{nearest}; install its package (PYTHONPATH=. finds a file in this folder), "
            f"or {_EXAMPLE}"
        ) from error


def _modules_beside(name: str) -> list[str]:
    """List the modules of the package that a module should have been in."""
    parent = name.rpartition(".")[0]
    try:
        package = importlib.import_module(parent) if parent else None
    except ImportError:
        return []
    folders = getattr(package, "__path__", [])
    names = [module.name for module in pkgutil.iter_modules(folders)]
    return [f"{parent}.{inner}" for inner in names if not inner.startswith("_")]


def _check_parameters(path: str, made: type, params: Mapping[str, Any]) -> list[str]:
    declared = inspect.signature(made).parameters
    known = [name for name, one in declared.items() if one.kind is not one.VAR_KEYWORD]
    if len(known) == len(declared):  # otherwise it takes any name and is its own judge
        for key in params:
            if key not in known:
                hint = f"it knows {named(known, 10, str)}"
                raise UnknownNameError(f"parameter of {path}", key, known, hint)
    return known


def _no_classifier(path: str) -> InputError:
    return InputError(
        f"expected a classifier with scikit-learn's interface, received {path!r}, which is none; "
        f"{_EXAMPLE}"
    )


def fit_estimator(estimator: Any, text: str, rows: np.ndarray, labels: np.ndarray) -> Any:
    """Return a classifier of `make_estimator` fitted to rows (n, d) and class numbers (n,).

    ``text`` is how it was asked for. Raises InputError if it refuses a parameter's value, or these
    rows.
    """
    try:
        return estimator.fit(rows, labels)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"expected {text} to learn from {len(rows)} pictures of {rows.shape[1]} features, "
            f"it refused: {_line(error)}; change its parameters or choose another head"
        ) from error


def _line(error: Exception) -> str:
    """Return the first line of what a library said, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
