r"""Forward-forward: every node learns to answer strongly where image and label go together, by forward passes alone.

Every hidden node sees its input's direction alone, scaled to a root mean square of one, with a label's pattern :math:`p_c` in it:
:math:`x_{k+1} = \nu(\mathrm{sg}[h_k]) \odot f_k + p_{c,k}`, where :math:`\mathrm{sg}` lets no gradient through, so that a node
cannot read the goodness of the one below off the size of its answer. What is handed on, :math:`\nu(h_k)`, is what a node
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
textbook     standard with :math:`g` and                            Hinton 2022
             :math:`\vartheta` summed over the units,
             :math:`\alpha = 1`
textbook\_   :math:`-g_y + \log \sum_c e^{g_c}`, one class a unit   Papachristodoulou et al. 2023
channel_wise
============ ====================================================== ===========================================================

The image's class is the one whose goodness is highest, in the last hidden node or summed over all. The network's last node
has no goodness: it is a readout of the pass that names no class (in pairs, the mean of all labels' patterns), trained by the delta
rule; negative labels are drawn from its guesses, the true one left out, so that they are hard.

Departures, but of `textbook`: the mean of squares rather than the sum; in pairs, every node gets the label, the first from the
image and the others beside what comes from below (`labelled`), and all or the last of them vote rather than all but the first. Of
all: the image is scaled before the label is put in, so that a synapse, being affine, needs the image once for all labels; the
readout, whose guesses make the negatives, hears the last hidden node alone. Of `textbook_channel_wise`: directions rather than
batch normalisation between nodes, and all nodes at once rather than one after the other. In `channel_wise`, goodness competes by
its logarithm, and a unit stands for half of the classes, in maps for others in each of 4 by 4 cells, rather than for one: nodes of
so few channels, without the paper's grouped convolutions and pooling, else fall silent for nine classes of ten and leave the node
above nothing to see (`group_fraction=0` gives each unit one class).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, PRNGKeyArray

from architectures import INPUT, Crossing, Network, Node, Params, Trace
from architectures.activations import normalise_length
from architectures.node import is_shape
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import fraction, one_of, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.forward_forward_goodness import class_loss, class_votes, enough_groups, goodness, pair_loss
from learning_rules.forward_forward_labels import LABELS, LabelPatterns, patterns_for
from learning_rules.needs import Needs
from learning_rules.objectives import CLASSES, Objective, as_batch
from learning_rules.optimizers import adam
from learning_rules.readout import readout_step
from learning_rules.signals import cut

__all__ = ["FAMILY", "ForwardForwardOptions", "forward_forward"]

NEGATIVES, VOTERS, LABELLED = ("hard", "uniform"), ("all", "last", "above_first"), ("every", "image")
GOODNESS, COMPETITION = ("mean", "sum"), ("logarithm", "goodness")


@dataclass(frozen=True)
class ForwardForwardOptions:
    """Options of forward-forward.

    Attributes
    ----------
    variant
        See the table above.
    loss
        Of the readout, "cross_entropy" or "squared_error".
    learning_rate
        Adam's, at the first step.
    weight_decay
        Decoupled, per unit of learning rate.
    sharpness
        alpha, what differences of goodness are multiplied with.
    threshold
        Of the standard variant, the goodness between positive and negative.
    label
        How it is put into the image, "pixels", "channels", "waves", or "auto": what suits the node, as always further up.
    label_amplitude
        Of the label's pixel; its channel has a quarter of it, a wave a root mean square of an eighth.
    negatives
        "hard" (drawn from the readout's guesses) or "uniform".
    group_fraction
        Of `channel_wise`, the fraction of the classes for which one unit stands; 0 is one class each, as published.
    voters
        Whose goodness says the class: "all" hidden nodes, the "last" of them, or all "above_first" (a single one votes).
    labelled
        In pairs, who gets the label: "every" node, or those alone that hear the "image".
    goodness
        In pairs, the "mean" of squares over a node's units, or their "sum", with a threshold as many times as large.
    competition
        Of `channel_wise`, by the goodness's "logarithm" or by "goodness" itself.
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
    group_fraction: float = 0.5
    voters: str = "last"
    labelled: str = "every"
    goodness: str = "mean"
    competition: str = "logarithm"


def _learners(network: Network) -> list[int]:
    """Numbers of the hidden nodes that have weights, and so a goodness."""
    return [index for index, node in enumerate(network.nodes[:-1]) if node.weighted]


def _check(network: Network, options: ForwardForwardOptions) -> None:
    one_of(options, "label", LABELS)
    one_of(options, "negatives", NEGATIVES)
    one_of(options, "voters", VOTERS)
    one_of(options, "labelled", LABELLED)
    one_of(options, "goodness", GOODNESS)
    one_of(options, "competition", COMPETITION)
    positive(options, "sharpness", "threshold", "label_amplitude")
    fraction(options, "group_fraction", with_one=False)
    if options.variant != "channel_wise":
        return
    for index in _learners(network):
        node = network.nodes[index]
        if not enough_groups(node.output_shape, network.n_classes, options.group_fraction):
            raise InputError(
                f"'{node.name}' has too few units to stand for {network.n_classes} classes, and channel_wise gives every class "
                "some: widen it, raise group_fraction, or take another variant"
            )


class _Passes:
    """Runs of a network in which every hidden node hears its inputs' directions alone, with labels in them or without."""

    def __init__(self, network: Network, options: ForwardForwardOptions):
        self.network = network
        self.patterns: dict[int, tuple[LabelPatterns, ...]] = {}
        if options.variant == "channel_wise":
            return
        for index in _learners(network):
            # A label is put into an image as the option says, and further up in the way that suits the node.
            above = "auto" if options.labelled == "every" else "none"
            kinds = [options.label if edge.source == INPUT else above for edge in network.weighted_edges(index)]
            if set(kinds) == {"none"}:
                continue
            node = network.nodes[index]
            self.patterns[index] = tuple(
                patterns_for(node, edge, kind, network.n_classes, options.label_amplitude) for edge, kind in enumerate(kinds)
            )

    def _with_labels(self, index: int, inputs: tuple[Array, ...], labels: Int[Array, " n_or_one"]) -> tuple[Array, ...]:
        each = zip(inputs, self.patterns[index], strict=True)
        return tuple(x * jnp.asarray(p.free, x.dtype) + jnp.asarray(p.patterns, x.dtype)[labels] for x, p in each)

    def _of_images(self, index: int, own: Params, inputs: tuple[Array, ...], labels: Int[Array, "passes n_or_one"]) -> Any:
        """Pre-activations in several passes that differ by their labels alone, (passes * n, ...).

        Since synapses are affine, they need the images once for all labels.
        """
        node, n_classes = self.network.nodes[index], self.network.n_classes
        shapes = [(n_classes + 1, *shape) for shape in node.input_shapes]
        patterns = tuple(
            jnp.broadcast_to(jnp.asarray(p.patterns, x.dtype), shape)
            for p, x, shape in zip(self.patterns[index], inputs, shapes, strict=True)
        )
        free = tuple(x * jnp.asarray(p.free, x.dtype) for p, x in zip(self.patterns[index], inputs, strict=True))
        at_rest = node.synapse(own, tuple(jnp.zeros_like(each[:1]) for each in patterns))

        def together(z: Array, with_pattern: Array, without: Array) -> Array:
            # A product rather than rows by label: weights change through it, and taking rows apart again is slow.
            shift = jnp.tensordot(jax.nn.one_hot(labels, n_classes + 1, dtype=z.dtype), with_pattern - without, axes=1)
            summed = z + shift
            return summed.reshape(-1, *summed.shape[2:])

        return jax.tree.map(together, node.synapse(own, free), node.synapse(own, patterns), at_rest)

    def run(self, params: Sequence[Params], x: Array, labels: Int[Array, "passes n_or_one"] | None = None) -> Trace:
        """Run the network on encoded inputs of a root mean square of one; the readout hears the hidden nodes' directions.

        Parameters
        ----------
        params
            One tree per node.
        x
            Inputs, (n, ...).
        labels
            Which pattern each example has in it in each pass (or one for all); None for one pass without any.
        """
        network = self.network
        n_passes = 1 if labels is None else len(labels)
        learners = _learners(network)

        def repeated(signal: Array) -> Array:
            return signal if n_passes == 1 or len(signal) != len(x) else jnp.concatenate([signal] * n_passes)

        def at(index: int, node: Node, own: Params) -> Crossing:
            def synapse(inputs: tuple[Array, ...]) -> Any:
                if labels is None or index not in self.patterns:
                    return node.synapse(own, tuple(map(repeated, inputs)))
                if all(edge.source == INPUT for edge in network.weighted_edges(index)):
                    return self._of_images(index, own, inputs, labels)
                return node.synapse(own, self._with_labels(index, tuple(map(repeated, inputs)), labels.ravel()))

            output = normalise_length if index in learners else (lambda h: h)
            return Crossing(synapse, lambda skips: tuple(map(repeated, skips)), output)

        crossings = [at(index, node, own) for index, (node, own) in enumerate(zip(network.nodes, params, strict=True))]
        return network.trace(params, x, cut(network, crossings), encoded=True)


def forward_forward(network: Network, options: ForwardForwardOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        Unknown kinds of labels, negatives or voters, sharpness or group_fraction out of range, more classes than inputs of a node,
        or for `channel_wise` a node too narrow to stand for all classes.
    """
    _check(network, options)
    n_classes = network.n_classes
    by_class = options.variant == "channel_wise"
    learners, passes = _learners(network), _Passes(network, options)
    voters = {"last": learners[-1:], "above_first": learners[1:] or learners}.get(options.voters, learners)
    # A sum over units is so many times their mean; a threshold of one for each is as many times as large.
    sharpness = {
        index: options.sharpness * (math.prod(network.nodes[index].output_shape) if options.goodness == "sum" else 1)
        for index in learners
    }
    by_logarithm = options.competition == "logarithm"
    threshold = options.threshold if options.variant == "standard" else None
    neutral = None if by_class else jnp.full((1, 1), n_classes)

    def prepare(inputs: Array) -> Array:
        return normalise_length(network.encode(inputs))

    def draw_negatives(key: PRNGKeyArray, scores: Array, labels: Array) -> Int[Array, " n"]:
        guesses = scores if options.negatives == "hard" else jnp.zeros_like(scores)
        return jax.random.categorical(key, jnp.where(jax.nn.one_hot(labels, n_classes, dtype=bool), -jnp.inf, guesses))

    def init(key: PRNGKeyArray) -> RuleState:
        return RuleState({"network": network.init(key)}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch, params = as_batch(batch), state.params["network"]
        x, labels = prepare(batch.inputs), batch.targets
        unlabelled = passes.run(params, x, neutral)
        step = readout_step(network, params[-1], unlabelled, batch, objective)
        info: dict[str, Any] = dict(step.metrics)
        node_loss: Callable[..., Any]
        if by_class:
            which, node_loss = (
                None,
                partial(
                    class_loss,
                    labels=labels,
                    n_classes=n_classes,
                    fraction=options.group_fraction,
                    mask=batch.mask,
                    by_logarithm=by_logarithm,
                ),
            )
        else:
            info["negative_labels"] = draw_negatives(key, step.outputs, labels)
            which = jnp.stack([labels, info["negative_labels"]])
            node_loss = partial(pair_loss, threshold=threshold, mask=batch.mask)

        def total(params: tuple[Params, ...]) -> tuple[Array, Any]:
            outputs = passes.run(params, x, which).outputs
            values, reports = zip(*(node_loss(outputs[index], sharpness=sharpness[index]) for index in learners), strict=True)
            return sum(values), (values, reports)

        updates, (info["node_loss"], reports) = jax.grad(total, has_aux=True)(params)
        info |= {name: tuple(report[name] for report in reports) for name in reports[0]}
        return {"network": (*updates[:-1], step.updates)}, state, info

    def predict(state: RuleState, inputs: Array) -> Array:
        params, x = state.params["network"], prepare(inputs)
        if by_class:
            outputs = passes.run(params, x).outputs
            votes = [class_votes(outputs[index], n_classes, options.group_fraction, by_logarithm) for index in voters]
            return options.sharpness * jnp.sum(jnp.stack(votes), axis=0)

        def vote(label: Array) -> Array:
            outputs = passes.run(params, x, label.reshape(1, 1)).outputs
            return jnp.sum(jnp.stack([sharpness[index] * goodness(outputs[index]) for index in voters]), axis=0)

        return jax.lax.map(vote, jnp.arange(n_classes)).T

    def represent(state: RuleState, inputs: Array) -> tuple[Array, ...]:
        outputs = passes.run(state.params["network"], prepare(inputs), neutral).outputs
        return tuple(normalise_length(h) if index in learners else h for index, h in enumerate(outputs))

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
        objective=objective,
    )


def _supports(network: Network) -> str:
    for index in _learners(network):
        node = network.nodes[index]
        z = jax.tree.map(lambda shape: jax.random.normal(jax.random.key(0), (1, *shape)), node.z_shape, is_leaf=is_shape)
        skips = tuple(jnp.zeros((1, *node.output_shape)) for edge in network.edges[index] if edge.skip)
        once, twice = (
            goodness(node.activate(node.init_state(1, jnp.float32), jax.tree.map(lambda leaf, f=factor: f * leaf, z), skips)[1])
            for factor in (1.0, 2.0)
        )
        if float(once[0]) > 0 and abs(float(twice[0] / once[0]) - 1) < 1e-3:
            return (
                f"goodness is the mean square of a node's answer, and '{node.name}' normalises it to one length; take "
                "normalisation='none'"
            )
    return ""


def _variant(name: str, summary: str, citation: str, phases: int, **options: Any) -> tuple[str, Variant]:
    spec = RuleSpec(
        "forward_forward",
        name,
        summary,
        citation,
        phases=phases,
        trained_otherwise=(("network[-1]", "delta rule"),),
        represents_by_forward_pass=False,
    )
    return name, Variant(spec, {"variant": name, **options})


# Rates, sharpness, decay and voters: from a search on validation images of Fashion-MNIST, four epochs of 20,000, both networks.
# With classes, rates between 0.001 and 0.004 are alike; in ten epochs of all images a sharpness of 10 gains 0.2 points on the dense
# network and loses 0.9 on the convolutional one. With pairs, faster rates silence a dense layer above convolutions.
_PAIRS = {"learning_rate": 1e-3, "weight_decay": 0.0}
FAMILY = Family(
    ForwardForwardOptions,
    forward_forward,
    dict(
        (
            _variant(
                "channel_wise",
                "groups of units, overlapping, stand for classes and compete for goodness in every node; no label in the image",
                "Papachristodoulou et al. 2023, arXiv 2312.12668",
                phases=1,
            ),
            _variant(
                "symba",
                "more goodness with the true label in every node's input than with a wrong one",
                "Lee and Song 2023, arXiv 2303.08418",
                phases=3,
                **_PAIRS,
            ),
            _variant(
                "standard",
                "goodness above a threshold with the true label in every node's input, below it with a wrong one",
                "Hinton 2022, arXiv 2212.13345",
                phases=3,
                **_PAIRS,
            ),
            _variant(
                "textbook",
                "the standard kind as published: the sum of squares against a threshold of one a unit, the label in the image "
                "alone, and all nodes above the first vote",
                "Hinton 2022, arXiv 2212.13345",
                phases=3,
                variant="standard",
                goodness="sum",
                sharpness=1.0,
                labelled="image",
                label_amplitude=3.0,  # the white of a standardised image
                voters="above_first",
                **_PAIRS,
            ),
            _variant(
                "textbook_channel_wise",
                "classes compete by the softmax of goodness, each with units of its own, and all nodes vote",
                "Papachristodoulou et al. 2023, arXiv 2312.12668",
                phases=1,
                variant="channel_wise",
                competition="goodness",
                sharpness=1.0,
                group_fraction=0.0,
                voters="all",
                learning_rate=1e-2,
                weight_decay=0.0,
            ),
        )
    ),
    supports=_supports,
    needs=Needs(static=True, hidden=True, targets=(CLASSES,), per_step=False),
)
