"""Networks that run in time: one loop whatever the number of steps, one step as a static network, and readings of images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from graphs import KEY
from jax.extend.core import jaxprs_in_params

import architectures
from architectures import Edge, InputError, Network, make_reading
from architectures.readings import spike_trains


def in_time(name, n_steps, **options):
    return architectures.build(name, input_shape=(4, 3, 1), n_classes=3, n_steps=n_steps, reading="current", **options)


def count(jaxpr):
    """Name of each primitive -> how often it stands in a program, loops' bodies counted once."""
    counts = {}
    for equation in jaxpr.eqns:
        counts[equation.primitive.name] = counts.get(equation.primitive.name, 0) + 1
        for inner in jaxprs_in_params(equation.params):
            for name, number in count(inner).items():
                counts[name] = counts.get(name, 0) + number
    return counts


@pytest.mark.parametrize(
    ("name", "options"),
    [("recurrent", {"units": "elman"}), ("recurrent", {"units": "gated"}), ("spiking", {"recurrent": True})],
)
def test_a_run_is_one_loop_and_its_program_does_not_grow_with_the_steps(name, options):
    def programs(n_steps):
        network = in_time(name, n_steps, hidden=(5, 4), **options)
        params, x = jax.eval_shape(network.init, KEY), jax.ShapeDtypeStruct((2, 4, 3, 1), jnp.float32)

        def loss(params, x):
            return jnp.sum(network.scores(network.forward(params, x)[-1]))

        forward, backward = jax.make_jaxpr(network.trace)(params, x), jax.make_jaxpr(jax.grad(loss))(params, x)
        lines = len(jax.jit(jax.grad(loss)).lower(params, x).as_text().splitlines())
        return count(forward.jaxpr), count(backward.jaxpr), lines

    few, many = programs(3), programs(300)
    assert few == many
    assert few[0]["scan"] == 1 and few[1]["scan"] == 2  # there and back


@pytest.mark.parametrize("decision", ["last", "mean"])
def test_a_sequence_of_one_step_is_the_static_network_to_the_bit(decision):
    static = architectures.build("mlp", input_shape=(4, 3, 1), n_classes=3, hidden=(5, 4), activation="tanh")
    params, x = static.init(KEY), jax.random.normal(KEY, (6, 4, 3, 1))
    expected = jax.jit(static.forward)(params, x)
    for options in ({"units": "elman"}, {"units": "leaky_rate", "leak": 0.0}):
        network = in_time("recurrent", 1, hidden=(5, 4), activation="tanh", decision=decision, **options)
        # Weights for what comes back from the step before meet nothing in the first.
        own = tuple({**p, "kernel": s["kernel"]} for p, s in zip(network.init(KEY), params, strict=True))
        found = jax.jit(network.forward)(own, x)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a[0], b)
        np.testing.assert_array_equal(network.scores(found[-1]), expected[-1])


def test_a_delayed_edge_makes_a_static_graph_temporal_and_a_sequence_of_one_step_the_same_to_the_bit():
    first, second = architectures.dense("first", (3,), 4, "tanh"), architectures.dense("second", (4,), 4, "tanh")
    last = architectures.readout("last", (4,), 2)
    static = architectures.chain([first, second, last], name="static", input_shape=(3,), n_classes=2)
    looped = Network("looped", (3,), 2, static.nodes, ((*static.edges[0], Edge("second", 1, skip=True)), *static.edges[1:]))
    assert looped.temporal and not static.temporal and not looped.is_chain and static.is_chain
    params, x = static.init(KEY), jax.random.normal(KEY, (2, 6, 3))
    alone, expected = jax.jit(looped.forward)(params, x[:1]), jax.jit(static.forward)(params, x[0])
    for a, b in zip(alone, expected, strict=True):
        np.testing.assert_array_equal(a[0], b)
    # Of several steps the readout, which nothing hears, is one product for all: its sums may be taken in another order.
    found = jax.jit(looped.forward)(params, x)
    for a, b in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(a[0], b)
    np.testing.assert_allclose(found[2][0], expected[2], rtol=2e-6, atol=1e-7)
    again = jax.jit(static.forward)(params, x[1])
    np.testing.assert_allclose(found[0][1], again[0] + found[1][0], atol=1e-6)


def test_the_decision_is_the_last_step_or_the_mean():
    last, mean = (in_time("recurrent", 5, hidden=(4,), decision=decision) for decision in ("last", "mean"))
    readout = jax.random.normal(KEY, (5, 2, 3))
    np.testing.assert_array_equal(last.scores(readout), readout[-1])
    np.testing.assert_array_equal(mean.scores(readout), readout.mean(axis=0))


def test_rows_are_read_from_top_to_bottom():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    reading = make_reading("rows")
    read = reading.transform(jnp.asarray(x))
    assert read.shape == (5, 2, 12) and reading.step_shape((5, 4, 3)) == (12,)
    for step in range(5):
        np.testing.assert_array_equal(read[step], x[:, step].reshape(2, -1))


def test_a_current_is_the_image_at_every_step():
    x = jax.random.normal(KEY, (2, 4, 3, 1))
    reading = make_reading("current", 7)
    np.testing.assert_array_equal(reading.transform(x), np.broadcast_to(x, (7, *x.shape)))
    assert reading.step_shape((4, 3, 1)) == (4, 3, 1)


@pytest.mark.parametrize("key", [None, 4])
def test_rates_are_evenly_spaced_spikes(key):
    x, gain, steps = jnp.linspace(-1.5, 1.5, 40).reshape(1, 40), 0.4, 60
    spikes = np.asarray(spike_trains(x, steps, gain, "rate", None if key is None else jax.random.key(key)))
    assert set(np.unique(spikes)) <= {-1.0, 0.0, 1.0}
    rate = np.minimum(gain * np.abs(np.asarray(x)), 1)
    assert np.all(np.abs(np.abs(spikes).sum(axis=0) - rate * steps) <= 1)
    assert np.all(spikes * np.sign(np.asarray(x)) >= 0)
    for column in range(40):
        gaps = np.diff(np.flatnonzero(spikes[:, 0, column]))
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_rates_are_the_same_for_the_same_image_without_a_key_and_differ_between_afferents():
    x = jnp.full((2, 30), 0.9)
    spikes = make_reading("rate", 20).transform(x)
    np.testing.assert_array_equal(spikes[:, 0], spikes[:, 1])
    assert len({tuple(column) for column in np.asarray(spikes[:, 0]).T}) > 3
    drawn = [spike_trains(x, 20, 0.2, "rate", jax.random.key(k)) for k in (0, 1)]
    assert not np.array_equal(*drawn)


def test_latencies_are_one_spike_each_the_earlier_the_stronger():
    x = jnp.asarray([[0.001, 0.3, -0.8, 2.0, 5.0]])
    spikes = np.asarray(spike_trains(x, 21, 0.5, "latency"))[:, 0]
    np.testing.assert_array_equal(np.abs(spikes).sum(axis=0), [0, 1, 1, 1, 1])
    times = [int(np.flatnonzero(spikes[:, k])[0]) for k in range(1, 5)]
    assert times == [17, 12, 0, 0]  # (1 - rate) times twenty; a rate is at most one
    assert spikes[12, 2] == -1


def test_readings_of_a_network_are_of_what_its_front_end_gives():
    images = np.random.default_rng(0).normal(size=(20, 6, 4, 1))
    front_end = architectures.fit_front_end("on_off", images)
    network = architectures.build("recurrent", input_shape=(6, 4, 1), n_classes=3, hidden=(5,), front_end=front_end)
    assert network.step_shape == (8,)
    x = jnp.asarray(images[:2], jnp.float32)
    np.testing.assert_array_equal(network.encode(x), make_reading("rows").transform(front_end(x)))
    core = network.core
    np.testing.assert_array_equal(core.encode(front_end(x)), network.encode(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_reading("colums"), "unknown reading 'colums'"),
        (lambda: make_reading("rate", 0), "at least one step"),
        (lambda: make_reading("rows").step_shape((5,)), "no rows to read"),
        (lambda: spike_trains(jnp.ones((2, 3)), 5, 0.2, "phase"), "expected 'rate' or 'latency'"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    "readout", [architectures.readout("last", (4,), 2), architectures.leaky_rate("last", (4,), 2, 0.7, "identity")]
)
def test_the_readout_of_the_last_step_is_the_traces_with_the_same_gradient(readout):
    """Whether it remembers or not, behind a node that hears another one late."""
    first = architectures.dense("first", (3,), 4, "tanh", recurrent=True)
    edges = (Edge("input"), Edge("first", 1)), (Edge("first"), Edge("first", 1, skip=True)), (Edge("second"),)
    second = architectures.dense("second", (4,), 4, "tanh")
    network = Network("mine", (3,), 2, (first, second, readout), edges)
    params, x = network.init(KEY), jax.random.normal(KEY, (7, 6, 3))

    def loss(whole):
        def of(params):
            outputs = network.trace(params, x).outputs[-1] if whole else network.readout(network.plain(params), x)
            return jnp.sum(jnp.sin(network.scores(outputs)))

        return of

    assert network.readout(network.plain(params), x).shape == (1, 6, 2)
    for a, b in zip(*(jax.tree.leaves(jax.jit(jax.value_and_grad(loss(whole)))(params)) for whole in (True, False)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
