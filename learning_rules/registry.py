"""The rules by name. To add one: its own file, a line in `FAMILIES`, a row in `tests/learning_rules/rule_table.py`."""

from __future__ import annotations

from typing import Any

from architectures import Network
from architectures.errors import InputError, unknown_name
from architectures.options import make_options
from learning_rules import (
    backprop,
    dendritic,
    energy_based,
    feedback_alignment,
    forward_forward,
    hebbian,
    local_losses,
    pepita,
    perturbation,
    predictive_coding,
    stdp,
    target_propagation,
    untrained,
)
from learning_rules.contract import Family, LearningRule, RuleSpec, Support, Variant

__all__ = ["FAMILIES", "build", "names", "options_of", "spec", "support"]

FAMILIES: dict[str, Family] = {
    "untrained": untrained.FAMILY,
    "backprop": backprop.FAMILY,
    "hebbian": hebbian.FAMILY,
    "stdp": stdp.FAMILY,
    "feedback_alignment": feedback_alignment.FAMILY,
    "target_propagation": target_propagation.FAMILY,
    "dendritic": dendritic.FAMILY,
    "predictive_coding": predictive_coding.FAMILY,
    "forward_forward": forward_forward.FAMILY,
    "perturbation": perturbation.FAMILY,
    "pepita": pepita.FAMILY,
    "local_losses": local_losses.FAMILY,
    "energy_based": energy_based.FAMILY,
}


def names(variants: bool = False) -> tuple[str, ...]:
    """Names that `build` takes: the families, or with `variants=True` every `family/variant`."""
    if not variants:
        return tuple(FAMILIES)
    return tuple(variant.spec.name for family in FAMILIES.values() for variant in family.variants.values())


def _find(name: str, variant: str | None = None) -> tuple[Family, Variant]:
    family_name, _, named = name.partition("/")
    if family_name not in FAMILIES:
        raise unknown_name("learning rule", name, {*names(), *names(variants=True)})
    family = FAMILIES[family_name]
    if named and variant and named != variant:
        raise InputError(f"rule '{name}' was given together with variant='{variant}': give one of the two")
    wanted = named or variant
    if not wanted:
        return family, next(iter(family.variants.values()))
    if wanted not in family.variants:
        raise unknown_name(f"variant of '{family_name}'", wanted, [v for v in family.variants if v] or ["(none)"])
    return family, family.variants[wanted]


def spec(name: str) -> RuleSpec:
    """What a rule declares about itself."""
    return _find(name)[1].spec


def options_of(name: str) -> Any:
    """The options that a rule is built with unless told otherwise, a frozen dataclass."""
    family, variant = _find(name)
    return family.options(**variant.options)


def support(name: str, network: Network) -> Support:
    """Whether a rule and a network go together, and why not."""
    reason = _find(name)[0].supports(network)
    return Support(not reason, reason)


def build(name: str, network: Network, **options: Any) -> LearningRule:
    """Build a rule for a network.

    Args:
        name: `family` (its first variant) or `family/variant`.
        network: from `architectures.build`.
        **options: fields of the family's options; `variant` chooses the variant.

    Raises:
        InputError: unknown rule, variant or option (the valid ones are listed), or a network that the rule cannot train.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10)
    >>> build("feedback_alignment", network, variant="direct").spec.name
    'feedback_alignment/direct'
    """
    family, variant = _find(name, options.pop("variant", None))
    reason = family.supports(network)
    if reason:
        raise InputError(f"rule '{name}' cannot train this '{network.name}': {reason}")
    given = {**variant.options, **options}
    chosen: Any = make_options(family.options, given, f"rule '{variant.spec.name}'", hidden=("variant",))
    return family.make(network, chosen, variant.spec)
