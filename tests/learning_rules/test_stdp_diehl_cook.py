"""Diehl and Cook 2015 against another simulator on their equations, and what their paper says of weights, thresholds and images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import double

import architectures
import learning_rules
from learning_rules import InputError
from learning_rules.objectives import Batch
from learning_rules.plausibility.images import digits
from learning_rules.stdp_diehl_cook import (
    EXCITATORY,
    INHIBITORY,
    MAX_SHOWINGS,
    _fire,
    at_rest,
    brightness,
    forgetting,
    integrated,
    one_step,
    scaled,
)

N_INPUTS, N_UNITS, N_STEPS = 6, 3, 600
# Written out so that any simulator can be given the same.
FIRST_WEIGHTS = np.array(
    [[0.69, 0.31, 0.52], [0.4, 0.81, 0.7], [0.8, 0.39, 0.39], [0.32, 0.7, 0.8], [0.85, 0.51, 0.32], [0.3, 0.56, 0.85]]
)
INPUT_SPIKES = np.array([[(t * (i + 3) + 5 * i) % 17 < 2 for i in range(N_INPUTS)] for t in range(N_STEPS)], float)

# Of Brian 2.9.0 (Stimberg, Brette and Goodman 2019, doi:10.7554/eLife.47314), by `diehl_cook_in_brian.py` beside this file. Times
# are steps of 0.5 ms; no unit forgets anything of its threshold meanwhile.
BRIAN_EXCITATORY = [(67, 2), (142, 0), (142, 2), (256, 1), (344, 1), (448, 0), (561, 2)]
BRIAN_INHIBITORY = [(68, 2), (143, 0), (143, 2), (257, 1), (345, 1), (449, 0), (562, 2)]
BRIAN_WEIGHTS = [
    [0.53115489, 0.16461396, 0.33565078],
    [0.23254712, 0.67547264, 0.51347937],
    [0.63477226, 0.23673559, 0.21650489],
    [0.14194262, 0.53238027, 0.61389384],
    [0.65800951, 0.35280965, 0.10457124],
    [0.11932601, 0.43003276, 0.68231918],
]
BRIAN_THETA = [22.0, 22.0, 23.0]
# Every fortieth step, before it.
BRIAN_POTENTIALS = [
    [-65.0, -56.650918, -62.974863, -55.779877, -70.520552, -60.822048, -54.601416, -61.999386],
    [-65.0, -56.969597, -63.438958, -56.093611, -72.319255, -61.712438, -54.270571, -59.705742],
    [-65.0, -56.371095, -61.3094, -53.998012, -70.559331, -61.033281, -54.504137, -62.179645],
]


def options_of(**changed):
    return dataclasses.replace(learning_rules.options_of("stdp/textbook"), **changed)


def small(hidden=(20,), shape=(6, 6, 1), **options):
    network = architectures.build("mlp", input_shape=shape, n_classes=3, hidden=hidden)
    return learning_rules.build("stdp/textbook", network, **options)


def test_a_layer_fires_and_learns_as_another_simulator_says():
    node = architectures.dense("units", (N_INPUTS,), N_UNITS)
    options = options_of(plasticity_rate=0.1, depression=0.2, homeostasis=1.0)
    with jax.enable_x64(True):
        params = double(node.init(jax.random.key(0))) | {"kernel": jnp.asarray(FIRST_WEIGHTS), "bias": jnp.zeros(N_UNITS)}
        inputs = jnp.asarray(INPUT_SPIKES)[:, None]

        def step(layer, outside):
            after, spikes = one_step(node, layer, outside, options, plastic=True)
            return after, (layer.excitatory.v[0], spikes.excitatory[0], spikes.inhibitory[0])

        layer, (v, excitatory, inhibitory) = jax.lax.scan(step, at_rest(params, jnp.full(N_UNITS, 20.0), inputs[0]), inputs)
        assert list(zip(*map(np.ndarray.tolist, np.nonzero(np.asarray(excitatory))), strict=True)) == BRIAN_EXCITATORY
        assert list(zip(*map(np.ndarray.tolist, np.nonzero(np.asarray(inhibitory))), strict=True)) == BRIAN_INHIBITORY
        np.testing.assert_allclose(np.asarray(v)[:320:40].T, BRIAN_POTENTIALS, atol=1e-6)
        np.testing.assert_allclose(layer.params["kernel"], BRIAN_WEIGHTS, atol=1e-8)
        np.testing.assert_allclose(layer.theta, BRIAN_THETA, atol=1e-9)
    assert not np.any(np.asarray(layer.params["bias"]))


@pytest.mark.parametrize(("kind", "interval"), [(EXCITATORY, 10), (INHIBITORY, 4)])
def test_a_unit_that_is_always_driven_fires_as_often_as_another_simulator_says(kind, interval):
    """Brian 2.9.0: 5 ms of silence, by `refractory` or a timer, every 10 steps; 2 ms, the potential waiting, every 4."""
    layer = at_rest({}, jnp.full(1, 20.0), jnp.zeros((1, 1)))
    units = layer.excitatory if kind is EXCITATORY else layer.inhibitory
    times = []
    for number in range(45):
        units, spikes = _fire(kind, units._replace(excitation=jnp.full((1, 1), 50.0)), 0.0)
        times += [number] if spikes[0, 0] else []
    assert set(np.diff(times)) == {interval}


@pytest.mark.parametrize("kind", [EXCITATORY, INHIBITORY])
@pytest.mark.costly
def test_potentials_come_to_rest_where_currents_cancel(kind):
    v = jnp.full(1, kind.rest)
    for _ in range(4000):
        v = integrated(kind, v, jnp.full(1, 0.5), jnp.full(1, 0.25))
    np.testing.assert_allclose(v, (kind.rest + 0.25 * kind.inhibition) / 1.75, rtol=1e-4)


def test_weights_have_their_sum_and_bounds_and_who_wins_comes_to_want_what_was_bright():
    rule = small(hidden=(4,), n_steps=400, input_gain=0.3, plasticity_rate=0.5)
    state = rule.init(jax.random.key(0))
    first = state.params["network"][0]["kernel"]
    np.testing.assert_allclose(jnp.sum(first, axis=0), 36 * 78 / 784, rtol=1e-5)
    x = jnp.concatenate([jnp.ones((1, 3, 6, 1)), jnp.zeros((1, 3, 6, 1))], axis=1)
    updates, after, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, (x, jnp.zeros(1, int)))
    learned = first - updates["network"][0]["kernel"]
    assert info["competing_spikes"] >= 5
    assert float(learned.min()) > -1e-6 and float(learned.max()) < 1 + 1e-6
    # A unit's first spike finds no trace of an earlier one, and grows nothing.
    spikes = np.round((np.asarray(after.carry) - 20) / 0.05)
    grown = np.asarray(learned[:18] - first[:18]).sum(axis=0)
    assert np.any(spikes >= 2) and np.all(grown[spikes >= 2] > 0) and np.all(grown[spikes == 1] < 0)
    # No bright pixel, no spike, no change.
    np.testing.assert_allclose(learned[18:], first[18:], atol=1e-6)
    np.testing.assert_allclose(learned[:, spikes == 0], first[:, spikes == 0], atol=1e-6)


def test_images_are_shown_one_after_the_other_whatever_the_batch():
    """What comes later changes nothing of what was learned before it, and is learned after it."""
    rule = small(n_steps=60, input_gain=0.3, plasticity_rate=0.1)
    state, labels = rule.init(jax.random.key(0)), jnp.array([0, 1])
    x = jax.random.uniform(jax.random.key(1), (3, 6, 6, 1))

    ask = jax.jit(rule.assign_credit)

    def thresholds(*images):
        return np.asarray(ask(jax.random.key(2), state, (jnp.stack(images), labels))[1].carry)

    first, both, other = thresholds(x[0], jnp.zeros_like(x[0])), thresholds(x[0], x[1]), thresholds(x[1], x[0])
    # A spike is 0.05 millivolts, and what is forgotten meanwhile is less than 0.01.
    assert np.any(first > 20.04) and np.all(both > first - 0.01) and np.any(both > first + 0.04)
    assert np.any(np.abs(both - other) > 0.04)


@pytest.mark.thorough
def test_an_image_that_draws_few_spikes_is_shown_again_brighter_and_a_blank_one_given_up():
    half = jnp.concatenate([jnp.ones((1, 3, 6, 1)), jnp.zeros((1, 3, 6, 1))], axis=1)
    shown = []
    for gain, x in ((0.3, jnp.ones_like(half)), (0.08, half), (0.3, half)):
        rule = small(n_steps=200, input_gain=gain)
        state = rule.init(jax.random.key(0))
        _, _, info = rule.assign_credit(jax.random.key(1), state, (x, jnp.zeros(1, int)))
        shown.append((float(info["showings"]), float(info["competing_spikes"])))
    (blank, none), (dim, few), (bright, enough) = shown
    assert blank == MAX_SHOWINGS > dim > bright >= 1
    assert none == 0 and few >= 5 and enough >= 5


def test_brightness_is_that_of_the_pixels_whatever_inputs_are_scaled_to():
    pixels = jax.random.uniform(jax.random.key(0), (3, 4, 4, 1)).at[:, 0, 0].set(0.0).at[:, 1, 1].set(1.0)
    np.testing.assert_allclose(brightness(3.0 * pixels - 0.7), pixels, atol=1e-6)
    assert not np.any(brightness(jnp.full((2, 4, 4, 1), 5.0)))


def test_at_test_nothing_moves_and_neighbours_say_nothing():
    rule = small(n_steps=60, input_gain=0.3)
    state = rule.init(jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (4, 6, 6, 1))
    np.testing.assert_array_equal(rule.represent(state, x)[0][:1], rule.represent(state, x[:1])[0])
    np.testing.assert_array_equal(rule.predict(state, x), rule.predict(state, x))


def learned_digits(**options):
    """Three hundred digits, shown once: accuracy on others, the learner of two runs after two steps, what the last step told."""
    images = digits()
    network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(40,))
    rule = learning_rules.build("stdp/textbook", network, n_steps=150, input_gain=0.12, learning_rate=0.05, **options)
    step = jax.jit(learning_rules.make_step(rule, rule.optimizer()))
    batches = images.train[:300].reshape(15, 20, 8, 8, 1), images.train_labels[:300].reshape(15, 20)
    keys = jax.random.split(jax.random.key(1), 15)

    def learners(n_steps):
        learner = learning_rules.start(rule, rule.optimizer(), jax.random.key(0))
        for key, *batch in zip(keys[:n_steps], *batches, strict=False):
            learner, info = step(learner, key, tuple(batch))
            yield learner.state, info

    *_, (state, info) = course = [*learners(15)]
    twice = [each[1][0] for each in (course, [*learners(2)])]
    shown = slice(None, 200)
    scores = rule.predict(state, jnp.asarray(images.test[shown]))
    return np.mean(np.argmax(scores, -1) == images.test_labels[shown]), twice, info


@pytest.mark.thorough
def test_digits_are_told_apart_by_who_fires_and_the_same_run_gives_the_same_bits():
    accuracy, (one, again), info = learned_digits()
    for a, b in zip(*map(jax.tree.leaves, (one, again)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(info["competing_spikes"]) >= 5
    # The same units with weights that stay: their thresholds still adapt, and the readout learns.
    assert accuracy > learned_digits(plasticity_rate=1e-9)[0] + 0.04


def test_who_is_told_no_label_still_learns_from_the_image():
    rule = small(n_steps=60, input_gain=0.3)
    state, x = rule.init(jax.random.key(0)), jax.random.uniform(jax.random.key(1), (2, 6, 6, 1))
    asked = [
        rule.assign_credit(jax.random.key(2), state, Batch(x, jnp.array([0, label]), jnp.array([1.0, 0.0])))[0]["network"]
        for label in (1, 2)
    ]
    for one, other in zip(*map(jax.tree.leaves, asked), strict=True):
        np.testing.assert_array_equal(one, other)
    assert jnp.any(asked[0][0]["kernel"] != 0)


def test_thresholds_forget_in_single_precision_what_they_are_to_forget():
    rule = small(n_steps=60)
    state, dark = rule.init(jax.random.key(0)), jnp.ones((1, 6, 6, 1))
    after = rule.assign_credit(jax.random.key(1), state, (dark, jnp.zeros(1, int)))[1].carry
    assert after.dtype == jnp.float32
    np.testing.assert_allclose(20 - np.asarray(after), 20 * -np.expm1(-MAX_SHOWINGS * (60 * 0.5 + 150) / 1e7), rtol=0.01)
    assert forgetting(700) == np.exp(-0.5 / 1e4)


def test_options_that_have_no_part_in_it_are_refused():
    for options in ({"coding": "latency"}, {"leak": 0.5}, {"critical_period": 10}):
        with pytest.raises(InputError, match="nothing of the kind"):
            small(**options)


def test_scaling_leaves_what_is_scaled_already():
    node = architectures.dense("units", (784,), 4)
    params = {"kernel": jnp.full((784, 4), 78 / 784), "bias": jnp.ones(4)}
    np.testing.assert_allclose(scaled(node, params)["kernel"], params["kernel"], rtol=1e-5)
    np.testing.assert_array_equal(scaled(node, params)["bias"], params["bias"])


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda: architectures.build("mlp", input_shape=(6, 6, 1), n_classes=3, hidden=(8, 8)), "2 hidden nodes"),
        (lambda: architectures.build("cnn", input_shape=(8, 8, 1), n_classes=3, channels=(4,), hidden=()), "share weights"),
    ],
)
def test_networks_that_were_never_published_are_refused(network, said):
    with pytest.raises(InputError, match=said):
        learning_rules.build("stdp/textbook", network())
