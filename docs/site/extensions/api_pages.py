"""The reference: one page a package, and on it every public name under the module that it is defined in."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from public_names import PACKAGES, PublicName, home, public_names


@functools.cache
def _tree(module: str) -> ast.Module:
    source = importlib.import_module(module).__file__
    assert source is not None
    return ast.parse(Path(source).read_text(encoding="utf-8"))


@functools.cache
def _stub(module: str) -> ast.Module:
    """What a lazy package says of where its names come from; empty beside modules that import them themselves."""
    stub = Path(importlib.import_module(module).__file__ or "").with_suffix(".pyi")
    return ast.parse(stub.read_text(encoding="utf-8") if stub.is_file() else "")


@functools.cache
def defined_in(package: str, name: str) -> str:
    """The module whose text gives a name its value: where the package imports it from, and so on.

    Parameters
    ----------
    package
        A module that has the name.
    name
        Of a variable.
    """
    for node in (*ast.walk(_tree(package)), *ast.walk(_stub(package))):
        if isinstance(node, ast.ImportFrom) and node.module and any((each.asname or each.name) == name for each in node.names):
            above = package if importlib.import_module(package).__spec__.submodule_search_locations else package.rpartition(".")[0]
            return defined_in(f"{above}.{node.module}" if node.level else node.module, name)
    return package


def data_docstring(package: str, name: str) -> str:
    """The text that stands below a variable where it is defined; "" where there is none.

    Parameters
    ----------
    package, name
        As of `defined_in`.
    """
    body = _tree(defined_in(package, name)).body
    for node, after in zip(body, body[1:], strict=False):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        flat = [each for target in targets for each in (target.elts if isinstance(target, ast.Tuple) else [target])]
        named = any(isinstance(each, ast.Name) and each.id == name for each in flat)
        if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            return inspect.cleandoc(after.value.value)
    return ""


def _indented(text: str, by: int = 3) -> str:
    return "\n".join(" " * by + line if line else "" for line in text.splitlines())


def _said_of(value: Any) -> str:
    """What an entry of a registry says of itself, in one line."""
    for name in ("summary", "question", "what"):
        if isinstance(found := getattr(value, name, None), str):
            return found
    variants = getattr(value, "variants", None)
    if variants:
        return str(next(iter(variants.values())).spec.summary)
    if isinstance(value, str | int | float | tuple):
        return f"``{value}``"
    if callable(value):
        return (inspect.getdoc(value) or "").partition("\n")[0]
    return ""


def _entries(value: Any) -> str:
    """A registry's names with what each says of itself; the value of anything else."""
    if isinstance(value, dict | types.MappingProxyType):
        return "\n".join(f":{name}: {_said_of(each)}" for name, each in value.items() if isinstance(name, str))
    if isinstance(value, str | int | float | tuple):
        return f"``{value!r}``"
    return ""


def _data(found: PublicName) -> str:
    text = data_docstring(found.package, found.name)
    return f".. py:data:: {found.name}\n\n" + _indented(f"{text}\n\n{_entries(found.value)}") + "\n"


def _own_members(kind: type) -> list[str]:
    """Methods and properties that a class defines and explains; fields stand in its docstring."""
    fields = getattr(kind, "_fields", ())
    found = []
    for name, value in vars(kind).items():
        is_member = isinstance(value, property | classmethod | staticmethod | functools.cached_property) or inspect.isfunction(
            value
        )
        if is_member and not name.startswith("_") and name not in fields:
            found.append(name)
    return found


def _class(found: PublicName) -> str:
    members = _own_members(found.value)
    told = f"   :members: {', '.join(members)}\n" if members else ""
    # A tuple's fields and a dataclass's have lines of their own in the docstring, and a long signature says them again.
    return f".. autoclass:: {found.path}\n{told}"


def _entry(found: PublicName) -> str:
    if found.kind == "module":
        return f"{found.name}\n   {(inspect.getdoc(found.value) or '').partition(chr(10))[0]}\n"
    if found.kind == "data":
        return _data(found)
    return _class(found) if found.kind == "class" else f".. autofunction:: {found.path}\n"


def _place(found: PublicName) -> str:
    if found.kind == "module":
        return found.package
    return defined_in(found.package, found.name) if found.kind == "data" else home(found)


def _is_own(found: PublicName) -> bool:
    return found.kind != "module" and found.path == canonical()[_identity(found)]


def _identity(found: PublicName) -> tuple[str, str]:
    name = found.name if found.kind == "data" else getattr(found.value, "__qualname__", found.name)
    return _place(found), name


@functools.cache
def canonical() -> dict[tuple[str, str], str]:
    """Where each thing is described: what several packages hand out, under the first of them."""
    found: dict[tuple[str, str], str] = {}
    for each in (each for package in PACKAGES for each in public_names(package)):
        found.setdefault(_identity(each), each.path)
    return found


def _sections(names: Iterable[PublicName]) -> dict[str, list[PublicName]]:
    found: dict[str, list[PublicName]] = {}
    for each in names:
        found.setdefault(_place(each), []).append(each)
    return dict(sorted(found.items()))


def _title(module: str, package: str) -> str:
    short = module.removeprefix(f"{package}.")
    return short.replace("_", " ").replace(".", ", ").capitalize() if short != package else "The package itself"


def _is_anchor(module: str, package: str) -> bool:
    """Whether a module is one that a page may be linked at: not a page of its own, no function's name too, and this page's."""
    nearest = max((each for each in PACKAGES if module.startswith(f"{each}.")), key=len, default="")
    return nearest == package and module not in PACKAGES and module not in canonical().values()


def _section(package: str, module: str, names: list[PublicName]) -> str:
    title = _title(module, package)
    summary = (inspect.getdoc(importlib.import_module(module)) or "").split("\n\n")[0]
    table = "\n".join(f"   {each.name}" for each in names if each.kind != "data")
    overview = f".. autosummary::\n   :nosignatures:\n\n{table}\n\n" if table else ""
    opening = "" if module == package else f"*{' '.join(summary.split())}*\n\n" if "`" not in summary and "*" not in summary else ""
    # A module that others mention can be linked to, though its names are imported from the package.
    anchor = (
        ""
        if not _is_anchor(module, package)
        else f".. py:module:: {module}\n   :no-index-entry:\n\n.. py:currentmodule:: {package}\n\n"
    )
    return f"{title}\n{'-' * len(title)}\n\n{anchor}{opening}{overview}" + "\n".join(_entry(each) for each in names)


def _page(package: str) -> str:
    names = public_names(package)
    own, elsewhere = [each for each in names if _is_own(each)], [each for each in names if not _is_own(each)]
    parts = [f"{package}\n{'=' * len(package)}\n", ".. default-role:: perhaps\n", f".. automodule:: {package}\n   :no-members:\n"]
    parts += [f".. py:currentmodule:: {package}\n"]
    parts += [_section(package, module, found) for module, found in _sections(own).items()]
    if elsewhere:
        lines = [_elsewhere(each) for each in elsewhere]
        parts.append("Handed on from elsewhere\n------------------------\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _elsewhere(found: PublicName) -> str:
    if found.kind == "module":
        target = found.value.__name__
        return f"* :py:mod:`{target}`" if target in PACKAGES else f"* ``{target}``: {_first_line(found.value)}"
    return f"* :py:obj:`{canonical()[_identity(found)]}`"


def _first_line(value: Any) -> str:
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


@functools.cache
def pages() -> dict[str, str]:
    """Path from the site's folder -> text, of every package's page and of the list of them."""
    made = {f"reference/api/{package}.rst": _page(package) for package in PACKAGES}
    rows = "\n".join(f"   {package}" for package in PACKAGES)
    made["reference/api/index.rst"] = f"Packages\n========\n\n.. toctree::\n   :maxdepth: 1\n\n{rows}\n"
    return made
