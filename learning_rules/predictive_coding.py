r"""Predictive coding: states settle between what is predicted from below and what the target asks for; weights follow what is left.

With a state :math:`h_k` for each hidden node, a prediction :math:`\mu_k = a_k(S_{\theta_k}(h_{<k}))` of every node from the states
that it hears, and prediction errors :math:`\varepsilon_k = h_k - \mu_k`, one example has the energy

.. math:: E = \sum_{k<L} \tfrac{\pi_k}{2} \lVert \varepsilon_k \rVert^2 + \beta \, \ell(\mu_L, y), \qquad
   \pi_k = \rho^{d_k - 1}, \qquad \pi_L \varepsilon_L = -\beta \, \partial\ell / \partial\mu_L ,

where :math:`d_k` is the number of edges on the longest way from the node to the readout. States start at the forward pass
(:math:`\varepsilon_k = 0`), go down the energy, and then weights do:

.. math:: \Delta h_k = - \frac{\gamma}{\pi_k} \frac{\partial E}{\partial h_k}
   = \gamma \Bigl( \tfrac{1}{\pi_k} \sum_{j} J_{jk}^\top \pi_j \varepsilon_j - \varepsilon_k \Bigr), \qquad
   \Delta\theta_k \propto \tfrac{\pi_k}{\beta} \langle h_{<k},\; a_k'(z_k) \odot \varepsilon_k \rangle,

where the sum is over all nodes that hear :math:`k`, the product is Hebbian and :math:`J^\top` a node's own local derivative and
synapse, taken backwards. How nodes are joined does not enter: skips, attention and nodes without weights predict like any other.
Without a target the forward pass is the settled state, so that it is what predicts and represents.

The precisions :math:`\pi_k` are inverse variances (Whittington and Bogacz 2017; Qi et al. 2025, arXiv 2506.23800, weight layers
too). The first nodes' are the largest: with all alike, a state's curvature is :math:`1 + \lVert J \rVert^2`, which allows small
steps only, and after a few of them the errors of lower nodes point away from where they would settle; with
:math:`\rho \gg \lVert J \rVert^2` a few large steps settle. Small :math:`\beta` and large :math:`\rho` both take the errors
towards backpropagation's; `alignment_with_backprop` measures how near.

============ ===============================================================================================================
variant      what is different
============ ===============================================================================================================
standard     Rao and Ballard 1999, doi:10.1038/4580; Whittington and Bogacz 2017, doi:10.1162/NECO_a_00949
incremental  weights move a little at every step of settling, not after it (Salvatori et al. 2022, arXiv 2212.00720); the
             update is the mean of what they followed
nudged       settles twice, with :math:`\beta` and :math:`-\beta`, and updates by the mean of the two, which tends to the
             loss's gradient as :math:`\beta^2` (Scellier et al. 2023, arXiv 2312.15103; Pinchetti et al. 2024, arXiv
             2407.01163, who alternate the two)
error_based  settles the errors and lets states follow from them, :math:`h_k = \mu_k + \varepsilon_k` (Goemaere et al.
             2025, arXiv 2505.20137). One step carries the readout's error through the whole network, **as backpropagation
             does**: one small step of it is backpropagation, and so nearly are several at a small nudge. What it reaches
             is no evidence that a local rule learns
learned\_     errors go down through weights of their own: :math:`S_{B_j}^\top` in the place of the synapse's part of
feedback     :math:`J_{jk}^\top`. Both are changed by the same Hebbian product, of a state and the error that it meets, each
             at its own synapse, and decay alike, so that they meet (Millidge et al. 2020, arXiv 2010.01047)
textbook     standard with :math:`\beta = \rho = 1`, squared error, all states at once, 32 steps of one rate without a guard, and no
             decay: the energy of Rao and Ballard 1999 (predictions :math:`a(W h)`, all precisions alike), supervised as in
             Whittington and Bogacz 2017
============ ===============================================================================================================

With `fixed_predictions` predictions and derivatives stay at the forward pass (Millidge et al. 2022, arXiv 2006.04182). As many
steps as the longest way has hidden nodes, at a rate of one, then give backpropagation exactly, which is Z-IL (Song et al. 2020,
NeurIPS 33): a node's error is read when it has arrived, before the states below it have moved.

Departures, but of `textbook`: errors pass from the top down within a step (`order="top_down"`), which carries them through the
network in one step at the same cost; a step that would raise an example's energy is undone and that example's rate halved
(`guarded`), because a fixed rate diverges as weights grow. All, `textbook` too, train by Adam, where Whittington and Bogacz take
plain steps. With feedback weights of their own states follow no gradient of this energy: there every step is taken at the full
rate. Millidge et al. let no weight decay, so that what the two started with stays between them; what else they relax (the
derivative on the way back, one error unit for each state) is kept here. With `fixed_predictions`, a rate of one and one step from
the top down the variant is Kolen and Pollack's feedback alignment exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import PRNGKeyArray

from architectures import Network, Params
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import one_of, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import feedback_angles, random_feedback
from learning_rules.feedforward import feedforward_rule
from learning_rules.needs import Needs
from learning_rules.objectives import Batch, Objective, as_batch
from learning_rules.optimizers import adam
from learning_rules.predictive_coding_energy import Energy, Measured, per_example, precisions_of
from learning_rules.predictive_coding_moves import moved_by_states, moved_by_weights

__all__ = ["FAMILY", "PredictiveCodingOptions", "Settled", "precisions_of", "predictive_coding", "settle"]


@dataclass(frozen=True)
class PredictiveCodingOptions:
    """Options of predictive coding.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Adam's, at the first step.
    weight_decay
        Decoupled, per unit of learning rate.
    steps
        Of settling, at least 1.
    rate
        Fraction of the way down the energy's gradient that a state goes in one step.
    nudge
        The loss's weight in the energy, beta.
    precision_ratio
        rho, by how much a node's prediction is more precise than that of the node above it, up to 1e9 in all.
    order
        "top_down" or "simultaneous"; the error-based variant has no order, its errors pass all nodes at once.
    incremental_rate
        Rate of the incremental variant's weights while states settle, at a precision and nudge of one.
    fixed_predictions
        Whether predictions and derivatives stay at the forward pass.
    feedback_gain
        Initial size of learned feedback weights, as a factor on that of forward weights.
    guarded
        Whether a step that would raise an example's energy is undone, and its rate halved.
    """

    variant: str = "standard"
    loss: str = "cross_entropy"
    learning_rate: float = 2e-3
    weight_decay: float = 0.3
    steps: int = 2
    rate: float = 0.5
    nudge: float = 0.02
    precision_ratio: float = 30.0
    order: str = "top_down"
    incremental_rate: float = 3e-4
    fixed_predictions: bool = False
    feedback_gain: float = 0.05
    guarded: bool = True


_ROUNDINGS = 32


class Settled(NamedTuple):
    """What settling comes to. The leading axis of phases has one entry, or two where every example settles twice.

    Attributes
    ----------
    updates
        What the weights follow, one tree per node.
    outputs
        Of the readout in the forward pass, where settling starts, (n, n_classes).
    states
        Of each hidden node, (n_phases, n, *output_shape).
    errors
        State minus prediction of each hidden node, likewise.
    losses
        Of the readout's predictions, (n_phases, n).
    energy
        (n_phases, n).
    energies
        Before the first step and after each, mean over the batch, (n_phases, steps + 1).
    """

    updates: tuple[Params, ...]
    outputs: Array
    states: tuple[Array, ...]
    errors: tuple[Array, ...]
    losses: Array
    energy: Array
    energies: Array


def _over_phases(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.vmap`; of a single phase without the leading axis, which would be moved about in copies."""

    def mapped(*arguments: Any) -> Any:
        if len(jax.tree.leaves(arguments)[0]) > 1:
            return jax.vmap(function)(*arguments)
        return jax.tree.map(lambda leaf: leaf[None], function(*jax.tree.map(lambda leaf: leaf[0], arguments)))

    return mapped


class _Reached(NamedTuple):
    """Where settling has come to, phases first: as `Energy` takes it, with the energy and the rate of each example."""

    offsets: tuple[Array, ...]
    z: tuple[Any, ...]
    moved: tuple[Array, ...]
    energy: Array
    rate: Array


def settle(
    network: Network,
    objective: Objective,
    options: PredictiveCodingOptions,
    params: tuple[Params, ...],
    batch: Batch,
    feedback: tuple[Params | None, ...] | None = None,
) -> Settled:
    """Settle from the forward pass, and say what the weights then follow.

    Parameters
    ----------
    network, objective, options
        Of the rule.
    params
        One tree per node.
    batch
        Inputs and targets.
    feedback
        What errors go down through, see `Energy`.
    """
    x = network.encode(batch.inputs)
    rest = network.trace(params, x, encoded=True)
    counts = objective.example_weights(batch).astype(x.dtype)
    nudges = jnp.array((options.nudge, -options.nudge) if options.variant == "nudged" else (options.nudge,), x.dtype)
    precisions = precisions_of(network, options.precision_ratio)
    of_batch = Energy(
        network,
        objective,
        batch,
        x,
        rest,
        precisions,
        errors_settle=options.variant == "error_based",
        fixed_predictions=options.fixed_predictions,
        top_down=options.order == "top_down",
        feedback=feedback,
    )

    def energy(weights: Any, offsets: Any, z: Any, moved: Any, rate: Any = None, held: bool = False) -> tuple[Array, Measured]:
        def of_phase(offsets: Any, z: Any, moved: Any, nudge: Array, rate: Any) -> tuple[Array, Measured]:
            return of_batch(weights, offsets, z, moved, nudge, rate, held)

        return _over_phases(of_phase)(offsets, z, moved, nudges, rate)

    def proposal(weights: Any, now: _Reached, by: tuple[Array, ...]) -> _Reached:
        """States that far from where they are, and what they predict."""
        if not options.fixed_predictions and not of_batch.errors_settle:
            return elsewhere(weights, now, by, lambda states, by, z: moved_by_states(network, weights, x, states, by, z))
        offsets = jax.tree.map(jnp.add, now.offsets, by)
        if options.fixed_predictions:
            return now._replace(offsets=offsets, energy=energy(weights, offsets, now.z, now.moved)[0])
        # States follow from errors: what hears other nodes is asked anew.
        fresh = tuple(each if not network.hears_nodes(index) else None for index, each in enumerate(now.z))
        reached, measured = energy(weights, offsets, fresh, now.moved)
        return now._replace(offsets=offsets, z=measured.z, energy=reached)

    def elsewhere(weights: Any, now: _Reached, by: tuple[Array, ...], follow: Callable[..., Any]) -> _Reached:
        """States that far from where they are, under these weights; predictions follow from where they were."""

        def of_phase(offsets: Any, by: Any, z: Any, moved: Any) -> tuple[Any, Any, Any]:
            states = tuple(h + offset for h, offset in zip(rest.outputs, offsets, strict=False))
            z, further = follow(states, by, z)
            return jax.tree.map(jnp.add, offsets, by), z, jax.tree.map(jnp.add, moved, further)

        offsets, z, moved = _over_phases(of_phase)(now.offsets, by, now.z, now.moved)
        return now._replace(offsets=offsets, z=z, moved=moved, energy=energy(weights, offsets, z, moved)[0])

    def step(now: _Reached, weights: Any) -> _Reached:
        """Each state one step down the energy."""
        slopes = jax.grad(lambda offsets: jnp.sum(energy(weights, offsets, now.z, now.moved, now.rate)[0]))(now.offsets)
        each = zip(slopes, precisions, strict=True)
        by = tuple(-per_example(now.rate, slope) * (slope / precision) for slope, precision in each)
        proposed = proposal(weights, now, by)
        # No energy is the yardstick of what others' weights bring.
        if options.fixed_predictions or feedback is not None:
            return proposed
        if not options.guarded:
            return proposed
        falls = proposed.energy <= now.energy + rounding
        reached = jax.tree.map(lambda new, old: jnp.where(per_example(falls, new), new, old), proposed, now)
        return reached._replace(rate=jnp.where(falls, now.rate, 0.5 * now.rate))

    def downhill(now: _Reached, weights: Any) -> Any:
        """The energy's derivative with respect to the weights, states held: mean over examples and phases, per unit of the loss."""
        scale = counts / (nudges[:, None] * len(nudges))
        return jax.grad(lambda p: jnp.sum(scale * energy(p, now.offsets, now.z, now.moved, held=True)[0]))(weights)

    def move_weights(now: _Reached, weights: Any, followed: Any) -> tuple[_Reached, Any, Any]:
        slopes = downhill(now, weights)
        followed = jax.tree.map(lambda total, slope: total + slope / options.steps, followed, slopes)
        # Each node's rate is per its precision, as its state's is: the more precise, the steeper the energy is in its weights.
        rates = [options.incremental_rate * options.nudge / precision for precision in (*precisions, 1.0)]
        moves = tuple(jax.tree.map(lambda slope, r=r: -r * slope, own) for r, own in zip(rates, slopes, strict=True))
        after = jax.tree.map(jnp.add, weights, moves)

        def follow(states: Any, _: Any, z: Any) -> Any:
            return moved_by_weights(network, weights, x, states, moves, z)

        return elsewhere(after, now, jax.tree.map(jnp.zeros_like, now.offsets), follow), after, followed

    def one(carry: tuple[_Reached, Any, Any], _: None) -> tuple[tuple[_Reached, Any, Any], Array]:
        now, weights, followed = carry
        now = step(now, weights)
        fallen = now.energy @ counts
        if options.variant == "incremental":
            now, weights, followed = move_weights(now, weights, followed)
        return (now, weights, followed), fallen

    def in_phases(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * len(nudges)), tree)

    offsets, z = in_phases((tuple(map(jnp.zeros_like, rest.outputs[:-1])), rest.z))
    energy_at_rest = energy(params, offsets, z, offsets)[0]
    # A loss is the difference of scores: what changes by less than these are rounded to has not been seen to rise.
    largest = jnp.max(jnp.abs(rest.outputs[-1]).reshape(len(x), -1), axis=1)
    rounding = _ROUNDINGS * jnp.finfo(x.dtype).eps * (jnp.abs(energy_at_rest) + jnp.abs(nudges)[:, None] * largest)
    start = _Reached(offsets, z, offsets, energy_at_rest, jnp.full_like(energy_at_rest, options.rate))
    followed = jax.tree.map(jnp.zeros_like, params) if options.variant == "incremental" else ()
    (now, _, followed), energies = jax.lax.scan(one, (start, params, followed), length=options.steps, unroll=options.steps <= 4)
    measured = energy(params, now.offsets, now.z, now.moved)[1]
    states = tuple(h + error for h, error in zip(measured.outputs, measured.errors, strict=False))
    return Settled(
        updates=followed if options.variant == "incremental" else downhill(now, params),
        outputs=rest.outputs[-1],
        states=states,
        errors=measured.errors,
        losses=jax.vmap(lambda outputs: objective.per_example(outputs, batch))(measured.outputs[-1]),
        energy=now.energy,
        energies=jnp.concatenate([(energy_at_rest @ counts)[None], energies]).T,
    )


def _check(options: PredictiveCodingOptions) -> None:
    one_of(options, "order", ("top_down", "simultaneous"))
    if options.steps < 1:
        raise InputError(f"steps={options.steps} was given, states need at least one step to settle; try 4")
    positive(options, "rate", "nudge", "precision_ratio", "incremental_rate", "feedback_gain")
    if options.variant == "learned_feedback" and not options.weight_decay > 0:
        raise InputError(
            f"weight_decay={options.weight_decay} was given to learned_feedback: without decay the feedback weights never meet the "
            "forward ones; try 0.3"
        )
    if options.fixed_predictions and options.variant == "incremental":
        raise InputError("fixed_predictions was given to incremental, whose weights move predictions at every step: use standard")


def predictive_coding(network: Network, options: PredictiveCodingOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        Unknown order, no step, a rate, nudge, ratio or gain that is not positive, or learned feedback without decay.
    """
    _check(options)
    learned = options.variant == "learned_feedback"

    def init(key: PRNGKeyArray) -> RuleState:
        params: dict[str, Any] = {"network": network.init(key)}
        if learned:
            params["feedback"] = random_feedback(network, jax.random.fold_in(key, 1), options.feedback_gain)
        return RuleState(params, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)
        params, feedback = state.params["network"], state.params.get("feedback")
        settled = settle(network, objective, options, params, batch, feedback)
        updates: dict[str, Any] = {"network": settled.updates}
        info: dict[str, Any] = {
            **objective.metrics(settled.outputs, batch),
            "energy": settled.energies,
            "settled_loss": jnp.mean(jnp.sum(settled.losses, axis=-1) / objective.n_counted(settled.outputs, batch)),
            "prediction_error": tuple(jnp.sqrt(jnp.mean(jnp.square(error))) for error in settled.errors),
        }
        if feedback is not None:
            # The product of the same two signals, at the synapse that leads the other way.
            updates["feedback"] = tuple(None if b is None else own for b, own in zip(feedback, settled.updates, strict=True))
            info["feedback_angle"] = feedback_angles(network, params, feedback)
        return updates, state, info

    return feedforward_rule(
        spec,
        network,
        options,
        init=init,
        assign_credit=assign_credit,
        optimizer=lambda n_steps=None: adam(options.learning_rate, n_steps, options.weight_decay),
        objective=objective,
    )


def _variant(name: str, summary: str, citation: str, phases: int, needs: Needs | None = None, **options: Any) -> Variant:
    return Variant(RuleSpec("predictive_coding", name, summary, citation, phases=phases), {"variant": name, **options}, needs)


# From a dozen settings tried by hand on Fashion-MNIST's validation images, four epochs of 20,000 images, and five over ten epochs
# of all. With all precisions alike the convolutional network stays one to two points below backpropagation. Ratios of 10 and 30
# close the gap over four epochs; over ten a ratio of 10 with a nudge of 0.05 reached 88.7, a ratio of 30 with one of 0.02 reached
# 92.0. At this rate four steps were no better than two. Larger nudges come to move the top states so far, as weights grow, that
# the readout's own error is gone when it is read. Small ones and large ratios ask for moves that single precision cannot tell from
# none as differences of states; as moves it can. The incremental rate: 0.01 diverges, 0.001 turns one node's direction.
FAMILY = Family(
    PredictiveCodingOptions,
    predictive_coding,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "standard",
                "states settle between prediction and target; weights follow the prediction errors that are left",
                "Rao and Ballard 1999, doi:10.1038/4580; Whittington and Bogacz 2017, doi:10.1162/NECO_a_00949",
                phases=3,
            ),
            _variant(
                "incremental",
                "weights move at every step of settling",
                "Salvatori et al. 2022, arXiv 2212.00720",
                phases=3,
            ),
            _variant(
                "nudged",
                "states settle twice, pulled a little towards the target and away from it; weights follow the difference",
                "Scellier et al. 2023, arXiv 2312.15103; Pinchetti et al. 2024, arXiv 2407.01163",
                phases=5,
                nudge=0.5,
            ),
            _variant(
                "error_based",
                "errors settle and states follow from them; each step carries the readout's error down the whole network, as "
                "backpropagation does",
                "Goemaere et al. 2025, arXiv 2505.20137",
                phases=5,
            ),
            _variant(
                "learned_feedback",
                "errors travel back through weights of their own, which learn by the forward ones' Hebbian product and meet them",
                "Millidge, Tschantz, Seth and Buckley 2020, arXiv 2010.01047",
                phases=3,
                # Other weights of the same shapes carry errors back only where what is carried back does not depend on the inputs.
                needs=Needs(static=True),
            ),
            _variant(
                "textbook",
                "the standard kind as published: squared error, all precisions alike, all states at once, 32 small steps",
                "Rao and Ballard 1999, doi:10.1038/4580; Whittington and Bogacz 2017, doi:10.1162/NECO_a_00949",
                phases=3,
                variant="standard",
                loss="squared_error",
                nudge=1.0,
                precision_ratio=1.0,
                order="simultaneous",
                steps=32,
                rate=0.1,
                guarded=False,
                learning_rate=1e-3,
                weight_decay=0.0,
            ),
        )
    },
    needs=Needs(static=True, affine=False),
)
