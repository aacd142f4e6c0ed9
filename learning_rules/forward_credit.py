r"""Credit forward in time: a network runs step by step with traces beside its states, and nothing is kept of the steps before.

At each step the scores' error goes down to the units within the step, over edges without delay (or straight to each unit), and
meets there what the unit's synapses carry (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y):

.. math:: \Delta w \propto \sum_t L_t \, e_t, \qquad L_t = \left.\frac{\partial E_t}{\partial h_t}\right|_{\text{within the step}}

Left out of the gradient is what goes back over delayed edges, and through what nodes further up remember. What the readout
remembers is not left out: a leaky sum of scores blames a unit for what it did earlier, :math:`\sum_t L_t F_\kappa(e)_t` with
:math:`F_\kappa(e)_t = \kappa F_\kappa(e)_{t-1} + e_t` for the readout's leak :math:`\kappa`.

* Where units remember by a constant leak :math:`\lambda`, :math:`e_t` is the slope :math:`\partial h_t / \partial z_t` of the unit
  times its filtered input, one number a presynaptic unit: no array of the weights' size is kept for any example.
* Elsewhere every synapse has traces of its own, kept for one example at a time.
* Where an example has one target, and its scores are the mean over steps or a leaky sum, its error is not known before the end. The
  sequence then runs twice, with the error in hand the second time: :math:`E` blames the scores' sum at a step by a number known
  beforehand, :math:`\sum_{s \ge t} \kappa^{s - t} c_s`, for a part :math:`c_s` of step s in the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from architectures import Moment, Network, Node, Params, Trace
from architectures.node import is_shape
from learning_rules.forward_needs import Direct, Heard, filters_traces, leak_of, leak_of_scores, runs_twice
from learning_rules.objectives import Batch, Objective
from learning_rules.signals import Crossings, hebbian_product, in_precision_of, perturbed, shifted
from learning_rules.synapse_traces import carried, no_traces, times_unit

__all__ = ["forward_credit"]


class _Lesson(NamedTuple):
    """What is shown: inputs (time, n, ...) or of one step, targets, mask, and where it is known the error at the scores."""

    inputs: Array
    targets: Array
    mask: Array | None
    error: Array | None


class _Plan(NamedTuple):
    network: Network
    objective: Objective
    crossings: Crossings
    direct: Direct | None
    twice: bool
    leak: float
    n_counted: Any


def forward_credit(
    network: Network,
    objective: Objective,
    params: Sequence[Params],
    batch: Batch,
    crossings: Crossings,
    direct: Direct | None = None,
) -> tuple[dict[str, Array], tuple[Params, ...], Any]:
    """What weights are asked for by traces that are carried forward in time while the network runs.

    Parameters
    ----------
    network
        A temporal network for which `why_no_traces` gives no reason.
    objective
        What it is asked to do.
    params
        One tree per node.
    batch
        What is learned from.
    crossings
        What stands around each node: what errors go through within a step, `exact` or `through` other weights; `cut` where they are
        told directly.
    direct
        How nodes are told of errors directly, None where errors go down through weights.

    Returns
    -------
    metrics, updates, beside
        What the objective tells; one tree per node; what `direct` asks for beside them.
    """
    x = network.encode(batch.inputs)
    jax.eval_shape(lambda: objective.check(jnp.zeros((len(x), x.shape[1], *network.nodes[-1].output_shape), x.dtype), batch))
    twice = runs_twice(network, objective, direct)
    n_answers = (len(x) if objective.per_step else 1) * x.shape[1]
    n_counted = n_answers if batch.mask is None else jnp.maximum(jnp.sum(batch.mask), 1)
    plan = _Plan(network, objective, crossings, direct, twice, leak_of_scores(network.nodes[-1]), n_counted)
    error, metrics = None, None
    if twice:
        scores = _scores(network, crossings, x)[None]
        metrics = objective.metrics(scores, batch)
        error = jax.grad(objective.loss)(scores, batch)[0]
    lesson = _Lesson(x, batch.targets, batch.mask, error)
    if all(_kept_whole(plan)):
        updates, beside, sums = _run(plan, params, lesson)
    else:
        updates, beside, sums = _one_by_one(plan, params, lesson)
    return metrics or _told(objective, network, sums), updates, beside


def _scores(network: Network, crossings: Crossings, x: Array) -> Array:
    """The scores of each example, with no step kept."""

    def step(carry: tuple[Moment, Array], now: Array) -> tuple[tuple[Moment, Array], None]:
        moment, total = carry
        moment, trace = network.step(moment, now, crossings)
        return (moment, total + trace.outputs[-1] if network.decision == "mean" else trace.outputs[-1]), None

    none = jnp.zeros((x.shape[1], *network.nodes[-1].output_shape), x.dtype)
    scores = jax.lax.scan(step, (network.at_rest(x.shape[1], x.dtype), none), x)[0][1]
    return scores / len(x) if network.decision == "mean" else scores


def _told(objective: Objective, network: Network, sums: dict[str, Array]) -> dict[str, Array]:
    """As `Objective.metrics`, of sums over steps."""
    return sums if "accuracy" in sums else {**sums, "rmse": jnp.sqrt(2 * sums["loss"] / network.n_classes)}


def _kept_whole(plan: _Plan) -> list[bool]:
    """For each node whether its filtered input is all that its synapses need to keep."""
    hidden_filter = filters_traces(plan.network, plan.objective, plan.direct)
    last = len(plan.network.nodes) - 1
    return [
        not node.weighted or (leak_of(node) is not None and not (hidden_filter and index < last))
        for index, node in enumerate(plan.network.nodes)
    ]


def _one_by_one(plan: _Plan, params: Sequence[Params], lesson: _Lesson) -> Any:
    """The sum over examples, each of which runs alone: traces of a synapse are kept for one of them."""

    def one(index: Array) -> Any:
        return _run(plan, params, lesson, index)

    def add(total: Any, index: Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, one(index)), None

    like = jax.eval_shape(one, jnp.asarray(0))
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
    return jax.lax.scan(add, nothing, jnp.arange(lesson.inputs.shape[1]))[0]


def _error_of_step(
    plan: _Plan, n_steps: int, now: _Lesson, step: Array, readout: Array
) -> tuple[Array, Array, Array, dict[str, Array]]:
    """Errors at the readout: what goes down, the step's own, the mean over steps; and the step's part of the metrics."""
    targets, mask = now.targets, now.mask
    is_last = (step == n_steps - 1).astype(readout.dtype)
    if plan.twice:
        assert now.error is not None
        e, kappa = now.error, plan.leak
        if plan.network.decision == "mean":
            ahead = (1 - kappa ** (n_steps - step)) / (1 - kappa) / n_steps
            own = jnp.asarray(1 / n_steps, readout.dtype)
        else:
            ahead, own = kappa ** (n_steps - 1 - step) if kappa else is_last, is_last
        return jnp.asarray(ahead, readout.dtype) * e, own * e, e / n_steps, {}
    weights = (1.0 if mask is None else mask) * (1.0 if plan.objective.per_step else is_last) / plan.n_counted

    def loss(readout: Array) -> Array:
        return jnp.sum(plan.objective.each(readout, targets) * weights)

    value, error = jax.value_and_grad(loss)(readout)
    sums = {"loss": value}
    if plan.objective.right is not None:
        sums["accuracy"] = jnp.sum(plan.objective.right(readout, targets) * weights)
    return error, error, error, sums


class _Carry(NamedTuple):
    """What one step leaves for the next."""

    moment: Moment
    traces: tuple[Any, ...]
    filtered: tuple[Array, ...]


def _now(plan: _Plan, lesson: _Lesson, step: Array, example: Array | None) -> _Lesson:
    """What is shown at one step, (n, ...), and what it is judged by; of one example where that is asked for."""

    def at(signal: Array | None, in_time: bool) -> Any:
        if signal is None:
            return None
        signal = jax.lax.dynamic_index_in_dim(signal, step, keepdims=False) if in_time else signal
        return signal if example is None else jax.lax.dynamic_slice_in_dim(signal, example, 1)

    per_step = plan.objective.per_step
    return _Lesson(at(lesson.inputs, True), at(lesson.targets, per_step), at(lesson.mask, per_step), at(lesson.error, False))


def _run(plan: _Plan, params: Sequence[Params], lesson: _Lesson, example: Array | None = None) -> Any:
    """One loop over steps, which carries the network's moment, traces and sums of what is asked for."""
    n, dtype = 1 if example is not None else lesson.inputs.shape[1], lesson.inputs.dtype
    start = plan.network.at_rest(n, dtype)

    def traces_of(node: Node, own: Params, state: Any, whole: bool) -> Any:
        if whole:
            return tuple(jnp.zeros((n, *shape), dtype) for shape in node.input_shapes), jnp.zeros((), dtype)
        return no_traces(own, state), jax.tree.map(lambda p: jnp.zeros((n, *p.shape), dtype), own)

    each = zip(plan.network.nodes, params, start.states, _kept_whole(plan), strict=True)
    carry = _Carry(start, tuple(traces_of(*of_node) for of_node in each), () if plan.direct is None else start.passed_on)

    # Each step is looked up where the batch lies: a copy of one example's would grow with the sequence.
    def one(carry: _Carry, step: Array) -> tuple[_Carry, Any]:
        return _step(plan, params, len(lesson.inputs), carry, _now(plan, lesson, step, example), step)

    def add(summed: tuple[_Carry, Any, Array], _: None) -> tuple[tuple[_Carry, Any, Array], None]:
        carry, total, step = summed
        carry, asked = one(carry, step)
        return (carry, jax.tree.map(jnp.add, total, asked), step + 1), None

    like = jax.eval_shape(one, carry, jnp.asarray(0))[1]
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
    return jax.lax.scan(add, (carry, nothing, jnp.asarray(0)), None, len(lesson.inputs))[0][1]


def _step(plan: _Plan, params: Sequence[Params], n_steps: int, carry: _Carry, now: _Lesson, step: Array) -> tuple[_Carry, Any]:
    """One step: what it leaves, and what it asks for (updates, what `direct` asks for, parts of the metrics)."""
    network, x = plan.network, now.inputs
    quiet = [jax.tree.map(lambda s: jnp.zeros((len(x), *s), x.dtype), node.z_shape, is_leaf=is_shape) for node in network.nodes]
    still = [jnp.zeros((len(x), *node.output_shape), x.dtype) for node in network.nodes]

    def run(noise: list[Any], shifts: list[Array]) -> Any:
        moment, trace = network.step(carry.moment, x, shifted(perturbed(plan.crossings, noise), shifts))
        return trace.outputs, (moment, trace)

    outputs, pull, (moment, trace) = jax.vjp(run, quiet, still, has_aux=True)
    down, own, mean, sums = _error_of_step(plan, n_steps, now, step, outputs[-1])
    cotangents: tuple[Array, ...] = (*still[:-1], down)
    filtered, beside = carry.filtered, ()
    if plan.direct is not None:
        at_scores = pull(in_precision_of(cotangents, outputs))[0][-1]
        # Where a sequence runs a second time, what the readout remembers is in the error already.
        filtered = outputs if plan.twice else tuple(plan.leak * f + h for f, h in zip(filtered, outputs, strict=True))
        weights = jnp.broadcast_to(1.0 if now.mask is None else now.mask, len(x)) / plan.n_counted
        heard = Heard(outputs, filtered, own, mean, at_scores, now.targets, weights.astype(x.dtype))
        cotangents = (*plan.direct.told(heard), down)
        beside = plan.direct.beside(heard)
    posts, passed_down = pull(in_precision_of(cotangents, outputs))
    learned, traces = [], []
    for index, (node, whole) in enumerate(zip(network.nodes, _kept_whole(plan), strict=True)):
        is_readout = index == len(network.nodes) - 1
        if whole:
            leak = 0.0 if is_readout and plan.twice and plan.leak else leak_of(node) or 0.0
            update, kept = _by_inputs(node, params[index], leak, carry.traces[index], trace.inputs[index], posts[index])
        else:
            leak = plan.leak if filters_traces(network, plan.objective, plan.direct) else 0.0
            error = jnp.asarray(cotangents[index], x.dtype) + passed_down[index]
            update, kept = _by_synapse(node, params[index], leak, carry.traces[index], trace, index, error)
        learned.append(update)
        traces.append(kept)
    return _Carry(moment, tuple(traces), filtered), (tuple(learned), beside, sums)


def _by_inputs(node: Node, own: Params, leak: float, kept: Any, inputs: tuple[Array, ...], post: Any) -> tuple[Params, Any]:
    """What a node is asked for where its synapses need nothing but its filtered input, and that input with the step added."""
    if not leak:
        return hebbian_product(node, own, inputs, post), kept
    before, ones = kept
    filtered = tuple(leak * f + x for f, x in zip(before, inputs, strict=True))
    ones = leak * ones + 1
    # A bias meets ones, which are filtered as well: synapses are affine, so that the mean of what was heard does it for both.
    heard = tuple(f / ones for f in filtered)
    return hebbian_product(node, own, heard, jax.tree.map(lambda d: ones * d, post)), (filtered, ones)


def _by_synapse(node: Node, own: Params, leak: float, kept: Any, trace: Trace, index: int, error: Array) -> tuple[Params, Any]:
    """What a node is asked for where each synapse has traces of its own, and these with the step added."""
    traces, summed = kept
    signals = trace.states[index], trace.z[index], trace.inputs[index], trace.skips[index]
    traces, felt = carried(node, own, traces, *signals)
    summed = jax.tree.map(lambda s, f: leak * s + f, summed, felt) if leak else felt
    return jax.tree.map(lambda f: jnp.sum(times_unit(error, f), axis=0), summed), (traces, summed)
