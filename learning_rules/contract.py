"""The one contract: a learning rule is a NamedTuple of pure functions, and optax turns what it returns into weight changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import optax
from jax import Array
from jaxtyping import PRNGKeyArray, PyTree

from architectures import Network
from learning_rules.needs import Needs
from learning_rules.objectives import Batch, Objective
from learning_rules.supported import Support

__all__ = ["Batch", "Family", "LearningRule", "RuleSpec", "RuleState", "Support", "Variant"]


class RuleState(NamedTuple):
    """What the next step needs.

    Attributes
    ----------
    params
        All that is trained: `params["network"]`, and beside it what the rule owns.
    carry
        What no optimiser touches: fixed feedback weights, traces, thresholds.
    """

    params: dict[str, Any]
    carry: PyTree


@dataclass(frozen=True)
class RuleSpec:
    """What a rule declares about itself. Declarations are shown beside measurements, never instead of them.

    Attributes
    ----------
    family
        Name of the family.
    variant
        Name of the variant, "" where the family has one.
    summary
        One sentence.
    citation
        Authors, year, DOI or arXiv id.
    teaching_signal
        "labels", "reward" or "none": what reaches the rule from outside.
    phases
        Passes through the network that one update takes, inference included.
    frozen
        "hidden" where every node but the readout keeps its initial weights, "" where all learn.
    trained_otherwise
        Parts of `params` that are trained by something other than the rule, and by what.
    represents_by_forward_pass
        Whether `represent` is the plain forward pass, so that convolutional nodes can be shown images of another size.
    activation
        The activation function that the rule needs where it cannot live with the architecture's, "" otherwise.
    front_end
        The label-free front end that the rule is tuned behind. A rule hides none inside: it is part of the network, named in every
        table, and open to every other rule.
    network
        Options of the network that belong to the rule as it was published, (("activation", "tanh"),) say: `train` and `sweep` take
        them where the architecture has such options and nothing else is said.
    batch_size
        Examples a step that belong to the rule as it was published; None where any will do.
    temporal
        How the rule credits what happened earlier where it is bound to one way of the option `temporal`; "" where it is not.
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
    network: tuple[tuple[str, Any], ...] = ()
    batch_size: int | None = None
    temporal: str = ""

    @property
    def name(self) -> str:
        """`family` or `family/variant`, as `build` takes it."""
        return f"{self.family}/{self.variant}" if self.variant else self.family


class LearningRule(NamedTuple):
    """A rule for one network.

    Attributes
    ----------
    spec
        What it declares.
    network
        What it trains.
    options
        The options it was built with, a frozen dataclass.
    init
        key -> RuleState.
    assign_credit
        (key, state, batch) -> (pseudo-gradients with the tree of `state.params`, state, info). The batch is a `Batch`, or a pair
        (inputs, targets). The gradient convention: an optimiser subtracts. Means over the batch.
    constrain
        params -> params, after the optimiser: norms, signs; mostly the identity.
    predict
        (state, inputs) -> scores (n, n_classes); (time, n, n_classes) where every step has a target.
    represent
        (state, inputs) -> activations, one array per node, (n, ...) or (n, time, ...): what is compared with brains.
    optimizer
        (n_steps or None) -> the optax transformation tuned for the rule; with `n_steps` its rate falls to zero by then.
    objective
        What the network is asked to do; None where a rule has none of its own.
    infer
        (parameters of the network, inputs) -> what the objective is taken of, as the rule itself infers it and so that it can be
        differentiated: scores where states have settled, say. None where that is the network's forward pass. The gradient that the
        rule is held against is that of the objective there.
    """

    spec: RuleSpec
    network: Network
    options: Any
    init: Callable[[PRNGKeyArray], RuleState]
    assign_credit: Callable[[PRNGKeyArray, RuleState, Any], tuple[dict[str, Any], RuleState, Mapping[str, Any]]]
    constrain: Callable[[dict[str, Any]], dict[str, Any]]
    predict: Callable[[RuleState, Array], Array]
    represent: Callable[[RuleState, Array], tuple[Array, ...]]
    optimizer: Callable[..., optax.GradientTransformation]
    objective: Objective | None = None
    infer: Callable[[tuple[Any, ...], Array], Array] | None = None


class Variant(NamedTuple):
    """What sets a variant apart: its spec, the options tuned for it, and what it needs where that is not what its family does."""

    spec: RuleSpec
    options: Mapping[str, Any] = {}
    needs: Needs | None = None


class Family(NamedTuple):
    """A family of rules, as its file declares it.

    Attributes
    ----------
    options
        The frozen dataclass of its options.
    make
        (network, options, spec, objective) -> LearningRule.
    variants
        By name ("" where the family has one); the first is the default. Where the options have a field `variant`, each variant's
        options set it.
    supports
        network -> "" or a sentence on why the family cannot train it, beyond what its needs say.
    needs
        What the family needs of a network and of an objective.
    """

    options: type
    make: Callable[..., LearningRule]
    variants: Mapping[str, Variant]
    supports: Callable[[Network], str] = lambda network: ""
    needs: Needs = Needs()
