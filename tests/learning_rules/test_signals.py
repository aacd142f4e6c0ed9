"""The words that rules are written in, each against a plain loop under jax.grad, against numpy, or against its closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from graphs import run_by_hand
from small_task import NETWORKS, batch_of, double, network_of

import architectures
import learning_rules
from architectures import Edge, InputError, make_node
from architectures.dense import dense_synapse
from architectures.dynamics import spike
from learning_rules.signals import (
    broadcast,
    clamped,
    cut,
    cut_time,
    eligibility,
    exact,
    hebbian_product,
    hebbian_products,
    local_derivative,
    perturbed,
    project_back,
    replay,
    silence,
    through,
)

every_network = pytest.mark.parametrize("name", sorted(NETWORKS))


@pytest.fixture(autouse=True)
def in_double():
    with jax.enable_x64(True):
        yield


def same(found, expected, rtol=1e-10, atol=1e-13):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def is_nothing(tree):
    return all(bool(np.all(np.asarray(leaf) == 0)) for leaf in jax.tree.leaves(tree))


def setting(name):
    """The network for small images, parameters away from their start (biases too), a batch, and its objective."""
    network = network_of(name, side=4, **({"n_steps": 5} if name == "spiking" else {}))
    drawn = double(network.init(jax.random.key(0)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + jnp.asarray(0.05 * rng.normal(size=leaf.shape)), drawn)
    other = double(network.init(jax.random.key(7)))
    images, labels = batch_of(3, n=6, dtype=jnp.float64)
    return network, params, other, (images[:, :4, :4], labels), learning_rules.make_objective("cross_entropy", network)


@functools.cache
def gradients(name):
    """Name of a word -> the loss's gradient with respect to all parameters in a run with it, all in one program."""
    network, params, other, batch, objective = setting(name)
    batch = learning_rules.as_batch(batch)

    def gradient(word):
        return jax.grad(lambda p: objective.loss(network.trace(p, batch.inputs, word(p)).outputs[-1], batch))

    def by_hand(stops):
        """A plain loop, in which what comes over an edge is cut off or not."""

        def loss(params):
            now = lambda edge, h: jax.lax.stop_gradient(h) if stops(edge) else h  # noqa: E731
            told = run_by_hand(network, params, network.encode(batch.inputs), now)
            readout = jnp.stack([h for _, _, _, h, _ in told[network.node_names[-1]]])
            return objective.loss(readout if network.temporal else readout[0], batch)

        return jax.grad(loss)

    def all_of_them(params, other):
        noise = silence(network, params, batch.inputs)
        if network.temporal:
            error = jax.grad(
                lambda noise: objective.loss(
                    network.trace(params, batch.inputs, lambda now: perturbed(exact(network, params), now), per_step=noise).outputs[
                        -1
                    ],
                    batch,
                )
            )(noise)
        else:
            error = jax.grad(
                lambda noise: objective.loss(
                    network.trace(params, batch.inputs, perturbed(exact(network, params), noise)).outputs[-1], batch
                )
            )(noise)
        trace = network.trace(params, batch.inputs)
        return {
            "exact": gradient(lambda p: exact(network, p))(params),
            "plain loop": by_hand(lambda edge: False)(params),
            "tied": gradient(lambda p: through(network, p, params))(params),
            "through": gradient(lambda p: through(network, p, other))(params),
            "through, none at the bottom": gradient(
                lambda p: through(network, p, [o if network.hears_nodes(k) else None for k, o in enumerate(other)])
            )(params),
            "feedback": jax.grad(
                lambda f: objective.loss(network.trace(params, batch.inputs, through(network, params, f)).outputs[-1], batch)
            )(other),
            "cut": gradient(lambda p: cut(network, exact(network, p)))(params),
            "cut loop": by_hand(lambda edge: edge.source != "input")(params),
            "cut_time": gradient(lambda p: cut_time(network, exact(network, p)))(params),
            "cut_time loop": by_hand(lambda edge: bool(edge.delay))(params),
            "noise": hebbian_products(network, params, trace.inputs, error),
        }

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(all_of_them)(params, other))


@pytest.mark.on_all_networks
@every_network
@pytest.mark.costly(cases=2)
def test_exact_is_backpropagation_through_a_plain_loop(name):
    same(gradients(name)["exact"], gradients(name)["plain loop"])
    assert not any(
        is_nothing(own) for own, node in zip(gradients(name)["exact"], network_of(name).nodes, strict=True) if node.weighted
    )


@pytest.mark.on_all_networks
@every_network
@pytest.mark.costly(cases=3)
def test_feedback_through_the_forward_weights_is_backpropagation(name):
    same(gradients(name)["tied"], gradients(name)["exact"], rtol=1e-12, atol=1e-15)  # trees may be summed in another order


@every_network
def test_other_feedback_changes_what_is_below_the_readout_and_itself_gets_no_gradient(name):
    found, reference = gradients(name)["through"], gradients(name)["exact"]
    same(found[-1], reference[-1])
    for own, exact_own, node in zip(found[:-1], reference[:-1], network_of(name).nodes, strict=False):
        for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(exact_own), strict=True):
            assert np.all(np.isfinite(a)) and (not node.weighted or not np.allclose(a, b, rtol=1e-3))
    assert is_nothing(gradients(name)["feedback"])
    # A node that hears nothing but what comes from outside carries no error back: it needs no feedback.
    same(gradients(name)["through, none at the bottom"], found)


@every_network
def test_cut_leaves_a_node_what_arises_there(name):
    found = gradients(name)["cut"]
    same(found, gradients(name)["cut loop"])
    assert is_nothing(found[:-1]) and not is_nothing(found[-1])
    if not network_of(name).nodes[-1].has_state:
        same(found[-1], gradients(name)["exact"][-1])


@every_network
def test_cut_time_cuts_delayed_edges_alone(name):
    same(gradients(name)["cut_time"], gradients(name)["cut_time loop"])
    network = network_of(name)
    delayed = any(edge.delay for edges in network.edges for edge in edges)
    differs = not all(
        np.allclose(a, b, rtol=1e-6)
        for a, b in zip(jax.tree.leaves(gradients(name)["cut_time"]), jax.tree.leaves(gradients(name)["exact"]), strict=True)
    )
    assert differs == delayed


@every_network
def test_the_gradient_at_noise_of_nought_is_each_nodes_error(name):
    """Its product with what arrived there is the gradient of the weights, over every edge, tree and step."""
    same(gradients(name)["noise"], gradients(name)["exact"])


def relu_mlp(name="mlp"):
    network, params, other, (images, labels), objective = setting(name)
    p, f = (jax.tree.map(np.asarray, tree) for tree in (params, other))
    x = np.asarray(images).reshape(len(images), -1)
    z0 = x @ p[0]["kernel"] + p[0]["bias"]
    z1 = np.maximum(z0, 0) @ p[1]["kernel"] + p[1]["bias"]
    scores = np.maximum(z1, 0) @ p[2]["kernel"] + p[2]["bias"]
    softmax = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    error = (softmax - np.eye(4)[np.asarray(labels)]) / len(x)
    return p, f, x, z0, z1, error


def test_feedback_alignment_by_hand():
    """Errors go down through fixed weights: delta_l = (B_l^T delta_{l+1}) * f'(z_l)  (Lillicrap et al. 2016)."""
    p, f, x, z0, z1, error = relu_mlp()
    for which, back in (("through", f), ("exact", p)):
        d1 = (error @ back[2]["kernel"].T) * (z1 > 0)
        d0 = (d1 @ back[1]["kernel"].T) * (z0 > 0)
        by_hand = [
            {"bias": delta.sum(axis=0), "kernel": h.T @ delta}
            for h, delta in ((x, d0), (np.maximum(z0, 0), d1), (np.maximum(z1, 0), error))
        ]
        same(list(gradients("mlp")[which]), by_hand)


def test_feedback_alignment_through_time_by_hand():
    """In an Elman network errors go back along the delayed edges through fixed weights too, step by step."""
    network, params, other, (images, labels), _ = setting("elman")
    for which, back in (("through", other), ("exact", params)):
        p, f = (jax.tree.map(np.asarray, tree) for tree in (params, back))
        steps = np.moveaxis(np.asarray(images)[..., 0], 1, 0)
        n_steps, n = len(steps), len(images)
        h = [[np.zeros((n, 12))], [np.zeros((n, 10))]]
        for x in steps:
            h[0].append(np.tanh(x @ p[0]["kernel"] + h[0][-1] @ p[0]["kernel_1"] + p[0]["bias"]))
            h[1].append(np.tanh(h[0][-1] @ p[1]["kernel"] + h[1][-1] @ p[1]["kernel_1"] + p[1]["bias"]))
        scores = h[1][-1] @ p[2]["kernel"] + p[2]["bias"]
        error = (np.exp(scores) / np.exp(scores).sum(1, keepdims=True) - np.eye(4)[np.asarray(labels)]) / n
        total = [{k: np.zeros_like(v) for k, v in own.items()} for own in p]
        total[2] = {"bias": error.sum(0), "kernel": h[1][-1].T @ error}
        later = [np.zeros((n, 12)), np.zeros((n, 10))]
        for t in range(n_steps, 0, -1):
            top = later[1] + (error @ f[2]["kernel"].T if t == n_steps else 0)
            d1 = top * (1 - h[1][t] ** 2)
            d0 = (later[0] + d1 @ f[1]["kernel"].T) * (1 - h[0][t] ** 2)
            for layer, delta, below in ((1, d1, h[0][t]), (0, d0, steps[t - 1])):
                total[layer]["bias"] += delta.sum(0)
                total[layer]["kernel"] += below.T @ delta
                total[layer]["kernel_1"] += h[layer][t - 1].T @ delta
            later = [d0 @ f[0]["kernel_1"].T, d1 @ f[1]["kernel_1"].T]
        same(list(gradients("elman")[which]), total)


@pytest.mark.parametrize("name", ["mlp", "residual", "elman", "spiking"])
def test_broadcast_gives_every_node_an_error_of_its_own_and_no_other(name):
    network, params, _, (images, _), _ = setting(name)

    def both(params):
        trace = network.trace(params, images)
        rng = np.random.default_rng(5)
        errors = [jnp.asarray(rng.normal(size=h.shape)) for h in trace.outputs]

        def loss(p, errors):
            return broadcast(network.trace(p, images, cut(network, exact(network, p))).outputs, errors)

        each = [
            jax.grad(loss)(params, [e if k == index else jnp.zeros_like(e) for k, e in enumerate(errors)])
            for index in range(len(errors))
        ]
        by_replay = [
            jax.grad(lambda own, index=index: jnp.sum(replay(network, index, own, trace) * errors[index]))(params[index])
            for index in range(len(errors))
        ]
        return jax.grad(loss)(params, errors), each, by_replay

    together, each, by_replay = jax.jit(both)(params)
    for index, alone in enumerate(each):
        assert is_nothing([own for k, own in enumerate(alone) if k != index])
        same(alone[index], together[index])
        same(by_replay[index], together[index])


def test_broadcast_by_hand():
    p, f, x, z0, z1, error = relu_mlp()
    network, params, _, (images, _), _ = setting("mlp")
    arriving = [jnp.asarray(np.random.default_rng(k).normal(size=(6, width))) for k, width in enumerate((24, 16, 4))]
    found = jax.jit(jax.grad(lambda p: broadcast(network.trace(p, images, cut(network, exact(network, p))).outputs, arriving)))(
        params
    )
    same(found[0]["kernel"], x.T @ (np.asarray(arriving[0]) * (z0 > 0)))
    same(found[1]["kernel"], np.maximum(z0, 0).T @ (np.asarray(arriving[1]) * (z1 > 0)))
    same(found[2]["bias"], np.asarray(arriving[2]).sum(0))


@every_network
def test_noise_is_added_to_every_pre_activation_and_runs_on(name):
    network, params, _, (images, _), _ = setting(name)

    def both(params):
        clean = network.trace(params, images)
        rng = np.random.default_rng(2)
        noise = jax.tree.map(lambda z: jnp.asarray(0.1 * rng.normal(size=z.shape)), clean.z)
        if network.temporal:
            noisy = network.trace(params, images, lambda now: perturbed(exact(network, params), now), per_step=noise)
        else:
            noisy = network.trace(params, images, perturbed(exact(network, params), noise))
        # What every node would have had without noise of its own, from what it heard in the noisy run.
        in_time = jax.vmap if network.temporal else lambda function: function
        own = tuple(
            in_time(lambda inputs, node=node, p=p: node.synapse(p, inputs))(inputs) if node.input_shapes else ()
            for node, p, inputs in zip(network.nodes, params, noisy.inputs, strict=True)
        )
        return noisy.z, jax.tree.map(jnp.add, own, noise), noisy.outputs[-1] - clean.outputs[-1]

    z, expected, moved = jax.jit(both)(params)
    same(z, expected, atol=1e-12)
    assert not is_nothing(moved)


def test_noise_may_be_left_out_for_some_nodes():
    network, params, _, (images, _), _ = setting("mlp")
    noise = [None, jnp.ones((6, 16)), None]
    noisy, clean = network.trace(params, images, perturbed(exact(network, params), noise)), network.trace(params, images)
    same(noisy.z[0], clean.z[0])
    same(noisy.z[1], clean.z[1] + 1)


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "attention", "flax"])
def test_clamped_nodes_pass_on_what_they_are_given(name):
    network, params, _, (images, _), _ = setting(name)

    def both(params):
        clean = network.trace(params, images)
        rng = np.random.default_rng(2)
        states = [jnp.asarray(rng.normal(size=h.shape)) for h in clean.outputs]
        held = network.trace(params, images, clamped(exact(network, params), [*states[:-1], None]))
        place = {n: k for k, n in enumerate(network.node_names)}
        for index, (node, own, edges) in enumerate(zip(network.nodes, params, network.edges, strict=True)):
            heard = [network.encode(images) if edge.source == "input" else states[place[edge.source]] for edge in edges]
            inputs = tuple(x for x, edge in zip(heard, edges, strict=True) if not edge.skip)
            skips = tuple(x for x, edge in zip(heard, edges, strict=True) if edge.skip)
            yield held.outputs[index], node.run(own, (), inputs, skips)[1]

    for found, expected in jax.jit(lambda p: list(both(p)))(params):
        same(found, expected)


# Eligibility.


def dynamic(kind):
    """A network in time of one kind of hidden units, whose readout integrates."""
    shape = (3,)
    if kind == "elman":
        hidden = architectures.dense("hidden", shape, 5, "tanh", recurrent=True)
    elif kind == "leaky":
        hidden = architectures.leaky_rate("hidden", shape, 5, 0.8, "tanh", recurrent=True)
    else:
        hidden = architectures.leaky_integrate_and_fire("hidden", shape, 5, 0.9, recurrent=kind == "lif, recurrent")
    last = architectures.leaky_rate("last", (5,), 2, 0.7, "identity")
    return architectures.chain([hidden, last], name=kind, input_shape=shape, n_classes=2)


def drawn_run(network, n_steps=8, n=4):
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), jax.eval_shape(network.init, jax.random.key(0)))
    inputs = jnp.asarray(2 * rng.normal(size=(n_steps, n, *network.input_shape)))
    errors = [jnp.asarray(rng.normal(size=(n_steps, n, *node.output_shape))) for node in network.nodes]
    return params, inputs, errors


@pytest.mark.parametrize("kind", ["elman", "leaky", "lif", "lif, recurrent"])
@pytest.mark.costly(cases=2)
def test_eligibility_is_backpropagation_through_time_where_edges_are_cut(kind):
    network = dynamic(kind)
    params, inputs, errors = drawn_run(network)

    @jax.jit
    def both(params):
        def loss(p):
            return broadcast(network.trace(p, inputs, cut(network, exact(network, p))).outputs, errors)

        def by_hand(p):
            told = run_by_hand(network, p, inputs, lambda edge, h: jax.lax.stop_gradient(h) if edge.source != "input" else h)
            return sum(
                jnp.sum(h * e)
                for name, error in zip(network.node_names, errors, strict=True)
                for (_, _, _, h, _), e in zip(told[name], error, strict=True)
            )

        forward = eligibility(network, params, network.trace(params, inputs), errors)
        return forward, jax.grad(loss)(params), jax.grad(by_hand)(params)

    forward, backward, loop = both(params)
    same(forward, backward, rtol=1e-10)
    same(backward, loop, rtol=1e-10)
    assert not any(is_nothing(own) for own in forward)


def test_eligibility_of_the_fixtures_spiking_network_and_of_chosen_nodes():
    network, params, _, (images, _), _ = setting("spiking")

    @jax.jit
    def run(params):
        trace = network.trace(params, images)
        rng = np.random.default_rng(5)
        errors = [jnp.asarray(rng.normal(size=h.shape)) for h in trace.outputs]
        whole = eligibility(network, params, trace, errors)
        some = eligibility(network, params, trace, [None, errors[1], None])
        loss = lambda p: broadcast(network.trace(p, images, cut(network, exact(network, p))).outputs, errors)  # noqa: E731
        return whole, some, jax.grad(loss)(params)

    whole, some, backward = run(params)
    same(whole, backward, rtol=1e-9)
    assert is_nothing(some[0]) and is_nothing(some[2])
    same(some[1], whole[1])


def closed_form(network, params, inputs, errors, decay):
    """sum_t error_t psi_t eps_t with eps_t = x_t + decay(psi_{t-1}) eps_{t-1}, by numpy; x is what the weights meet."""
    trace = network.trace(params, inputs)
    xs, outputs = np.asarray(trace.inputs[0][0]), np.asarray(trace.outputs[0])
    steps, n, width = outputs.shape
    v, o = np.zeros((n, width)), np.zeros((n, width))
    eps, psi = np.zeros((n, xs.shape[-1], width)), np.zeros((n, width))
    total = np.zeros((xs.shape[-1], width))
    for t in range(steps):
        v = 0.9 * v + np.asarray(trace.z[0][t]) - o
        eps = xs[t][:, :, None] + decay(psi)[:, None, :] * eps
        psi = 1 / (1 + 10 * np.abs(v - 1)) ** 2
        o = (v > 1).astype(float)
        np.testing.assert_array_equal(o, outputs[t])
        total += np.einsum("niu,nu->iu", eps, np.asarray(errors[0][t]) * psi)
    return total


def test_eligibility_of_spiking_units_is_the_filtered_input_times_the_surrogate_derivative():
    """Where the reset is not differentiated, as in Bellec et al. 2020 (equations 22 and 23)."""
    init, synapse, roles = dense_synapse(((3,),), 5, (jax.nn.initializers.normal(),))

    def activate(state, z, skips):
        v, o = state
        v = 0.9 * v + z - jax.lax.stop_gradient(o)
        o = spike(v - 1.0, 10.0)
        return (v, o), o

    hidden = make_node(
        "hidden",
        input_shapes=((3,),),
        init=init,
        synapse=synapse,
        activate=activate,
        roles=roles,
        init_state=lambda n, dtype=jnp.float32: (jnp.zeros((n, 5), dtype), jnp.zeros((n, 5), dtype)),
        unitwise=True,
    )
    network = architectures.chain([hidden, architectures.readout("last", (5,), 2)], name="mine", input_shape=(3,), n_classes=2)
    params, inputs, errors = drawn_run(network, n_steps=15)
    found = jax.jit(lambda p: eligibility(network, p, network.trace(p, inputs), errors))(params)
    same(found[0]["kernel"], closed_form(network, params, inputs, errors, lambda psi: np.full_like(psi, 0.9)))


def test_eligibility_of_our_spiking_units_is_that_of_a_reset_that_is_not_differentiated():
    network = dynamic("lif")
    params, inputs, errors = drawn_run(network, n_steps=15)
    found = jax.jit(lambda p: eligibility(network, p, network.trace(p, inputs), errors))(params)
    same(found[0]["kernel"], closed_form(network, params, inputs, errors, lambda psi: np.full_like(psi, 0.9)))


def test_eligibility_of_leaky_rates_is_the_filtered_input_times_the_slope():
    """RFLO's trace (Murray 2019, equation 5): p_t = k p_{t-1} + (1 - k) x_t, times the slope."""
    network = dynamic("leaky")
    params, inputs, errors = drawn_run(network)
    trace = network.trace(params, inputs)
    found = eligibility(network, params, trace, errors)[0]
    v, p, q = np.zeros((4, 5)), np.zeros((4, 3)), np.zeros((4, 5))
    kernel, own = np.zeros((3, 5)), np.zeros((5, 5))
    for t in range(8):
        v = 0.8 * v + 0.2 * np.asarray(trace.z[0][t])
        p = 0.8 * p + 0.2 * np.asarray(trace.inputs[0][0][t])
        q = 0.8 * q + 0.2 * np.asarray(trace.inputs[0][1][t])
        felt = np.asarray(errors[0][t]) * (1 - np.tanh(v) ** 2)
        kernel += p.T @ felt
        own += q.T @ felt
    same(found["kernel"], kernel)
    same(found["kernel_1"], own)


# Vector-Jacobian products of single nodes.


@every_network
def test_replaying_a_node_gives_what_it_gave_and_lets_no_gradient_out(name):
    network, params, _, (images, _), _ = setting(name)

    @jax.jit
    def run(params):
        trace = network.trace(params, images)
        again = [replay(network, index, own, trace) for index, own in enumerate(params)]
        out = jax.grad(lambda p: jnp.sum(replay(network, len(p) - 1, params[-1], network.trace(p, images)) ** 2))(params)
        return trace.outputs, tuple(again), out

    outputs, again, out = run(params)
    same(again, outputs)
    # The state at the start is the network's, not a function of its parameters: nothing comes out at all.
    assert is_nothing(out)


def test_products_of_a_dense_node_by_hand():
    rng = np.random.default_rng(0)
    x, w, b, delta = (rng.normal(size=shape) for shape in ((6, 3), (3, 4), (4,), (6, 4)))
    node = architectures.dense("d", (3,), 4, "tanh")
    params = {"kernel": jnp.asarray(w), "bias": jnp.asarray(b)}
    inputs, error = (jnp.asarray(x),), jnp.asarray(delta)
    same(hebbian_product(node, params, inputs, error), {"kernel": x.T @ delta, "bias": delta.sum(0)})
    same(project_back(node, params, inputs, error), (delta @ w.T,))
    z = x @ w + b
    same(local_derivative(node, jnp.asarray(z), error), delta * (1 - np.tanh(z) ** 2))
    skipped = local_derivative(node, jnp.asarray(z), error, (), (jnp.ones((6, 4)),))
    same(skipped, delta * (1 - np.tanh(z) ** 2))


def test_products_of_trees_and_of_several_edges():
    node = architectures.gated("g", (3,), 4)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), jax.eval_shape(node.init, jax.random.key(0)))
    x, h = (jnp.asarray(rng.normal(size=(6, width))) for width in (3, 4))
    z = node.synapse(params, (x, h))
    delta = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), z)
    products = hebbian_product(node, params, (x, h), delta)
    back_x, back_h = project_back(node, params, (x, h), delta)
    expected_x, expected_h = 0, 0
    for part in ("reset", "update", "candidate"):
        from_input, from_itself = delta[part]
        same(products[part]["kernel"], x.T @ from_input)
        same(products[part]["recurrent"], h.T @ from_itself)
        same(products[part]["bias"], from_input.sum(0))
        expected_x += from_input @ params[part]["kernel"].T
        expected_h += from_itself @ params[part]["recurrent"].T
    same((back_x, back_h), (expected_x, expected_h))
    error = jnp.asarray(rng.normal(size=(6, 4)))
    local = local_derivative(node, z, error, (), (h,))
    u = 1 / (1 + np.exp(-(z["update"][0] + z["update"][1])))
    r = 1 / (1 + np.exp(-(z["reset"][0] + z["reset"][1])))
    c = np.tanh(z["candidate"][0] + r * z["candidate"][1])
    same(local["update"][0], error * (h - c) * u * (1 - u))
    same(local["candidate"][1], error * (1 - u) * (1 - c**2) * r)


def test_the_derivative_of_a_node_that_remembers_is_at_the_state_that_it_had():
    node = architectures.leaky_integrate_and_fire("s", (3,), 4, 0.9)
    rng = np.random.default_rng(0)
    state = tuple(jnp.asarray(rng.normal(size=(6, 4))) for _ in range(2))
    z, error = (jnp.asarray(rng.normal(size=(6, 4))) for _ in range(2))
    above = 0.9 * state[0] + z - state[1] - 1.0
    same(local_derivative(node, z, error, state), error / (1 + 10 * np.abs(above)) ** 2)


def test_products_of_a_convolution_are_gradients():
    node = architectures.convolutional("c", (6, 5, 2), 3, stride=2, activation="tanh", pooling="max")
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), jax.eval_shape(node.init, jax.random.key(0)))
    x = jnp.asarray(rng.normal(size=(4, 6, 5, 2)))
    error = jnp.asarray(rng.normal(size=(4, *node.output_shape)))

    @jax.jit
    def both(params, x):
        at_z = local_derivative(node, node.synapse(params, (x,)), error)
        products = hebbian_product(node, params, (x,), at_z), project_back(node, params, (x,), at_z)
        return products, jax.grad(lambda p, x: jnp.sum(node.run(p, (), x)[1] * error), argnums=(0, 1))(params, (x,))

    same(*both(params, x))


def test_an_edge_that_carries_no_weights_is_cut_as_well():
    residual, params, _, (images, _), _ = setting("residual")
    assert any(edge == Edge("hidden_0", skip=True) for edges in residual.edges for edge in edges)
    loss = lambda p: jnp.sum(residual.trace(p, images, cut(residual, exact(residual, p))).outputs[-2] ** 2)  # noqa: E731
    found = jax.jit(jax.grad(loss))(params)
    assert is_nothing(found[:2]) and not is_nothing(found[2])


def test_eligibility_is_refused_where_units_go_by_each_other():
    """One tangent of ones stands for all units: what a gated unit's three sums do is no one number."""
    network = network_of("gated")
    params, x = double(network.init(jax.random.key(0))), batch_of(1, n=3, dtype=jnp.float64)[0]
    trace = network.trace(params, x)
    errors = [jnp.ones_like(h) if node.name != "output" else None for node, h in zip(network.nodes, trace.outputs, strict=True)]
    with pytest.raises(InputError, match="give None"):
        eligibility(network, params, trace, errors)
