r"""Forward-forward: every block learns to answer strongly where image and label go together, by forward passes alone.

Every block sees its input's direction alone, scaled to a root mean square of one, with a label's pattern :math:`p_c` in it:
:math:`x_{k+1} = \nu(\mathrm{sg}[h_k]) \odot f_k + p_{c,k}`, where :math:`\mathrm{sg}` lets no gradient through, so that a block
cannot read the goodness of the one below off the size of its answer. What is handed on, :math:`\nu(h_k)`, is what a block
is said to represent. Its own goodness is :math:`g_k = \mathrm{mean}\, h_k^2`, and

.. math:: \Delta\theta_k \propto -\nabla_{\theta_k} \ell(g_k^+, g_k^-)

with :math:`+` the pass with the true label and :math:`-` one with a wrong one. `channel_wise` takes one pass without a label, in
which every class has a goodness :math:`g_{k,c}`, the mean over the units that stand for it.

============ ====================================================== ===========================================================
variant      :math:`\ell`                                           reference
============ ====================================================== ===========================================================
channel_wise :math:`-\alpha \log g_y + \log \sum_c g_c^\alpha`      Papachristodoulou et al. 2023, arXiv 2312.12668
symba        :math:`\zeta(-\alpha (g^+ - g^-))`, with               Lee and Song 2023, arXiv 2303.08418
             :math:`\zeta` the softplus
standard     :math:`\zeta(-\alpha (g^+ - \vartheta)) +              Hinton 2022, arXiv 2212.13345
             \zeta(\alpha (g^- - \vartheta))`
============ ====================================================== ===========================================================

The image's class is the one whose goodness is highest, in the last hidden block or summed over all. The network's last block
has no goodness: it is a readout of the pass that names no class (in pairs, the mean of all labels' patterns), trained by the delta
rule; negative labels are drawn from its guesses, the true one left out, so that they are hard.

Departures: the mean of squares rather than the sum. In pairs, every block gets the label, the first from the image and the others
beside what comes from below; the image is scaled before the label is put in, so that a synapse, being affine, needs the image once
for all labels. In `channel_wise`, goodness competes by its logarithm, and a unit stands for half of the classes, in maps for others
in each of 4 by 4 cells, rather than for one: blocks of so few channels, without the paper's grouped convolutions and pooling, else
fall silent for nine classes of ten and leave the block above nothing to see (`group_share=0` gives each unit one class).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, PRNGKeyArray

from architectures import InputError, Network, Params
from architectures.activations import normalise_length
from bioplausible.foundation.errors import unknown_name
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.forward_forward_goodness import class_loss, enough_groups, goodness, log_goodness_by_class, pair_loss
from learning_rules.forward_forward_labels import LABELS, LabelPatterns, patterns_for
from learning_rules.optimizers import adam
from learning_rules.readout import delta_rule
from learning_rules.signals import Sweep, hebbian_product, local_derivative

__all__ = ["FAMILY", "ForwardForwardOptions", "forward_forward"]

NEGATIVES, VOTERS = ("hard", "uniform"), ("all", "last")


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
        label: how it is put into the image, "pixels", "channels", "waves", or "auto": what suits the block, as always further up.
        label_amplitude: of the label's pixel; its channel has a quarter of it, a wave a root mean square of an eighth.
        negatives: "hard" (drawn from the readout's guesses) or "uniform".
        group_share: of `channel_wise`, the share of the classes for which one unit stands; 0 is one class each, as published.
        voters: whose goodness says the class: "all" hidden blocks, or the "last" of them.
    """

    variant: str = "channel_wise"
    loss: str = "cross_entropy"
    learning_rate: float = 2e-3
    weight_decay: float = 0.3
    sharpness: float = 20.0
    threshold: float = 1.0
    label: str = "auto"
    label_amplitude: float = 8.0
    negatives: str = "hard"
    group_share: float = 0.5
    voters: str = "last"


def _check(network: Network, options: ForwardForwardOptions) -> None:
    if options.label not in LABELS:
        raise unknown_name("way of putting labels in", options.label, LABELS)
    if options.negatives not in NEGATIVES:
        raise unknown_name("kind of negatives", options.negatives, NEGATIVES)
    if options.voters not in VOTERS:
        raise unknown_name("choice of voters", options.voters, VOTERS)
    if not options.sharpness > 0:
        raise InputError(f"sharpness={options.sharpness} was given, it must be positive; try 20")
    if not 0 <= options.group_share < 1:
        raise InputError(f"group_share={options.group_share} was given, expected 0 or more and less than 1; try 0.5")
    if options.variant != "channel_wise":
        return
    for name, block in zip(network.block_names, network.chain[:-1], strict=False):
        if not enough_groups(block.output_shape, network.n_classes, options.group_share):
            raise InputError(
                f"'{name}' has too few units to stand for {network.n_classes} classes, and channel_wise gives every class some: "
                "widen it, raise group_share, or take another variant"
            )


class _Pass(NamedTuple):
    """Which label each example of a pass has in it (or one for all), and the patterns in each hidden position's input."""

    labels: Int[Array, " n_or_one"]
    patterns: Sequence[LabelPatterns]

    def into(self, position: int, x: Array) -> Array:
        """What a position sees of a signal that has a root mean square of one."""
        patterns, free = self.patterns[position]
        return x * jnp.asarray(free, x.dtype) + jnp.asarray(patterns, x.dtype)[self.labels]


def _climb(network: Network, params: Sequence[Params], first: Array, x: Array, which: _Pass | None) -> Sweep:
    """The hidden positions in turn, each on its input's direction; `first` is what the first one's synapses deliver."""
    inputs, synaptic, activations = [x], [first], [network.chain[0].activate(first)]
    for position, (block, w) in enumerate(zip(network.chain[1:-1], params[1:-1], strict=True), start=1):
        x = normalise_length(activations[-1])
        inputs.append(x if which is None else which.into(position, x))
        synaptic.append(block.synapse(w, inputs[-1]))
        activations.append(block.activate(synaptic[-1]))
    return Sweep(tuple(inputs), tuple(synaptic), tuple(activations))


def forward_forward(network: Network, options: ForwardForwardOptions, spec: RuleSpec) -> LearningRule:
    """Build the rule for a network.

    Raises:
        InputError: unknown kinds of labels, negatives or voters, sharpness or group_share out of range, more classes than inputs
            of a block, or for `channel_wise` a block too narrow to stand for all classes.
    """
    _check(network, options)
    n_classes, neutral = network.n_classes, network.n_classes
    by_class = options.variant == "channel_wise"
    first, readout = network.chain[0], network.chain[-1]
    hidden = network.chain[:-1]
    voters = slice(-1 if options.voters == "last" else None, None)
    threshold = options.threshold if options.variant == "standard" else None
    kinds = (options.label, *["auto"] * (len(hidden) - 1))
    labelled = [
        patterns_for(block, kind, n_classes, options.label_amplitude)
        for block, kind in zip(hidden, kinds, strict=True)
        if not by_class
    ]

    def prepare(images: Array) -> Array:
        x = normalise_length(network.encode(images))
        return x if by_class else x * jnp.asarray(labelled[0].free, x.dtype)

    def first_synapses(w: Params, x: Array, labels: Int[Array, "passes n_or_one"]) -> Array:
        """What the first synapses deliver in several passes that differ by their labels alone, (passes * n, ...).

        Since they are affine, they need the images once for all labels.
        """
        patterns = jnp.broadcast_to(jnp.asarray(labelled[0].patterns, x.dtype), (n_classes + 1, *first.input_shape))
        shift = first.synapse(w, patterns) - first.synapse(w, jnp.zeros_like(patterns[:1]))
        # A product rather than `shift[labels]`: weights change through it, and taking rows apart again is slow.
        z = first.synapse(w, x) + jnp.tensordot(jax.nn.one_hot(labels, n_classes + 1, dtype=x.dtype), shift, axes=1)
        return z.reshape(-1, *z.shape[2:])

    def climb(params: Sequence[Params], x: Array, z: Array, labels: Array) -> Sweep:
        return _climb(network, params, z, x, _Pass(labels.ravel(), labelled))

    def unlabelled(params: Sequence[Params], x: Array) -> Sweep:
        """The pass that says nothing about the class."""
        if by_class:
            return _climb(network, params, first.synapse(params[0], x), x, None)
        labels = jnp.full((1, 1), neutral)
        return climb(params, x, first_synapses(params[0], x, labels), labels)

    def draw_negatives(key: PRNGKeyArray, scores: Array, labels: Array) -> Int[Array, " n"]:
        guesses = scores if options.negatives == "hard" else jnp.zeros_like(scores)
        return jax.random.categorical(key, jnp.where(jax.nn.one_hot(labels, n_classes, dtype=bool), -jnp.inf, guesses))

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        images, labels = batch
        params = network.unroll(state.params["network"])
        x = prepare(images)
        signals = unlabelled(params, x)
        h = normalise_length(signals.activations[-1])
        step = delta_rule(readout, params[-1], h, labels, options.loss)
        info: dict[str, Any] = {"loss": step.loss, "accuracy": step.accuracy}
        if by_class:
            block_loss = partial(
                class_loss, labels=labels, n_classes=n_classes, share=options.group_share, sharpness=options.sharpness
            )
        else:
            info["negative_labels"] = draw_negatives(key, readout.apply(params[-1], h), labels)
            which = jnp.stack([labels, info["negative_labels"]])
            z, pull_first = jax.vjp(lambda w: first_synapses(w, x, which), params[0])
            signals = climb(params, x, z, which)
            block_loss = partial(pair_loss, sharpness=options.sharpness, threshold=threshold)

        asked, values, reports = [], [], []
        for position, block in enumerate(hidden):
            (value, report), error = jax.value_and_grad(block_loss, has_aux=True)(signals.activations[position])
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
            votes = [log_goodness_by_class(h, n_classes, options.group_share) for h in unlabelled(params, x).activations[voters]]
            return options.sharpness * jnp.sum(jnp.stack(votes), axis=0)

        def vote(label: Array) -> Array:
            labels = label.reshape(1, 1)
            answers = climb(params, x, first_synapses(params[0], x, labels), labels).activations
            return jnp.sum(jnp.stack([goodness(h) for h in answers[voters]]), axis=0)

        return options.sharpness * jax.lax.map(vote, jnp.arange(n_classes)).T

    def represent(state: RuleState, images: Array) -> tuple[Array, ...]:
        params = network.unroll(state.params["network"])
        passed_on = [normalise_length(h) for h in unlabelled(params, prepare(images)).activations]
        return (*passed_on, readout.apply(params[-1], passed_on[-1]))

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


# Rates, sharpness, decay and voters: from a search on validation images of Fashion-MNIST, four epochs of 20,000, both networks.
# With classes, rates between 0.001 and 0.004 are alike; in ten epochs of all images a sharpness of 10 gains 0.2 points on the dense
# network and loses 0.9 on the convolutional one. With pairs, faster rates silence a dense block above convolutions.
_PAIRS = {"learning_rate": 1e-3, "weight_decay": 0.0}
FAMILY = Family(
    ForwardForwardOptions,
    forward_forward,
    dict(
        (
            _variant(
                "channel_wise",
                "groups of units, overlapping, stand for classes and compete for goodness in every block; no label in the image",
                "Papachristodoulou et al. 2023, arXiv 2312.12668",
                phases=1,
            ),
            _variant(
                "symba",
                "more goodness with the true label in every block's input than with a wrong one",
                "Lee and Song 2023, arXiv 2303.08418",
                phases=3,
                **_PAIRS,
            ),
            _variant(
                "standard",
                "goodness above a threshold with the true label in every block's input, below it with a wrong one",
                "Hinton 2022, arXiv 2212.13345",
                phases=3,
                **_PAIRS,
            ),
        )
    ),
    supports=_supports,
)
