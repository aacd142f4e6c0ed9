"""What a name stands for: one of ours, or a user's own as `module:name` or `path.py:name`."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from bioplausible.foundation.errors import InputError, nearest, unknown_name

__all__ = ["is_reference", "load_object", "resolve", "source_of"]

_FORMS = "give module:name, or path.py:name"


def _why(error: BaseException, path: Path | None = None) -> str:
    """The reason in one line, with the line of the user's file where it has one."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if path and Path(frame.filename) == path]
    # Of a syntax error the text names the line already.
    where = f" at line {lines[-1]}" if lines else ""
    return " ".join(f"{type(error).__name__}{where}: {error}".split())


def _find_later(folder: str) -> None:
    # What stands beside a user's file, or where the user is, is found as Python finds it for a script; ours come first.
    if folder not in sys.path:
        sys.path.append(folder)


def _import(place: str) -> ModuleType:
    _find_later(os.getcwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        # The module itself, or one of the packages that it lies in; else it is there and what it imports is missing.
        missing = error.name is not None and (place == error.name or place.startswith(f"{error.name}."))
        reason = "there is no such module where Python looks" if missing else _why(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 whatever a user's module does
        reason = _why(error)
    raise InputError(f"the module {place} cannot be imported ({reason}): {_FORMS}")


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        there = [each.name for each in path.parent.glob("*.py")] if path.parent.is_dir() else []
        near = nearest(path.name, there)
        guess = "" if near is None else f" (there is {near})"
        raise InputError(f"there is no file {path}{guess}: {_FORMS}")
    path = path.resolve()
    # Two files may have one name; one file that is read twice is one module, unless it was changed.
    version = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]
    name = f"{path.stem}_{version}"
    if name in sys.modules:
        return sys.modules[name]
    _find_later(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "its name ends in .py"
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while they are made.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 whatever a user's file does
        del sys.modules[name]
        raise InputError(f"{path} cannot be run ({_why(error, path)}): mend it, and try again") from None
    return module


def is_reference(text: str) -> bool:
    """Say whether a name is written as `module:name` or `path.py:name`.

    Parameters
    ----------
    text
        what the user wrote.

    >>> is_reference("rules.py:mine"), is_reference("hebbian/oja")
    (True, False)
    """
    return ":" in text


def source_of(reference: str) -> str:
    """The text of the file that a reference names, by which what was made with it is known from what a changed one makes.

    Parameters
    ----------
    reference
        `path.py:name` or `module:name`.

    Returns
    -------
    the text, followed by that of modules beside it which it uses; "" of a module that has none.
    """
    place = reference.rpartition(":")[0]
    if place.endswith(".py"):
        path: Path | None = Path(place).expanduser()
    else:
        path = _file_of(sys.modules.get(place) or _import(place))
    if path is None:
        return ""
    return "".join(file.read_text(encoding="utf-8") for file in (path, *_used_beside(path.resolve())))


def _file_of(module: object) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and file.endswith(".py") else None


def _used_beside(path: Path) -> list[Path]:
    """Files in the folder of a file that it imports, and those that these import, one after the other."""
    seen, to_see = {path}, [path]
    while to_see:
        for name in _imported(to_see.pop()):
            file = _file_of(sys.modules.get(name))
            if file is not None and file.parent == path.parent and file not in seen:
                seen.add(file)
                to_see.append(file)
    return sorted(seen - {path})


def _imported(path: Path) -> set[str]:
    """Modules that a file names where it imports."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return set()
    names = {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
    return names | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def load_object(text: str, kind: str) -> Any:
    """Load what stands under a name in a user's module or file.

    Parameters
    ----------
    text
        `module:name` or `path.py:name`.
    kind
        what it is, for messages.

    Returns
    -------
    the object.

    Raises
    ------
    InputError
        when there is no such module or file, when it fails (the reason is given), or when it holds nothing of that name (the
        nearest is guessed).

    >>> load_object("math:sqrt", "function")(9.0)
    3.0
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise InputError(f"the {kind} '{text}' lacks {'a module or file' if not place else 'a name'}: {_FORMS}")
    module = _run(Path(place).expanduser()) if place.endswith(".py") else _import(place)
    try:
        return getattr(module, name)
    except AttributeError:
        public = {each: value for each, value in vars(module).items() if not each.startswith("_")}
        # What a module has made itself is what could be meant; what it has imported is not, where there is something else.
        own = [each for each, value in public.items() if getattr(value, "__module__", None) == module.__name__]
        raise unknown_name(f"{kind} in {place}", name, own or public) from None


def resolve(text: str, known: Mapping[str, Any] | Iterable[str], kind: str) -> Any:
    """Find what a name stands for.

    Parameters
    ----------
    text
        one of the known names, `module:name` or `path.py:name`.
    known
        name -> object; or names alone, of which one that is given is returned as it is.
    kind
        what it is, for messages: "learning rule", "architecture".

    Returns
    -------
    the object.

    Raises
    ------
    InputError
        for an unknown name (the nearest is guessed), and whatever is wrong with a user's module or file.

    >>> import math
    >>> resolve("sine", {"sine": math.sin}, "function") is resolve("math:sin", {}, "function")
    True
    >>> resolve("sin", {"sine": math.sin}, "function")
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: unknown function 'sin': did you mean 'sine'? Valid are: sine
    """
    names = known if isinstance(known, Mapping) else {name: name for name in known}
    if text in names:
        return names[text]
    if is_reference(text):
        return load_object(text, kind)
    if text.endswith(".py"):
        raise InputError(f"the {kind} '{text}' is a file: say what in it, such as {text}:name")
    raise unknown_name(kind, text, names)
