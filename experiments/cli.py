"""The command: `bioplausible list | train | scorecard | compare | sweep | report | benchmark | data`.

Results go to stdout, with `--json` as one JSON document and nothing else; progress goes to stderr. A user's mistake ends in
one line on stderr and exit status 2.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bioplausible.foundation.errors import InputError, shortened, unknown_name
from bioplausible.foundation.progress import progress_bar
from bioplausible.foundation.resolve import resolve
from experiments.benchmark_commands import benchmark_command
from experiments.data_commands import data_command
from experiments.interruption import STATUS
from experiments.terminal import as_json, given, named, print_entries, print_json, print_table, settings, show, whole_numbers

__all__ = ["main", "stopped"]

_STORE = Path("runs") / "store"
_OF_NAMES = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="bioplausible")
def command() -> None:
    """Train one network with many learning rules and compare what it learned with human brains."""


@command.command("list")
@click.argument(
    "what", type=click.Choice(["rules", "architectures", "datasets", "recordings", "criteria", "support", "configurations"])
)
@click.argument("name", required=False)
@click.option("--architecture", help="Of support: one network, a name or path.py:name of your own, in place of one of each kind.")
@as_json
def list_command(what: str, name: str | None, architecture: str | None, as_json: bool) -> None:
    """List what there is to choose from; of one rule, architecture or configuration by its NAME, what can be set.

    Support says which rules train which networks, and why not.
    """
    if architecture is not None and what != "support":
        raise click.UsageError(f"--architecture {architecture} was given to list {what}: it belongs to list support")
    if name is not None:
        _list_options(what, name, as_json)
        return
    if what == "support":
        _list_support(architecture, as_json)
        return
    # What is asked for is imported and no more: to read brains takes longer to import than to answer.
    rows: list[dict[str, Any]]
    if what == "rules":
        import learning_rules

        specs = [learning_rules.spec(name) for name in learning_rules.names(variants=True)]
        rows = [
            {
                "rule": spec.name,
                "what": spec.summary,
                "front_end": spec.front_end,
                "published_with": _published_with(spec),
                "source": spec.citation,
            }
            for spec in specs
        ]
    elif what == "criteria":
        from learning_rules import plausibility

        rows = [
            {"criterion": each.name, "question": each.question, "measure": each.measure, "source": each.citation}
            for each in plausibility.CRITERIA.values()
        ]
    elif what == "architectures":
        import architectures

        rows = [{"architecture": name, "what": entry.summary} for name, entry in architectures.ARCHITECTURES.items()]
    elif what == "configurations":
        rows = [
            {"configuration": name, "what": (kind.__doc__ or "").partition("\n")[0]} for name, kind in _configurations().items()
        ]
    elif what == "datasets":
        from experiments import datasets

        rows = [dict(datasets.describe(name)) for name in datasets.names()]
    else:
        import neurodata

        rows = [dict(neurodata.describe(name)) for name in neurodata.names()]
    if as_json:
        print_json(rows)
    else:
        hidden = ("citation", "licence")
        # Whole sentences leave a table's columns a word wide.
        layout = print_entries if what in ("rules", "criteria") else print_table
        layout([{name: value for name, value in row.items() if name not in hidden} for row in rows])


def _published_with(spec: Any) -> str:
    """Settings that a rule takes unless told otherwise, as `train --set` names them."""
    batch = [] if spec.batch_size is None else [f"batch_size={spec.batch_size}"]
    return ", ".join([*batch, *(f"network.{name}={value}" for name, value in spec.network)])


def _configurations() -> dict[str, Any]:
    """What a file in YAML may be, by the command that reads it; `search` is a part of a sweep's."""
    from experiments.config import CompareConfig, TrainConfig
    from experiments.sweeping.config import SearchConfig, SweepConfig

    return {"train": TrainConfig, "compare": CompareConfig, "sweep": SweepConfig, "search": SearchConfig}


def _list_options(what: str, name: str, as_json: bool) -> None:
    """One rule, architecture or kind of configuration, and what can be set of it."""
    from experiments.options_table import option_rows

    told: dict[str, Any]
    if what == "rules":
        import learning_rules

        spec, options = learning_rules.spec(name), learning_rules.options_of(name)
        told = {"rule": spec.name, "what": spec.summary, "published_with": _published_with(spec), "source": spec.citation}
        rows = option_rows(options, hidden=("variant",), meaning={"`OBJECTIVES`": ", ".join(learning_rules.OBJECTIVES)})
        how = "--set OPTION=VALUE sets one"
    elif what == "architectures":
        from architectures.registry import ARCHITECTURES, Architecture

        entry = resolve(name, ARCHITECTURES, "architecture")
        if not isinstance(entry, Architecture):
            raise click.UsageError(
                f"{name} was given to list architectures: what can be set of a function of your own, it alone knows"
            )
        told, rows = {"architecture": name, "what": entry.summary}, option_rows(entry.options())
        how = "--set network.OPTION=VALUE sets one"
    elif what == "configurations":
        kinds = _configurations()
        if name not in kinds:  # none of the user's own is ever one
            raise unknown_name("configuration", name, kinds)
        kind = kinds[name]
        told, rows = (
            {"configuration": name, "what": (kind.__doc__ or "").partition("\n")[0]},
            option_rows(kind, meaning={"`TrainConfig`": "a training (list configurations train)"}),
        )
        how = "a line of the file sets one, as 'seed: 1'"
    else:
        raise click.UsageError(f"{name} was given to list {what}: rules, architectures and configurations are told one by one")
    if as_json:
        print_json({**told, "options": rows})
    else:
        print_entries([told])
        print_table(rows)
        click.echo(how)


def _list_support(architecture: str | None, as_json: bool) -> None:
    import architectures
    import learning_rules
    from experiments.support_table import support_table

    # Of the shape of the digits: what a rule needs is no question of size.
    networks = (
        None if architecture is None else {architecture: architectures.build(architecture, input_shape=(8, 8, 1), n_classes=10)}
    )
    matrix = learning_rules.support_matrix(networks)
    if as_json:
        told = {rule: {network: said._asdict() for network, said in row.items()} for rule, row in matrix.items()}
        print_json([{"rule": rule, "networks": row} for rule, row in told.items()])
    else:
        show(support_table(matrix), width=140)


_ARCHITECTURE_HELP = "A name from `list architectures` ({} by default), or path.py:name or module:name of your own."


def _epochs(n: int) -> str:
    return f"{n} epoch" if n == 1 else f"{n} epochs"


@command.command("train")
@click.argument("rule", required=False)
@click.option("--architecture", help=_ARCHITECTURE_HELP.format("mlp"))
@click.option("--dataset", help="A named image set (digits by default), an .npz in the Keras layout, or a folder of class folders.")
@click.option("--epochs", type=int, help="Passes over the training images.")
@click.option("--batch-size", type=int)
@click.option("--front-end", help="none, zca, on_off or zca_on_off; by default the one that RULE is tuned behind.")
@click.option("--seed", type=int, help="Repeats the run to the bit on one machine.")
@click.option(
    "--set", "assignments", multiple=True, metavar="OPTION=VALUE", help="An option of the rule, or network.OPTION of the network."
)
@click.option("--config", type=click.Path(path_type=Path), help="A configuration in YAML, as --out writes it.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for tables, configuration and checkpoints, saved as it goes.")
@click.option("--resume", is_flag=True, help="Go on with the training that was interrupted in --out.")
@as_json
def train_command(
    rule: str | None,
    assignments: tuple[str, ...],
    config: Path | None,
    out: Path | None,
    resume: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network by RULE: a name from `list rules`, or path.py:name or module:name of your own; --config may name it."""
    if resume:
        config = _interrupted(out, rule, config, assignments, given(**options))
    if rule is None and config is None:
        raise click.UsageError(
            "Missing argument 'RULE': give a name from `bioplausible list rules`, or --config FILE that has one."
        )
    from bioplausible.foundation.yaml_files import read_mapping
    from experiments.config import TrainConfig, read_yaml
    from experiments.files import no_empty_folder
    from experiments.saving import train_in
    from experiments.training import train

    rule_options, network_options = settings(assignments)
    if rule is None and config is not None and "rule" not in read_mapping(config, "rule: backprop"):
        raise click.UsageError(
            f"{config} names no rule: give RULE, a name from `bioplausible list rules`, or a line such as rule: backprop"
        )
    base = TrainConfig() if config is None else read_yaml(config, TrainConfig)
    fields = given(**options, rule=rule)
    if rule_options:
        fields["rule_options"] = {**base.rule_options, **rule_options}
    if network_options:
        fields["architecture_options"] = {**base.architecture_options, **network_options}
    with no_empty_folder(out), progress_bar() as progress:
        trained = train(base, progress, **fields) if out is None else train_in(out, base, progress, go_on=resume, **fields)
    record = trained.to_json() | {"out": None if out is None else str(out.resolve())}
    if as_json:
        print_json(record)
        return
    told = f"{record['rule']} on {record['dataset']} ({record['architecture']}, {_epochs(record['epochs'])}): test accuracy "
    accuracies = [each["test_accuracy"] for each in record.get("seeds", [record])]
    if len(accuracies) > 1:
        mean, spread = statistics.fmean(accuracies), statistics.stdev(accuracies)
        told += f"{mean:.4f} ± {spread:.4f} over {len(accuracies)} seeds; of seed {record['seed']} alone "
    chosen = record["best_on_validation"]
    told += f"{record['test_accuracy']:.4f}; {chosen['test_accuracy']:.4f} at epoch {chosen['epoch']}, the best on validation"
    click.echo(told)
    print_table(
        [
            {
                "layer": row["layer"],
                "cosine with backprop at the end": f"{aligned['cosine']:.3f}" if row["parameters"] else "no weights",
                "gradient's norm": f"{aligned['reference_norm']:.2e}" if row["parameters"] else "",
                "change of weights": f"{record['relative_weight_change'][row['layer']]:.1%}" if row["parameters"] else "",
            }
            for row in record["network"]
            for aligned in (record["alignment_with_backprop"][row["layer"]],)
        ]
    )
    for warning in record["warnings"]:
        click.echo(f"warning: {warning}", err=True)


def _interrupted(
    out: Path | None, rule: str | None, config: Path | None, assignments: tuple[str, ...], options: dict[str, Any]
) -> Path:
    """The configuration of a training that is to go on: its own, and no other."""
    if out is None:
        raise click.UsageError("--resume was given without --out: name the folder of the training that was interrupted")
    others = [name for name, value in (("RULE", rule), ("--config", config), ("--set", assignments)) if value]
    others += [f"--{name.replace('_', '-')}" for name in options]
    if others:
        raise click.UsageError(f"{others[0]} was given with --resume: what is trained in {out} is in its config.yaml, leave it out")
    if not (out / "config.yaml").is_file():
        raise click.UsageError(f"--resume was given, and {out} holds no training: give the folder of one, or leave --resume out")
    return out / "config.yaml"


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


@command.command("compare")
@click.option("--rules", help="Rules, separated by commas, path.py:name or module:name of your own among them; or all.")
@click.option("--architecture", help=_ARCHITECTURE_HELP.format("cnn"))
@click.option("--dataset", help="A named image set (digits by default), an .npz in the Keras layout, or a folder of class folders.")
@click.option("--recording", help="A named recording (simulated by default), or a folder of your own.")
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
@click.option("--front-end", help="Of every network: none (the default), zca, on_off or zca_on_off.")
@click.option("--seed", type=int, help="Repeats the run to the bit on one machine.")
@click.option(
    "--measure",
    "--distance",
    "distance",
    help="How patterns become RDMs: correlation (the default), correlation-centred (each unit's mean over stimuli taken out), "
    "euclidean, or crossnobis, which cross-validates a region's over its runs.",
)
@click.option(
    "--comparator",
    help="Between RDMs: spearman (the default), pearson, kendall, cosine, whitened_pearson, whitened_cosine; after a comma others "
    "for the same table, also of patterns: cka, procrustes, encoding.",
)
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
    rules: str | None,
    subjects: str | None,
    exclude_subjects: str | None,
    regions: str | None,
    conditions: str | None,
    activations: str | None,
    comparator: str | None,
    stimulus_size: str | None,
    assignments: tuple[str, ...],
    config: Path | None,
    out: Path | None,
    store: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train rules and compare every layer of their networks with every region of a recording."""
    import learning_rules
    from experiments.comparing import compare
    from experiments.config import CompareConfig, read_yaml
    from experiments.files import no_empty_folder
    from experiments.report import controls_table, terminal_table

    base = CompareConfig() if config is None else read_yaml(config, CompareConfig)
    fields = given(**options)
    if rules is not None:
        fields["rules"] = learning_rules.names() if rules == "all" else tuple(rule.strip() for rule in rules.split(","))
    several = {
        "subjects": subjects,
        "exclude_subjects": exclude_subjects,
        "regions": regions,
        "conditions": conditions,
        "activations": activations,
    }
    for name, text in several.items():
        if text is not None:
            fields[name] = tuple(named(f"--{name.replace('_', '-')}", text) or ())
    for field, values in (
        ("comparator", named("--comparator", comparator)),
        ("stimulus_size", whole_numbers("--stimulus-size", stimulus_size)),
    ):
        if values:
            fields |= {field: values[0], f"more_{field}s": tuple(values[1:])}
    rule_options, network_options = settings(assignments)
    if rule_options:
        raise click.UsageError(
            f"--set {next(iter(rule_options))} was given: compare takes network.OPTION=VALUE here, and options of rules in --config"
        )
    if network_options:
        fields["architecture_options"] = {**base.architecture_options, **network_options}
    kept = None if store == "none" else Path(store or _STORE)
    place = _free_folder() if out is None else contextlib.nullcontext(out)
    with no_empty_folder(out), no_empty_folder(kept), place as folder, progress_bar() as progress:
        comparison = compare(base, folder, progress, kept, **fields)
    if as_json:
        print_json(comparison.to_json())
        return
    show(terminal_table(comparison))
    if (against := controls_table(comparison)) is not None:
        show(against)
    for warning in comparison.warnings:
        click.echo(f"warning: {warning}", err=True)
    if kept is not None:
        click.echo(f"networks: {kept.resolve()}, where whatever asks for the same ones finds them")
    click.echo(f"report: {comparison.report}")


@command.command("scorecard")
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
        cards = scorecards(asked, architecture, named("--criteria", criteria), seed, workers, progress=progress, keep=keep)
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


@command.command("sweep")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--workers", type=int, default=1, show_default=True, help="Trainings at a time, each in a process of its own.")
@click.option("--shard", metavar="I/N", help="The part of the plan that is done here, as a task of an array job; all by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for tables; a sweep that was interrupted goes on there.")
@as_json
def sweep_command(config: Path, workers: int, shard: str | None, out: Path | None, as_json: bool) -> None:
    """Train everything that CONFIG asks for, and write one table; see experiments/configs."""
    from experiments.config import read_yaml
    from experiments.files import no_empty_folder
    from experiments.results import rows
    from experiments.sweeping import SweepConfig, sweep

    folder = out or Path("runs") / config.stem
    part = _part(shard)
    chosen = read_yaml(config, SweepConfig)
    with no_empty_folder(folder), progress_bar() as progress:
        done = sweep(chosen, folder, workers, progress, part)
    if as_json:
        found = {"summary": rows(done.summary), "runs": rows(done.runs), "failed": done.failed, "to_come": done.to_come}
        print_json(found | {"out": str(folder.resolve())})
    else:
        print_table([_of_sweep(row) for row in rows(done.summary)])
        click.echo(f"tables: {folder.resolve()}")
    if others := done.to_come - len(done.failed):
        click.echo(
            f"{others} of the plan are not there yet: of another shard, or left to another process that is at them", err=True
        )
    for name, why in done.failed.items():
        click.echo(f"failed: {name}: {why}", err=True)
    if done.failed:
        click.echo("the same command tries again what failed, and nothing else", err=True)
        sys.exit(1)


def _part(shard: str | None) -> tuple[int, int]:
    """The part that a shard is, and of how many."""
    if shard is None:
        return 1, 1
    part, slash, of = shard.partition("/")
    if not (slash and part.strip().isdecimal() and of.strip().isdecimal()):
        raise click.UsageError(f"--shard {shortened(shard)} was given, expected the part and their number, such as 1/4")
    return int(part), int(of)


def _of_sweep(row: dict[str, Any]) -> dict[str, str]:
    """A row of a sweep's table: what it is called, what it reached and beside what."""

    def number(name: str, form: str = ".4f") -> str:
        value = row.get(name)
        return "" if value is None or value != value else format(value, form)

    spread = number("standard_deviation")
    above = row.get("beats_control")
    return {
        "rule": row["rule"],
        "network": row["architecture"] + ("" if row["front_end"] == "none" else f" behind {row['front_end']}"),
        "test accuracy": number("mean") + (f" ± {spread}" if spread else ""),
        "one readout": number("readout_mean"),
        "best control": number("control"),
        "which": str(row.get("best_control") or "").partition(" (")[0],
        "above all controls": "" if above is None else "yes" if above else "no",
        "degrees from backprop": number("angle", ".0f"),
        "floor": number("floor"),
        "on validation": "" if "mean" in row else number("validation_accuracy"),
    }


@command.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@as_json
def report_command(folder: Path, as_json: bool) -> None:
    """Write the report of FOLDER anew, from the tables in it."""
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


command.add_command(benchmark_command)
command.add_command(data_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal in ASCII or a Windows code page shows what it can.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if stream is sys.stderr else "replace")
    try:
        command.main(args=arguments, prog_name="bioplausible", standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except click.exceptions.Abort:
        click.echo(stopped(arguments), err=True)
        sys.exit(STATUS)
    except click.exceptions.NoArgsIsHelpError as error:
        # Whoever gave no command is shown what there is, as it is laid out.
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message())
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.exit(0)
    except OSError as error:
        # A name that no file can have, a folder that cannot be entered; what else goes wrong with files is a defect of ours.
        if error.filename is None or error.errno not in _OF_NAMES:
            raise
        _fail(f"{shortened(str(error.filename))} cannot be used ({error.strerror}): give another path")
    except (RuntimeError, AssertionError, ImportError):
        # A device that is not there is met wherever the first array is made, as whatever JAX's plugins raise.
        if "JAX_PLATFORMS" not in os.environ:
            raise
        from experiments.environment import check_devices

        try:
            check_devices()
        except InputError as error:
            _fail(str(error))
        raise


def stopped(arguments: list[str] | None = None) -> str:
    """What is told when a command is interrupted: whether what was done is kept, and what goes on with it.

    Parameters
    ----------
    arguments
        Of the command line; by default those that the process was started with.
    """
    given_to = arguments if arguments is not None else sys.argv[1:]
    has_folder = any(each == "--out" or each.startswith("--out=") for each in given_to)
    command_name, told = (given_to or [""])[0], ""
    if command_name == "sweep" or (command_name == "scorecard" and has_folder):
        told = "; what is done is kept, and the same command goes on"
    if command_name == "compare" and not any(each in ("none", "--store=none") for each in given_to):
        told = "; networks are kept, and the same comparison goes on with them"
    if command_name == "train" and has_folder:
        told = "; what is done is kept, and goes on with --resume and the same --out alone"
    return f"bioplausible: stopped{told}"


def _fail(message: str) -> None:
    click.echo(f"bioplausible: {' '.join(message.split())}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
