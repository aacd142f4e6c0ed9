"""The rules by name. To add one: its own file, an entry in `FAMILIES`, a row in `tests/learning_rules/rule_table.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from architectures import Network
from architectures.errors import InputError, unknown_name
from architectures.options import make_options
from learning_rules.backprop import BackpropOptions, backprop
from learning_rules.contract import LearningRule, RuleSpec, Support
from learning_rules.feedback_alignment import FeedbackAlignmentOptions, feedback_alignment
from learning_rules.untrained import UntrainedOptions, untrained

__all__ = ["FAMILIES", "Family", "Variant", "build", "names", "options_of", "spec", "support"]


class Variant(NamedTuple):
    """What sets a variant apart: its spec, and the options tuned for it."""

    spec: RuleSpec
    options: Mapping[str, Any] = {}


class Family(NamedTuple):
    """A family of rules: its options, its factory, its variants; the first is the default."""

    options: type
    make: Callable[[Network, Any, RuleSpec], LearningRule]
    variants: Mapping[str, Variant]
    supports: Callable[[Network], str] = lambda network: ""


def _feedback(variant: str, summary: str, citation: str, **options: Any) -> tuple[str, Variant]:
    return variant, Variant(RuleSpec("feedback_alignment", variant, summary, citation), {"variant": variant, **options})


FAMILIES: dict[str, Family] = {
    "untrained": Family(
        UntrainedOptions,
        untrained,
        {
            "": Variant(
                RuleSpec(
                    "untrained",
                    "",
                    "control: a frozen random body, its last block trained by the local delta rule",
                    "Widrow and Hoff 1960 (readout)",
                    phases=1,
                    frozen="body",
                    trained_otherwise=(("network[-1]", "delta rule"),),
                )
            )
        },
    ),
    "backprop": Family(
        BackpropOptions,
        backprop,
        {
            "": Variant(
                RuleSpec(
                    "backprop",
                    "",
                    "reference: the gradient of the loss, carried back through the forward weights",
                    "Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0",
                )
            )
        },
    ),
    "feedback_alignment": Family(
        FeedbackAlignmentOptions,
        feedback_alignment,
        dict(
            [
                _feedback(
                    "random",
                    "errors travel back through fixed random weights",
                    "Lillicrap et al. 2016, doi:10.1038/ncomms13276",
                ),
                _feedback(
                    "direct",
                    "the scores' error reaches every block at once through fixed random weights",
                    "Nøkland 2016, arXiv 1609.01596",
                ),
                _feedback(
                    "sign",
                    "errors travel back through the signs of the forward weights",
                    "Liao, Leibo and Poggio 2016, arXiv 1510.05067; Moskovitz et al. 2018, arXiv 1812.06488",
                ),
                _feedback(
                    "kolen_pollack",
                    "feedback weights get the forward weights' own change and decay, and meet them",
                    "Kolen and Pollack 1994, doi:10.1109/ICNN.1994.374486; Akrout et al. 2019, arXiv 1904.05391",
                    weight_decay=0.01,
                ),
                _feedback(
                    "weight_mirror",
                    "feedback weights learn from the blocks' answers to noise, in a phase of their own",
                    "Akrout et al. 2019, arXiv 1904.05391",
                ),
            ]
        ),
    ),
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
