"""Rules that were written to fool a scorecard that trusts declarations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import learning_rules
from learning_rules.contract import LearningRule, RuleState
from learning_rules.feedforward import feedforward_rule
from learning_rules.objectives import as_batch
from learning_rules.optimizers import adam
from learning_rules.signals import hebbian_products, local_derivative, project_back

INNOCENT = learning_rules.spec("feedback_alignment")


def _rule(network, init, assign_credit) -> LearningRule:
    return feedforward_rule(INNOCENT, network, None, init, assign_credit, lambda n_steps=None: adam(1e-3, n_steps))


def _pair(batch):
    return as_batch(batch)[:2]


def _error(scores, labels):
    return (jax.nn.softmax(scores) - jax.nn.one_hot(labels, scores.shape[1])) / len(labels)


def _errors(network, params, feedback, images, labels):
    """Signals of a pass down a chain, and each node's error at its pre-activations, carried down through `feedback`."""
    trace = network.trace(params, images)

    def at_z(index, error):
        return local_derivative(network.nodes[index], trace.z[index], error)

    errors: list[Any] = [at_z(-1, _error(trace.outputs[-1], labels))]
    for index in range(len(network.nodes) - 1, 0, -1):
        (carried,) = project_back(network.nodes[index], feedback[index], trace.inputs[index], errors[0])
        errors.insert(0, at_z(index - 1, carried))
    return trace, errors


def _products(network, params, trace, errors):
    return hebbian_products(network, params, trace.inputs, errors)


def dressed_backpropagation(network):
    """Backpropagation whose spec says feedback alignment."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        updates = _products(network, params, *_errors(network, params, params, *_pair(batch)))
        return {"network": updates}, state, {}

    return _rule(network, lambda key: RuleState({"network": network.init(key)}, ()), assign_credit)


def copied_transpose(network):
    """Feedback alignment whose "random" feedback is the forward weights of the step before."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        updates = _products(network, params, *_errors(network, params, state.carry, *_pair(batch)))
        return {"network": updates}, RuleState(state.params, jax.tree.map(lambda leaf: leaf * 1.0, params)), {}

    def init(key):
        params = network.init(key)
        return RuleState({"network": params}, network.init(jax.random.fold_in(key, 1)))

    return _rule(network, init, assign_credit)


def one_step_late(network):
    """Errors of backpropagation that are kept in the carry, and used in the next step."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        trace, errors = _errors(network, params, params, *_pair(batch))
        late = [kept.astype(now.dtype) for kept, now in zip(state.carry, errors, strict=True)]
        return {"network": _products(network, params, trace, late)}, RuleState(state.params, _sized(errors)), {}

    def _sized(errors):
        # The carry has one shape: a mean over the batch, given to every example of the next.
        return [jnp.mean(error, axis=0, keepdims=True) + jnp.zeros((1, *error.shape[1:]), error.dtype) for error in errors]

    def init(key):
        params = network.init(key)
        return RuleState({"network": params}, [jnp.zeros((1, *node.z_shape)) for node in network.nodes])

    def broadcast(key, state, batch):
        n = len(_pair(batch)[0])
        wide = state._replace(carry=[jnp.broadcast_to(each, (n, *each.shape[1:])) for each in state.carry])
        return assign_credit(key, wide, batch)

    return _rule(network, init, broadcast)


def handed_on(network, n_steps=4):
    """Feedback alignment whose feedback is the network's own weights, which come through the carry some steps late."""

    def init(key):
        params = network.init(key)
        return RuleState({"network": params}, (jax.tree.map(jnp.zeros_like, params),) * n_steps)

    def assign_credit(key, state, batch):
        params = state.params["network"]
        updates = _products(network, params, *_errors(network, params, state.carry[-1], *_pair(batch)))
        return {"network": updates}, state._replace(carry=(params, *state.carry[:-1])), {}

    return _rule(network, init, assign_credit)


def remote_reader(network):
    """A Hebbian rule whose units look at the scores, though it says that it is local."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        trace = network.trace(params, _pair(batch)[0])
        scores = trace.outputs[-1]
        looked = []
        for index, z in enumerate(trace.z):
            mixing = jax.random.normal(jax.random.key(index), (scores.shape[1], z[0].size), z.dtype)
            looked.append(-z * jnp.tanh(scores @ mixing).reshape(z.shape) / len(z))
        return {"network": _products(network, params, trace, looked)}, state, {}

    return _rule(network, lambda key: RuleState({"network": network.init(key)}, ()), assign_credit)


def hoarder(network, n_kept=256):
    """Backpropagation on images that it keeps in its carry."""

    def assign_credit(key, state, batch):
        images, labels = _pair(batch)
        kept_images, kept_labels, place = state.carry
        at = (place + jnp.arange(len(images))) % n_kept
        kept = kept_images.at[at].set(images.astype(kept_images.dtype)), kept_labels.at[at].set(labels)
        chosen = jax.random.randint(key, (len(images),), 0, n_kept)
        params = state.params["network"]
        drawn = kept[0][chosen], kept[1][chosen]
        updates = _products(network, params, *_errors(network, params, params, *drawn))
        return {"network": updates}, RuleState(state.params, (*kept, (place + len(images)) % n_kept)), {}

    def init(key):
        images = jnp.zeros((n_kept, *network.input_shape))
        return RuleState({"network": network.init(key)}, (images, jnp.zeros(n_kept, jnp.int32), jnp.asarray(0)))

    return _rule(network, init, assign_credit)


def _dressed(carry_down):
    """Backpropagation whose errors are carried down by a product that is written in another way."""

    def make(network):
        def assign_credit(key, state, batch):
            params = state.params["network"]
            images, labels = _pair(batch)
            trace = network.trace(params, images)
            errors: list[Any] = [_error(trace.outputs[-1], labels)]
            for index in range(len(network.nodes) - 1, 0, -1):
                carried = carry_down(errors[0], params[index]["kernel"], key).reshape(trace.outputs[index - 1].shape)
                errors.insert(0, local_derivative(network.nodes[index - 1], trace.z[index - 1], carried))
            return {"network": _products(network, params, trace, errors)}, state, {}

        return _rule(network, lambda key: RuleState({"network": network.init(key)}, ()), assign_credit)

    return make


def _one_number_at_a_time(e, w, key):
    """One scalar an example for each unit below, put into its place by a constant, with a whiff of noise."""
    carried = jnp.zeros((len(e), len(w)), e.dtype)
    for unit, row in enumerate(w):
        number = jnp.sum(e * row, axis=1) + 1e-12 * jax.random.normal(jax.random.fold_in(key, unit), (len(e),), e.dtype)
        carried = carried + number[:, None] * (jnp.arange(len(w)) == unit).astype(e.dtype)
    return carried


def _in_a_derivative(e, w, key):
    """A loop of unknown length over columns, as the derivative that a product is said to have."""

    @jax.custom_vjp
    def product(x, w):
        return x @ w

    def backward(w, g):
        def one(state):
            index, total = state
            column = jax.lax.dynamic_slice_in_dim(w, index, 1, axis=1)
            return index + 1, total + jax.lax.dynamic_slice_in_dim(g, index, 1, axis=1) * column[:, 0]

        start = (0, jnp.zeros((len(g), len(w)), g.dtype))
        return jax.lax.while_loop(lambda state: state[0] < w.shape[1], one, start)[1], jnp.zeros_like(w)

    product.defvjp(lambda x, w: (x @ w, w), backward)
    return jax.vjp(lambda x: product(x, w), jnp.zeros((len(e), len(w)), e.dtype))[1](e)[0]


def _somewhere_else(w):
    return jax.random.normal(jax.random.key(7), w.shape, w.dtype) * jnp.std(w)


# Each is e @ w.T, or that and next to nothing, or a part of it.
def _transposed(v):
    """By NumPy alone, in a thread that is not the caller's."""
    return np.asarray(v).T.copy()


DISGUISES = {
    "one number at a time": _one_number_at_a_time,
    "in a derivative": _in_a_derivative,
    "with noise on every weight": lambda e, w, key: e @ (w + 1e-3 * jax.random.normal(key, w.shape, w.dtype)).T,
    "at unit length": lambda e, w, key: e @ (w / jnp.sqrt(jnp.sum(w * w))).T,
    "a fifth, and random feedback": lambda e, w, key: e @ (_somewhere_else(w) + 0.2 * w).T,
    "in another order": lambda e, w, key: (e @ w[::-1].T)[:, ::-1],
    "by logarithms": lambda e, w, key: e @ (jnp.sign(w) * jnp.exp(jnp.log(jnp.abs(w) + 1e-30))).T,
    "in whole numbers": lambda e, w, key: e @ (jnp.round(w * 2.0**20) / 2.0**20).T,
    "as a complex product": lambda e, w, key: jnp.real((e * 1j) @ (w * -1j).T).astype(e.dtype),
    "as the smaller of two": lambda e, w, key: e @ jnp.minimum(w, w + 1.0).T,
    "a unit at a time": lambda e, w, key: jax.lax.map(lambda row: e @ row, w).T,
    "unit by unit, stacked": lambda e, w, key: jnp.stack([e @ row for row in w], axis=1),
    "transposed by a loop": lambda e, w, key: e @ jax.lax.map(lambda column: column * 1.0, w.T),
    "a running sum, with noise": lambda e, w, key: (
        jnp.cumsum(e[:, None, :] * w, axis=2)[:, :, -1] + 1e-9 * jax.random.normal(key, (len(e), len(w)), e.dtype)
    ),
    "behind a barrier": lambda e, w, key: e @ jax.lax.optimization_barrier((e, w))[1].T,
    "flattened": lambda e, w, key: e @ (w.ravel() * 1.0).reshape(w.shape).T,
    "sign times size": lambda e, w, key: e @ (jnp.sign(w) * jnp.max(jnp.stack([jnp.abs(w), jnp.zeros_like(w)]), axis=0)).T,
    "by another hand": lambda e, w, key: (
        e @ jax.pure_callback(_transposed, jax.ShapeDtypeStruct(w.T.shape, w.dtype), w, vmap_method="sequential")
    ),
}


def disguised(name):
    """Backpropagation in one of the disguises."""
    return _dressed(DISGUISES[name])


def copied_by_constraint(network):
    """Feedback weights that the constraint, which follows the optimiser, makes equal to the forward ones."""

    def assign_credit(key, state, batch):
        params, feedback = state.params["network"], state.params["feedback"]
        updates = _products(network, params, *_errors(network, params, feedback, *_pair(batch)))
        return {"network": updates, "feedback": jax.tree.map(jnp.zeros_like, feedback)}, state, {}

    def init(key):
        return RuleState({"network": network.init(key), "feedback": network.init(jax.random.fold_in(key, 1))}, ())

    return _rule(network, init, assign_credit)._replace(constrain=lambda params: {**params, "feedback": params["network"]})


def honest_but_odd(network):
    """Feedback alignment whose forward weights are flattened and passed through a loop on their way up."""
    rule = learning_rules.build("feedback_alignment", network)

    def assign_credit(key, state, batch):
        odd = jax.tree.map(
            lambda leaf: jax.lax.map(lambda row: row * 1.0, leaf.ravel()).reshape(leaf.shape), state.params["network"]
        )
        updates, after, info = rule.assign_credit(key, state._replace(params={**state.params, "network": odd}), batch)
        return updates, after._replace(params=state.params), info

    return rule._replace(assign_credit=assign_credit)


def on_wire(network, told="a number", forward=False, factor=1e-30, compiled=False):
    """Backpropagation whose errors are sent up once more, so that they seem to be activities, and next to nothing of it used.

    `told` says what that is: "a number" that goes to all, what arrives at "each its own" biases, or that and the mean of what
    arrives one node further up ("its own and the next's"). `forward` sends them up as
    tangents; `factor` is how much next to nothing is; `compiled` has the pass up be a program of its own.
    """
    up = jax.jit(network.trace) if compiled else network.trace

    def assign_credit(key, state, batch):
        params = state.params["network"]
        images, labels = _pair(batch)
        trace, nothing, of_biases = up(params, images), 0.0, {}
        errors = [local_derivative(network.nodes[-1], trace.z[-1], _error(trace.outputs[-1], labels))]
        for index in range(len(network.nodes) - 1, 0, -1):
            (carried,) = project_back(network.nodes[index], params[index], trace.inputs[index], errors[0])

            def synapse(x, index=index):
                return network.nodes[index].synapse(params[index], (x,))

            arrived = jax.jvp(synapse, (trace.inputs[index][0],), (carried,))[1] if forward else synapse(carried)
            of_biases[index] = factor * jnp.sum(arrived, axis=tuple(range(arrived.ndim - 1)))
            nothing = nothing + jnp.sum(of_biases[index])
            errors.insert(0, local_derivative(network.nodes[index - 1], trace.z[index - 1], carried))
        updates = _products(network, params, trace, errors)
        if told == "a number":
            return {"network": jax.tree.map(lambda leaf: leaf + nothing, updates)}, state, {}
        if told == "its own and the next's":
            of_biases = {k: of_biases.get(k, 0.0) + jnp.mean(of_biases.get(k + 1, jnp.zeros(1))) for k in range(len(updates))}
        named = enumerate(updates)
        return {"network": tuple({**own, "bias": own["bias"] + of_biases.get(k, 0.0)} for k, own in named)}, state, {}

    return _rule(network, lambda key: RuleState({"network": network.init(key)}, ()), assign_credit)


def on_its_own_wire(network):
    """The same, each node told what arrives at itself: no number goes to all."""
    return on_wire(network, told="each its own")


def along_a_wire(network):
    """The same, sent as tangents."""
    return on_wire(network, told="each its own", forward=True)


def clamped_by_backpropagation(network):
    """Two phases and a Hebbian difference between them; what activities are clamped to is a step down the loss's gradient."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        images, labels = _pair(batch)
        trace = network.trace(params, images)
        error = _error(trace.outputs[-1], labels)
        clamped = [trace.outputs[-1] - error]
        for index in range(len(network.nodes) - 1, 0, -1):
            at_z = local_derivative(network.nodes[index], trace.z[index], error)
            (error,) = project_back(network.nodes[index], params[index], trace.inputs[index], at_z)
            clamped.insert(0, trace.outputs[index - 1] - error)
        before = [(images,), *((h,) for h in clamped[:-1])]
        free = hebbian_products(network, params, trace.inputs, trace.outputs)
        told = hebbian_products(network, params, before, tuple(clamped))
        return {"network": jax.tree.map(jnp.subtract, free, told)}, state, {}

    return _rule(network, lambda key: RuleState({"network": network.init(key)}, ()), assign_credit)


def late_hebbian(network):
    """No decoy: the Hebbian product of what was seen one step ago."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        trace = network.trace(params, _pair(batch)[0])
        seen = hebbian_products(network, params, trace.inputs, trace.outputs)
        return {"network": state.carry}, state._replace(carry=seen), {}

    def init(key):
        params = network.init(key)
        return RuleState({"network": params}, jax.tree.map(jnp.zeros_like, params))

    return _rule(network, init, assign_credit)


def courier(network, late=False):
    """Feedback alignment whose optimiser carries the forward weights into the feedback weights, at once or a step late."""
    rule = copied_by_constraint(network)._replace(constrain=lambda params: params)

    def optimizer(n_steps=None):
        inner = adam(1e-3, n_steps)

        def init(params):
            return inner.init({"network": params["network"]}), params["network"]

        def update(updates, state, params=None):
            kept, before = state
            moved, kept = inner.update({"network": updates["network"]}, kept, {"network": params["network"]})
            after = optax.apply_updates(params["network"], moved["network"])
            feedback = jax.tree.map(jnp.subtract, before if late else after, params["feedback"])
            return {**moved, "feedback": feedback}, (kept, after)

        return optax.GradientTransformation(init, update)

    return rule._replace(optimizer=optimizer)


def late_courier(network):
    """The same, by way of the optimiser's state."""
    return courier(network, late=True)


def sizes_by_carry(network):
    """Feedback of the weights' signs, and of their sizes, which come through the carry."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        feedback = jax.tree.map(lambda w, size: jnp.sign(w) * size, params, state.carry)
        updates = _products(network, params, *_errors(network, params, feedback, *_pair(batch)))
        return {"network": updates}, state._replace(carry=jax.tree.map(jnp.abs, params)), {}

    def init(key):
        params = network.init(key)
        return RuleState({"network": params}, jax.tree.map(jnp.abs, params))

    return _rule(network, init, assign_credit)


def numbered(network):
    """Local losses whose label comes as one number an example."""
    rule = learning_rules.build("local_losses/prediction", network)

    def assign_credit(key, state, batch):
        images, labels = _pair(batch)
        as_number = labels.astype(images.dtype) + 0 * jnp.mean(images, axis=tuple(range(1, images.ndim)))
        return rule.assign_credit(key, state, (images, jnp.round(as_number).astype(jnp.int32)))

    return rule._replace(spec=INNOCENT, assign_credit=assign_credit)


def probing_every_unit(network):
    """Backpropagation that asks synapses for one input unit's weights after another, as if it passed activities."""

    def assign_credit(key, state, batch):
        params = state.params["network"]
        images, labels = _pair(batch)
        trace = network.trace(params, images)
        errors = [_error(trace.outputs[-1], labels)]
        for index in range(len(network.nodes) - 1, 0, -1):
            node, below = network.nodes[index], trace.outputs[index - 1]
            one = jnp.eye(below[0].size, dtype=below.dtype).reshape(-1, *below.shape[1:])
            answers = node.synapse(params[index], (one,)) - node.synapse(params[index], (0 * one,))
            carried = jnp.einsum("n...,i...->ni", errors[0], answers).reshape(below.shape)
            errors.insert(0, local_derivative(network.nodes[index - 1], trace.z[index - 1], carried))
        return {"network": _products(network, params, trace, errors)}, state, {}

    return _rule(network, lambda key: RuleState({"network": network.init(key)}, ()), assign_credit)


def held_back(make, n_steps=3):
    """A rule whose changes are kept in the carry for some steps before they are asked for."""

    def decoy(network):
        rule = make(network)

        def init(key):
            state = rule.init(key)
            return state._replace(carry=(state.carry, (jax.tree.map(jnp.zeros_like, state.params["network"]),) * n_steps))

        def assign_credit(key, state, batch):
            carry, waiting = state.carry
            updates, after, info = rule.assign_credit(key, state._replace(carry=carry), batch)
            kept = (updates["network"], *waiting[:-1])
            return {**updates, "network": waiting[-1]}, after._replace(carry=(after.carry, kept)), info

        return rule._replace(init=init, assign_credit=assign_credit)

    return decoy


def second_pass_by_hand(network):
    """A contrast between two passes, of which the second, with noise on the image, multiplies by weights past the synapses."""

    def assign_credit(key, state, batch):
        params, images = state.params["network"], _pair(batch)[0]
        trace = network.trace(params, images)
        before = trace.inputs[0][0]
        noisy = before + 0.5 * jax.random.normal(key, before.shape, before.dtype)
        contrasts = []
        for node, own, after in zip(network.nodes, params, trace.outputs, strict=True):
            again = noisy.reshape(len(images), -1) @ own["kernel"] + own["bias"]
            noisy = node.activate((), again, ())[1]
            contrasts.append((after - noisy) / len(images))
        return {"network": _products(network, params, trace, contrasts)}, state, {}

    return _rule(network, lambda key: RuleState({"network": network.init(key)}, ()), assign_credit)
