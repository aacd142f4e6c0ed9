"""`bioplausible report`: the report of a folder, drawn anew."""

from __future__ import annotations

from pathlib import Path

import click

from experiments.terminal import Subcommand, as_json, examples, print_json, show

__all__ = ["report_command"]


@click.command(
    "report",
    cls=Subcommand,
    epilog=examples(
        "bioplausible report runs/compared",
        "bioplausible report runs/compared --json",
        "bioplausible report docs/results/brain",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@as_json
def report_command(folder: Path, as_json: bool) -> None:
    """Write the report of FOLDER anew: of a comparison from the tables in it, of a study from its pages and pictures."""
    from experiments.report.study_page import is_study, write_study_report

    if is_study(folder):
        path = write_study_report(folder).resolve()
        if as_json:
            print_json({"report": str(path)})
        else:
            click.echo(f"report: {path}")
        return
    from experiments.report import controls_table, terminal_table, write_report
    from experiments.results import Comparison

    comparison = Comparison.load(folder)
    path = write_report(comparison, folder / "report.html").resolve()
    if as_json:
        print_json(comparison.to_json() | {"report": str(path)})
        return
    show(terminal_table(comparison))
    if (against := controls_table(comparison)) is not None:
        show(against)
    click.echo(f"report: {path}")
