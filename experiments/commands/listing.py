"""`bioplausible list`: what there is to choose from."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from bioplausible.foundation.errors import unknown_name
from bioplausible.foundation.resolve import resolve
from experiments.terminal import as_json, print_entries, print_json, print_table, show

__all__ = ["list_command"]


@click.command("list")
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
    from experiments.compare_config import CompareConfig
    from experiments.config import TrainConfig
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
            _fields(kind),
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


def _fields(kind: Any) -> list[dict[str, Any]]:
    """Fields of a kind of configuration, and after its own those of its parts, with the defaults that they have in it."""
    from experiments.options_table import option_rows

    parts = {field.name: field.default for field in dataclasses.fields(kind) if dataclasses.is_dataclass(field.default)}
    rows = option_rows(kind, hidden=tuple(parts), meaning={"`TrainConfig`": "a training (list configurations train)"})
    for name, part in parts.items():
        of_part = option_rows(part, hidden=tuple(kind.decided))
        rows += [{**row, "what": f"{row['what']} (of {name})"} for row in of_part]
    return rows


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
