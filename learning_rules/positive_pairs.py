r"""Two views of what is the same thing: what a rule without labels learns from in place of a label.

In a network that runs in time the pair is what the network itself gives: each step and the one after it. A static network is shown
an image twice, as it is and then moved, as the eye moves over it:

.. math:: x'_{ij} = \sum_{kl} B_{ik} B'_{jl}\, x_{kl}, \qquad B_{ik} = \max(0,\, 1 - \lvert p_i - k \rvert),

linear interpolation at the places :math:`p_i = c + s\,(i - c) + t`, kept within the image: a shift :math:`t` for each axis, a scale
:math:`s` for both, mirrored or not, each image by a draw of its own. Some of its values are then silenced (masking noise, Vincent
et al. 2008, doi:10.1145/1390156.1390294); what is no image, a vector say, is changed by that alone.

Departure, for every rule that learns from this: the published ones change both views, and change colours too (Chen et al. 2020,
arXiv 2002.05709). Here the first view is the image itself, so that the readout hears in the same run what it will hear at test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from architectures import Network, Params, Trace
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import fraction
from learning_rules.objectives import Batch
from learning_rules.pooling import pooled
from learning_rules.signals import cut, exact, merge_steps

__all__ = ["PositivePairs", "ViewOptions", "check_views", "learning_nodes", "positive_pairs", "second_view"]


@dataclass(frozen=True)
class ViewOptions:
    """How the second view of an image differs from the first.

    Attributes
    ----------
    shift
        The most that it is moved along each axis, in sides of the image, from 0 to below 1.
    zoom
        The most that it is magnified or made smaller, a fraction of its size, from 0 to below 1.
    flip
        Probability that it is mirrored from left to right.
    masked
        Probability that a place of it, with all its channels, is silenced; of what is no image, a value.
    """

    shift: float = 0.1
    zoom: float = 0.1
    flip: float = 0.0
    masked: float = 0.2


class PositivePairs(NamedTuple):
    """What the nodes that learn did at two moments that belong together.

    Attributes
    ----------
    trace
        The run over the inputs as they are.
    earlier, later
        For each node, (moments, n, features): one moment for a static network, else as many as steps less one.
    counts
        1 for the pairs that count and 0 for the others, (moments, n).
    """

    trace: Trace
    earlier: tuple[Array, ...]
    later: tuple[Array, ...]
    counts: Float[Array, "moments n"]


def check_views(options: ViewOptions) -> None:
    """Check what a user has asked of the second view.

    Raises
    ------
    InputError
        If a fraction or a probability is none.
    """
    fraction(options, "shift", "zoom", "masked", with_one=False)
    fraction(options, "flip")


def learning_nodes(network: Network) -> tuple[int, ...]:
    """Numbers of the hidden nodes that have weights.

    >>> import architectures
    >>> learning_nodes(architectures.build("mlp", input_shape=(3,), n_classes=2, hidden=(4, 5)))
    (0, 1)
    """
    return tuple(index for index, node in enumerate(network.nodes[:-1]) if node.weighted)


def _places(size: int, scale: Float[Array, " n"], shift: Float[Array, " n"]) -> Float[Array, "n size"]:
    """Where along an axis each value of the view is taken from; shifts are in sides of the image."""
    centre = (size - 1) / 2
    from_centre = jnp.arange(size) - centre
    return jnp.clip(centre + scale[:, None] * from_centre + size * shift[:, None], 0, size - 1)


def _resampled(
    images: Float[Array, "n height width channels"], scale: Float[Array, "2 n"], shift: Float[Array, "2 n"]
) -> Float[Array, "n height width channels"]:
    """Linear interpolation at places that move evenly along each axis; a negative scale mirrors."""
    rows, columns = (
        jnp.maximum(1 - jnp.abs(_places(size, *along)[:, :, None] - jnp.arange(size)), 0).astype(images.dtype)
        for size, along in zip(images.shape[1:3], zip(scale, shift, strict=True), strict=True)
    )
    return jnp.einsum("nik,njl,nklc->nijc", rows, columns, images)


def _moved(key: PRNGKeyArray, images: Float[Array, "n height width channels"], options: ViewOptions) -> Array:
    n = len(images)
    key_shift, key_zoom, key_flip = jax.random.split(key, 3)
    shift = options.shift * jax.random.uniform(key_shift, (2, n), minval=-1.0)
    scale = 1 + options.zoom * jax.random.uniform(key_zoom, (n,), minval=-1.0)
    side = jnp.where(jax.random.bernoulli(key_flip, options.flip, (n,)), -1.0, 1.0)
    return _resampled(images, jnp.stack([scale, side * scale]), shift)


def second_view(key: PRNGKeyArray, inputs: Float[Array, "n ..."], options: ViewOptions) -> Float[Array, "n ..."]:
    """The same things seen a moment later.

    Parameters
    ----------
    key
        Of the draw.
    inputs
        Images (n, height, width, channels), or anything else.
    options
        How far the view may differ.

    Returns
    -------
    Array
        Of the shape of the inputs.

    >>> still = ViewOptions(shift=0.0, zoom=0.0, masked=0.0)
    >>> images = jnp.arange(8.0).reshape(1, 2, 4, 1)
    >>> bool(jnp.array_equal(second_view(jax.random.key(0), images, still), images))
    True
    """
    key_move, key_mask = jax.random.split(key)
    is_image = inputs.ndim == 4
    view = _moved(key_move, inputs, options) if is_image else inputs
    if options.masked == 0:
        return view
    places = (*inputs.shape[:-1], 1) if is_image else inputs.shape
    return jnp.where(jax.random.bernoulli(key_mask, options.masked, places), jnp.zeros((), view.dtype), view)


def _counts(batch: Batch, n_moments: int, n: int, dtype: jnp.dtype) -> Float[Array, "moments n"]:
    if batch.mask is None:
        return jnp.ones((n_moments, n), dtype)
    mask = batch.mask.astype(dtype)
    return mask[:-1] * mask[1:] if mask.ndim == 2 else jnp.broadcast_to(mask, (n_moments, n))


def positive_pairs(
    key: PRNGKeyArray, network: Network, params: tuple[Params, ...], batch: Batch, options: ViewOptions, grid: int = 1
) -> PositivePairs:
    """Run a network over two moments that belong together; no gradient crosses an edge between nodes.

    Parameters
    ----------
    key
        Of the second view.
    network
        The network.
    params
        One tree per node.
    batch
        Inputs and mask.
    options
        How the second view differs.
    grid
        Cells per axis that a map is averaged over.

    Raises
    ------
    InputError
        A network in time that is run for one step, which nothing follows.
    """
    synapses = cut(network, exact(network, params))
    trace = network.trace(params, batch.inputs, synapses)
    learning = learning_nodes(network)

    def features(h: Array) -> Array:
        seen = pooled(merge_steps(network, h), grid)
        return seen.reshape(-1, h.shape[1 if network.temporal else 0], seen.shape[-1])

    first = tuple(features(trace.outputs[index]) for index in learning)
    readout = trace.outputs[-1]
    if not network.temporal:
        view = network.trace(params, second_view(key, batch.inputs, options), synapses)
        return PositivePairs(
            trace, first, tuple(features(view.outputs[index]) for index in learning), _counts(batch, 1, len(readout), readout.dtype)
        )
    n_steps, n = readout.shape[:2]
    if n_steps < 2:
        raise InputError(
            "a sequence of one step was given to a rule that learns from each step and the one after it, expected two steps or more"
        )
    return PositivePairs(
        trace, tuple(h[:-1] for h in first), tuple(h[1:] for h in first), _counts(batch, n_steps - 1, n, readout.dtype)
    )
