"""What there is to choose from: rules, architectures, criteria, measures, front ends, configurations, as plain rows.

Asking the packages that hold them takes seconds, most of it JAX's import, and answers change with the code alone: they are kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from bioplausible.foundation.errors import unknown_name
from bioplausible.foundation.resolve import is_reference, resolve
from experiments.compare_config import AUTO
from experiments.kept import kept
from experiments.plain_values import plain
from learning_rules.naming import find_variant
from learning_rules.supported import Support

__all__ = [
    "architecture_rows",
    "check_criteria",
    "check_names",
    "comparator_rows",
    "configuration_rows",
    "criterion_rows",
    "family_names",
    "find_rule",
    "front_end_rows",
    "measure_rows",
    "published_with",
    "rule_card",
    "rule_row",
    "rule_rows",
    "support",
    "temporal_support",
    "variants_of",
]

# What makes the rows, beside the packages that they are of.
_OWN = ("bioplausible.foundation.options", "experiments.catalogue", "experiments.options_table")
_OF_RULES = (*_OWN, "learning_rules", "architectures")
_IN_TIME = ("recurrent", "spiking")


def published_with(spec: Any) -> str:
    """Settings that a rule takes unless told otherwise, as `train --set` names them.

    Parameters
    ----------
    spec
        A `learning_rules.RuleSpec`.
    """
    batch = [] if spec.batch_size is None else [f"batch_size={spec.batch_size}"]
    return ", ".join([*batch, *(f"network.{name}={value}" for name, value in spec.network)])


def rule_rows() -> list[dict[str, Any]]:
    """Every variant: `rule`, `what`, `front_end`, `published_with`, `source`, and `options` as rows of their own."""
    return kept("rules", _rules, _OF_RULES)


def _rules() -> list[dict[str, Any]]:
    import learning_rules

    return [rule_row(name) for name in learning_rules.names(variants=True)]


def rule_row(name: str) -> dict[str, Any]:
    """The same of one rule, which may be of the user's own; ranges of options are those alone that their dataclass checks.

    Parameters
    ----------
    name
        As `learning_rules.build` takes it.

    Raises
    ------
    InputError
        Unknown rule or variant, or a user's function, whose options it alone knows.
    """
    import learning_rules

    spec = learning_rules.spec(name)
    return {
        "rule": spec.name,
        "what": spec.summary,
        "front_end": spec.front_end,
        "published_with": published_with(spec),
        "source": spec.citation,
        "options": _options_of(name),
    }


def _options_of(name: str, ranges: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    import learning_rules
    from experiments.options_table import option_rows

    meaning = {"`OBJECTIVES`": ", ".join(learning_rules.OBJECTIVES)}
    return option_rows(learning_rules.options_of(name), hidden=("variant",), meaning=meaning, ranges=ranges)


def rule_card(name: str) -> dict[str, Any]:
    """A rule with all that is said of it: its row, `variants` of its family, `networks` that it trains, its options' ranges.

    Parameters
    ----------
    name
        As `learning_rules.build` takes it.

    Returns
    -------
    dict
        As `rule_row`, with `networks` kind -> `supported`, `reason`, and options whose ranges are those that are checked when the
        rule is built.

    Raises
    ------
    InputError
        As `rule_row`.
    """
    if is_reference(name):
        row, variants = rule_row(name), []
        found = plain(_networks_and_options(name))
    else:
        row, variants = find_rule(name), variants_of(name)
        whole = row["rule"]
        found = kept(f"rule_{whole.replace('/', '_')}", lambda: _networks_and_options(whole), _OF_RULES)
    return {**{key: value for key, value in row.items() if key != "options"}, "variants": variants, **found}


def _networks_and_options(name: str) -> dict[str, Any]:
    import learning_rules
    from bioplausible.foundation.options import ranges_heard

    networks = learning_rules.typical_networks()
    said = {kind: learning_rules.support(name, network) for kind, network in networks.items()}
    with ranges_heard() as heard:
        for network in [networks[kind] for kind, each in said.items() if each.supported][:1]:
            learning_rules.build(name, network)
    ranges = heard.get(type(learning_rules.options_of(name)), {})
    return {"networks": {kind: each._asdict() for kind, each in said.items()}, "options": _options_of(name, ranges)}


def support() -> dict[str, dict[str, Support]]:
    """Which rules train a network of each kind, and why not: what `learning_rules.support_matrix` says."""
    matrix = kept("support", _support, _OF_RULES)
    return {rule: {kind: Support(*said) for kind, said in row.items()} for rule, row in matrix.items()}


def temporal_support() -> dict[str, dict[str, dict[str, Support]]]:
    """Which rules can credit what happened earlier in which way: what `learning_rules.temporal_support_matrix` says."""
    matrix = kept("temporal_support", _temporal_support, _OF_RULES)
    return {
        rule: {temporal: {kind: Support(*said) for kind, said in row.items()} for temporal, row in rows.items()}
        for rule, rows in matrix.items()
    }


def _temporal_support() -> Any:
    import learning_rules

    return learning_rules.temporal_support_matrix()


def _support() -> Any:
    import learning_rules

    return learning_rules.support_matrix()


def architecture_rows() -> list[dict[str, Any]]:
    """Every architecture: `architecture`, `what`, and `options` as rows of their own."""
    return kept("architectures", _architectures, (*_OWN, "architectures"))


def _architectures() -> list[dict[str, Any]]:
    from architectures.registry import ARCHITECTURES
    from experiments.options_table import option_rows

    return [
        {"architecture": name, "what": entry.summary, "options": option_rows(entry.options())}
        for name, entry in ARCHITECTURES.items()
    ]


def front_end_rows() -> list[dict[str, Any]]:
    """Every front end: `front_end`, `what`."""
    return kept("front_ends", _front_ends, (*_OWN, "architectures"))


def _front_ends() -> list[dict[str, Any]]:
    from architectures import FRONT_ENDS

    return [{"front_end": name, "what": _first_line(fit)} for name, fit in FRONT_ENDS.items()]


def criterion_rows() -> list[dict[str, Any]]:
    """Every criterion of plausibility: `criterion`, `question`, `measure`, `source`."""
    return kept("criteria", _criteria, _OF_RULES)


def _criteria() -> list[dict[str, Any]]:
    from learning_rules import plausibility

    return [
        {"criterion": each.name, "question": each.question, "measure": each.measure, "source": each.citation}
        for each in plausibility.CRITERIA.values()
    ]


def measure_rows() -> list[dict[str, Any]]:
    """Every measure of a comparison: `measure`, `what`, `of`, which is "RDMs" or, of those that make none, "patterns"."""
    chosen = "what the recording calls for: crossnobis where all its regions were measured in several runs, else correlation"
    return [{"measure": AUTO, "what": chosen, "of": "RDMs"}, *kept("measures", _measures, (*_OWN, "rsa"))]


def _measures() -> list[dict[str, Any]]:
    import rsa

    return [
        *({"measure": name, "what": each.summary, "of": "RDMs"} for name, each in rsa.MEASURES.items()),
        *({"measure": name, "what": each.summary, "of": "patterns"} for name, each in rsa.PATTERN_COMPARATORS.items()),
    ]


def comparator_rows() -> list[dict[str, Any]]:
    """Every comparator: `comparator`, `what`, `of`, which is "RDMs" or "patterns"."""
    return kept("comparators", _comparators, (*_OWN, "rsa"))


def _comparators() -> list[dict[str, Any]]:
    import rsa

    known = (("RDMs", rsa.COMPARATORS), ("patterns", rsa.PATTERN_COMPARATORS))
    return [{"comparator": name, "what": each.summary, "of": of} for of, each_of in known for name, each in each_of.items()]


def configuration_rows() -> list[dict[str, Any]]:
    """What a file in YAML may be, by the command that reads it: `configuration`, `what`, and `options` as rows of their own."""
    return kept("configurations", _configurations, (*_OWN, "experiments"))


def _configurations() -> list[dict[str, Any]]:
    from experiments.compare_config import CompareConfig
    from experiments.config import TrainConfig
    from experiments.sweeping.config import SearchConfig, SweepConfig

    # `search` is a part of a sweep's.
    kinds = {"train": TrainConfig, "compare": CompareConfig, "sweep": SweepConfig, "search": SearchConfig}
    return [
        {"configuration": name, "what": (kind.__doc__ or "").partition("\n")[0], "options": _fields(kind)}
        for name, kind in kinds.items()
    ]


def _fields(kind: Any) -> list[dict[str, Any]]:
    """Fields of a kind of configuration, and after its own those of its parts, with the defaults that they have in it."""
    from experiments.options_table import option_rows

    parts = {field.name: field.default for field in dataclasses.fields(kind) if dataclasses.is_dataclass(field.default)}
    rows = option_rows(kind, hidden=tuple(parts), meaning={"`TrainConfig`": "a training (list configurations train)"})
    for name, part in parts.items():
        of_part = option_rows(part, hidden=tuple(kind.decided))
        rows += [{**row, "what": f"{row['what']} (of {name})"} for row in of_part]
    return rows


def _first_line(thing: Any) -> str:
    line = (thing.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return line[:1].lower() + line[1:]


def check_names(
    rules: Collection[str] = (),
    rule_options: Mapping[str, Mapping[str, Any]] | None = None,
    architecture: str | None = None,
    architecture_options: Mapping[str, Any] | None = None,
    front_end: str | None = None,
) -> None:
    """Say what is misspelt before the libraries that would build it are imported.

    Parameters
    ----------
    rules
        As `learning_rules.build` takes them.
    rule_options
        Rule -> options by name, of which no value is looked at.
    architecture
        As `architectures.build` takes it.
    architecture_options
        Its options by name.
    front_end
        One of `architectures.FRONT_ENDS`, or "auto".

    Raises
    ------
    InputError
        For the first that is unknown, as whoever would build it says it. What is the user's own is left to them.
    """
    if rules:
        _check_rules(rules, rule_options or {})
    if architecture is not None and not is_reference(architecture):
        networks = {row["architecture"]: row["options"] for row in architecture_rows()}
        options = resolve(architecture, networks, "architecture")
        _check_options(architecture_options or {}, options, f"architecture '{architecture}'")
    if front_end not in (None, "auto"):
        known = [row["front_end"] for row in front_end_rows()]
        if front_end not in known:
            raise unknown_name("front end", front_end, known)


def check_criteria(criteria: Collection[str]) -> None:
    """Say which criterion of plausibility there is not.

    Parameters
    ----------
    criteria
        As `learning_rules.plausibility.scorecard` takes them.

    Raises
    ------
    InputError
        For the first that is unknown.
    """
    known = [row["criterion"] for row in criterion_rows()]
    for name in criteria:
        if name not in known:
            raise unknown_name("criterion", name, known)


def family_names(architecture: str) -> tuple[str, ...]:
    """What `learning_rules.names` says, without families that are bound to time where an architecture has none.

    Parameters
    ----------
    architecture
        By its name; one of the user's own is taken to have none.
    """
    families = _families([row["rule"] for row in rule_rows()])
    if architecture in _IN_TIME:
        return tuple(families)
    rows = support().items()
    without = _families([rule for rule, row in rows if any(row[kind].supported for kind in row if not kind.startswith(_IN_TIME))])
    return tuple(family for family in families if family in without)


def _check_rules(rules: Collection[str], options: Mapping[str, Mapping[str, Any]]) -> None:
    for rule in rules:
        if not is_reference(rule):
            given = options.get(rule, {})
            row = find_rule(rule, given.get("variant"))
            _check_options([key for key in given if key != "variant"], row["options"], f"rule '{row['rule']}'")


def find_rule(name: str, variant: Any = None) -> dict[str, Any]:
    """One of `rule_rows`.

    Parameters
    ----------
    name
        `family` or `family/variant`.
    variant
        One that was given beside the name.

    Raises
    ------
    InputError
        Unknown rule or variant, in the words of `learning_rules.build`.
    """
    known = {row["rule"]: row for row in rule_rows()}
    family, chosen = find_variant(name, variant, _families(known))
    return known[f"{family}/{chosen}" if chosen else family]


def variants_of(name: str) -> list[str]:
    """Every `family/variant` of the family that a rule is of; none of one that stands alone.

    Parameters
    ----------
    name
        Of a rule that there is.
    """
    family = name.partition("/")[0]
    variants = _families([row["rule"] for row in rule_rows()])[family]
    return [f"{family}/{each}" for each in variants if each]


def _families(names: Collection[str]) -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    for name in names:
        family, _, variant = name.partition("/")
        families.setdefault(family, []).append(variant)
    return families


def _check_options(given: Collection[str], rows: list[dict[str, Any]], what: str) -> None:
    valid = [row["option"] for row in rows]
    for name in given:
        if name not in valid:
            raise unknown_name(f"option of {what}", name, valid)
