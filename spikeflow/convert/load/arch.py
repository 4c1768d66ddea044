"""``--arch``: the user's own function that makes a module, named by its place, with its arguments.

::

    package.module:function
    package.module:function(num_classes=10)
    path/to/file.py:function(20, width=0.5)

Arguments are literals: numbers, words, None, lists, tuples, dictionaries. No other code is run.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from spikeflow.errors import ConversionError

HINT = (
    "--arch package.module:function or --arch path/to/file.py:function, a function of yours that returns the "
    "module, with arguments where it takes some: 'models.py:resnet(depth=20)'"
)
_ARCH = re.compile(
    r"(?P<where>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*|[^:]+\.py):(?P<name>[A-Za-z_]\w*)(?P<given>\(.*\))?", re.DOTALL
)


def make_module(arch: str) -> nn.Module:
    """Import and call the user's function.

    Raises
    ------
    ConversionError
        Where `arch` names none, its arguments are no literals, or it makes no module.
    """
    title = f"--arch {arch[:80]}"
    match = _ARCH.fullmatch(arch.strip())
    if match is None:
        raise ConversionError(title, "it is not of the form package.module:function", HINT)
    args, kwargs = _arguments(title, match["given"] or "()")
    try:
        made = _found(match["where"], match["name"])
        ready = isinstance(made, nn.Module) and not args and not kwargs  # the module itself, by its name
        module = made if ready else made(*args, **kwargs)
    except Exception as error:  # the user's own code: whatever it raises is told as its own
        words = (f"{type(error).__name__}: {error}".splitlines() or [""])[0][:200]
        raise ConversionError(title, f"it failed ({words})", HINT) from error
    if not isinstance(module, nn.Module):
        raise ConversionError(title, f"it returned {type(module).__name__}, no torch module", HINT)
    return module


def _arguments(title: str, given: str) -> tuple[list[Any], dict[str, Any]]:
    """The literals within the brackets."""
    try:
        call = ast.parse(f"f{given}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("no call")
        named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords if k.arg is not None}
        if len(named) != len(call.keywords):
            raise ValueError("a name given twice, or none")
        return [ast.literal_eval(a) for a in call.args], named
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        reason = f"its arguments {given[:60]} are no literals"
        raise ConversionError(title, reason, "numbers, words in quotes, None, lists, tuples") from None


def _found(where: str, name: str) -> Callable[..., Any]:
    if not where.endswith(".py"):
        with _importable(os.getcwd()):
            return getattr(importlib.import_module(where), name)
    path = Path(where).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {where}")
    with _importable(str(path.parent)):  # what it imports from beside it
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        before = sys.modules.get(path.stem)
        sys.modules[path.stem] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        finally:
            sys.modules.pop(path.stem, None)
            if before is not None:
                sys.modules[path.stem] = before
    return getattr(module, name)


@contextmanager
def _importable(folder: str) -> Generator[None, None, None]:
    """Put a folder first on the import path, and take exactly that entry off again."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
