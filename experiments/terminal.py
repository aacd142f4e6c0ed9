"""What every subcommand shares: how options are read, and how tables, documents and progress are shown."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import textwrap
from typing import Any

import click

from bioplausible.foundation.errors import InputError, shortened
from experiments.plain_values import plain

__all__ = [
    "ARCHITECTURE_HELP",
    "HELP",
    "Subcommand",
    "as_json",
    "examples",
    "folded",
    "given",
    "named",
    "print_entries",
    "print_json",
    "print_options",
    "print_table",
    "settings",
    "show",
    "whole_numbers",
]

# Of what is no window, and of the widest lines that are read with ease.
_COLUMNS, _WIDEST = 80, 110

ARCHITECTURE_HELP = "A name from `list architectures` ({} by default), or path.py:name or module:name of your own."


# Fields that an option sets under another name.
_FIELDS = {"seeds": "n_seeds", "stimulus_size": "sizes", "measure": "measures", "comparator": "comparators"}


HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
"""Context settings of every command: click keeps the help option of the first time that a command is asked, with its names."""


class Subcommand(click.Command):
    """A command whose refusals name options as they were typed: `--seeds 0`, and not the field `n_seeds` that it sets."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Answer to -h by itself too."""
        super().__init__(*arguments, **{"context_settings": HELP, **options})

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise InputError(_as_options(str(error), ctx)) from error


def _as_options(message: str, ctx: click.Context) -> str:
    """A sentence that begins with a field and its value, with the option that was typed in their place."""
    field, equals, rest = message.partition("=")
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if not equals or not isinstance(parameter, click.Option) or field not in (name, _FIELDS.get(name)):
            continue
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            given, was, told = rest.partition(" was given")
            shown = shortened(str(ctx.params[name])) if was and given.startswith("(") else given  # a list of what was typed as one
            return f"{max(parameter.opts, key=len)} {shown}{was}{told}"
    return message


def print_json(record: Any) -> None:
    """One JSON document on stdout."""
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
    for row in rows:
        called, *rest = row.items()
        click.secho(str(called[1]), bold=True)
        first, *others = ((name, value) for name, value in rest if value)
        for line in (str(first[1]), *(f"{name.replace('_', ' ')}: {value}" for name, value in others)):
            click.secho(folded(line, 4), dim=line != first[1])


def print_options(rows: list[dict[str, Any]], how: str, in_yaml: bool = False) -> None:
    """What can be set, one option after the other: its default, its range and what it is.

    Parameters
    ----------
    rows
        Of `experiments.options_table.option_rows`.
    how
        What sets an option, for the line above them.
    in_yaml
        Whether that is a line of a file in YAML, and not `--set`.
    """
    if not rows:
        click.echo("nothing can be set of it")
        return
    click.secho(f"options ({how}):", underline=True)
    for row in rows:
        shown = f": {_as_written(row['default'])}" if in_yaml else f" = {_as_typed(row['default'])}"
        within = f" ({row['range']})" if row["range"] else ""
        fits = len(f"{row['option']}{shown}{within}") <= _COLUMNS
        click.echo(click.style(f"{row['option']}{shown}", bold=True) + click.style(within if fits else "", dim=True))
        if not fits:
            click.secho(folded(row["range"], 4), dim=True)
        if row["what"]:
            click.echo(folded(row["what"], 4))


def _as_typed(value: Any) -> str:
    """A value as `--set` takes it.

    >>> _as_typed([256, 256]), _as_typed(None), _as_typed(True), _as_typed(()), _as_typed(0.1)
    ('256,256', 'none', 'true', 'none', '0.1')
    """
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value in (None, {}, "") else str(value).lower() if isinstance(value, bool) else str(value)


def _as_written(value: Any) -> str:
    """A value as YAML has it.

    >>> _as_written(["stimuli"]), _as_written(None), _as_written("ar1"), _as_written(0.1)
    ('["stimuli"]', 'null', 'ar1', '0.1')
    """
    return value if isinstance(value, str) and value else json.dumps(plain(value))


_KEPT_TOGETHER = re.compile(r"(?<=\barXiv) (?=\d)")


def folded(text: str, indent: int = 0) -> str:
    """A text in lines that fit the window, 80 columns where there is none; what would be cut, as a long DOI, runs over instead.

    Parameters
    ----------
    text
        Of one paragraph.
    indent
        Blanks before every line.

    >>> folded("Lillicrap et al. 2016, arXiv 1411.0247", 60).splitlines()[-1].strip()
    'arXiv 1411.0247'
    """
    there = shutil.get_terminal_size((_COLUMNS, 24)).columns if sys.stdout.isatty() else _COLUMNS
    width = max(min(there, _WIDEST), indent + 20)
    before = " " * indent
    lines = textwrap.wrap(
        _KEPT_TOGETHER.sub("\0", text),
        width,
        initial_indent=before,
        subsequent_indent=before,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\0", " ")


def examples(*lines: str) -> str:
    """Command lines that work, as the end of a command's help.

    Parameters
    ----------
    *lines
        As they are typed.
    """
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


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
