r"""Energy-based learning: the same network settles under two conditions, and weights follow the difference.

States settle in the energy :math:`F_V` of `energy_based_settling`, in which an output energy :math:`V` acts on the scores. Weights
change by the difference of the energy's derivative, a product of neighbours' states, between two conditions:

=================== ==========================================================================================================
variant             pseudo-gradient of :math:`\theta`
=================== ==========================================================================================================
centred             :math:`\frac{1}{2\beta}\left( \partial_\theta F_{\beta\ell} - \partial_\theta F_{-\beta\ell} \right)`:
                    nudged towards the label and away from it, whose bias falls as :math:`\beta^2` (Laborieux et al. 2021,
                    doi:10.3389/fnins.2021.633674)
one_sided           :math:`\frac{1}{\beta}\left( \partial_\theta F_{\beta\ell} - \partial_\theta F_0 \right)`: nudged, and free;
                    bias of order :math:`\beta` (Scellier and Bengio 2017, doi:10.3389/fncom.2017.00024)
contrastive_hebbian :math:`\frac1\gamma (\partial_\theta F_{\text{clamped}} - \partial_\theta F_{\text{free}})`:
                    the output held at the label, and an output that settles with the rest (Movellan 1991; Xie and Seung
                    2003, doi:10.1162/089976603762552988)
dual_propagation    :math:`-\frac1\beta (s_k^+ - s_k^-)\, \bar s_{k-1}^\top` with two states a unit, nudged apart within one phase:
                    :math:`s_k^\pm = a_k(S_{\theta_k}(\bar s_{k-1}) \pm \tfrac12 S_{\theta_{k+1}}^\top (s_{k+1}^+ - s_{k+1}^-))`,
                    :math:`\bar s = \tfrac12 (s^+ + s^-)` (Høier, Staudt and Zach 2023, arXiv 2302.01228)
textbook            one-sided as published, in a network of its own: `energy_based_hopfield`
=================== ==========================================================================================================

The first two tend to the gradient of the loss at the settled state as :math:`\beta \to 0`. The output of contrastive Hebbian
learning settles too: the free energy of softmax units (cross-entropy) is :math:`-\log \sum_c e^{z_c}` of the scores, that of
linear ones (squared error) :math:`-\tfrac12 \lVert z \rVert^2`, each times :math:`\gamma` (`output_gain`), by which the output's
feedback is weaker than what reaches it, as in Xie and Seung: with :math:`\gamma = 1` the label drives the last hidden states
far from where they predict. Dual propagation keeps the architecture's activation function and its forward pass, and tends to
**backpropagation** as :math:`\beta \to 0`.

Departures, but of `textbook`, whose own are told there: states lie in [-1, 1] and couplings are scaled down (`input_gain`, `gain`),
without which settling oscillates; the scores are read out from the last hidden state by the loss itself, as in Laborieux et al.;
settling starts at the forward pass, and takes a fixed number of passes (`residual` tells how much they leave over). The free
condition that another is compared with goes on settling beside it: what is left over then happens in both and cancels, or it would
be taken for a wish of the label.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import PRNGKeyArray

from architectures import Network, Params, Trace
from bioplausible.foundation.options import at_least, fraction, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.energy_based_hopfield import hopfield
from learning_rules.energy_based_settling import (
    OutputEnergy,
    Relaxed,
    bounded,
    contrast,
    couplings,
    hears_input_alone,
    output_state,
    relax,
)
from learning_rules.needs import Needs, bends
from learning_rules.objectives import CLASSES, Batch, Objective, as_batch
from learning_rules.optimizers import adam
from learning_rules.signals import clamped, exact, hebbian_products, relayed

__all__ = ["FAMILY", "EnergyBasedOptions", "energy_based"]


@dataclass(frozen=True)
class EnergyBasedOptions:
    """Options of energy-based learning.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`; of contrastive_hebbian "cross_entropy" or "squared_error".
    learning_rate
        Adam's, at the first step; of textbook the first node's, of plain steps.
    weight_decay
        Decoupled, per unit of learning rate (not of textbook).
    beta
        Strength of the nudge (not of contrastive_hebbian, which clamps).
    free_sweeps
        Passes down and up again without a label; of textbook steps.
    nudged_sweeps
        Passes down, and up again in between, with one; of dual_propagation all there are; of textbook
        steps.
    input_gain
        Factor on the pre-activations of nodes that hear the input (not of dual_propagation).
    gain
        Factor on the couplings between hidden states, skips among them (not of dual_propagation).
    output_gain
        Strength with which the output acts back on the hidden states (contrastive_hebbian).
    step
        Epsilon, part of the energy's gradient that a state follows in one step (textbook), between 0 and 1.
    rate_ratios
        Rates of nodes from the bottom, to the first's; the last is that of all above (textbook).
    """

    variant: str = "centred"
    loss: str = "cross_entropy"
    # Rate, decay and sweeps: from runs on Fashion-MNIST's validation images, four epochs of 20,000 images, dense network, one seed.
    # Two free sweeps and one nudged do as well as five and two (87.9 and 88.0), a decay of 0.1 as well as none; a rate of 0.001 is
    # 0.6 worse. Gains: 0.5 and 0.25 are within 0.1 of input gains of 0.25 and gains of 0.15; an input gain of 0.1 is a point worse.
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    beta: float = 0.3
    free_sweeps: int = 2
    nudged_sweeps: int = 1
    input_gain: float = 0.5
    gain: float = 0.25
    output_gain: float = 0.1
    step: float = 0.5
    rate_ratios: tuple[float, ...] = (1.0,)


def _free_output(options: EnergyBasedOptions, objective: Objective) -> OutputEnergy:
    """What acts on the scores without a label: an output that settles (softmax units, or linear ones), or nothing."""
    if options.variant != "contrastive_hebbian":
        return lambda scores: jnp.zeros(len(scores), scores.dtype)
    if objective.name == "cross_entropy":
        return lambda scores: -options.output_gain * jax.nn.logsumexp(scores, axis=-1)
    return lambda scores: -0.5 * options.output_gain * jnp.sum(jnp.square(scores), axis=-1)


def _clamped_output(batch: Batch, gain: float, free: OutputEnergy) -> OutputEnergy:
    """The output held at the labels; where an example does not count, it stays free."""

    def held(scores: Array) -> Array:
        return -gain * jnp.take_along_axis(scores, batch.targets[:, None], axis=-1)[:, 0]

    counts = batch.mask
    return held if counts is None else lambda scores: jnp.where(counts > 0, held(scores), free(scores))


def _nudged_output(objective: Objective, batch: Batch, beta: float) -> OutputEnergy:
    return lambda scores: beta * objective.per_example(scores, batch)


def _conditions(options: EnergyBasedOptions, objective: Objective, batch: Batch) -> tuple[OutputEnergy, OutputEnergy, float]:
    """The output energies of the two conditions that are compared, and how far apart they lie."""
    if options.variant == "contrastive_hebbian":
        free = _free_output(options, objective)
        return _clamped_output(batch, options.output_gain, free), free, options.output_gain
    nudged = _nudged_output(objective, batch, options.beta)
    if options.variant == "one_sided":
        return nudged, _free_output(options, objective), options.beta
    return nudged, _nudged_output(objective, batch, -options.beta), 2 * options.beta


def _free(network: Network, options: EnergyBasedOptions, objective: Objective, params: tuple[Params, ...], x: Array) -> Relaxed:
    """Where states settle without a label, from the forward pass."""
    states = network.trace(params, x, encoded=True).outputs[:-1]
    drives = _drives(network, params, x, states, options.gain)
    output = _free_output(options, objective) if options.variant == "contrastive_hebbian" else None
    return relax(network, params, x, states, drives, options.free_sweeps, output, skip_gain=options.gain)


def _drives(
    network: Network, params: tuple[Params, ...], x: Array, states: tuple[Array, ...], skip_gain: float = 1.0
) -> tuple[Array, ...]:
    """What reaches every node at these states."""
    linear = couplings(network, skip_gain)
    held = clamped(exact(linear, params), (*states, None))
    return linear.trace(params, x, held, encoded=True).outputs


def _contrast_of_conditions(
    network: Network,
    options: EnergyBasedOptions,
    objective: Objective,
    params: tuple[Params, ...],
    x: Array,
    free: Relaxed,
    batch: Batch,
) -> tuple[tuple[Params, ...], dict[str, Any]]:
    """The pseudo-gradient, mean over the batch, and what settling under both conditions tells.

    Both go on from the free states, and for as long.
    """
    *outputs, apart = _conditions(options, objective, batch)
    settled, states = [], []
    for output in outputs:
        now = relax(
            network, params, x, free.states, free.drives, options.nudged_sweeps, output, ends_at_bottom=True, skip_gain=options.gain
        )
        scores = _drives(network, params, x, now.states, options.gain)[-1]
        settled.append(now)
        states.append((*now.states, output_state(output, scores)))
    difference = contrast(network, params, x, *states)
    told = {
        "energy": jnp.mean(free.energy, axis=1),
        "nudged_energy": jnp.stack([jnp.mean(each.energy, axis=1) for each in settled], axis=1),
        "residual": free.residual,
        "nudged_residual": jnp.stack([each.residual for each in settled], axis=1),
        "state_difference": jnp.stack([jnp.sqrt(jnp.mean(jnp.square(a - b))) for a, b in zip(*states, strict=True)]),
    }
    n = objective.n_counted(free.drives[-1], batch)  # the two conditions are one for examples that do not count
    return jax.tree.map(lambda leaf: leaf / (apart * n), difference), told


def _dual(
    network: Network, options: EnergyBasedOptions, objective: Objective, params: tuple[Params, ...], signals: Trace, batch: Batch
) -> tuple[tuple[Params, ...], Array]:
    """Dual propagation: the pseudo-gradient, and how far each node's two states lie apart."""
    x, linear = network.encode(batch.inputs), couplings(network)
    output = _nudged_output(objective, batch, options.beta)

    def both(index: int, z: Array, arriving: Array) -> tuple[Array, Array]:
        """A unit's two states."""
        up, down = (network.nodes[index].activate((), z + sign * 0.5 * arriving, ())[1] for sign in (1, -1))
        return up, down

    def one_pass(means: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        drives = list(_drives(network, params, x, means))
        for index in range(len(means)):
            if hears_input_alone(network, index):  # made once, outside the loop
                drives[index] = signals.z[index]

        def coupled(means: tuple[Array, ...]) -> Any:
            crossings = exact(linear, params)
            for index, mean in enumerate(means):

                def apart(z: Array, h: Array, arriving: Array, index: int = index) -> Array:
                    up, down = both(index, z, arriving)
                    return up - down

                others = [None] * len(crossings)
                crossings = relayed(crossings, _put(others, index, mean), _put(others, index, drives[index]), apart)
            return linear.trace(params, x, crossings, encoded=True).outputs[-1]

        _, pull = jax.vjp(coupled, means)
        top = output_state(output, drives[-1])
        pairs = [both(index, drives[index], a) for index, a in enumerate(pull(top)[0])]
        return tuple(0.5 * (up + down) for up, down in pairs), (*(up - down for up, down in pairs), top)

    means, every_pass = lax.scan(one_pass, signals.outputs[:-1], None, length=options.nudged_sweeps)
    apart = tuple(difference[-1] for difference in every_pass)
    heard = network.trace(params, x, clamped(exact(network, params), (*means, None)), encoded=True).inputs
    n = objective.n_counted(signals.outputs[-1], batch)
    post = [-difference / (options.beta * n) for difference in apart]
    return hebbian_products(network, params, heard, post), jnp.stack([jnp.sqrt(jnp.mean(jnp.square(d))) for d in apart])


def _put(items: list[Any], index: int, item: Any) -> list[Any]:
    return [*items[:index], item, *items[index + 1 :]]


def energy_based(network: Network, options: EnergyBasedOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network. Where states settle, the rule's `network` is the one they settle in.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        A strength, a gain or a number of passes that is not positive, or a step that is no fraction.
    """
    positive(options, "beta", "free_sweeps", "nudged_sweeps", "input_gain", "gain", "output_gain")
    fraction(options, "step", with_zero=False)
    at_least(options, 0, "weight_decay")
    if options.variant == "textbook":
        return hopfield(network, options, spec, objective)
    dual = options.variant == "dual_propagation"
    if not dual:
        network = bounded(network, options.input_gain, options.gain)

    def settle(params: tuple[Params, ...], inputs: Array) -> tuple[Array, ...]:
        """States of all nodes without a label, the scores last."""
        if dual:
            return network.forward(params, inputs)
        free = _free(network, options, objective, params, network.encode(inputs))
        return (*free.states, free.drives[-1])

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params = as_batch(batch), state.params["network"]
        x = network.encode(batch.inputs)
        if dual:
            signals = network.trace(params, x, encoded=True)
            scores = signals.outputs[-1]
            updates, apart = _dual(network, options, objective, params, signals, batch)
            own: dict[str, Any] = {"state_difference": apart}
        else:
            free = _free(network, options, objective, params, x)
            scores = free.drives[-1]
            updates, own = _contrast_of_conditions(network, options, objective, params, x, free, batch)
        return {"network": updates}, state, {**objective.metrics(scores, batch), **own}

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        return adam(options.learning_rate, n_steps, options.weight_decay)

    return LearningRule(
        spec=spec,
        network=network,
        options=options,
        init=lambda key: RuleState({"network": network.init(key)}, ()),
        assign_credit=assign_credit,
        constrain=lambda params: params,
        predict=lambda state, inputs: settle(state.params["network"], inputs)[-1],
        represent=lambda state, inputs: settle(state.params["network"], inputs),
        optimizer=optimizer,
        objective=objective,
        infer=None if dual else lambda params, inputs: settle(params, inputs)[-1],
    )


def _supports(network: Network) -> str:
    """The energy knows the scores as what drives them: a readout that bends that has another derivative."""
    readout = network.nodes[-1]
    if not bends(readout):
        return ""
    return (
        f"'{readout.name}' bends the scores, and the loss has its own softmax: leave out the activation function after the last sum"
    )


_NEEDS = Needs(static=True, unitwise=True, weighted=True)


def _variant(
    variant: str, summary: str, citation: str, phases: int = 7, settles: bool = True, needs: Needs = _NEEDS, **options: Any
) -> Variant:
    # Up, twice down and up again without a label, then down under either condition.
    spec = RuleSpec(
        "energy_based",
        variant,
        summary,
        citation,
        phases=phases,
        represents_by_forward_pass=not settles,
        activation="hard_tanh" if settles else "",
    )
    return Variant(spec, {"variant": variant, **options}, needs)


FAMILY = Family(
    EnergyBasedOptions,
    energy_based,
    {
        variant.spec.variant: variant
        for variant in (
            _variant(
                "centred",
                "equilibrium propagation: states settle nudged towards the label and away from it",
                "Laborieux et al. 2021, doi:10.3389/fnins.2021.633674",
            ),
            _variant(
                "one_sided",
                "equilibrium propagation: states settle free, then nudged towards the label",
                "Scellier and Bengio 2017, doi:10.3389/fncom.2017.00024",
                beta=0.1,
            ),
            _variant(
                "contrastive_hebbian",
                "states settle free, then with the output held at the label",
                "Movellan 1991; Xie and Seung 2003, doi:10.1162/089976603762552988",
                needs=dataclasses.replace(_NEEDS, targets=(CLASSES,)),
            ),
            _variant(
                "dual_propagation",
                "two states a unit, nudged apart in one phase; tends to backpropagation for small nudges",
                "Høier, Staudt and Zach 2023, arXiv 2302.01228",
                phases=2,
                settles=False,
                needs=dataclasses.replace(_NEEDS, no_skips=True),
                weight_decay=0.0,  # 88.7; with 0.1 it is 88.3
            ),
            Variant(
                RuleSpec(
                    "energy_based",
                    "textbook",
                    "equilibrium propagation as published: hidden and output units of a Hopfield network, all at once, free and "
                    "then nudged towards the label or away from it",
                    "Scellier and Bengio 2017, doi:10.3389/fncom.2017.00024",
                    phases=3,
                    represents_by_forward_pass=False,
                    activation="hard_sigmoid",
                    # Settings are those of one hidden layer: with two, some seeds collapse under them.
                    network=(("activation", "hard_sigmoid"), ("hidden", (500,))),
                    batch_size=20,
                ),
                {
                    "variant": "textbook",
                    "loss": "squared_error",
                    "learning_rate": 0.1,
                    "rate_ratios": (1.0, 0.5),
                    "beta": 0.5,
                    "free_sweeps": 20,
                    "nudged_sweeps": 4,
                },
                dataclasses.replace(_NEEDS, targets=(CLASSES,)),
            ),
        )
    },
    _supports,
)
