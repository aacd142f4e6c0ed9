"""`bioplausible compare`: the main job, from rules and a recording to a report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioplausible.foundation.progress import progress_bar
from experiments.terminal import (
    ARCHITECTURE_HELP,
    Subcommand,
    as_json,
    examples,
    given,
    named,
    print_json,
    settings,
    show,
    whole_numbers,
)

if TYPE_CHECKING:
    from experiments.compare_config import CompareConfig

__all__ = ["compare_command"]

_STORE = Path("runs") / "store"
_LISTS = (
    *("rules", "select", "subjects", "exclude_subjects", "regions", "conditions", "partial", "activations"),
    *("measure", "comparator", "stimulus_size"),
)


@contextlib.contextmanager
def _free_folder() -> Iterator[Path]:
    """The first of runs/compare_001, runs/compare_002, … that is not there yet, made at once: others may be looking too."""
    from experiments.files import no_empty_folder

    runs = Path("runs")
    with no_empty_folder(runs):
        for n in range(1, 10**6):
            path = runs / f"compare_{n:03d}"
            with contextlib.suppress(FileExistsError):
                path.mkdir(parents=True)
                break
        try:
            yield path
        except BaseException:
            with contextlib.suppress(OSError):  # it holds something
                path.rmdir()
            raise


@click.command(
    "compare",
    cls=Subcommand,
    epilog=examples(
        "bioplausible compare --rules untrained,backprop,feedback_alignment --out runs/compared",
        "bioplausible compare --rules backprop,hebbian --recording cichy92 --measure correlation,euclidean",
        "bioplausible compare --rules all --recording my_recording --layers best --seeds 5",
    ),
)
@click.option(
    "--rules",
    help="Rules, separated by commas, path.py:name or module:name of your own among them; or all that suit.",
)
@click.option("--architecture", help=ARCHITECTURE_HELP.format("cnn"))
@click.option("--dataset", help="A named image set (digits by default), an .npz in the Keras layout, or a folder of class folders.")
@click.option("--recording", help="A named recording (simulated by default), or a folder of your own.")
@click.option("--select", help="Which raw files of a folder, by the entities of their names, such as task=objects,res=2.")
@click.option("--subjects", help="Of the recording, those that are compared with, separated by commas; all by default.")
@click.option("--exclude-subjects", help="Those that are left out.")
@click.option("--regions", help="Those that are compared with; all by default.")
@click.option("--conditions", help="Stimuli, or categories of stimuli, that are shown; all by default.")
@click.option(
    "--activations",
    help="Models from elsewhere, scored beside the rules: .npz files, separated by commas, one array a layer, stimuli in the "
    "recording's order.",
)
@click.option("--seeds", type=int, help="Networks per rule.")
@click.option("--epochs", type=int, help="Passes over the training images.")
@click.option("--batch-size", type=int)
@click.option("--front-end", help="Of every network: none (the default), zca, zca_local, on_off or zca_on_off.")
@click.option("--seed", type=int, help="Repeats the run to the bit on one machine.")
@click.option(
    "--measure",
    "--distance",
    "measure",
    help="How patterns become RDMs: auto (the default: crossnobis where regions were measured in several runs, else correlation), "
    "correlation, correlation-centred (each unit's mean over stimuli taken out), "
    "euclidean, crossnobis, which cross-validates a region's over its runs, mahalanobis, poisson, poisson_cv; after a comma others "
    "for the same table, also of patterns: cka, procrustes, encoding.",
)
@click.option(
    "--comparator",
    help="Between RDMs: spearman (the default), pearson, kendall, cosine, whitened_pearson, whitened_cosine; after a comma others "
    "for the same table, also of patterns: cka, procrustes, encoding.",
)
@click.option(
    "--partial",
    help="Models, such as pixels,gabor, whose RDMs are taken out for scores beside the others; differences from the control count.",
)
@click.option("--layers", help="all (the default), or best: also every network's best layer, chosen on other stimuli and subjects.")
@click.option("--fusion", help="A recording of the same stimuli in time (MEG, EEG), or of regions where --recording is in time.")
@click.option("--draws", "n_draws", type=int, help="Bootstrap draws over stimuli.")
@click.option("--stimulus-size", metavar="PIXELS[,PIXELS…]", help="Side at which networks see the stimuli; several sweep it.")
@click.option("--readout-images", type=int, help="Training images for the readout that rules and controls share; 0 for none.")
@click.option("--scorecard", help="Criteria of plausibility: core (the default; no training), all or none.")
@click.option("--set", "assignments", multiple=True, metavar="OPTION=VALUE", help="network.OPTION=VALUE of the architecture.")
@click.option("--config", type=click.Path(path_type=Path), help="A configuration in YAML, as --out writes it.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for tables, configuration and report.html.")
@click.option("--store", help="Folder where trained networks are kept and found again (runs/store by default); none keeps none.")
@as_json
def compare_command(
    assignments: tuple[str, ...],
    config: Path | None,
    out: Path | None,
    store: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train rules and compare every layer of their networks with every region of a recording."""
    from experiments.compare_config import CompareConfig
    from experiments.config import read_yaml, with_fields
    from experiments.early import check_comparison

    base = CompareConfig() if config is None else read_yaml(config, CompareConfig)
    lists = {name: options.pop(name) for name in _LISTS}
    fields = given(**options)
    fields |= _of_lists(base, given(**lists), fields.get("architecture", base.training.architecture))
    rule_options, network_options = settings(assignments)
    if rule_options:
        raise click.UsageError(
            f"--set {next(iter(rule_options))} was given: compare takes network.OPTION=VALUE here, and options of rules in --config"
        )
    if network_options:
        fields["architecture_options"] = {**base.training.architecture_options, **network_options}
    check_comparison(with_fields(base, CompareConfig, fields, "compare", "rules=['backprop']"))
    kept = None if store == "none" else Path(store or _STORE)
    # What takes long to import, once nothing is misspelt.
    from experiments.comparing import compare
    from experiments.files import no_empty_folder
    from experiments.report import controls_table, summary, terminal_table

    place = _free_folder() if out is None else contextlib.nullcontext(out)
    with no_empty_folder(out), no_empty_folder(kept), place as folder, progress_bar() as progress:
        comparison = compare(base, folder, progress, kept, **fields)
    if as_json:
        print_json(comparison.to_json())
        return
    show(terminal_table(comparison))
    click.echo(f"{summary(comparison)}\n")
    if (against := controls_table(comparison)) is not None:
        show(against)
    for warning in comparison.warnings:
        click.echo(f"warning: {warning}", err=True)
    if kept is not None:
        click.echo(f"networks: {kept.resolve()}, where whatever asks for the same ones finds them")
    click.echo(f"report: {comparison.report}")


def _of_lists(base: CompareConfig, texts: dict[str, str], architecture: str) -> dict[str, Any]:
    """Fields of a comparison from options that hold several values, separated by commas."""
    from experiments import catalogue

    of_patterns = {row["comparator"] for row in catalogue.comparator_rows() if row["of"] == "patterns"}
    fields: dict[str, Any] = {}
    for name, text in texts.items():
        if name == "rules":
            fields[name] = catalogue.family_names(architecture) if text == "all" else tuple(named("--rules", text) or ())
        elif name == "stimulus_size":
            fields["sizes"] = tuple(whole_numbers("--stimulus-size", text) or ())
        elif name not in ("measure", "comparator"):
            fields[name] = tuple(named(f"--{name.replace('_', '-')}", text) or ())
    measured, compared = (named(f"--{name}", texts.get(name)) or [] for name in ("measure", "comparator"))
    if measured:
        fields["measures"] = tuple(each for each in measured if each not in of_patterns)
    # What compares patterns themselves is a measure to whoever asks for several, and to the engine a comparator that needs no RDM.
    beside = [each for each in measured if each in of_patterns and each not in compared]
    if compared or beside:
        fields["comparators"] = (*(compared or base.scoring.comparators), *beside)
    return fields
