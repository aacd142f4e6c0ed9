r"""The continuous Hopfield network of Scellier and Bengio 2017 (doi:10.3389/fncom.2017.00024), as they settled and trained it.

Hidden and output units alike have states :math:`s_k \in [0, 1]`, where the hard sigmoid is the identity, and with the drive
:math:`d_k(s) = S_{\theta_k}(s)` that reaches node :math:`k` (over skip edges as it is)

.. math:: F_\beta = \sum_{k \le L} \left( \tfrac12 \lVert s_k \rVert^2 - \langle s_k, d_k(s) \rangle \right)
   + \beta\, \ell(s_L, y), \qquad s_k \leftarrow \mathrm{clip}(s_k - \epsilon\, \partial F_\beta / \partial s_k,\, 0,\, 1),

all states at once. A free phase of many steps (:math:`\beta = 0`) starts at states of zero, a nudged one of a few goes on from
there with a sign of :math:`\beta` that is drawn for each batch, and weights follow

.. math:: \Delta\theta \propto -\tfrac1\beta (\partial_\theta F_\beta - \partial_\theta F_0),

the first term at the nudged states: a product of neighbours' states in either phase. Plain gradient steps, at a rate of its own for
each layer.

Published settings, by the number of hidden layers (the authors' code; 500 units each, batches of 20, :math:`\epsilon = 0.5`):

====== ========== ============ ============= ===========================
hidden free steps nudged steps :math:`\beta` rates, from the bottom
====== ========== ============ ============= ===========================
1      20         4            0.5           0.1, 0.05
2      150        6            1             0.4, 0.1, 0.01
3      500        8            1             0.128, 0.032, 0.008, 0.002
====== ========== ============ ============= ===========================

The variant takes those of one hidden layer whatever the network, as its options say: on two, 150 steps cost seven times as much.

Departures: states start at zero for every batch, where the authors' go on from where an image's last free phase ended; images are
standardised rather than between 0 and 1; :math:`\ell` is half the squared distance, as in the paper (the code leaves out the half).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import PRNGKeyArray

from architectures import Network, Node, Params
from architectures.dense import added
from learning_rules.contract import LearningRule, RuleSpec, RuleState
from learning_rules.energy_based_settling import States, contrast, couplings, hears_input_alone
from learning_rules.objectives import Batch, Objective, as_batch
from learning_rules.optimizers import cosine_schedule
from learning_rules.signals import clamped, recalled

__all__ = ["hopfield", "rates_by_node", "settle_all"]


def _between_zero_and_one(network: Network) -> Network:
    """The same graph and parameters with hidden units that are hard sigmoids."""

    def clipped(node: Node) -> Node:
        return dataclasses.replace(node, activate=lambda state, z, skips: (state, jnp.clip(added(z, skips), 0, 1)))

    return dataclasses.replace(network, nodes=(*map(clipped, network.nodes[:-1]), network.nodes[-1]))


def settle_all(
    network: Network,
    objective: Objective,
    params: tuple[Params, ...],
    batch: Batch,
    states: States,
    n_steps: int,
    step: float,
    beta: Array | float = 0.0,
) -> tuple[States, Array]:
    """Take all states, the output's too, some steps down the energy.

    Parameters
    ----------
    network
        The network.
    objective
        Whose loss nudges the output's states.
    params
        One tree per node.
    batch
        Encoded inputs, targets and mask.
    states
        Where to start, one array (n, ...) per node.
    n_steps
        At least 1.
    step
        Epsilon, part of the gradient that a step follows.
    beta
        Strength of the nudge.

    Returns
    -------
    states, energy
        Per node; of every example before each step, (n_steps, n).
    """
    linear = couplings(network)
    # What the image alone drives stays, and the widest product of most networks is made once.
    z = network.trace(params, batch.inputs, encoded=True).z
    known = [each if hears_input_alone(network, index) else None for index, each in enumerate(z)]

    def energy(states: States) -> tuple[Array, Array]:
        held = clamped(recalled(linear, params, known), (*states[:-1], None))
        drives = linear.trace(params, batch.inputs, held, encoded=True).outputs
        each = beta * objective.per_example(states[-1], batch)
        for state, drive in zip(states, drives, strict=True):
            each = each + jnp.sum((0.5 * state * state - state * drive).reshape(len(state), -1), axis=-1)
        return jnp.sum(each), each

    def one(states: States, _: None) -> tuple[States, Array]:
        slopes, each = jax.grad(energy, has_aux=True)(states)
        return tuple(jnp.clip(s - step * slope, 0, 1) for s, slope in zip(states, slopes, strict=True)), each

    return lax.scan(one, states, None, length=n_steps)


def rates_by_node(ratios: tuple[float, ...], learning_rate: float, n_nodes: int) -> tuple[float, ...]:
    """The rate of each node from the bottom; the last ratio is that of all nodes above.

    Parameters
    ----------
    ratios
        To the first node's rate.
    learning_rate
        The first node's.
    n_nodes
        How many there are.

    >>> rates_by_node((1.0, 0.25, 0.025), 0.4, 4)
    (0.4, 0.1, 0.01, 0.01)
    """
    return tuple(round(learning_rate * ratios[min(index, len(ratios) - 1)], 12) for index in range(n_nodes))


def hopfield(network: Network, options: Any, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network. Its `network` is the one with hard sigmoids.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them, the options those of the family, checked.
    """
    network = _between_zero_and_one(network)

    def free(params: tuple[Params, ...], batch: Batch) -> tuple[States, Array]:
        at_rest = tuple(jnp.zeros((len(batch.inputs), *node.output_shape), batch.inputs.dtype) for node in network.nodes)
        # Without a nudge no target is asked for.
        unjudged = dataclasses.replace(objective, each=lambda scores, targets: jnp.zeros(len(scores), scores.dtype))
        return settle_all(network, unjudged, params, batch, at_rest, options.free_sweeps, options.step)

    def settle(params: tuple[Params, ...], inputs: Array) -> States:
        x = network.encode(inputs)
        return free(params, Batch(x, jnp.zeros(len(x), int)))[0]

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params = as_batch(batch), state.params["network"]
        encoded = batch._replace(inputs=network.encode(batch.inputs))
        # An integer, whose bits are the same in single and in double precision.
        positive_nudge = jax.random.randint(key, (), 0, 2, jnp.int32) > 0
        beta = jnp.where(positive_nudge, options.beta, -options.beta).astype(encoded.inputs.dtype)
        at_rest, energy = free(params, encoded)
        nudged, nudged_energy = settle_all(network, objective, params, encoded, at_rest, options.nudged_sweeps, options.step, beta)
        if batch.mask is not None:  # what still moves after the free phase would else be taken for a wish of the label
            counts = [batch.mask.reshape(-1, *(1,) * (s.ndim - 1)) > 0 for s in nudged]
            nudged = tuple(jnp.where(c, a, b) for c, a, b in zip(counts, nudged, at_rest, strict=True))
        n = objective.n_counted(at_rest[-1], batch)
        updates = jax.tree.map(lambda leaf: leaf / (beta * n), contrast(network, params, encoded.inputs, nudged, at_rest))
        told = {
            "energy": jnp.mean(energy, axis=1),
            "nudged_energy": jnp.mean(nudged_energy, axis=1),
            "state_difference": jnp.stack([jnp.sqrt(jnp.mean(jnp.square(a - b))) for a, b in zip(nudged, at_rest, strict=True)]),
        }
        return {"network": updates}, state, {**objective.metrics(at_rest[-1], batch), **told}

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        cosine_schedule(options.learning_rate, None)  # says what is wrong with it
        rates = rates_by_node(options.rate_ratios, options.learning_rate, len(network.nodes))
        names = tuple(map(str, range(len(rates))))
        return optax.partition(dict(zip(names, map(optax.sgd, rates), strict=True)), {"network": names})

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
        infer=lambda params, inputs: settle(params, inputs)[-1],
    )
