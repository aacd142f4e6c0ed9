"""The rules by name. To add one: its own file, a line in `FAMILIES`, a row in `tests/learning_rules/rule_table.py`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from architectures import Network
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.options import make_options
from bioplausible.foundation.resolve import is_reference, load_object
from learning_rules import (
    backprop,
    burst,
    clapp,
    dendritic,
    energy_based,
    eprop,
    error_decorrelation,
    feedback_alignment,
    feedback_control,
    forward_forward,
    hebbian,
    latent_predictive,
    local_losses,
    pepita,
    perturbation,
    predictive_coding,
    stdp,
    target_propagation,
    untrained,
)
from learning_rules.checking import check_contract, reason_of
from learning_rules.contract import Family, LearningRule, RuleSpec, Support, Variant
from learning_rules.naming import chosen_variant, find_variant
from learning_rules.needs import missing
from learning_rules.objectives import Objective, make_objective
from learning_rules.signs import keeping_signs

__all__ = ["FAMILIES", "build", "names", "options_of", "spec", "support"]

FAMILIES: dict[str, Family] = {
    "untrained": untrained.FAMILY,
    "backprop": backprop.FAMILY,
    "hebbian": hebbian.FAMILY,
    "stdp": stdp.FAMILY,
    "feedback_alignment": feedback_alignment.FAMILY,
    "error_decorrelation": error_decorrelation.FAMILY,
    "target_propagation": target_propagation.FAMILY,
    "feedback_control": feedback_control.FAMILY,
    "dendritic": dendritic.FAMILY,
    "burst": burst.FAMILY,
    "predictive_coding": predictive_coding.FAMILY,
    "forward_forward": forward_forward.FAMILY,
    "perturbation": perturbation.FAMILY,
    "pepita": pepita.FAMILY,
    "local_losses": local_losses.FAMILY,
    "latent_predictive": latent_predictive.FAMILY,
    "clapp": clapp.FAMILY,
    "energy_based": energy_based.FAMILY,
    "eprop": eprop.FAMILY,
}
"""Families of learning rules by name; `build` takes `family` or `family/variant`."""


def names(variants: bool = False) -> tuple[str, ...]:
    """Names that `build` takes: the families, or with `variants=True` every `family/variant`."""
    if not variants:
        return tuple(FAMILIES)
    return tuple(variant.spec.name for family in FAMILIES.values() for variant in family.variants.values())


def _of_user(name: str) -> Family | Callable[..., Any]:
    """What stands under `module:name` or `path.py:name`."""
    found = load_object(name, "learning rule")
    if not isinstance(found, Family) and not callable(found):
        raise InputError(f"'{name}' is {type(found).__name__}, expected a function from a network to a LearningRule, or a Family")
    return found


def _find(name: str, variant: Any = None) -> tuple[Family, Variant]:  # a variant as a user gave it
    if not is_reference(name):
        family_name, chosen = find_variant(name, variant, {each: tuple(family.variants) for each, family in FAMILIES.items()})
        return FAMILIES[family_name], FAMILIES[family_name].variants[chosen]
    found = _of_user(name)
    if not isinstance(found, Family):
        raise InputError(f"'{name}' is a function, which declares nothing before it has built its rule: give a Family")
    # Its name in every table is the one that builds it.
    renamed = {each: own._replace(spec=replace(own.spec, family=name, variant="")) for each, own in found.variants.items()}
    return found._replace(variants=renamed), renamed[chosen_variant(name, name, "", variant, tuple(renamed))]


def spec(name: str) -> RuleSpec:
    """What a rule declares about itself.

    Parameters
    ----------
    name
        As `build` takes it. A user's function declares nothing before it has built its rule: of one its name stands alone.

    Raises
    ------
    InputError
        Unknown rule or variant, or a user's module that cannot be loaded.
    """
    if is_reference(name) and not isinstance(_of_user(name), Family):
        return RuleSpec(name, "", "a rule of the user's own", "")
    return _find(name)[1].spec


def options_of(name: str) -> Any:
    """The options that a rule is built with unless told otherwise, a frozen dataclass.

    Parameters
    ----------
    name
        As `build` takes it; a user's function has options that it alone knows.

    Raises
    ------
    InputError
        Unknown rule or variant, or a user's function.
    """
    family, variant = _find(name)
    return family.options(**variant.options)


def support(name: str, network: Network, objective: str | Objective | None = None, temporal: str | None = None) -> Support:
    """Whether a rule and a network go together, and why not.

    Parameters
    ----------
    name
        As `build` takes it.
    network
        The network.
    objective
        What it is asked to do; the rule's own, by default.
    temporal
        How errors are to be credited to what happened earlier, one of `learning_rules.temporal_credit.TEMPORAL`; as the rule does
        it, by default.
    """
    if temporal is not None:
        return _temporal_support(name, network, objective, temporal)
    if is_reference(name) and not isinstance(_of_user(name), Family):
        try:
            build(name, network, objective=objective)
        except InputError as error:
            return Support(False, str(error))
        return Support(True)
    family, variant = _find(name)
    wanted = options_of(name).loss if objective is None else objective
    try:
        chosen = make_objective(wanted, network)
    except InputError as error:
        return Support(False, str(error))
    reason = _why_not(family, variant, network, chosen)
    return Support(not reason, reason)


def _temporal_support(name: str, network: Network, objective: str | Objective | None, temporal: str) -> Support:
    said = support(name, network, objective)
    bound = spec(name).temporal
    if not said.supported or temporal == bound:
        return said
    if bound:
        return Support(
            False, f"the rule is one of temporal={bound}, and credits what happened earlier in no other way: leave it out"
        )
    if is_reference(name) or hasattr(options_of(name), "temporal"):
        try:
            build(name, network, objective=objective, temporal=temporal)
        except InputError as error:
            return Support(False, str(error))
        return said
    return Support(
        False, "the rule sends no errors back in time that the option temporal could carry in another way: leave the option out"
    )


def _why_not(family: Family, variant: Variant, network: Network, objective: Objective) -> str:
    return missing(variant.needs or family.needs, network, objective) or family.supports(network)


def build(
    name: str,
    network: Network | Any,
    *,
    objective: str | Objective | None = None,
    excitatory: float | None = None,
    **options: Any,
) -> LearningRule:
    """Build a rule for a network.

    Parameters
    ----------
    name
        `family` (its first variant) or `family/variant`; or `module:name` or `path.py:name` of a `Family`, or of a function from
        a network to a `LearningRule`, which then takes the options.
    network
        A `Network`, from `architectures.build` or `architectures.from_nnx`; anything else is refused in a sentence.
    objective
        What the network is asked to do, one of `OBJECTIVES` or an `Objective`; by default what the option `loss` says.
    excitatory
        Fraction of every hidden node's units that excite, in [0, 1]; the others inhibit, and all keep their signs
        (`learning_rules/signs.py`). None leaves weights free.
    **options
        Fields of the family's options; `variant` chooses the variant.

    Raises
    ------
    InputError
        Unknown rule, variant or option (the valid ones are listed), a network or objective that the rule cannot train, or a
        user's rule that breaks the contract.

    >>> import architectures
    >>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10)
    >>> build("feedback_alignment", network, variant="direct").spec.name
    'feedback_alignment/direct'
    """
    if isinstance(name, Network):
        raise InputError("a network was given first, expected the rule's name: build('backprop', network)")
    if callable(name):
        raise InputError(
            f"the function {getattr(name, '__name__', name)} was given as a rule's name: call it with the network, or give "
            "'path.py:name'"
        )
    if not isinstance(network, Network):
        raise InputError(
            f"a rule was to be built for {type(network).__module__.split('.')[0]}'s {type(network).__name__}, expected an "
            "architectures.Network: make one of flax modules with architectures.from_nnx([…], input_shape=…, n_classes=…)"
        )
    if excitatory is not None:
        return keeping_signs(lambda signed: build(name, signed, objective=objective, **options), network, excitatory)
    if is_reference(name) and not isinstance(make := _of_user(name), Family):
        return _made_by_user(name, make, network, options if objective is None else {**options, "objective": objective})
    family, variant = _find(name, options.pop("variant", None))
    given = {**variant.options, **options}
    chosen: Any = make_options(family.options, given, f"rule '{variant.spec.name}'", hidden=("variant",))
    wanted = make_objective(chosen.loss if objective is None else objective, network)
    reason = _why_not(family, variant, network, wanted)
    if reason:
        raise InputError(f"rule '{name}' cannot train this '{network.name}': {reason}")
    return family.make(network, chosen, variant.spec, wanted)


def _as_taken(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a user's function takes them: one by one, or as fields of the dataclass that its parameter `options` starts as."""
    parameters = inspect.signature(make).parameters
    fields = {key: value for key, value in options.items() if key not in parameters}
    own = parameters.get("options")
    if not fields or own is None or not dataclasses.is_dataclass(own.default) or isinstance(own.default, type):
        return dict(options)
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return dict(options)
    known = [field.name for field in dataclasses.fields(own.default)]
    for key in fields:
        if key not in known:
            raise unknown_name(f"option of '{name}'", key, known)
    taken = {key: value for key, value in options.items() if key in parameters}
    return {**taken, "options": dataclasses.replace(taken.get("options", own.default), **fields)}


def _made_by_user(name: str, make: Callable[..., Any], network: Network, options: Mapping[str, Any]) -> LearningRule:
    try:
        rule = make(network, **_as_taken(name, make, options))
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 a user's function may raise anything
        told = "".join(f", {key}={value!r}" for key, value in options.items())
        raise InputError(f"'{name}' was called with the network '{network.name}'{told} and failed: {reason_of(error)}") from error
    if not isinstance(rule, LearningRule):
        raise InputError(f"'{name}' returned {type(rule).__name__}, expected a learning_rules.LearningRule")
    check_contract(name, rule)
    return rule
