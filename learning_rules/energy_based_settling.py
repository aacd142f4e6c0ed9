r"""States that settle in the energy of a bidirectional network.

With states :math:`s_0` (the image) and :math:`s_1 \ldots s_{L-1}` in :math:`[-1, 1]`, the block's synapses taken as symmetric
couplings, and an output energy :math:`V` of the scores :math:`S_{\theta_L}(s_{L-1})`,

.. math:: F = \sum_{k<L} \left( \tfrac12 \lVert s_k \rVert^2 - \langle s_k, S_{\theta_k}(s_{k-1}) \rangle \right)
   + V(S_{\theta_L}(s_{L-1})).

With its neighbours held, a state's energy is least at

.. math:: s_k = \mathrm{clip}\left( S_{\theta_k}(s_{k-1}) + S_{\theta_{k+1}}^\top s_{k+1},\, -1,\, 1 \right), \qquad
   s_L = -\partial V / \partial S_{\theta_L},

so that updating block after block (Gauss and Seidel's order) cannot raise :math:`F` where :math:`V` is concave or flat; where it is
convex (the loss, nudging) the last hidden state takes a gradient step of length one. Blocks are passed from the top down, which
brings a change of the output to every block in one sweep, and lets the energy be read off what the sweep computes anyway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from architectures import Network, Params
from learning_rules.signals import hebbian_product, project_back

__all__ = ["OutputEnergy", "Relaxed", "bounded", "contrast", "output_state", "relax", "scores_of"]

OutputEnergy = Callable[[Float[Array, "n n_classes"]], Float[Array, " n"]]


class Relaxed(NamedTuple):
    """Where settling ended.

    Attributes:
        states: of the hidden positions.
        energy: of every example before each sweep, (n_sweeps, n).
        residual: length of the last sweep's change over the state's length, per hidden position.
    """

    states: tuple[Array, ...]
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
    blocks = []
    for index, block in enumerate(network.blocks):
        factor = input_gain if index == first else gain
        scaled = dataclasses.replace(
            block,
            synapse=lambda params, x, b=block, g=factor: g * b.synapse(params, x),
            activate=lambda z: jnp.clip(z, -1, 1),
        )
        blocks.append(block if index == last else scaled)
    return dataclasses.replace(network, blocks=tuple(blocks))


def scores_of(network: Network, params: Sequence[Params], x: Array, states: Sequence[Array]) -> Array:
    """What the readout's synapses deliver; `params` by position."""
    return network.chain[-1].synapse(params[-1], (x, *states)[-1])


def output_state(output_energy: OutputEnergy, scores: Array) -> Array:
    """The output's part in the couplings: down the output energy, example by example."""
    return -jax.grad(lambda z: jnp.sum(output_energy(z)))(scores)


def relax(
    network: Network,
    params: Sequence[Params],
    x: Array,
    drive: Array,
    states: tuple[Array, ...],
    n_sweeps: int,
    output_energy: OutputEnergy | None = None,
) -> Relaxed:
    """Settle the hidden states for a number of sweeps.

    Args:
        network: from `bounded`.
        params: by position.
        x: encoded images, (n, ...).
        drive: what `x` delivers to the first block; the image is held still, so the widest product of most networks is made once.
        states: where to start.
        n_sweeps: updates of every state.
        output_energy: of the scores, per example; None where nothing acts on the output.
    """
    n_hidden = len(network.chain) - 1

    def one_sweep(states: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], tuple[Array, Array]]:
        drives = [drive if k == 0 else network.chain[k].synapse(params[k], states[k - 1]) for k in range(n_hidden)]
        energy = jnp.zeros(len(x), x.dtype)
        for state, delivered in zip(states, drives, strict=True):
            energy += jnp.sum((0.5 * state * state - state * delivered).reshape(len(x), -1), axis=-1)
        above = None
        if output_energy is not None:
            scores = scores_of(network, params, x, states)
            energy += output_energy(scores)
            above = output_state(output_energy, scores)
        settled = list(states)
        for k in reversed(range(n_hidden)):
            total = drives[k]
            if above is not None:
                total = total + project_back(network.chain[k + 1], params[k + 1], states[k], above)
            above = settled[k] = network.chain[k].activate(total)
        change = jnp.array([jnp.sum(jnp.square(a - b)) for a, b in zip(settled, states, strict=True)], x.dtype)
        size = jnp.array([jnp.sum(jnp.square(a)) for a in settled], x.dtype)
        return tuple(settled), (energy, change / jnp.maximum(size, 1e-30))

    states, (energy, squared_residual) = lax.scan(one_sweep, states, None, length=n_sweeps)
    return Relaxed(states, energy, jnp.sqrt(squared_residual[-1]))


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
        below = jnp.concatenate([other[k - 1], one[k - 1]])
        asked.append(hebbian_product(network.chain[k], params[k], below, jnp.concatenate([other[k], -one[k]])))
    return network.tie(asked)
