"""The rules by name. To add one: its own file, a line in `FAMILIES`, a row in `tests/learning_rules/rule_table.py`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from architectures import Network
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.options import make_options
from bioplausible.foundation.resolve import is_reference, load_object
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
from learning_rules.needs import missing
from learning_rules.objectives import Objective, make_objective

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


def support(name: str, network: Network, objective: str | Objective | None = None) -> Support:
    """Whether a rule and a network go together, and why not.

    Parameters
    ----------
    name
        `family` or `family/variant`.
    network
        The network.
    objective
        What it is asked to do; the rule's own, by default.
    """
    family, variant = _find(name)
    wanted = options_of(name).loss if objective is None else objective
    try:
        chosen = make_objective(wanted, network)
    except InputError as error:
        return Support(False, str(error))
    reason = _why_not(family, variant, network, chosen)
    return Support(not reason, reason)


def _why_not(family: Family, variant: Variant, network: Network, objective: Objective) -> str:
    if _walks_a_chain(family) and (network.temporal or not network.is_chain):
        return "its nodes do not each hear the one before and nothing else, and the rule still walks a chain: use 'mlp' or 'cnn'"
    return missing(variant.needs or family.needs, network, objective) or family.supports(network)


def _walks_a_chain(family: Family) -> bool:  # of rules not yet moved; to be deleted with the last of them
    return len(inspect.signature(family.make).parameters) == 3


def build(name: str, network: Network, *, objective: str | Objective | None = None, **options: Any) -> LearningRule:
    """Build a rule for a network.

    Parameters
    ----------
    name
        `family` (its first variant) or `family/variant`; or `module:name` or `path.py:name` of a function from a network to a
        `LearningRule`, which then takes the options.
    network
        From `architectures.build`.
    objective
        What the network is asked to do, one of `OBJECTIVES` or an `Objective`; by default what the option `loss` says.
    **options
        Fields of the family's options; `variant` chooses the variant.

    Raises
    ------
    InputError
        Unknown rule, variant or option (the valid ones are listed), or a network or objective that the rule cannot train.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10)
    >>> build("feedback_alignment", network, variant="direct").spec.name
    'feedback_alignment/direct'
    """
    if not isinstance(network, Network):
        raise InputError(
            f"a rule was to be built for {type(network).__module__.split('.')[0]}'s {type(network).__name__}, expected an "
            "architectures.Network: make one of flax modules with architectures.from_nnx([…], input_shape=…, n_classes=…)"
        )
    if is_reference(name):
        return _of_user(name, network, options)
    family, variant = _find(name, options.pop("variant", None))
    given = {**variant.options, **options}
    chosen: Any = make_options(family.options, given, f"rule '{variant.spec.name}'", hidden=("variant",))
    asked = make_objective(chosen.loss if objective is None else objective, network)
    reason = _why_not(family, variant, network, asked)
    if reason:
        raise InputError(f"rule '{name}' cannot train this '{network.name}': {reason}")
    if _walks_a_chain(family):
        return family.make(network, chosen, variant.spec)._replace(objective=asked)
    return family.make(network, chosen, variant.spec, asked)


def _of_user(name: str, network: Network, options: Mapping[str, Any]) -> LearningRule:
    make = load_object(name, "learning rule")
    if not callable(make):
        raise InputError(f"'{name}' is {type(make).__name__}, expected a function from a network to a LearningRule")
    rule = make(network, **options)
    if not isinstance(rule, LearningRule):
        raise InputError(f"'{name}' returned {type(rule).__name__}, expected a learning_rules.LearningRule")
    return rule
