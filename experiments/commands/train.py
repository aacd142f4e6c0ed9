"""`bioplausible train`: one network by one rule."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import click

from bioplausible.foundation.progress import progress_bar
from experiments.terminal import ARCHITECTURE_HELP, Subcommand, as_json, examples, given, print_json, print_table, settings

__all__ = ["train_command"]


def _epochs(n: int) -> str:
    return f"{n} epoch" if n == 1 else f"{n} epochs"


@click.command(
    "train",
    cls=Subcommand,
    epilog=examples(
        "bioplausible train feedback_alignment --epochs 5 --out runs/first",
        "bioplausible train energy_based --architecture cnn --dataset fashion_mnist --seed 1",
        "bioplausible train predictive_coding --set learning_rate=0.002 --set network.hidden=512,256",
        "bioplausible train --resume --out runs/first",
    ),
)
@click.argument("rule", required=False)
@click.option("--architecture", help=ARCHITECTURE_HELP.format("mlp"))
@click.option("--dataset", help="A named image set (digits by default), an .npz in the Keras layout, or a folder of class folders.")
@click.option("--epochs", type=int, help="Passes over the training images.")
@click.option("--batch-size", type=int)
@click.option("--front-end", help="none, zca, zca_local, on_off or zca_on_off; by default the one that RULE is tuned behind.")
@click.option(
    "--init",
    help="Parameters that the network starts from: a folder that train --out wrote (@SEED for one of several), or an .npz or orbax "
    "folder of parameters.",
)
@click.option(
    "--stream",
    help="Whether images are fetched while the network is trained: auto (the default: where they do not fit), always or never; the "
    "weights are the same.",
)
@click.option("--seed", type=int, help="Repeats the run to the bit on one machine.")
@click.option(
    "--set", "assignments", multiple=True, metavar="OPTION=VALUE", help="An option of the rule, or network.OPTION of the network."
)
@click.option(
    "--log", "logs", multiple=True, metavar="KIND:PLACE", help="Follow it elsewhere too: tensorboard:DIR or wandb:PROJECT."
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
    logs: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network by RULE: a name from `list rules`, or path.py:name or module:name of your own; --config may name it."""
    if resume:
        config = _interrupted(out, rule, config, assignments, given(**options))
        if out is not None and (out / "results.json").is_file():
            # Whoever asks until it is done is done: a job that a cluster puts into its queue again, say.
            click.echo(f"{out} holds a training that is finished: nothing is left to do", err=True)
            if as_json:
                print_json(json.loads((out / "results.json").read_text(encoding="utf-8")) | {"out": str(out.resolve())})
            return
    if rule is None and config is None:
        raise click.UsageError(
            "Missing argument 'RULE': give a name from `bioplausible list rules`, or --config FILE that has one."
        )
    from bioplausible.foundation.yaml_files import read_mapping
    from experiments.config import TrainConfig, read_yaml, with_fields
    from experiments.early import check_training

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
    check_training(with_fields(base, TrainConfig, fields, "train", "rule='backprop'"))
    # What takes long to import, once nothing is misspelt.
    from experiments.files import no_empty_folder
    from experiments.loggers import logging_to
    from experiments.saving import train_in
    from experiments.training import train

    with no_empty_folder(out), logging_to(logs) as callbacks, progress_bar() as progress:
        if out is None:
            trained = train(base, progress, callbacks, **fields)
        else:
            trained = train_in(out, base, progress, go_on=resume, callbacks=callbacks, **fields)
    record = trained.to_json() | {"out": None if out is None else str(out.resolve())}
    if as_json:
        print_json(record)
        return
    _tell(record)


def _tell(record: dict[str, Any]) -> None:
    """What a training reached, and what it did to every layer."""
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
