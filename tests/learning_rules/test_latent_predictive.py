"""Latent predictive learning against its published equations in NumPy, finite differences, and its closed-form resting point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg
from small_task import batch_of, double, network_of, watch

import architectures
import learning_rules
from architectures import Network
from learning_rules import Batch, InputError, RuleState
from learning_rules.positive_pairs import ViewOptions, second_view

HEBBIAN, DECORRELATION, EPSILON = 0.7, 3.0, 1e-4
KEY = jax.random.key(3)


def published_change(before, z, slope, presynaptic, counts):
    """What the three terms ask of weights, unit by unit and pair by pair: minus the gradient, arrays (pairs, ...)."""
    before, z, slope, presynaptic = (each[counts > 0] for each in (before, z, slope, presynaptic))
    n, n_units = z.shape
    mean = z.mean(0)
    units = range(n_units)
    covariance = np.array([[np.sum((z[:, i] - mean[i]) * (z[:, k] - mean[k])) / (n - 1) for k in units] for i in units])
    alpha, beta = 2 * n / (n - 1), 4 * n / ((n - 1) * (n_units - 1))
    change = np.zeros((presynaptic.shape[1], n_units))
    for b in range(n):
        for i in units:
            others = sum((z[b, k] - mean[k]) * covariance[i, k] for k in units if k != i)
            told = (
                -(z[b, i] - before[b, i])
                + HEBBIAN * alpha / (covariance[i, i] + EPSILON) * (z[b, i] - mean[i])
                - DECORRELATION * beta * others
            )
            change[:, i] += told * slope[b, i] * presynaptic[b] / (n_units * n)
    return change


def with_bias(update):
    """As one matrix, the bias as the weights of an input of one."""
    weights = [np.asarray(update[name]) for name in ("kernel_1", "kernel") if name in update]
    return np.concatenate([*weights, np.asarray(update["bias"])[None]])


def one_step(name, counts=None, n=12, **options):
    # More units than examples, then fewer: covariances are found in two ways.
    network = network_of(name, hidden=(15, 5)) if name != "cnn" else network_of(name)
    rule = learning_rules.build("latent_predictive", network, hebbian=HEBBIAN, decorrelation=DECORRELATION, **options)
    state, (images, labels) = double(rule.init(jax.random.key(0))), batch_of(2, n=n, dtype=jnp.float64)
    updates, _, info = jax.jit(rule.assign_credit)(KEY, state, Batch(images, labels, counts))
    return network, state.params["network"], images, labels, updates["network"], info


def test_a_step_on_two_views_is_the_published_equations():
    with jax.enable_x64(True):
        counts = jnp.asarray(np.arange(12) % 4 > 0, jnp.float64)
        network, params, images, labels, updates, _ = one_step("mlp", counts)
        view = second_view(KEY, images, ViewOptions())
        assert float(jnp.abs(view - images).max()) > 0.5
        first, second = (np.asarray(x).reshape(12, -1) for x in (images, view))
        for own, update in zip(params[:-1], updates, strict=False):
            w, b = np.asarray(own["kernel"]), np.asarray(own["bias"])
            heard = [np.concatenate([x, np.ones((12, 1))], axis=1) for x in (first, second)]
            slopes = [(x @ w + b > 0).astype(float) for x in (first, second)]
            first, second = (np.maximum(x @ w + b, 0) for x in (first, second))
            # Neither view comes first: the mean over both orders.
            forth = published_change(first, second, slopes[1], heard[1], np.asarray(counts))
            back = published_change(second, first, slopes[0], heard[0], np.asarray(counts))
            np.testing.assert_allclose(with_bias(update), -(forth + back) / 2, rtol=1e-9, atol=1e-12)
        # The readout hears the image as it is.
        scores = first @ np.asarray(params[-1]["kernel"]) + np.asarray(params[-1]["bias"])
        chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        error = (chances - np.eye(4)[np.asarray(labels)]) * np.asarray(counts)[:, None] / float(counts.sum())
        np.testing.assert_allclose(updates[-1]["kernel"], first.T @ error, rtol=1e-9, atol=1e-12)


def test_a_step_in_time_predicts_the_next_step_and_no_error_crosses_the_recurrent_edge():
    with jax.enable_x64(True):
        network, params, images, _, updates, _ = one_step("elman", n=5)
        steps = np.asarray(network.encode(images))
        for own, update in zip(params[:-1], updates, strict=False):
            w, u, b = (np.asarray(own[name]) for name in ("kernel", "kernel_1", "bias"))
            h, outputs, heard = np.zeros((5, len(b))), [], []
            for x in steps:
                x = x.reshape(5, -1)
                heard.append(np.concatenate([h, x, np.ones((5, 1))], axis=1))
                h = np.tanh(x @ w + h @ u + b)
                outputs.append(h)
            z = np.concatenate(outputs[1:])
            expected = -published_change(np.concatenate(outputs[:-1]), z, 1 - z**2, np.concatenate(heard[1:]), np.ones(len(z)))
            np.testing.assert_allclose(with_bias(update), expected, rtol=1e-9, atol=1e-12)
            steps = np.stack(outputs)


def published_loss(before, z):
    """Of features (n, units)."""
    covariance = np.cov(z.T)
    n_units = z.shape[1]
    off_diagonal = covariance - np.diag(np.diag(covariance))
    return (
        np.mean((z - before) ** 2) / 2
        - HEBBIAN * np.mean(np.log(np.diag(covariance) + EPSILON))
        + DECORRELATION * np.sum(off_diagonal**2) / (n_units**2 - n_units)
    )


@pytest.mark.thorough
def test_units_that_share_weights_follow_the_slope_of_their_own_loss():
    """Finite differences of each node's loss alone, at what maps are on average over places."""
    with jax.enable_x64(True):
        network, params, images, _, updates, info = one_step("cnn")
        view = second_view(KEY, images, ViewOptions())
        forward = jax.jit(lambda params, x: network.forward(params, x))

        def pooled(h):
            h = np.asarray(h)
            return h.mean(tuple(range(1, h.ndim - 1))) if h.ndim > 2 else h

        held = [[pooled(h) for h in forward(params, x)] for x in (images, view)]
        rng = np.random.default_rng(0)
        for k in range(len(network.nodes) - 1):
            along = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape) / np.sqrt(leaf.size), params[k])

            def loss(step, k=k, along=along):
                moved = jax.tree.map(lambda p, d: p + step * d, params[k], along)
                now = [pooled(forward((*params[:k], moved, *params[k + 1 :]), x)[k]) for x in (images, view)]
                return (published_loss(held[0][k], now[1]) + published_loss(held[1][k], now[0])) / 2

            slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
            asked = sum(jax.tree.leaves(jax.tree.map(lambda u, d: float(jnp.vdot(u, d)), updates[k], along)))
            np.testing.assert_allclose(asked, slope, rtol=1e-5, atol=1e-8)
            np.testing.assert_allclose(info["node_loss"][k], loss(0.0), rtol=1e-9)


def test_a_unit_comes_to_rest_on_the_slow_direction_however_weak_it_is():
    """One linear unit: at rest (S - S_lag) w = 2 lambda S w / (w' S w), the slowest direction and not the strongest.

    S are the inputs' covariances, S_lag those with the step before. In each sequence of two steps one of two objects is seen
    twice, which moves the first input by one; the second input is strong noise.
    """
    rng = np.random.default_rng(0)
    kinds = rng.choice([-1.0, 1.0], 200)
    pairs = np.stack([kinds * np.ones((2, 200)), np.zeros((2, 200))], axis=-1) + rng.normal(size=(2, 200, 2)) * [0.3, 4.0]
    # Every sequence is also seen backwards, so that there is no direction of time.
    sequences = np.concatenate([pairs, pairs[::-1]], axis=1)
    sequences -= sequences.mean((0, 1))
    unit = architectures.leaky_rate("unit", (2,), 1, leak=0.0, activation="identity")
    edges = ((architectures.Edge("input"),), (architectures.Edge("unit"),))
    network = Network("one unit", (2,), 2, (unit, architectures.readout("last", (1,), 2)), edges)
    rule = learning_rules.build("latent_predictive", network, hebbian=HEBBIAN, decorrelation=0.0)
    with jax.enable_x64(True):
        batch = Batch(jnp.asarray(sequences), jnp.zeros(400, int))

        @jax.jit
        def settle(params):
            def step(params, _):
                updates = rule.assign_credit(KEY, RuleState({"network": params}, ()), batch)[0]["network"]
                return jax.tree.map(lambda p, u: p - 0.02 * u, params, updates), None

            return jax.lax.scan(step, params, length=4000)[0]

        start = double(rule.init(jax.random.key(0)).params["network"])
        # It starts on the noise, which is where Hebbian plasticity alone would leave it.
        start = ({**start[0], "kernel": jnp.array([[0.05], [0.5]])}, start[1])
        w = np.asarray(settle(start)[0]["kernel"])[:, 0]
    later, earlier = sequences[1], sequences[0]
    total, lagged = later.T @ later / 400, later.T @ earlier / 400
    ratios, directions = linalg.eigh(total, total - lagged)
    slowest = directions[:, np.argmax(ratios)]
    expected = slowest * np.sqrt(2 * HEBBIAN / (slowest @ (total - lagged) @ slowest))
    assert abs(np.linalg.eigh(total)[1][:, -1] @ slowest) < 0.2 * np.linalg.norm(slowest)
    # The published epsilon beside the variance and B - 1 in place of B leave less than a hundredth.
    np.testing.assert_allclose(w * np.sign(w @ slowest), expected, rtol=0.01, atol=0.01 * np.abs(expected).max())


def test_the_representation_collapses_without_the_hebbian_term_and_not_with_it():
    network = network_of("mlp", hidden=(12,))
    alone, together = (
        watch(learning_rules.build("latent_predictive", network, learning_rate=0.01, hebbian=hebbian), "variance")[:, 0]
        for hebbian in (0.0, 1.0)
    )
    assert alone[0] == together[0] and alone[-10:].mean() < 0.1 * alone[0] and together[-10:].mean() > 0.5 * together[0]


@pytest.mark.thorough
def test_without_hidden_nodes_nothing_but_the_delta_rule_is_left():
    network = network_of("mlp", hidden=())
    rule, backprop = (learning_rules.build(name, network) for name in ("latent_predictive", "backprop"))
    state, batch = rule.init(jax.random.key(0)), batch_of(0, n=4)
    ours, reference = (jax.jit(each.assign_credit)(KEY, state, batch)[0]["network"][-1]["kernel"] for each in (rule, backprop))
    np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("option", ["hebbian", "decorrelation"])
def test_mistakes_are_named(option):
    with pytest.raises(InputError, match=f"{option}=-1.0 was given"):
        learning_rules.build("latent_predictive", network_of("mlp"), **{option: -1.0})


def test_a_sequence_of_one_step_is_refused():
    network = network_of("elman", side=1)
    rule = learning_rules.build("latent_predictive", network)
    with pytest.raises(InputError, match="two steps or more"):
        jax.eval_shape(lambda key: rule.assign_credit(key, rule.init(key), (jnp.ones((3, 1, 1, 1)), jnp.zeros(3, int))), KEY)
