"""`bioplausible scorecard`: how plausible rules are."""

from __future__ import annotations

from pathlib import Path

import click

from bioplausible.foundation.progress import progress_bar
from experiments.terminal import Subcommand, as_json, examples, named, print_json, print_table, show

__all__ = ["scorecard_command"]


@click.command(
    "scorecard",
    cls=Subcommand,
    epilog=examples(
        "bioplausible scorecard backprop feedback_alignment/sign",
        "bioplausible scorecard my_rules.py:mine --architecture cnn --out runs/cards",
    ),
)
@click.argument("rules", nargs=-1)
@click.option(
    "--architecture", default="mlp", show_default=True, help="Of the small network that rules are examined on; also path.py:name."
)
@click.option("--criteria", help="Criteria, separated by commas; all by default.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--workers", type=int, default=2, show_default=True, help="Rules at a time, each in a process of its own.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for scorecard.json and scorecard.html; what was interrupted goes on."
)
@as_json
def scorecard_command(
    rules: tuple[str, ...], architecture: str, criteria: str | None, seed: int, workers: int, out: Path | None, as_json: bool
) -> None:
    """Ask RULES how plausible they are: names (by default all that can train the network), module:name or path.py:name."""
    from experiments import catalogue

    wanted = named("--criteria", criteria)
    catalogue.check_names(rules, architecture=architecture)
    catalogue.check_criteria(wanted or ())
    # What takes long to import, once nothing is misspelt.
    import json
    import shutil
    from importlib.metadata import version

    from bioplausible.foundation.files import write_text
    from experiments.environment import describe_code
    from experiments.files import no_empty_folder, prepare_folder
    from experiments.report.scorecard import marks, scorecard_html, scorecard_table
    from experiments.results import plain
    from experiments.scorecards import UNFINISHED, examinable, scorecards

    with no_empty_folder(out), progress_bar() as progress:
        folder = None if out is None else prepare_folder(out, besides=UNFINISHED)
        keep = folder and folder / UNFINISHED
        asked = rules or examinable(architecture)
        cards = scorecards(asked, architecture, wanted, seed, workers, progress=progress, keep=keep)
    if folder is not None:
        write_text(folder / "scorecard.json", json.dumps(plain(cards), indent=1, ensure_ascii=False) + "\n")
        about = f"Asked on {architecture}, seed {seed}, by bioplausible {version('bioplausible')} (code {describe_code()[:10]})."
        write_text(folder / "scorecard.html", str(scorecard_html(cards, standalone=True, about=about)) + "\n")
        shutil.rmtree(folder / UNFINISHED)
    if as_json:
        print_json(cards)
        return
    show(scorecard_table(cards))
    for rule, card in cards.items():
        if len(cards) > 3:
            break
        click.echo(f"\n{rule}")
        print_table(
            [
                {"criterion": name, "verdict": entry["verdict"], "value": f"{entry['value']:.3g}", "evidence": entry["evidence"]}
                for name, entry in card.items()
            ]
        )
    published = marks(cards)
    click.echo(f"{sum(row['agree'] for row in published)} of {len(published)} published marks agree with what was measured")
    for row in published:
        if not row["agree"]:
            click.echo(f"{row['rule']}, {row['criterion']}: measured {row['measured']}, claimed {row['claimed']}: {row['why']}.")
    if folder is not None:
        click.echo(f"page: {(folder / 'scorecard.html').resolve()}")
