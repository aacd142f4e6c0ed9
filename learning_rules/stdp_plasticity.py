r"""Spike-timing-dependent plasticity of one node, from the spikes on both of its sides.

Pairs (Bi and Poo 1998, doi:10.1523/JNEUROSCI.18-24-10464.1998; Song, Miller and Abbott 2000, doi:10.1038/78829), all to all:

.. math:: \Delta w = \begin{cases} A_+ \lambda_+^{\Delta t} & \Delta t = t_{post} - t_{pre} \ge 0 \\
                                  -A_- \lambda_-^{|\Delta t|} & \Delta t < 0 \end{cases}

Triplets (Pfister and Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006), with fast traces r_1, o_1 and slow ones r_2, o_2 of pre-
and postsynaptic spikes, the slow ones as they were just before the spike:

.. math:: \Delta w = o(t)\, r_1(t)\, [A_+ + A_+^3 o_2(t)] - r(t)\, o_1(t)\, [A_- + A_-^3 r_2(t)]

Reward-modulated (Izhikevich 2007, doi:10.1093/cercor/bhl152; Frémaux and Gerstner 2016, doi:10.3389/fncir.2015.00085): each
synapse keeps an eligibility :math:`e(t) = \lambda_e e(t-1) + \mathrm{STDP}(t)`, and a reward at the end of the presentation
turns it into change. Reward times eligibility, summed over examples, is linear in each step's pairs, so that it needs no memory
per synapse and example: a pair of step t counts :math:`\lambda_e^{T-1-t}` times its example's reward.

Traces are local to a spike's own afferent or unit, and every sum over time, examples and shared positions is one Hebbian product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from architectures import Node, Params
from architectures.roles import weights_only
from learning_rules.signals import hebbian_product
from learning_rules.stdp_neurons import spike_trace

__all__ = ["timing_change"]


def _merged(signal: Array) -> Array:
    return signal.reshape(-1, *signal.shape[2:])


def timing_change(
    node: Node,
    params: Params,
    pre: Sequence[Float[Array, "steps n ..."]],
    post: Float[Array, "steps n *positions units"],
    options: Any,
    length: Float[Array, "n *positions units_or_1"] | None = None,
    modulation: Float[Array, " n"] | None = None,
) -> Params:
    """Change of the weights, summed over examples.

    Parameters
    ----------
    node
        Whose synapses.
    params
        Gives the shapes.
    pre
        Presynaptic spikes of each weighted edge.
    post
        Postsynaptic spikes.
    options
        Amplitudes and decays, as `StdpOptions` has them.
    length
        Of what each unit sees; its presynaptic spikes count as divided by it. One by default.
    modulation
        Of the reward-modulated variant: what multiplies each example's eligibility at the end.

    Returns
    -------
    tree
        Of the structure of the parameters, biases and gains at zero.
    """
    later = jnp.ones(len(post), post.dtype)
    counts = jnp.ones_like(post) if length is None else jnp.broadcast_to(1 / length, post.shape)
    if modulation is not None:
        later = options.eligibility_decay ** jnp.arange(len(post) - 1, -1, -1, dtype=post.dtype)
        counts = counts * modulation.reshape(1, -1, *[1] * (post.ndim - 2))

    def from_later(signal: Array) -> Array:
        """A pair counts from its later spike on."""
        return later.reshape(-1, *[1] * (signal.ndim - 1))

    def product(before: Sequence[Array], after: Array) -> Params:
        at_z = (after * counts).reshape(-1, *node.z_shape)
        return weights_only(hebbian_product(node, params, tuple(map(_merged, before)), at_z), node.roles)

    def grown(spikes: Array, came_before: Array) -> Array:
        declining = jnp.full_like(spikes, options.depression)
        if options.variant == "triplet":
            declining = declining + options.triplet_depression * spike_trace(jnp.abs(spikes), options.slow_pre_decay, delay=1)
        # The trace of a unit's spikes, read by each presynaptic spike, is the sum over later presynaptic spikes, read by the unit's
        # spike: growth and decline are one product, and what stands before it is the window of Bi and Poo.
        come_after = spike_trace((spikes * declining * from_later(spikes))[::-1], options.post_decay, delay=1)[::-1]
        return options.potentiation * from_later(spikes) * came_before - come_after

    came_before = [spike_trace(spikes, options.pre_decay) for spikes in pre]
    change = product([grown(*edge) for edge in zip(pre, came_before, strict=True)], post)
    if options.variant == "triplet":
        earlier = spike_trace(post, options.slow_post_decay, delay=1)
        more = product(came_before, options.triplet_potentiation * from_later(post) * post * earlier)
        change = jax.tree.map(jnp.add, change, more)
    return change
