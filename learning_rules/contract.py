"""The one contract: a learning rule is a NamedTuple of pure functions, and optax turns what it returns into weight changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import optax
from jax import Array
from jaxtyping import Float, Int, PRNGKeyArray, PyTree

from architectures import Network

__all__ = ["Batch", "Family", "LearningRule", "RuleSpec", "RuleState", "Support", "Variant"]

Batch = tuple[Float[Array, "n height width channels"], Int[Array, " n"]]


class RuleState(NamedTuple):
    """What the next step needs.

    Attributes:
        params: all that is trained: `params["network"]`, and beside it what the rule owns.
        carry: what no optimiser touches: fixed feedback weights, traces, thresholds.
    """

    params: dict[str, Any]
    carry: PyTree


@dataclass(frozen=True)
class RuleSpec:
    """What a rule declares about itself. Declarations are shown beside measurements, never instead of them.

    Attributes:
        family: name of the family.
        variant: name of the variant, "" where the family has one.
        summary: one sentence.
        citation: authors, year, DOI or arXiv id.
        teaching_signal: "labels", "reward" or "none": what reaches the rule from outside.
        phases: sweeps through the network that one update takes, inference included.
        frozen: "body" where every block but the last keeps its initial weights, "" where all learn.
        trained_otherwise: parts of `params` that are trained by something other than the rule, and by what.
        represents_by_forward_pass: whether `represent` is the plain forward pass, so that convolutional blocks can be shown
            images of another size.
        activation: the activation function that the rule needs where it cannot live with the architecture's, "" otherwise.
        front_end: the label-free front end that the rule is tuned behind. A rule hides none inside: it is part of the network,
            named in every table, and open to every other rule.
    """

    family: str
    variant: str
    summary: str
    citation: str
    teaching_signal: str = "labels"
    phases: int = 2
    frozen: str = ""
    trained_otherwise: tuple[tuple[str, str], ...] = ()
    represents_by_forward_pass: bool = True
    activation: str = ""
    front_end: str = "none"

    @property
    def name(self) -> str:
        """`family` or `family/variant`, as `build` takes it."""
        return f"{self.family}/{self.variant}" if self.variant else self.family


class LearningRule(NamedTuple):
    """A rule for one network.

    Attributes:
        spec: what it declares.
        network: what it trains.
        options: the options it was built with, a frozen dataclass.
        init: key -> RuleState.
        assign_credit: (key, state, (images, labels)) -> (pseudo-gradients with the tree of `state.params`, state, info). The
            gradient convention: an optimiser subtracts. Means over the batch.
        constrain: params -> params, after the optimiser: norms, signs; mostly the identity.
        predict: (state, images) -> scores (n, n_classes).
        represent: (state, images) -> activations, one array per position: what is compared with brains.
        optimizer: (n_steps or None) -> the optax transformation tuned for the rule; with `n_steps` its rate falls to zero by then.
    """

    spec: RuleSpec
    network: Network
    options: Any
    init: Callable[[PRNGKeyArray], RuleState]
    assign_credit: Callable[[PRNGKeyArray, RuleState, Batch], tuple[dict[str, Any], RuleState, Mapping[str, Any]]]
    constrain: Callable[[dict[str, Any]], dict[str, Any]]
    predict: Callable[[RuleState, Array], Array]
    represent: Callable[[RuleState, Array], tuple[Array, ...]]
    optimizer: Callable[..., optax.GradientTransformation]


class Support(NamedTuple):
    """Whether a rule and a network go together, and why not."""

    supported: bool
    reason: str = ""


class Variant(NamedTuple):
    """What sets a variant apart: its spec, and the options tuned for it."""

    spec: RuleSpec
    options: Mapping[str, Any] = {}


class Family(NamedTuple):
    """A family of rules, as its file declares it.

    Attributes:
        options: the frozen dataclass of its options.
        make: (network, options, spec) -> LearningRule.
        variants: by name ("" where the family has one); the first is the default. Where the options have a field `variant`, each
            variant's options set it.
        supports: network -> "" or a sentence on why the family cannot train it.
    """

    options: type
    make: Callable[[Network, Any, RuleSpec], LearningRule]
    variants: Mapping[str, Variant]
    supports: Callable[[Network], str] = lambda network: ""
