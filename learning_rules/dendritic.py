r"""Dendritic localized learning: every unit is a pyramidal neuron that finds its error between its own two dendrites.

The basal dendrite is driven from below, :math:`z_k = S_{W_k}(u_{k-1})`, :math:`u_k = a_k(z_k)`. The apical dendrite receives from
above, through weights :math:`\Theta` of its own, the value :math:`x_k` that is expected of the unit. The soma compares them,

.. math:: \xi_k = x_k - u_k, \qquad
    \dot x_k = -\xi_k + S_{\Theta_{k+1}}^\top \delta_{k+1}, \qquad \delta_{k+1} = a_{k+1}'(z_{k+1}) \odot \xi_{k+1},

so that at rest the local error is :math:`\xi_k = S_{\Theta_{k+1}}^\top \delta_{k+1}`, which is what is computed here, at once. At
the scores :math:`\xi_L = -\partial \ell / \partial u_L`. Both dendrites learn at the same time, from what is at their own synapses:

.. math:: \Delta W_k \propto \langle u_{k-1}, \delta_k \rangle

=========== ==================================================== ========================================================
variant     :math:`\Delta \Theta_{k+1}`                          goes down
=========== ==================================================== ========================================================
aligned     :math:`\langle u_k, \delta_{k+1} \rangle`            :math:`-\langle u_k, \xi_k \rangle` with decay: the apical
                                                                 signal grows along what the soma does. It is the change of
                                                                 :math:`W_{k+1}` itself, found at another synapse; with the
                                                                 same decay on both, the two meet
noise       :math:`\langle \epsilon_k, S_{W_{k+1}} \epsilon_k    :math:`\tfrac12 \lVert S_{\Theta_{k+1}} \rVert^2 -
            \rangle - \nabla \tfrac12 \lVert S_{\Theta_{k+1}}    \langle \epsilon_k, S_{\Theta_{k+1}}^\top S_{W_{k+1}}
            \rVert^2`                                            \epsilon_k \rangle`: somata fluctuate by :math:`\epsilon_k`
                                                                 around :math:`u_k`, and what the nodes above make of it
                                                                 is their forward weights, on average
local_error :math:`-\langle \xi_k, \delta_{k+1} \rangle`         :math:`\tfrac12 \lVert \xi_k \rVert^2`, as published
textbook    as local_error                                       as local_error, from unit variance; tanh, smoothed labels,
                                                                 bounded errors, plain Adam at their rates
=========== ==================================================== ========================================================

Lv et al. 2025, arXiv 2501.09976: three compartments, errors within the neuron, :math:`W` and :math:`\Theta` learned at once, no
weight transport. They report with `local_error`'s rule, on test images of Fashion-MNIST, 87.5 (dense) and 90.9 (convolutional),
and 97.6 and 98.9 on MNIST.

`textbook` is the rule as they write it, in the sizes and rates of their public code
(github.com/Lvchangze/Dendritic-Localized-Learning, 4251cef): :math:`\Theta` of unit variance, :math:`\xi` of an example bounded by
50, labels smoothed, Adam at 1e-4 on batches of 64, a tenth of that for :math:`\Theta`. Their dense code does other things than the
text, which are not done here: it never moves :math:`\Theta` (the step is asked of layers whose class has "Dendritic" in its name,
and `DLL_FCLayer` has not), so that what it measures on dense networks is feedback alignment with a fixed :math:`\Theta`, to which
`apical_rate` near nought comes close; its step for :math:`\Theta` has the other sign; the last layer's softmax stands before its
weights, with a derivative of one; errors are bounded after the derivative of the activation. Nor are taken over what is the
network's (initial weights of deviation .05, no biases, tanh of the pixels), a bound on summed weight changes that Adam all but
undoes, and a rate that falls in a straight line (half a cosine here).

Departures: the first two variants are not theirs. Their rule for :math:`\Theta` (equation 9) makes errors smaller, and nothing in
it turns :math:`\Theta` towards :math:`W`. That noise within neurons can do so while they work, as a second carrier of information
beside the signal, is from Max et al. 2022, arXiv 2212.10249, in continuous time with a high-pass filter; here the two time scales
are taken to lie apart, so that the fast part of the answer is the answer to the noise alone and the slow part is free of it: the
correlation that Akrout et al. 2019 (arXiv 1904.05391) reserve a second phase for. The product in `aligned` is Kolen and Pollack's
(1994, doi:10.1109/ICNN.1994.374486): given the same :math:`\Theta` both ask for the same. In all variants expected values are taken
at rest, not iterated, which makes the basal update the gradient `through` the apical weights, over skips and back in time: feedback
alignment with a learned :math:`B`. But in `textbook`, errors are not bounded, and :math:`\Theta` starts at `apical_gain` times the
size of the forward weights, not at unit variance, at which errors grow from layer to layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray

from architectures import Crossing, Network, Node, Params
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import at_least, positive
from learning_rules.contract import Family, LearningRule, RuleSpec, RuleState, Variant
from learning_rules.feedback_weights import completed, feedback_angles, without_bias
from learning_rules.feedforward import feedforward_rule
from learning_rules.noise import signs
from learning_rules.objectives import Batch, Objective, as_batch
from learning_rules.optimizers import adam, per_part
from learning_rules.signals import hebbian_product, merge_steps, perturbed, project_back, shifted, silence, through

__all__ = ["FAMILY", "DendriticOptions", "Fluctuation", "dendritic", "fluctuate"]


@dataclass(frozen=True)
class DendriticOptions:
    """Options of dendritic localized learning.

    Attributes
    ----------
    variant
        See the table above.
    loss
        One of `OBJECTIVES`.
    learning_rate
        Adam's, of the basal (forward) weights, at the first step.
    weight_decay
        Decoupled, per unit of learning rate, of both dendrites. The variant "aligned" needs it: it is what makes the difference
        between them vanish.
    apical_rate
        Rate of the apical weights, in units of `learning_rate`. The variant "aligned" aligns fully at 1 alone.
    apical_gain
        Factor on the initial size of the apical weights.
    apical_spread
        Standard deviation of initial apical weights, in the place of `apical_gain` times the size of the forward ones; 0 for that.
    bound
        Largest error of a unit for one example, beyond which it is cut; 0 for none.
    apical_examples
        Examples of a batch that apical weights learn from, at most, in the variants "noise" and "local_error".
    """

    variant: str = "aligned"
    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    apical_rate: float = 1.0
    apical_gain: float = 1.0
    apical_spread: float = 0.0
    bound: float = 0.0
    apical_examples: int = 32


class Fluctuation(NamedTuple):
    """What one node sees of the somata that it hears beside their mean.

    Attributes
    ----------
    noise
        Signs, (m, *input_shape) for each weighted edge.
    answer
        What its synapses make of them, a tree like its pre-activations.
    """

    noise: tuple[Array, ...]
    answer: Any


def fluctuate(
    network: Network, params: Sequence[Params], key: PRNGKeyArray, n_examples: int, dtype: DTypeLike
) -> tuple[Fluctuation | None, ...]:
    """Fluctuations of the somata that each node hears, of unit size, and its answers to them; None for a node that hears none.

    Synapses are linear: answers to signal and fluctuation add up, and what is fast of them is the answer to the fluctuation.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.
    key
        Of the fluctuations.
    n_examples
        Their number.
    dtype
        Of the noise.
    """

    def of_node(index: int, node: Node, own: Params) -> Fluctuation | None:
        if not network.hears_nodes(index):
            return None
        node_key = jax.random.fold_in(key, index)
        keys = [node_key] if len(node.input_shapes) == 1 else list(jax.random.split(node_key, len(node.input_shapes)))
        noise = tuple(signs(k, (n_examples, *shape), dtype) for k, shape in zip(keys, node.input_shapes, strict=True))
        at_rest = node.synapse(own, tuple(jnp.zeros_like(each[:1]) for each in noise))
        return Fluctuation(noise, jax.tree.map(jnp.subtract, node.synapse(own, noise), at_rest))

    return tuple(of_node(index, node, own) for index, (node, own) in enumerate(zip(network.nodes, params, strict=True)))


def _follow_noise(node: Node, params: Params, theta: Params, seen: Fluctuation) -> tuple[Params, Array]:
    """What apical weights are asked for where they follow the correlation of soma and answer, and the loss that they go down."""
    n = len(seen.noise[0])
    correlation = without_bias(node, hebbian_product(node, params, seen.noise, jax.tree.map(lambda z: z / n, seen.answer)))
    once = tuple(jnp.ones_like(each[:1]) for each in seen.noise)
    uses = without_bias(node, hebbian_product(node, params, once, jax.tree.map(lambda z: jnp.ones_like(z[:1]), seen.answer)))
    updates = jax.tree.map(lambda t, n, c: n * t - c, theta, uses, correlation)
    terms = jax.tree.map(lambda t, n, c: jnp.sum(t * (0.5 * n * t - c)), theta, uses, correlation)
    return updates, sum(jax.tree.leaves(terms), start=jnp.zeros(()))


class _Errors(NamedTuple):
    """What one run tells: basal updates, every node's inputs, its error at the pre-activations and at what it passes on."""

    updates: tuple[Params, ...]
    readout: Array
    inputs: tuple[tuple[Array, ...], ...]
    at_z: tuple[Any, ...]
    at_outputs: tuple[Array, ...]


@jax.custom_vjp
def _bounded(h: Array, bound: Array) -> Array:
    """A value as it is, whose error comes back cut at a bound."""
    return h


_bounded.defvjp(lambda h, bound: (h, bound), lambda bound, error: (jnp.clip(error, -bound, bound), jnp.zeros_like(bound)))


def _bounded_at(crossing: Crossing, bound: Array) -> Crossing:
    return crossing._replace(output=lambda h: _bounded(crossing.output(h), bound))


def _errors(
    network: Network,
    params: tuple[Params, ...],
    onto: Sequence[Params | None],
    batch: Batch,
    objective: Objective,
    bound: float,
) -> _Errors:
    """The gradient of the loss through the apical weights, with respect to weights, pre-activations and outputs.

    `bound` is of one example's errors; 0 for none.
    """
    quiet = silence(network, params, batch.inputs)
    like = jax.eval_shape(lambda p: network.forward(p, batch.inputs), params)
    still = tuple(jnp.zeros(h.shape, h.dtype) for h in like)

    def loss(params: tuple[Params, ...], noise: Any, shifts: Any) -> tuple[Array, Any]:
        def crossings(now: Any) -> Any:
            found = shifted(perturbed(through(network, params, onto), now[0]), (*now[1][:-1], None))
            if not bound:
                return found
            limit = bound / jnp.asarray(objective.n_counted(jnp.zeros(like[-1].shape), batch), still[-1].dtype)
            return (*(_bounded_at(each, limit) for each in found[:-1]), found[-1])

        trace = network.trace(params, batch.inputs, crossings, per_step=(noise, shifts))
        return objective.loss(trace.outputs[-1], batch), (trace.outputs[-1], trace.inputs)

    (_, told), gradients = jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(params, quiet, still)
    updates, at_z, at_outputs = gradients
    at_readout = objective.loss_and_error(told[0], batch)[1]
    return _Errors(updates, told[0], told[1], at_z, (*at_outputs[:-1], at_readout))


def _learn_apical(
    network: Network,
    params: Sequence[Params],
    apical: Sequence[Params | None],
    found: _Errors,
    fluctuations: Sequence[Fluctuation | None],
    n: int | Array,
    options: DendriticOptions,
) -> tuple[tuple[Params | None, ...], tuple[Array, ...]]:
    """What every node's apical weights are asked for, and the loss that each goes down; `n` answers are judged."""

    def of_node(index: int, node: Node, basal: Params, theta: Params) -> tuple[Params, Array]:
        seen = fluctuations[index] if fluctuations else None
        if seen is not None:
            return _follow_noise(node, basal, theta, seen)
        few = min(options.apical_examples, found.readout.shape[-2])
        fewer = options.variant == "local_error"
        inputs, error = found.inputs[index], found.at_z[index]
        if fewer and network.temporal:
            inputs, error = jax.tree.map(lambda leaf: leaf[:, :few], (inputs, error))
        inputs, error = merge_steps(network, (inputs, error))
        # Carried down as the gradient was, so that the compiler does it once; then, as in the docstring, against the gradient and
        # of each example alone.
        sent_down = project_back(node, completed(basal, theta), inputs, error)
        sent_down, error = jax.tree.map(lambda e: -n * e, (sent_down, error))
        if options.bound:
            sent_down = jax.tree.map(lambda e: jnp.clip(e, -options.bound, options.bound), sent_down)
        if fewer and not network.temporal:
            sent_down, error = jax.tree.map(lambda leaf: leaf[:few], (sent_down, error))
        if fewer:
            product = hebbian_product(node, basal, sent_down, jax.tree.map(lambda e: e / few, error))
            return without_bias(node, product), 0.5 * jnp.sum(jnp.stack([jnp.sum(jnp.square(each)) for each in sent_down])) / few
        # The basal weights' own product: at the apical synapse it is soma times what arrives from above.
        along = jnp.sum(jnp.stack([jnp.sum(u * down) for u, down in zip(inputs, sent_down, strict=True)]))
        return without_bias(node, found.updates[index]), -along / n

    each = enumerate(zip(network.nodes, params, apical, strict=True))
    learned = [None if theta is None else of_node(index, node, basal, theta) for index, (node, basal, theta) in each]
    return tuple(one and one[0] for one in learned), tuple(one[1] for one in learned if one)


def _drawn_apart(node: Node, key: PRNGKeyArray, options: DendriticOptions) -> Params:
    """Apical weights as they start."""
    drawn = without_bias(node, node.drawn(key))
    if not options.apical_spread:
        return jax.tree.map(lambda leaf: options.apical_gain * leaf, drawn)
    leaves, structure = jax.tree.flatten(drawn)
    keys = jax.random.split(key, len(leaves))
    normal = [options.apical_spread * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return without_bias(node, jax.tree.unflatten(structure, normal))


def _check(options: DendriticOptions) -> None:
    if options.variant == "aligned" and not options.weight_decay > 0:
        raise InputError(
            f"weight_decay={options.weight_decay} was given to aligned: without decay the apical weights never meet the basal "
            "ones; try 0.1"
        )
    positive(options, "apical_rate", "apical_gain")
    at_least(options, 1, "apical_examples")
    at_least(options, 0, "apical_spread", "bound")


def dendritic(network: Network, options: DendriticOptions, spec: RuleSpec, objective: Objective) -> LearningRule:
    """Build the rule for a network.

    Parameters
    ----------
    network, options, spec, objective
        As `Family.make` takes them.

    Raises
    ------
    InputError
        No decay for the variant "aligned", or a rate or gain of the apical weights that is not positive.
    """
    _check(options)

    def init(key: PRNGKeyArray) -> RuleState:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(network.nodes))
        # What a node that hears no other would send down ends at the input, so it has none.
        apical = tuple(
            _drawn_apart(node, k, options) if network.hears_nodes(index) else None
            for index, (node, k) in enumerate(zip(network.nodes, keys, strict=True))
        )
        return RuleState({"network": network.init(key), "apical": apical}, ())

    def assign_credit(key: PRNGKeyArray, state: RuleState, batch: Any) -> tuple[dict[str, Any], RuleState, Mapping[str, Any]]:
        batch = as_batch(batch)
        params, apical = state.params["network"], state.params["apical"]
        onto = tuple(None if t is None else completed(p, t) for p, t in zip(params, apical, strict=True))
        found = _errors(network, params, onto, batch, objective, options.bound)
        n = objective.n_counted(found.readout, batch)
        fluctuations: tuple[Fluctuation | None, ...] = ()
        if options.variant == "noise":
            few = min(options.apical_examples, found.readout.shape[-2])
            fluctuations = fluctuate(network, params, key, few, found.readout.dtype)
        updates, losses = _learn_apical(network, params, apical, found, fluctuations, n, options)
        info: dict[str, Any] = {
            **objective.metrics(found.readout, batch),
            "local_error": tuple(n * jnp.sqrt(jnp.mean(jnp.square(xi))) for xi in found.at_outputs),
            "apical_loss": losses,
            "feedback_angle": feedback_angles(network, params, onto),
        }
        return {"network": found.updates, "apical": updates}, state, info

    def optimizer(n_steps: int | None = None) -> optax.GradientTransformation:
        # Apical weights that follow a correlation forget by themselves what it no longer holds.
        decay = 0.0 if options.variant == "noise" else options.weight_decay
        apical = adam(options.apical_rate * options.learning_rate, n_steps, decay)
        return per_part({"network": adam(options.learning_rate, n_steps, options.weight_decay), "apical": apical})

    return feedforward_rule(spec, network, options, init, assign_credit, optimizer, objective)


def _variant(
    name: str, summary: str, of: str = "", network: tuple[tuple[str, Any], ...] = (), **options: Any
) -> tuple[str, Variant]:
    citation = "Lv et al. 2025, arXiv 2501.09976" + ("; Max et al. 2022, arXiv 2212.10249" if name == "noise" else "")
    batch_size = 64 if name == "textbook" else None
    spec = RuleSpec("dendritic", name, summary, citation, phases=2, network=network, batch_size=batch_size)
    return name, Variant(spec, {"variant": of or name, **options})


# From searches on Fashion-MNIST's validation images, four epochs of 20,000 images, dense and convolutional. In "aligned", apical
# weights that start small are soon outweighed by what both dendrites learn together; it aligns slowly, and overtakes "noise" on the
# convolutional network between four such epochs and ten of all images. A rate of 0.003 lets "noise" stray there for five epochs.
# In "local_error" slow apical weights are better, five epochs of all images: what they learn is to send nothing.
FAMILY = Family(
    DendriticOptions,
    dendritic,
    dict(
        (
            _variant(
                "aligned",
                "units compare a basal and an apical dendrite; apical weights learn to send what the basal ones would",
                learning_rate=3e-3,
                weight_decay=0.1,
                apical_gain=0.05,
            ),
            _variant(
                "noise",
                "units compare a basal and an apical dendrite; apical weights follow how the node above answers a soma's noise",
                learning_rate=2e-3,
                weight_decay=0.3,
                apical_rate=2.0,
                apical_gain=0.05,
            ),
            _variant(
                "local_error",
                "units compare a basal and an apical dendrite; apical weights learn to make the difference small",
                learning_rate=2e-3,
                weight_decay=0.3,
                apical_rate=0.01,
            ),
            _variant(
                "textbook",
                "as local_error, in published sizes and rates: large apical weights, bounded errors, smoothed labels, tanh units",
                of="local_error",
                network=(("activation", "tanh"),),
                loss="smoothed_cross_entropy",
                learning_rate=1e-4,
                weight_decay=0.0,
                apical_rate=0.1,
                apical_spread=1.0,
                bound=50.0,
                apical_examples=1_000_000,
            ),
        )
    ),
)
