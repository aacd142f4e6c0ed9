r"""States that settle in the energy of a bidirectional network.

With states :math:`s_0` (the image) and :math:`s_1 \ldots s_{L-1}` in :math:`[-1, 1]`, the block's synapses taken as symmetric
couplings, and an output energy :math:`V` of the scores :math:`S_{\theta_L}(s_{L-1})`,

.. math:: F = \sum_{k<L} \left( \tfrac12 \lVert s_k \rVert^2 - \langle s_k, S_{\theta_k}(s_{k-1}) \rangle \right)
   + V(S_{\theta_L}(s_{L-1})).

With its neighbours held, a state's energy is least at

.. math:: s_k = \mathrm{clip}\left( S_{\theta_k}(s_{k-1}) + S_{\theta_{k+1}}^\top s_{k+1},\, -1,\, 1 \right), \qquad
   s_L = -\partial V / \partial S_{\theta_L},

so that updating block after block (Gauss and Seidel's order) cannot raise :math:`F` where :math:`V` is concave or flat; where it is
convex (the loss, nudging) the last hidden state takes a gradient step of length one.

A sweep passes the blocks from the top down and then up again. It takes one product with each block's weights either way, as many
as a sweep in one direction, since what comes down to a block stays what it was while states are passed upwards; but a change of the
output or of the image reaches every block in one sweep, and the energy can be read off what is computed anyway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from architectures import Block, Network, Params
from learning_rules.signals import hebbian_product, project_back

__all__ = ["OutputEnergy", "Relaxed", "bounded", "contrast", "output_state", "relax"]

OutputEnergy = Callable[[Float[Array, "n n_classes"]], Float[Array, " n"]]


class Relaxed(NamedTuple):
    """Where settling ended.

    Attributes:
        states: of the hidden positions.
        drives: what the synapses of every position deliver, the scores last; up to date where settling ended at the top.
        energy: of every example before each sweep, (n_sweeps, n).
        residual: length of the last sweep's change over the state's length, per hidden position.
    """

    states: tuple[Array, ...]
    drives: tuple[Array, ...]
    energy: Float[Array, "n_sweeps n"]
    residual: Float[Array, " n_hidden"]


def bounded(network: Network, input_gain: float, gain: float) -> Network:
    """The same chain and parameters with states clipped to [-1, 1] and couplings scaled.

    Args:
        network: any whose hidden blocks neither pool nor normalise.
        input_gain: factor on what the first block's synapses deliver.
        gain: factor on what the other hidden blocks' synapses deliver, both ways; the readout keeps its own.
    """
    first, last = network.order[0], network.order[-1]

    def scaled(block: Block, factor: float) -> Block:
        return dataclasses.replace(
            block,
            synapse=lambda params, x: factor * block.synapse(params, x),
            activate=lambda z: jnp.clip(z, -1, 1),
        )

    blocks = tuple(
        block if index == last else scaled(block, input_gain if index == first else gain)
        for index, block in enumerate(network.blocks)
    )
    return dataclasses.replace(network, blocks=blocks)


def output_state(output_energy: OutputEnergy, scores: Array) -> Array:
    """The output's part in the couplings: down the output energy, example by example."""
    return -jax.grad(lambda z: jnp.sum(output_energy(z)))(scores)


def relax(
    network: Network,
    params: Sequence[Params],
    states: Sequence[Array],
    drives: Sequence[Array],
    n_sweeps: int,
    output_energy: OutputEnergy | None = None,
    ends_at_bottom: bool = False,
) -> Relaxed:
    """Settle the hidden states for a number of sweeps.

    Args:
        network: from `bounded`.
        params: by position.
        states: where to start, one array (n, ...) per hidden position.
        drives: what the synapses of every position deliver there, the scores last. The image is held still, so the first stays as
            it is, and the widest product of most networks is made once.
        n_sweeps: passes down, and up again.
        output_energy: of the scores, per example; None where nothing acts on the output.
        ends_at_bottom: whether the last sweep ends where it has come down.
    """
    chain, n_hidden, n = network.chain, len(network.chain) - 1, len(drives[-1])
    States = tuple[Array, ...]

    def down(states: States, drives: States) -> tuple[States, list[Array], Array]:
        """New states, what comes down to each, and the energy of the old ones."""
        energy = jnp.zeros(n, drives[-1].dtype)
        for state, delivered in zip(states, drives[:-1], strict=True):
            energy += jnp.sum((0.5 * state * state - state * delivered).reshape(n, -1), axis=-1)
        above = None
        if output_energy is not None:
            energy += output_energy(drives[-1])
            above = output_state(output_energy, drives[-1])
        settled, feedback = list(states), [jnp.zeros((), energy.dtype)] * n_hidden
        for k in reversed(range(n_hidden)):
            if above is not None:
                feedback[k] = project_back(chain[k + 1], params[k + 1], states[k], above)
            above = settled[k] = chain[k].activate(drives[k] + feedback[k])
        return tuple(settled), feedback, energy

    def up(states: States, drives: States, feedback: list[Array]) -> tuple[States, States]:
        """New states above the first, and what synapses then deliver."""
        settled, delivered = list(states), list(drives)
        for k in range(1, n_hidden + 1):
            delivered[k] = chain[k].synapse(params[k], settled[k - 1])
            if k < n_hidden:
                settled[k] = chain[k].activate(delivered[k] + feedback[k])
        return tuple(settled), tuple(delivered)

    def change(after: States, before: States) -> Array:
        lengths = [(jnp.linalg.norm((a - b).ravel()), jnp.linalg.norm(a.ravel())) for a, b in zip(after, before, strict=True)]
        return jnp.array([moved / jnp.maximum(length, 1e-15) for moved, length in lengths], drives[-1].dtype)

    def one_sweep(now: tuple[States, States], _: None) -> tuple[tuple[States, States], tuple[Array, Array]]:
        states, drives = now
        settled, feedback, energy = down(states, drives)
        settled, drives = up(settled, drives, feedback)
        return (settled, drives), (energy, change(settled, states))

    now = (tuple(states), tuple(drives))
    if not ends_at_bottom:
        now, (energy, residual) = lax.scan(one_sweep, now, None, length=n_sweeps)
        return Relaxed(*now, energy, residual[-1])
    now, (energy, _) = lax.scan(one_sweep, now, None, length=n_sweeps - 1)
    settled, _, last_energy = down(*now)
    return Relaxed(settled, now[1], jnp.concatenate([energy, last_energy[None]]), change(settled, now[0]))


def contrast(
    network: Network,
    params: Sequence[Params],
    x: Array,
    one: Sequence[Array],
    other: Sequence[Array],
) -> tuple[Params, ...]:
    """The energy's derivative with respect to the parameters in one phase minus that in the other; params untied.

    Args:
        network: from `bounded`.
        params: by position.
        x: encoded images, (n, ...).
        one: states of all positions, the output's included.
        other: the same of the other phase.
    """
    asked = [hebbian_product(network.chain[0], params[0], x, other[0] - one[0])]
    for k in range(1, len(network.chain)):
        first, second = (hebbian_product(network.chain[k], params[k], states[k - 1], states[k]) for states in (one, other))
        asked.append(jax.tree.map(jnp.subtract, second, first))
    return network.tie(asked)
