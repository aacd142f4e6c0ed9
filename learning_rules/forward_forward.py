r"""Forward-forward: every block learns to answer strongly where image and label go together, by forward passes alone.

A pass puts a label :math:`c` into the image, :math:`x_1 = \nu(x) + p_c`; every block sees its input scaled to a root mean square of
one, :math:`x_{k+1} = \nu(\mathrm{sg}[h_k])`, where :math:`\mathrm{sg}` lets no gradient through, so that only the direction of what
a block answers reaches the next. Its goodness is :math:`g_k = \mathrm{mean}\, h_k^2`, and

.. math:: \Delta\theta_k \propto -\nabla_{\theta_k} \ell(g_k^+, g_k^-)

with :math:`+` the pass with the true label and :math:`-` one with a wrong one.

============ ================================================================= ====================================================
variant      :math:`\ell`                                                      reference
============ ================================================================= ====================================================
standard     :math:`\zeta(-\alpha (g^+ - \vartheta)) + \zeta(\alpha (g^- -     Hinton 2022, arXiv 2212.13345
             \vartheta))`, with :math:`\zeta` the softplus
symba        :math:`\zeta(-\alpha (g^+ - g^-))`                                Lee and Song 2023, arXiv 2303.08418
channel_wise :math:`-\log \mathrm{softmax}(\alpha\, g)_y` with one goodness a  Papachristodoulou et al. 2023, arXiv 2312.12668
             class, that of the class's own group of units; one pass, no label
             in the image
============ ================================================================= ====================================================

The image's class is the one whose goodness, summed over blocks, is highest. The network's last block has no goodness: it is a
readout of the neutral pass (the mean of all labels' patterns), trained by the delta rule; negative labels are drawn from its
guesses, the true one left out, so that they are hard.

Labels stand in the first pixels (Hinton) where a unit of the first block sees the whole image. Where it sees a part they are plane
waves over the whole image (Scodellaro et al. 2023, arXiv 2312.14924), since most units would never see a pixel in the corner.

Departures: the mean of squares rather than the sum; the image is scaled before the label is put in, so that a synapse, being
affine, needs the image once for all labels; in `channel_wise` the blocks are those of the network, without the paper's grouped
convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, PRNGKeyArray

from architectures import InputError, Network, Params
from architectures.activations import normalise_length
from architectures.errors import unknown_name
from learning_rules.contract import Batch, Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.losses import loss_function
from learning_rules.optimizers import adam
from learning_rules.readout import delta_rule
from learning_rules.signals import Sweep, hebbian_product, local_derivative

__all__ = ["FAMILY", "ForwardForwardOptions", "class_groups", "forward_forward", "label_patterns"]

LABELS, NEGATIVES = ("auto", "pixels", "waves"), ("hard", "uniform")


@dataclass(frozen=True)
class ForwardForwardOptions:
    """Options of forward-forward.

    Attributes:
        variant: see the table above.
        loss: of the readout, "cross_entropy" or "squared_error".
        learning_rate: Adam's, at the first step.
        weight_decay: decoupled, per unit of learning rate.
        sharpness: alpha, what differences of goodness are multiplied with.
        threshold: of the standard variant, the goodness between positive and negative.
        label: "pixels", "waves", or "auto": pixels where the first block's units see the whole image.
        label_amplitude: of the label's pixel; waves have a root mean square of an eighth of it.
        negatives: "hard" (drawn from the readout's guesses) or "uniform".
    """

    variant: str = "symba"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    sharpness: float = 20.0
    threshold: float = 1.0
    label: str = "auto"
    label_amplitude: float = 8.0
    negatives: str = "hard"


class _Labels(NamedTuple):
    """How labels go into images: `image * free + patterns[label]`; the last pattern is the neutral one."""

    patterns: Float[np.ndarray, "n_patterns height width channels"]
    free: Float[np.ndarray, "height width channels"]


def label_patterns(kind: str, shape: tuple[int, int, int], n_classes: int, amplitude: float) -> _Labels:
    """One pattern a class, and their mean, the neutral one.

    Args:
        kind: "pixels": the class's own among the first pixels, which the image gives up; "waves": a plane wave over the whole
            image, with a direction and a period of 3 to 8 pixels of the class's own.
        shape: (height, width, channels) of the encoded image.
        n_classes: number of classes.
        amplitude: of the pixel; an eighth of it is the waves' root mean square.

    Raises:
        InputError: if there are more classes than pixels.

    >>> label_patterns("pixels", (2, 2, 1), 3, 6.0).patterns[:, :, :, 0].tolist()[1:4:2]
    [[[0.0, 6.0], [0.0, 0.0]], [[2.0, 2.0], [2.0, 0.0]]]
    """
    height, width, channels = shape
    if kind == "pixels":
        if n_classes > math.prod(shape):
            raise InputError(f"{n_classes} classes were given for images of {shape}, which have fewer pixels: try label='waves'")
        patterns = amplitude * np.eye(n_classes, math.prod(shape)).reshape(n_classes, *shape)
        free = (np.arange(math.prod(shape)) >= n_classes).astype(float).reshape(shape)
    else:
        classes = np.arange(n_classes)
        # The golden ratio spreads directions evenly for any number of classes; the two sequences never repeat a pair.
        direction = np.pi * (classes * (np.sqrt(5) - 1) / 2 % 1)
        frequency = 1 / 8 + (1 / 3 - 1 / 8) * (classes + 0.5) / n_classes
        y, x = np.mgrid[:height, :width]
        along = np.cos(direction)[:, None, None] * x + np.sin(direction)[:, None, None] * y
        waves = np.cos(2 * np.pi * frequency[:, None, None] * along)
        waves *= amplitude / 8 / np.sqrt(np.mean(waves**2, axis=(1, 2), keepdims=True))
        patterns, free = np.repeat(waves[..., None], channels, axis=-1), np.ones(shape)
    return _Labels(np.concatenate([patterns, patterns.mean(0, keepdims=True)]), free)


def class_groups(n_units: int, n_classes: int) -> Float[np.ndarray, "n_units n_classes"]:
    """Which class each unit (channel) stands for; a column averages the class's group.

    >>> class_groups(3, 2).tolist()
    [[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]]
    """
    member = np.eye(n_classes)[np.arange(n_units) * n_classes // n_units]
    return member / member.sum(0)


def _goodness(h: Array) -> Float[Array, " n"]:
    return jnp.mean(jnp.square(h), axis=tuple(range(1, h.ndim)))


def _goodness_by_class(h: Array, n_classes: int) -> Float[Array, "n n_classes"]:
    strength = jnp.mean(jnp.square(h), axis=tuple(range(1, h.ndim - 1)))
    return strength @ jnp.asarray(class_groups(h.shape[-1], n_classes), h.dtype)


def _pair_loss(h: Array, options: ForwardForwardOptions) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Loss of a block whose answers to the positive passes stand before those to the negative ones."""
    positive, negative = jnp.split(_goodness(h), 2)
    report = {"goodness_positive": jnp.mean(positive), "goodness_negative": jnp.mean(negative)}
    alpha, theta = options.sharpness, options.threshold
    if options.variant == "standard":
        each = jax.nn.softplus(-alpha * (positive - theta)) + jax.nn.softplus(alpha * (negative - theta))
    else:
        each = jax.nn.softplus(-alpha * (positive - negative))
    return jnp.mean(each), report


def _class_loss(h: Array, labels: Array, n_classes: int, sharpness: float) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Loss of a block with one goodness a class."""
    goodness = _goodness_by_class(h, n_classes)
    own = jnp.take_along_axis(goodness, labels[:, None], axis=1)[:, 0]
    rest = (jnp.sum(goodness, axis=1) - own) / max(n_classes - 1, 1)
    report = {"goodness_positive": jnp.mean(own), "goodness_negative": jnp.mean(rest)}
    return loss_function("cross_entropy")(sharpness * goodness, labels), report


def _check(network: Network, options: ForwardForwardOptions) -> None:
    if options.label not in LABELS:
        raise unknown_name("way of putting labels into images", options.label, LABELS)
    if options.negatives not in NEGATIVES:
        raise unknown_name("kind of negatives", options.negatives, NEGATIVES)
    if not options.sharpness > 0:
        raise InputError(f"sharpness={options.sharpness} was given, it must be positive; try 20")
    narrow = [
        name
        for name, block in zip(network.block_names, network.chain[:-1], strict=False)
        if block.output_shape[-1] < network.n_classes
    ]
    if options.variant == "channel_wise" and narrow:
        raise InputError(
            f"'{narrow[0]}' has fewer units or channels than there are classes ({network.n_classes}), and channel_wise gives every "
            "class a group of its own: widen it, or take another variant"
        )


def _climb(network: Network, params: Sequence[Params], x: Array, first: Array) -> Sweep:
    """The hidden positions in turn, each on its input's direction; `first` is what the first one's synapses deliver."""
    inputs, synaptic, activations = [x], [first], [network.chain[0].activate(first)]
    for block, w in zip(network.chain[1:-1], params[1:-1], strict=True):
        inputs.append(normalise_length(activations[-1]))
        synaptic.append(block.synapse(w, inputs[-1]))
        activations.append(block.activate(synaptic[-1]))
    return Sweep(tuple(inputs), tuple(synaptic), tuple(activations))


def forward_forward(network: Network, options: ForwardForwardOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: unknown kinds of labels or negatives, sharpness not positive, more classes than pixels, or for `channel_wise`
            a block with fewer units or channels than classes.
    """
    _check(network, options)
    n_classes, neutral = network.n_classes, network.n_classes
    by_class = options.variant == "channel_wise"
    first, readout = network.chain[0], network.chain[-1]
    height, width, channels = first.input_shape
    sees_all = first.fan_in >= math.prod(first.input_shape)
    kind = options.label if options.label != "auto" else "pixels" if sees_all else "waves"
    embedding = label_patterns(kind, (height, width, channels), n_classes, options.label_amplitude)

    def prepare(images: Array) -> Array:
        x = normalise_length(network.encode(images))
        return x if by_class else x * jnp.asarray(embedding.free, x.dtype)

    def with_labels(w: Params, x: Array, which: Int[Array, "passes n"]) -> Array:
        """The first synapses of several passes that differ by their labels alone, (passes * n, ...)."""
        patterns = jnp.asarray(embedding.patterns, x.dtype)
        shift = first.synapse(w, patterns) - first.synapse(w, jnp.zeros_like(patterns[:1]))
        z = first.synapse(w, x) + shift[which]
        return z.reshape(-1, *z.shape[2:])

    def unlabelled(params: Sequence[Params], x: Array) -> Sweep:
        """The pass that says nothing about the class."""
        if by_class:
            return _climb(network, params, x, first.synapse(params[0], x))
        return _climb(network, params, x, with_labels(params[0], x, jnp.full((1, len(x)), neutral)))

    def draw_negatives(key: PRNGKeyArray, scores: Array, labels: Array) -> Int[Array, " n"]:
        guesses = scores if options.negatives == "hard" else jnp.zeros_like(scores)
        return jax.random.categorical(key, jnp.where(jax.nn.one_hot(labels, n_classes, dtype=bool), -jnp.inf, guesses))

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Batch) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params = network.unroll(state.params["network"])
        x = prepare(images)
        signals = unlabelled(params, x)
        h = normalise_length(signals.activations[-1])
        step = delta_rule(readout, params[-1], h, labels, options.loss)
        info: dict[str, Any] = {"loss": step.loss, "accuracy": step.accuracy}
        if by_class:
            losses = [lambda h: _class_loss(h, labels, n_classes, options.sharpness)] * len(signals.activations)
        else:
            scores = readout.apply(params[-1], h)
            info["negative_labels"] = draw_negatives(key, scores, labels)
            which = jnp.stack([labels, info["negative_labels"]])
            z, pull_first = jax.vjp(lambda w: with_labels(w, x, which), params[0])
            signals = _climb(network, params, x, z)
            losses = [lambda h: _pair_loss(h, options)] * len(signals.activations)

        asked, values, reports = [], [], []
        for position, (block, loss) in enumerate(zip(network.chain[:-1], losses, strict=True)):
            (value, report), error = jax.value_and_grad(loss, has_aux=True)(signals.activations[position])
            delta = local_derivative(block, signals.synaptic[position], error)
            if position == 0 and not by_class:
                asked.append(pull_first(delta)[0])
            else:
                asked.append(hebbian_product(block, params[position], signals.inputs[position], delta))
            values.append(value)
            reports.append(report)
        info["block_loss"] = tuple(values)
        info |= {name: tuple(report[name] for report in reports) for name in reports[0]}
        return {"network": network.tie([*asked, step.pseudo_gradient])}, state, info

    def predict(state: RuleState, images: Array) -> Array:
        params, x = network.unroll(state.params["network"]), prepare(images)
        if by_class:
            answers = unlabelled(params, x).activations
            return options.sharpness * jnp.sum(jnp.stack([_goodness_by_class(h, n_classes) for h in answers]), axis=0)

        def total_goodness(label: Array) -> Array:
            z = with_labels(params[0], x, jnp.broadcast_to(label, (1, len(x))))
            return jnp.sum(jnp.stack([_goodness(h) for h in _climb(network, params, x, z).activations]), axis=0)

        return options.sharpness * jax.lax.map(total_goodness, jnp.arange(n_classes)).T

    def represent(state: RuleState, images: Array) -> tuple[Array, ...]:
        params = network.unroll(state.params["network"])
        hidden = unlabelled(params, prepare(images)).activations
        return (*hidden, readout.apply(params[-1], normalise_length(hidden[-1])))

    return LearningRule(
        spec=spec,
        network=network,
        options=options,
        init=init,
        assign_credit=assign_credit,
        constrain=lambda params: params,
        predict=predict,
        represent=represent,
        optimizer=lambda n_steps=None: adam(options.learning_rate, n_steps, options.weight_decay),
    )


def _supports(network: Network) -> str:
    if len(network.chain) < 2:
        return "it has no hidden block, and the last one is a readout that has no goodness"
    if network.options.get("normalisation") == "length":
        return "goodness is the mean square of a block's answer, and normalisation='length' fixes it; take normalisation='none'"
    return ""


def _variant(variant: str, summary: str, citation: str, phases: int, **options: Any) -> tuple[str, Variant]:
    spec = RuleSpec(
        "forward_forward",
        variant,
        summary,
        citation,
        phases=phases,
        trained_otherwise=(("network[-1]", "delta rule"),),
        represents_by_forward_pass=False,
    )
    return variant, Variant(spec, {"variant": variant, **options})


FAMILY = Family(
    ForwardForwardOptions,
    forward_forward,
    dict(
        (
            _variant(
                "standard",
                "goodness above a threshold with the true label in the image, below it with a wrong one",
                "Hinton 2022, arXiv 2212.13345",
                phases=3,
            ),
            _variant(
                "symba",
                "more goodness with the true label in the image than with a wrong one",
                "Lee and Song 2023, arXiv 2303.08418",
                phases=3,
            ),
            _variant(
                "channel_wise",
                "groups of units, one a class, compete for goodness in every block; no label in the image",
                "Papachristodoulou et al. 2023, arXiv 2312.12668",
                phases=1,
            ),
        )
    ),
    supports=_supports,
)
