"""What every subcommand shares: how options are read, and how tables, documents and progress are shown."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import click

from bioplausible.foundation.errors import shortened

__all__ = [
    "ARCHITECTURE_HELP",
    "as_json",
    "given",
    "named",
    "print_entries",
    "print_json",
    "print_table",
    "settings",
    "show",
    "whole_numbers",
]

ARCHITECTURE_HELP = "A name from `list architectures` ({} by default), or path.py:name or module:name of your own."


def print_json(record: Any) -> None:
    """One JSON document on stdout."""
    from experiments.results import plain

    click.echo(json.dumps(plain(record), ensure_ascii=False, indent=1))


def print_table(rows: list[dict[str, Any]]) -> None:
    """A table of plain mappings, their keys its columns."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    cells = {name: ["" if row[name] is None else str(row[name]) for row in rows] for name in rows[0]}
    shown = [name for place, name in enumerate(cells) if place == 0 or any(cells[name])]
    for name in shown:
        # The first column is what a row is called: broken over lines it could not be copied. Nor could a number be read.
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=name == shown[0] or all(map(_is_number, cells[name])))
    for row in zip(*(cells[name] for name in shown), strict=True):
        table.add_row(*row)
    show(table)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+\d.e%± ]*", cell))


def print_entries(rows: list[dict[str, Any]]) -> None:
    """Plain mappings one after the other: the first value is what an entry is called, the others follow in sentences below it."""
    from rich.padding import Padding
    from rich.text import Text

    for row in rows:
        called, *rest = row.items()
        show(Text(str(called[1]), style="bold"))
        first, *others = ((name, value) for name, value in rest if value)
        show(Padding(Text(str(first[1])), (0, 0, 0, 4), expand=False))
        for name, value in others:
            show(Padding(Text(f"{name.replace('_', ' ')}: {value}", style="dim"), (0, 0, 0, 4), expand=False))


def _value(text: str) -> Any:
    """A value as typed: a number, a list, true or false, or else a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def settings(assignments: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`option=value` pairs: those of the rule, and with the prefix `network.` those of the architecture."""
    rule: dict[str, Any] = {}
    network: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {shortened(assignment)} was given, expected option=value, such as learning_rate=0.001")
        target, name = (network, name.removeprefix("network.")) if name.startswith("network.") else (rule, name)
        target[name] = _value(value)
    return rule, network


def given(**values: Any) -> dict[str, Any]:
    """The options that were given on the command line; the others keep the configuration's value."""
    return {name: value for name, value in values.items() if value is not None}


def named(option: str, text: str | None) -> list[str] | None:
    """Names separated by commas, at least one; the option's name is for the mistake.

    >>> named("--rules", "a, b"), named("--rules", None)
    (['a', 'b'], None)
    """
    names = None if text is None else [name.strip() for name in text.split(",") if name.strip()]
    if names == []:
        raise click.UsageError(f"{option} '{text}' was given, expected a name, or several separated by commas")
    return names


def whole_numbers(option: str, text: str | None) -> list[int] | None:
    """Whole numbers separated by commas; the option's name is for the mistake."""
    if text is None:
        return None
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise click.UsageError(
            f"{option} {shortened(text)} was given, expected whole numbers separated by commas, such as 20,100"
        ) from None


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def show(renderable: Any, width: int = 110) -> None:
    """Print what rich can draw.

    Parameters
    ----------
    renderable
        A table, say.
    width
        Columns to fill where there is no window to fit: in a file or a log.
    """
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=width)).print(renderable)
