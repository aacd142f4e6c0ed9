r"""Feedback alignment: errors travel back through weights of their own.

With :math:`z_k = S_{\theta_k}(h_{k-1})`, :math:`h_k = a_k(z_k)`, :math:`\delta_k = a_k'(z_k) \odot e_k` and the error
:math:`e_L = \partial \ell / \partial h_L` at the scores, every variant changes weights by the Hebbian product of
:math:`h_{k-1}` and :math:`\delta_k`. They differ in how the error reaches the node below:

=============== ============================================ =================================================================
variant         :math:`e_{k-1}`                              feedback weights
=============== ============================================ =================================================================
random          :math:`B_k^\top \delta_k`                    fixed, random (Lillicrap et al. 2016, doi:10.1038/ncomms13276)
direct          :math:`D_{k-1}^\top e_L`                     fixed, random, from the scores to every node (Nøkland 2016,
                                                             arXiv 1609.01596)
direct_kolen\_  :math:`D_{k-1}^\top e_L`                     learn by the product of a node's output and the scores' error, and
pollack                                                      decay (Webster, Choi and Ahn 2021, "Learning the connections in
                                                             direct feedback alignment")
direct_random\_ :math:`D_{k-1}^\top y`                       fixed, random; the target :math:`y` as a distribution over classes
target                                                       stands for the error, whose sign it tells (Frenkel, Lefebvre and
                                                             Bol 2021, doi:10.3389/fnins.2021.629892)
sign            :math:`(M_k \odot \mathrm{sign} W_k)^\top    the forward weights' signs; magnitude the initial standard
                \delta_k`                                    deviation ("uniform") or random and fixed ("fixed") (Liao et al.
                                                             2016, arXiv 1510.05067; Moskovitz et al. 2018, arXiv 1812.06488)
kolen_pollack   :math:`B_k^\top \delta_k`                    learn by the forward weights' own product and decay, so that the
                                                             two meet (Kolen and Pollack 1994, doi:10.1109/ICNN.1994.374486;
                                                             Akrout et al. 2019, arXiv 1904.05391)
weight_mirror   :math:`B_k^\top \delta_k`                    learn in a second phase, in which each node answers noise: the
                                                             correlation of noise and answer is the forward weights (Akrout
                                                             et al. 2019)
product         :math:`R_k^\top P_k^\top \delta_k`           :math:`P_k` is fixed and random, from a node's units to a population
                                                             of its own; :math:`R_k`, from there on, learns by the product of
                                                             :math:`P_k^\top \delta_k` and what it meets, and decays (Ji-An
                                                             and Benna 2024, arXiv 2405.20594)
textbook        as random                                    as random; sigmoids, plain steps of one rate (Lillicrap et al.
                                                             2016, in the settings of the code of Akrout et al. 2019)
textbook\_      as kolen_pollack                             as kolen_pollack, from full size; likewise
kolen_pollack
=============== ============================================ =================================================================

:math:`B_k^\top` is the vector-Jacobian product of `synapse` at the feedback parameters, so that the rule is one line on any graph:
the gradient of the objective `through` other weights, over skips and back through time as backpropagation's goes. Every node that
hears another has feedback weights of its own. In time, direct feedback tells each node the example's mean error at every step. How
far back any of them goes, or whether traces go forward instead, is the option `temporal` (`learning_rules/temporal_credit.py`).

Under `direct_kolen_pollack` the last hidden node's feedback gets the readout's own change and meets it; below, what is learned is
the correlation of a node with the error that is left, and no product of the weights above. `direct_random_target` never comes to
rest: a target stays when the error is gone, so that units without bound grow until they drown the readout. Its paper's are tanh.

Departures: the mirror's decay is :math:`\sigma^2 B` for each time that a weight takes part instead of a constant, which makes the
forward weights its fixed point for any sharing of weights over positions; with Adam, Kolen and Pollack's two paths share their
scaling because they ask for the same change. Of the textbook kinds: a softmax with cross-entropy, for outputs of sigmoids; Kolen
and Pollack's decay, which the equations have and the code leaves out on MNIST, is a small one.

Of `product`, :math:`R_k` comes to be :math:`P_k^\top W_k`, and the whole way back :math:`P_k P_k^\top W_k`: with :math:`r` times as
many units between, about :math:`\arctan \sqrt{1/r}` from :math:`W_k`, and no weight is another's copy. Gradients go to momentum,
not to Adam, which would scale the two by numbers of their own. A node with several arrays of weights has a :math:`P` for each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import GAIN, Network, Params
from architectures.roles import map_roles
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import fraction, one_of, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_expansions import contracted, expanded, random_expansions
from learning_rules.feedback_weights import direct_feedback, feedback_angles, mirror, random_feedback
from learning_rules.feedforward import feedforward_rule
from learning_rules.forward_credit import forward_credit
from learning_rules.forward_needs import Direct, Heard
from learning_rules.needs import Needs
from learning_rules.objectives import CLASSES, DISTRIBUTION, Batch, Objective, as_batch
from learning_rules.optimizers import adam, cosine_schedule, per_part, plain_steps
from learning_rules.signals import cut, exact, in_precision_of, through
from learning_rules.temporal_credit import ELIGIBILITY, THROUGH_TIME, check_temporal, temporal_gradient

__all__ = ["FAMILY", "FeedbackAlignmentOptions", "feedback_alignment"]


@dataclass(frozen=True)
class FeedbackAlignmentOptions:
    """Options of feedback alignment.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Adam's, at the first step; of every plain step.
    weight_decay
        Decoupled, per unit of learning rate. Kolen and Pollack's variants need it: it is what makes the difference between forward
        and feedback weights vanish.
    feedback_gain
        Factor on the initial size of fixed and learned feedback weights.
    magnitude
        Of the sign variant, "uniform" or "fixed".
    mirror_rate
        Fraction of the way to the mirror's estimate that feedback weights go in one step.
    mirror_noise
        Standard deviation of the mirror's noise.
    expansion
        Units between a node and those below it on the way back, as a factor on the node's own (product).
    momentum
        Of plain steps, 0 for none; None for Adam.
    temporal
        How an error is credited to what happened earlier: "through_time", "online" or "eligibility". Direct errors go back over no
        edge, so that "online" is the first, and the third the same without anything kept.
    """

    variant: str = "random"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    feedback_gain: float = 1.0
    magnitude: str = "uniform"
    mirror_rate: float = 0.05
    mirror_noise: float = 1.0
    expansion: float = 8.0
    momentum: float | None = None
    temporal: str = THROUGH_TIME

    unsaid: ClassVar = {"temporal": THROUGH_TIME}


def _share(objective: Objective, targets: Array, counts: Array, like: Array) -> Array:
    """Targets as distributions over classes, each times the part that it has in the mean loss."""
    targets = targets if objective.targets == DISTRIBUTION else jax.nn.one_hot(targets, like.shape[-1])
    return (counts[..., None] * targets).astype(like.dtype)


def _target_share(objective: Objective, batch: Batch, like: Array) -> Array:
    """The share of every target of a batch."""
    if batch.mask is not None:
        counts = batch.mask / jnp.maximum(jnp.sum(batch.mask), 1)
    else:
        shape = batch.targets.shape[:-1] if objective.targets == DISTRIBUTION else batch.targets.shape
        counts = jnp.full(shape, 1 / math.prod(shape))
    return _share(objective, batch.targets, counts, like)


def _by_class(error: Array, outputs: Sequence[Array], feedback: Sequence[Array]) -> tuple[Array, ...]:
    """The product of each node's output and the scores' error, summed over all that lie before their axes."""
    by_class = error.reshape(-1, error.shape[-1]).T
    return tuple((by_class @ h.reshape(by_class.shape[1], -1)).reshape(b.shape) for h, b in zip(outputs, feedback, strict=False))


def _sign_magnitudes(
    network: Network, key: PRNGKeyArray, params: Sequence[Params], options: FeedbackAlignmentOptions
) -> tuple[Params | None, ...]:
    """What the signs are multiplied with: a number per array, or a random array that stays."""
    if options.magnitude == "fixed":
        return jax.tree.map(jnp.abs, random_feedback(network, key, options.feedback_gain))

    def typical(role: Any, leaf: Array) -> Array:
        # Gains start at one, and do not differ.
        return options.feedback_gain * (jnp.mean(jnp.abs(leaf)) if role.kind == GAIN else jnp.std(leaf))

    return tuple(
        map_roles(typical, node.roles, own) if network.hears_nodes(index) else None
        for index, (node, own) in enumerate(zip(network.nodes, params, strict=True))
    )


def _signs(params: Sequence[Params], magnitudes: Sequence[Params | None]) -> tuple[Params | None, ...]:
    return tuple(
        None if size is None else jax.tree.map(lambda w, m: jnp.sign(w) * m, w, size)
        for w, size in zip(params, magnitudes, strict=True)
    )


def _check(options: FeedbackAlignmentOptions) -> None:
    one_of(options, "magnitude", ("uniform", "fixed"))
    positive(options, "expansion", "feedback_gain", "mirror_noise")
    fraction(options, "mirror_rate", with_zero=False)
    if options.momentum is not None:
        fraction(options, "momentum", with_one=False)
    if (options.variant.endswith("kolen_pollack") or options.variant == "product") and not options.weight_decay > 0:
        raise InputError(
            f"weight_decay={options.weight_decay} was given to {options.variant}: without decay the feedback weights never meet "
            "the forward ones; try 0.01"
        )


def feedback_alignment(network: Network, options: FeedbackAlignmentOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        Unknown magnitude or temporal credit, a decay of zero for Kolen and Pollack's variants or the product's, an expansion that
        is not positive, or a momentum that is no fraction.
    """
    _check(options)
    variant = options.variant
    learned = variant in ("kolen_pollack", "direct_kolen_pollack", "weight_mirror", "product")
    direct = variant.startswith("direct")
    check_temporal(options, network, objective, Direct(lambda heard: ()) if direct else None)

    def init(key: PRNGKeyArray) -> RuleState:
        # The forward weights come from the key itself, as every other rule's do: all rules start at the same network.
        params = network.init(key)
        feedback_key = jax.random.fold_in(key, 1)
        if variant == "sign":
            return RuleState({"network": params}, {"magnitude": _sign_magnitudes(network, feedback_key, params, options)})
        if variant == "product":
            expansions = random_expansions(network, jax.random.fold_in(feedback_key, 1), options.expansion)
            drawn = random_feedback(network, feedback_key, options.feedback_gain)
            return RuleState({"network": params, "feedback": expanded(network, drawn, expansions)}, {"expansions": expansions})
        feedback = (direct_feedback if direct else random_feedback)(network, feedback_key, options.feedback_gain)
        return (
            RuleState({"network": params, "feedback": feedback}, {})
            if learned
            else RuleState({"network": params}, {"feedback": feedback})
        )

    def assign_directly(state: RuleState, batch: Batch) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        """Send the scores' error, or the target, to every node at once."""

        def run(params: tuple[Params, ...]) -> tuple[Array, ...]:
            return network.trace(params, batch.inputs, cut(network, exact(network, params))).outputs

        outputs, pull = jax.vjp(run, state.params["network"])
        _, error = objective.loss_and_error(outputs[-1], batch)
        feedback = (state.params if learned else state.carry)["feedback"]
        # An example whose scores are judged once has one error, which every node hears at every step.
        told = jnp.mean(error, axis=0) if network.temporal and not objective.per_step else error
        if variant == "direct_random_target":
            told = _target_share(objective, batch, told)
        errors = [jnp.tensordot(told, b, axes=1) for b in feedback]
        spread = [jnp.broadcast_to(e, h.shape) for e, h in zip(errors, outputs[:-1], strict=True)]
        updates = {"network": pull(in_precision_of((*spread, error), outputs))[0]}
        if learned:
            updates["feedback"] = _by_class(error, outputs, feedback)
        return updates, state, objective.metrics(outputs[-1], batch)

    def told_forward(feedback: Sequence[Array]) -> Direct:
        """The same at one step, for a run that keeps none."""

        def told(heard: Heard) -> list[Array]:
            error = heard.mean_error
            if variant == "direct_random_target":
                error = _share(objective, heard.targets, heard.weights, error)
            return [jnp.tensordot(error, b, axes=1) for b in feedback]

        return Direct(told, lambda heard: _by_class(heard.error, heard.outputs, feedback) if learned else ())

    def assign_directly_forward(state: RuleState, batch: Batch) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        params = state.params["network"]
        feedback = (state.params if learned else state.carry)["feedback"]
        crossings = cut(network, exact(network, params))
        metrics, updates, beside = forward_credit(network, objective, params, batch, crossings, told_forward(feedback))
        return {"network": updates, "feedback": beside} if learned else {"network": updates}, state, metrics

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)
        if direct:
            return (assign_directly_forward if options.temporal == ELIGIBILITY else assign_directly)(state, batch)
        params = state.params["network"]
        if variant == "sign":
            feedback = _signs(params, state.carry["magnitude"])
        elif variant == "product":
            feedback = contracted(network, state.params["feedback"], state.carry["expansions"])
        else:
            feedback = (state.params if learned else state.carry)["feedback"]

        metrics, updates = temporal_gradient(
            network, objective, options.temporal, params, batch, lambda params: through(network, params, feedback)
        )
        info = {**metrics, "feedback_angle": feedback_angles(network, params, feedback)}
        if variant in ("kolen_pollack", "product"):
            alike = tuple(None if b is None else update for b, update in zip(feedback, updates, strict=True))
            if variant == "product":
                # Errors are expanded before they meet what is below, or the product after: it is the same sum.
                alike = expanded(network, alike, state.carry["expansions"])
            return {"network": updates, "feedback": alike}, state, info
        if variant == "weight_mirror":
            n = batch.targets.shape[1 if objective.per_step else 0]
            mirrored = mirror(network, key, params, feedback, n, options.mirror_noise)
            return {"network": updates, "feedback": mirrored}, state, info
        return {"network": updates}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        if variant == "product":
            momentum = optax.sgd(cosine_schedule(options.learning_rate, n_steps), options.momentum)
            return optax.chain(optax.add_decayed_weights(options.weight_decay), momentum)
        if options.momentum is None:
            forward = adam(options.learning_rate, n_steps, options.weight_decay)
        else:
            forward = plain_steps(options.learning_rate, options.momentum, options.weight_decay)
        if variant == "weight_mirror":
            return per_part({"network": forward, "feedback": optax.sgd(options.mirror_rate)})
        return forward

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _variant(
    name: str,
    summary: str,
    citation: str,
    phases: int = 2,
    needs: Needs | None = None,
    **options: Any,
) -> Variant:
    spec = RuleSpec("feedback_alignment", name, summary, citation, phases=phases)
    return Variant(spec, {"variant": name, **options}, needs)


def _published(name: str, summary: str, citation: str, variant: str, **options: Any) -> Variant:
    spec = RuleSpec("feedback_alignment", name, summary, citation, network=(("activation", "sigmoid"),), batch_size=128)
    return Variant(spec, {"variant": variant, "momentum": 0.0, **options})


# Rates and decays: from a search on Fashion-MNIST's validation images, ten epochs, dense and convolutional. Decay helps all of
# them: it makes the forward weights forget where they started, and so align with their feedback. Kolen and Pollack's feedback
# weights start small for the same reason: what both paths have in common is what they learn, and soon outweighs where each began.
# Random and direct feedback want rates eight times backpropagation's: what a convolution learns must outgrow where it started
# before the layers below can align (cnn, validation: 87.5 at 0.004, 88.6 at 0.008 with this decay, 88.2 at 0.015; half the decay
# gives 88.9, and costs the dense network a point). The last two direct ones were tried by hand alone: dense, two seeds, five epochs
# of 20,000 images, validation: learned feedback 85.4 and 86.2 at 0.003 (one of two seeds collapsed at 0.008), fixed 84.6 and 84.0;
# targets 85.3 and 84.9 with tanh units, 71.7 and 71.6 with rectified ones, where the untrained network has 83.8 and 83.4.
FAMILY = Family(
    FeedbackAlignmentOptions,
    feedback_alignment,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "random",
                "errors travel back through fixed random weights",
                "Lillicrap et al. 2016, doi:10.1038/ncomms13276",
                learning_rate=8e-3,
                weight_decay=0.15,
            ),
            _variant(
                "direct",
                "the scores' error reaches every node at once through fixed random weights",
                "Nøkland 2016, arXiv 1609.01596",
                learning_rate=8e-3,
                weight_decay=0.15,
            ),
            _variant(
                "direct_kolen_pollack",
                "direct feedback weights learn from the product of each node's output and the scores' error, and decay",
                "Webster, Choi and Ahn 2021, Learning the connections in direct feedback alignment",
                learning_rate=3e-3,
                weight_decay=0.1,
            ),
            _variant(
                "direct_random_target",
                "the target itself reaches every node at once through fixed random weights",
                "Frenkel, Lefebvre and Bol 2021, doi:10.3389/fnins.2021.629892",
                phases=1,
                learning_rate=3e-3,
                # What stands for the error's sign is a distribution over classes.
                needs=Needs(targets=(CLASSES, DISTRIBUTION)),
            ),
            _variant(
                "sign",
                "errors travel back through the signs of the forward weights",
                "Liao, Leibo and Poggio 2016, arXiv 1510.05067; Moskovitz et al. 2018, arXiv 1812.06488",
                weight_decay=0.1,
            ),
            _variant(
                "kolen_pollack",
                "feedback weights get the forward weights' own change and decay, and meet them",
                "Kolen and Pollack 1994, doi:10.1109/ICNN.1994.374486; Akrout et al. 2019, arXiv 1904.05391",
                learning_rate=3e-3,
                weight_decay=0.1,
                feedback_gain=0.05,
            ),
            _variant(
                "weight_mirror",
                "feedback weights learn from the nodes' answers to noise, in a phase of their own",
                "Akrout et al. 2019, arXiv 1904.05391",
                phases=3,
                weight_decay=0.1,
            ),
            _variant(
                "product",
                "errors travel back through two matrices in turn, a fixed random one and one that learns",
                "Ji-An and Benna 2024, arXiv 2405.20594",
                learning_rate=0.05,
                momentum=0.9,
                weight_decay=1e-3,
                feedback_gain=0.05,
            ),
            _published(
                "textbook",
                "errors travel back through fixed random weights; sigmoids and plain steps, as published",
                "Lillicrap et al. 2016, doi:10.1038/ncomms13276; settings: Akrout et al. 2019, arXiv 1904.05391",
                variant="random",
                learning_rate=0.2,
            ),
            _published(
                "textbook_kolen_pollack",
                "full-size feedback weights get the forward weights' own change and decay; sigmoids and plain steps, as published",
                "Akrout et al. 2019, arXiv 1904.05391",
                variant="kolen_pollack",
                learning_rate=0.3,
                weight_decay=1e-4,
            ),
        )
    },
)
