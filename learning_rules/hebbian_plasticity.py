r"""Six forms of Hebbian plasticity, each for a population of units that see the same input.

With a unit's response :math:`y_j = w_j \cdot x`, radius :math:`R`, and sums over examples, steps and positions that share weights:

=========== ============================================================ =========================================================
variant     :math:`\Delta w_j \propto`                                   reference
=========== ============================================================ =========================================================
oja         :math:`y_j (x - \sum_k \Lambda_{jk} y_k w_k / R^2)`,         Oja 1982, doi:10.1007/BF00275687; with lateral
            :math:`\Lambda_{jj} = 1`, else :math:`\lambda`               :math:`\lambda = 1` the subspace rule, Oja 1989,
                                                                         doi:10.1142/S0129065789000475
sanger      the same, :math:`\Lambda_{jk} = 1` for :math:`k \le j`       Sanger 1989, doi:10.1016/0893-6080(89)90044-0
            and 0 above
competitive :math:`g_j (R x - y_j w_j / R)`, :math:`g = 1` for the       Krotov and Hopfield 2019, doi:10.1073/pnas.1820458116
            winner, :math:`-\Delta` for the unit of rank k, else 0
class_gated the same among the units of an image's class alone;          Diehl and Cook 2015, doi:10.3389/fncom.2015.00099, give
            the unit of any class that answers most, if it is another    units classes after learning; pushed away as in learning
            class's, turns away: :math:`-\Delta R (x - y_j w_j /         vector quantisation, Kohonen 1990, doi:10.1109/5.58325
            \lVert w_j \rVert^2)`
softhebb    :math:`\eta_j g_j (x - y_j w_j / R^2)`, :math:`g` the        Journé et al. 2023, arXiv 2209.11883
            softmax of :math:`\beta y`, negative for all but the
            winner; :math:`\eta_j = \sqrt{|\,\lVert w_j \rVert/R - 1|}`
bcm         :math:`\tfrac{1}{\theta_j} y_j (y_j - \theta_j) x`,          Bienenstock, Cooper and Munro 1982,
            :math:`\theta_j = \langle y_j^2 \rangle / y_0`               doi:10.1523/JNEUROSCI.02-01-00032.1982; divided by the
                                                                         threshold as Law and Cooper 1994,
                                                                         doi:10.1073/pnas.91.16.7797
=========== ============================================================ =========================================================

Departures. Competition: a conscience (DeSieno 1988, doi:10.1109/ICNN.1988.23839) lowers the standing of units that win more than
their share, where the winner is chosen as in SoftHebb's softmax; the Lebesgue norm is Euclidean, and the radius is a unit's initial
norm, so that learning turns weights and the forward pass keeps its scale. Competitive and SoftHebb updates are divided by the
amount of competition that a unit won or lost, or by one where that is less. SoftHebb's rate has a floor, since weights need
not start away from the radius. `divided_by="largest"`, of the two textbook variants, is the published form: no conscience, sums
divided by the largest change in the node, no floor, and with :math:`p` for the competitive one
:math:`g_j (R^p x - y_j w_j)`, :math:`y_j = \sum_i \mathrm{sign}(w_{ji}) |w_{ji}|^{p-1} x_i`. Their weights start from the
published size in the published units: of deviation 1 (Krotov and Hopfield), of norm 25 (SoftHebb), which are those of the network
times a constant, as radius, rate and temperature are. Krotov and Hopfield's code takes 120,000 steps, by which units have come
down to their radius; after five hundred they are still much where they started. What stays different: images are standardised,
the hidden units' activation function is the network's (a power of 4.5 in Krotov and Hopfield), hidden nodes and readout learn side
by side, and the readout is the delta rule's. Of SoftHebb, rate and temperature of the first convolution are all nodes' (each has
its own there, and a dense network other ones: norm 35, temperature 1/12, rate .045); inputs are divided by one number a batch,
where batch normalisation there centres and scales each channel and stands in the forward pass too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from architectures import Node, Params
from learning_rules.hebbian_units import map_weights, mix_units, per_unit, scale_units, unit_norms

__all__ = ["PLASTICITY", "Memory", "Population", "competition"]

_MIN_FRACTION = 0.05


class Memory(NamedTuple):
    """What a population remembers from batch to batch.

    Attributes
    ----------
    mean
        Running mean of what each edge brings, (*input_shape), which is subtracted before anything is learned.
    precision
        P of `hebbian_decorrelation` for each edge, (features, features), None where inputs are learned from as they are.
    radius
        The norm that its units' weights are held at.
    wins
        Running fraction of the events that each unit won.
    threshold
        Running mean square of each unit's response, over the response aimed at.
    """

    mean: tuple[Array, ...]
    precision: tuple[Array | None, ...]
    radius: Float[Array, ""]
    wins: Float[Array, " units"]
    threshold: Float[Array, " units"]


class Population(NamedTuple):
    """What plasticity sees of one node.

    Attributes
    ----------
    node
        The node.
    weights
        Its parameters, biases and gains at zero.
    response
        y, (n, ..., units).
    product
        Postsynaptic signal -> Hebbian product with the input, summed over events.
    memory
        See `Memory`.
    eligible
        Which units an event lets win, None where all may.
    """

    node: Node
    weights: Params
    response: Float[Array, "n *positions units"]
    product: Callable[[Array], Params]
    memory: Memory
    eligible: Bool[Array, "n *positions units"] | None = None


def _n_events(response: Array) -> int:
    return response.size // response.shape[-1]


def _flat(response: Array) -> Float[Array, "events units"]:
    return response.reshape(_n_events(response), response.shape[-1])


def _deflated(population: Population, explained: Params) -> Params:
    """Mean over events of the Hebbian growth, less what units already explain of it, given summed over events."""
    y = population.response
    share = jnp.full((y.shape[-1],), 1 / _n_events(y), y.dtype)
    growth = scale_units(population.node, population.product(y), share)
    decay = scale_units(population.node, explained, share / population.memory.radius**2)
    return jax.tree.map(jnp.subtract, growth, decay)


def _oja(population: Population, options: Any) -> tuple[Params, Memory]:
    node, weights, y = population.node, population.weights, _flat(population.response)
    own = scale_units(node, weights, (1 - options.lateral) * jnp.sum(jnp.square(y), axis=0))
    if len(y) < y.shape[-1]:  # W (Y' Y) = (W Y') Y, whichever is less work
        of_all = map_weights(node, weights, lambda leaf: (leaf @ y.T) @ y)
    else:
        of_all = mix_units(node, weights, y.T @ y)
    explained = jax.tree.map(lambda a, b: a + options.lateral * b, own, of_all)
    return _deflated(population, explained), population.memory


def _sanger(population: Population, options: Any) -> tuple[Params, Memory]:
    y = _flat(population.response)
    explained = mix_units(population.node, population.weights, jnp.triu(y.T @ y))
    return _deflated(population, explained), population.memory


def _highest(standing: Array, radius: Array) -> Array:
    """One-hot of the highest unit of every event; units that differ by no more than rounding share.

    Comparing with the maximum is several times cheaper than finding its index. The margin is needed because a compiler may work out
    the standing twice, once for the maximum and once for the comparison, with other last bits.
    """
    margin = 64 * jnp.finfo(standing.dtype).eps * radius
    highest = (standing >= jnp.max(standing, axis=-1, keepdims=True) - margin).astype(standing.dtype)
    return highest / jnp.sum(highest, axis=-1, keepdims=True)


def _winners(response: Array, memory: Memory, options: Any, eligible: Array | None) -> tuple[Array, Array, Memory]:
    """Each unit's standing, one-hot of the winner among those that may win, and the memory of who won."""
    n_units = response.shape[-1]
    standing = response - options.conscience * memory.radius * (n_units * memory.wins - 1)
    if eligible is None:
        winner = _highest(standing, memory.radius)
    else:  # a class without a unit, where units are few, has no winner
        winner = jnp.where(eligible, _highest(jnp.where(eligible, standing, -jnp.inf), memory.radius), 0)
    share = per_unit(winner) / _n_events(response)
    return standing, winner, memory._replace(wins=memory.wins + options.ema_rate * (share - memory.wins))


def competition(
    response: Array, memory: Memory, options: Any, eligible: Array | None = None
) -> tuple[Float[Array, "n *positions units"], Memory]:
    """The signed share g of every unit in every event, for the variants whose units compete.

    Parameters
    ----------
    response
        y, (n, ..., units).
    memory
        Who won how often, and the radius.
    options
        As `HebbianOptions` has them.
    eligible
        Which units an event lets win, None where all may.

    Returns
    -------
    share, memory
        (n, ..., units), and the memory of who won.
    """
    standing, winner, memory = _winners(response, memory, options, eligible)
    if eligible is not None:
        rival = jnp.where(eligible, 0, _highest(standing, memory.radius))
        return winner - options.anti_hebbian * rival, memory
    if options.variant == "softhebb":
        soft = jax.nn.softmax(options.inverse_temperature * standing / published_unit(memory, options), axis=-1)
        return jnp.where(winner > 0, soft, -soft), memory
    if options.rank == 1 or options.anti_hebbian == 0:
        return winner, memory
    ranked = winner
    for _ in range(min(options.rank, response.shape[-1]) - 1):
        standing = jnp.where(ranked > 0, -jnp.inf, standing)
        ranked = _highest(standing, memory.radius)
    return winner - options.anti_hebbian * ranked, memory


def published_unit(memory: Memory, options: Any) -> Array:
    """What weights must be divided by to be of the size that a published rule has them in, where it says from which it starts.

    Parameters
    ----------
    memory
        Of the node; its radius was put into the network's own units at the start.
    options
        As `HebbianOptions` has them.
    """
    starts = options.initial_deviation or options.initial_norm
    return memory.radius / options.radius if starts else jnp.ones_like(memory.radius)


def _divided_by_the_largest(population: Population, options: Any) -> tuple[Params, Memory]:
    """Sums over events, divided by the largest change of a weight in the node, as both published codes do."""
    node, weights, y, radius = population.node, population.weights, population.response, population.memory.radius
    share, memory = competition(y, population.memory, options, population.eligible)
    grown = scale_units(node, population.product(share), jnp.broadcast_to(radius**options.lebesgue, y.shape[-1:]))
    change = jax.tree.map(jnp.subtract, grown, scale_units(node, weights, per_unit(share * y)))
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(change)]))
    unit = published_unit(memory, options)
    rate = jnp.ones_like(y, shape=y.shape[-1:]) * unit / jnp.maximum(largest, 1e-30)
    if options.variant == "softhebb":
        rate = rate * jnp.sqrt(jnp.abs(unit_norms(node, weights) / radius - 1))
    return scale_units(node, change, rate), memory


def _competed(population: Population, options: Any) -> tuple[Params, Memory]:
    if options.divided_by == "largest":
        return _divided_by_the_largest(population, options)
    node, weights, y, radius = population.node, population.weights, population.response, population.memory.radius
    share, memory = competition(y, population.memory, options, population.eligible)
    amount = jnp.maximum(per_unit(jnp.abs(share)), 1.0)
    if options.variant == "competitive":
        growth, decay = radius / amount, per_unit(share * y) / radius / amount
    elif options.variant == "class_gated":
        # A unit may be a rival far more often than it wins, and what holds the norm of a winner would let a rival's grow.
        square = jnp.maximum(jnp.square(unit_norms(node, weights)), jnp.finfo(y.dtype).tiny)
        won, rival = (per_unit(part * y) for part in (jnp.maximum(share, 0), jnp.minimum(share, 0)))
        growth, decay = radius / amount, (won / radius + rival * radius / square) / amount
    else:
        distance = jnp.sqrt(jnp.abs(unit_norms(node, weights) / radius - 1))
        rate = jnp.maximum(distance, _MIN_FRACTION) / amount
        growth, decay = rate, rate * per_unit(share * y) / radius**2
    grown, decayed = scale_units(node, population.product(share), growth), scale_units(node, weights, decay)
    return jax.tree.map(jnp.subtract, grown, decayed), memory


def _bcm(population: Population, options: Any) -> tuple[Params, Memory]:
    memory, n_events = population.memory, _n_events(population.response)
    y = jax.nn.relu(population.response)
    aimed_at = options.response * memory.radius
    measured = per_unit(jnp.square(y)) / n_events / aimed_at
    threshold = memory.threshold + options.ema_rate * (measured - memory.threshold)
    # A unit that has fallen silent keeps a threshold above zero, so that the first response raises it.
    threshold = jnp.maximum(threshold, 1e-6 * memory.radius)
    change = population.product(y * (y - threshold) / threshold)
    return scale_units(population.node, change, jnp.full_like(threshold, 1 / n_events)), memory._replace(threshold=threshold)


PLASTICITY: dict[str, Callable[[Population, Any], tuple[Params, Memory]]] = {
    "competitive": _competed,
    "class_gated": _competed,
    "softhebb": _competed,
    "oja": _oja,
    "sanger": _sanger,
    "bcm": _bcm,
}
