"""The command line, from the parser itself."""

from __future__ import annotations

import inspect

import click


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("…", "…")


def _code(text: str) -> str:
    return f"`{text}`"


def _rows(command: click.Command, context: click.Context) -> list[str]:
    rows = []
    for each in command.params:
        if isinstance(each, click.Argument):
            choices = f"one of {', '.join(each.type.choices)}" if isinstance(each.type, click.Choice) else ""
            needed = "needed" if each.required else "may be left out"
            rows.append(
                f"| {_code(each.make_metavar(context).strip('[]').split('|')[0].strip('{') if not choices else (each.name or '').upper())} "
                f"| {_cell('; '.join(part for part in (choices, needed) if part))} |"
            )
            continue
        record = each.get_help_record(context)
        if record is not None:
            rows.append(f"| {_code(_cell(record[0]))} | {_cell(record[1])} |")
    return rows


def _section(name: str, command: click.Command, parent: click.Context, depth: int) -> str:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"{'#' * depth} {context.command_path}\n", inspect.cleandoc(command.help or "") + "\n"]
    if isinstance(command, click.Group):
        return "\n".join(
            [
                *parts,
                *(_section(each, _found(command, each, context), context, depth + 1) for each in command.list_commands(context)),
            ]
        )
    parts.append(f"```text\n{context.command_path} {usage}\n```\n")
    parts.append("| option | what |\n|---|---|\n" + "\n".join(_rows(command, context)) + "\n")
    return "\n".join(parts)


def _found(group: click.Group, name: str, context: click.Context) -> click.Command:
    command = group.get_command(context, name)
    assert command is not None
    return command


def pages() -> dict[str, str]:
    """The page by its path from the site's folder."""
    from experiments.cli import command

    # Its settings are those of every command below it: click keeps the names of the help option from the first context that asks.
    context = click.Context(command, info_name="bioplausible", **command.context_settings)
    opening = (
        "# Command line\n\n"
        f"{inspect.cleandoc(command.help or '')}\n\n"
        "Every subcommand takes `-h`, and those that compute something take `--json`: one document on stdout and nothing else "
        "there; progress goes to stderr. A mistake ends in one line on stderr and exit status 2; a study some of whose trainings "
        "failed, or an interrupted one, says so and goes on where it stopped when the same command is given again.\n"
    )
    sections = [_section(name, _found(command, name, context), context, 2) for name in command.list_commands(context)]
    return {"reference/command_line.md": "\n".join([opening, *sections])}
