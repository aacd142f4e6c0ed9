"""`bioplausible list`: what there is to choose from."""

from __future__ import annotations

from typing import Any

import click

from bioplausible.foundation.errors import unknown_name
from bioplausible.foundation.resolve import resolve
from experiments.terminal import Subcommand, as_json, examples, print_entries, print_json, print_options, print_table, show

__all__ = ["list_command"]

_KINDS = (
    *("rules", "architectures", "datasets", "recordings", "criteria", "measures", "comparators", "front-ends"),
    *("support", "configurations", "recording-keys"),
)


@click.command(
    "list",
    cls=Subcommand,
    epilog=examples(
        "bioplausible list rules",
        "bioplausible list rules feedback_alignment/sign",
        "bioplausible list support --architecture cnn",
        "bioplausible list support --temporal",
        "bioplausible list measures --json",
    ),
)
@click.argument("what", metavar="WHAT", type=click.Choice(_KINDS))
@click.argument("name", required=False)
@click.option("--architecture", help="Of support: one network, a name or path.py:name of your own, in place of one of each kind.")
@click.option(
    "--temporal", is_flag=True, help="Of support: which rules credit what happened earlier in which way (--set temporal=…)."
)
@as_json
def list_command(what: str, name: str | None, architecture: str | None, temporal: bool, as_json: bool) -> None:
    """List what there is to choose from; of one rule, architecture or configuration by its NAME, what can be set.

    WHAT is rules, architectures, datasets, recordings, criteria (of plausibility), measures (how patterns become RDMs), comparators
    (of RDMs), front-ends, support (which rules train which networks, and why not), configurations (files for --config) or
    recording-keys (what a recording.yaml may hold).
    """
    if architecture is not None and what != "support":
        raise click.UsageError(f"--architecture {architecture} was given to list {what}: it belongs to list support")
    if temporal and what != "support":
        raise click.UsageError(f"--temporal was given to list {what}: it belongs to list support")
    if name is not None:
        _list_one(what, name, as_json)
    elif what == "support" and temporal:
        _list_temporal_support(architecture, as_json)
    elif what == "support":
        _list_support(architecture, as_json)
    elif what == "recording-keys":
        _list_recording_keys(as_json)
    else:
        _list_all(what, as_json)


def _list_all(what: str, as_json: bool) -> None:
    """Everything of one kind."""
    rows = _rows(what)
    if as_json:
        print_json(rows)
        return
    # Whole sentences leave a table's columns a word wide.
    layout = print_entries if what in ("rules", "criteria", "measures", "comparators", "front-ends") else print_table
    hidden = ("citation", "licence")
    layout([{name: value for name, value in row.items() if name not in hidden} for row in rows])


def _rows(what: str) -> list[dict[str, Any]]:
    from experiments import catalogue

    # What is asked for is imported and no more: to read brains takes longer to import than to answer.
    if what == "datasets":
        from experiments import datasets

        return [dict(datasets.describe(name)) for name in datasets.names()]
    if what == "recordings":
        import neurodata

        return [dict(neurodata.describe(name)) for name in neurodata.names()]
    told = {
        "rules": catalogue.rule_rows,
        "architectures": catalogue.architecture_rows,
        "criteria": catalogue.criterion_rows,
        "measures": catalogue.measure_rows,
        "comparators": catalogue.comparator_rows,
        "front-ends": catalogue.front_end_rows,
        "configurations": catalogue.configuration_rows,
    }
    return [{name: value for name, value in row.items() if name != "options"} for row in told[what]()]


def _list_one(what: str, name: str, as_json: bool) -> None:
    """One rule, architecture or kind of configuration, and what can be set of it."""
    from experiments import catalogue

    in_yaml = False
    if what == "rules":
        told, how = catalogue.rule_card(name), "--set OPTION=VALUE sets one"
    elif what == "architectures":
        told, how = _architecture(name), "--set network.OPTION=VALUE sets one"
    elif what == "configurations":
        told, how, in_yaml = _configuration(name), "a line of the file sets one, as 'seed: 1'", True
    else:
        raise click.UsageError(f"{name} was given to list {what}: rules, architectures and configurations are told one by one")
    if as_json:
        print_json(told)
        return
    print_entries([{key: _in_words(value) for key, value in told.items() if key != "options"}])
    print_options(told["options"], how, in_yaml)


def _in_words(value: Any) -> Any:
    """What a rule says of networks, and names of variants, as a sentence."""
    if isinstance(value, list):
        return ", ".join(value)
    if not isinstance(value, dict):
        return value
    able = [kind for kind, said in value.items() if said["supported"]]
    reasons: dict[str, list[str]] = {}
    for kind, said in value.items():
        if not said["supported"]:
            reasons.setdefault(said["reason"], []).append(kind)
    unable = "; ".join(f"not {', '.join(kinds)} ({reason})" for reason, kinds in reasons.items())
    return "; ".join(each for each in (", ".join(able) or "none of those that are typical", unable) if each)


def _architecture(name: str) -> dict[str, Any]:
    from experiments import catalogue

    row = resolve(name, {row["architecture"]: row for row in catalogue.architecture_rows()}, "architecture")
    if not isinstance(row, dict):
        raise click.UsageError(f"{name} was given to list architectures: what can be set of a function of your own, it alone knows")
    return row


def _configuration(name: str) -> dict[str, Any]:
    from experiments import catalogue

    known = {row["configuration"]: row for row in catalogue.configuration_rows()}
    if name not in known:  # none of the user's own is ever one
        raise unknown_name("configuration", name, known)
    return known[name]


def _list_recording_keys(as_json: bool) -> None:
    """Keys of recording.yaml, and of its sections for raw files."""
    from experiments.recording_keys import recording_key_rows

    rows = recording_key_rows()
    if as_json:
        print_json(rows)
        return
    for section, title in (("", "recording.yaml"), ("fmri", "fmri: for raw BOLD runs"), ("meg", "meg: for raw MEG and EEG")):
        of_section = [row for row in rows if row["section"] == section]
        click.secho(title, bold=True, underline=True)
        if section:
            how = f"in recording.yaml, below a line '{section}:'"
            print_options([{"option": row["key"], **row} for row in of_section], how, in_yaml=True)
        else:
            print_entries([{"key": row["key"], "what": row["what"], "expected": row["range"]} for row in of_section])
        click.echo()


def _small_network(architecture: str) -> Any:
    from experiments import catalogue

    catalogue.check_names(architecture=architecture)
    import architectures

    # Of the shape of the digits: what a rule needs is no question of size.
    return architectures.build(architecture, input_shape=(8, 8, 1), n_classes=10)


def _list_temporal_support(architecture: str | None, as_json: bool) -> None:
    from experiments import catalogue
    from experiments.support_table import temporal_support_table

    if architecture is None:
        matrix = catalogue.temporal_support()
    else:
        import learning_rules

        matrix = learning_rules.temporal_support_matrix({architecture: _small_network(architecture)})
    if as_json:
        print_json(
            [
                {"rule": rule, "temporal": temporal, "networks": {network: said._asdict() for network, said in row.items()}}
                for rule, rows in matrix.items()
                for temporal, row in rows.items()
            ]
        )
    else:
        show(temporal_support_table(matrix), width=150)


def _list_support(architecture: str | None, as_json: bool) -> None:
    from experiments import catalogue
    from experiments.support_table import support_table

    if architecture is None:
        matrix = catalogue.support()
    else:
        import learning_rules

        matrix = learning_rules.support_matrix({architecture: _small_network(architecture)})
    if as_json:
        told = {rule: {network: said._asdict() for network, said in row.items()} for rule, row in matrix.items()}
        print_json([{"rule": rule, "networks": row} for rule, row in told.items()])
    else:
        show(support_table(matrix), width=150)
