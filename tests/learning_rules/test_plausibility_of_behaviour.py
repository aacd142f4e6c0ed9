"""The criteria that ask how a rule behaves: signs, operations, memory, noise and phases, each against what is counted by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decoys import hoarder

import architectures
import learning_rules
from architectures.readings import spike_trains
from learning_rules import plausibility
from learning_rules.plausibility import dales_law, energy, memory, online_learning, robustness, training, ways_of_firing
from learning_rules.plausibility.event_products import count_events
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.weight_transport import changed_alike
from learning_rules.signs import keeping_signs


@functools.cache
def rule_under_test(rule, **options):
    return RuleUnderTest(rule, lambda network: learning_rules.build(rule, network, **options))


def probe(test, criterion):
    return plausibility.CRITERIA[criterion].probe(test)


# Dale's law.


def chain(kernel):
    """Two hidden nodes, the second of which hears the first by a kernel."""
    units, targets = kernel.shape
    network = architectures.build("mlp", input_shape=(3, 1, 1), n_classes=2, hidden=(units, targets))
    first = {"bias": np.zeros(units), "kernel": np.eye(3, units)}
    return network, [first, {"bias": np.zeros(targets), "kernel": kernel}, {"bias": 0, "kernel": np.ones((targets, 2))}]


def test_the_index_is_the_share_of_the_sign_that_weighs_more():
    # A unit that excites, one that inhibits, one of each to equal parts, one three to one, and one without weights.
    by_hand = [1.0, 1.0, 0.5, 0.75, 1.0]
    kernel = np.array([[1.0, 2.0], [-1.0, -2.0], [1.0, -1.0], [-3.0, 1.0], [0.0, 0.0]])
    assert dales_law.majority_share(*chain(kernel)) == pytest.approx(np.mean(by_hand))
    assert dales_law.majority_share(*chain(kernel * 7)) == pytest.approx(np.mean(by_hand))
    kernel[0, 0] = np.nan
    assert dales_law.majority_share(*chain(kernel)) == pytest.approx(np.mean([0.5, *by_hand[1:]]))


def test_the_index_of_weights_drawn_at_random_is_that_of_a_sum_of_normal_numbers():
    """Half, and half of E|sum| / E sum| | = sqrt(n) sqrt(2 / pi) / (n sqrt(2 / pi))."""
    kernel = np.random.default_rng(0).normal(size=(2000, 100))
    assert dales_law.majority_share(*chain(kernel)) == pytest.approx(0.5 + 0.5 / np.sqrt(100), abs=0.003)


def test_a_rule_that_keeps_signs_learns_and_meets_the_law():
    free, kept = rule_under_test("backprop"), rule_under_test("backprop", excitatory=0.8)
    assert probe(free, "Dale's law").verdict == "fails"
    found = probe(kept, "Dale's law")
    assert found.verdict == "meets" and found.value == 1.0, found
    network = kept.state.params["network"]
    for below, above in ((48, 1), (40, 2), (32, 3)):
        excites = round(0.8 * below)
        kernel = np.asarray(network[above]["kernel"])
        assert (kernel[:excites] >= 0).all() and (kernel[excites:] <= 0).all() and (kernel != 0).mean() > 0.5
    # It takes twice as long as free weights.
    assert kept.accuracy(kept.fresh(4)) < 0.3 < 0.85 < kept.accuracy(kept.train(128, 176))


def test_a_tenth_of_the_wrong_sign_is_partly_lawful():
    nearly = np.full((4, 8), 1.0)
    nearly[0, 0] = -0.01
    test = rule_under_test("untrained")
    found = {}
    for name, wrong in (("nearly", -0.01), ("hardly", -1000.0)):
        params = jax.tree.map(np.ones_like, test.fresh(4).params["network"])
        for own in params[1:]:
            own["kernel"][:, 0] = wrong
        changed = RuleUnderTest(name, test.make)
        changed.__dict__["state"] = test.start._replace(params={"network": params})
        found[name] = probe(changed, "Dale's law")
    assert found["nearly"].verdict == "partly" and 0.99 < found["nearly"].value < 1
    assert found["hardly"].verdict == "partly" and found["hardly"].value > 0.9  # one target takes nearly all the weight


def signs_by_hand(length, n_units, excitatory=0.75):
    return np.array([1.0 if place % n_units < round(excitatory * n_units) else -1.0 for place in range(length)])


def test_maps_keep_their_signs_wherever_they_are_heard():
    network = architectures.build("cnn", input_shape=(8, 8, 1), n_classes=3, channels=(4, 8), hidden=(5,))
    rule = keeping_signs(lambda signed: learning_rules.build("backprop", signed), network, excitatory=0.75)
    start, free = rule.init(jax.random.key(0)).params["network"], network.init(jax.random.key(0))
    for index, below in ((1, 4), (2, 8), (3, 5)):
        kernel, drawn = np.asarray(start[index]["kernel"]), np.asarray(free[index]["kernel"])
        signs = signs_by_hand(kernel.shape[-2], below)
        assert (np.sign(kernel) == np.broadcast_to(signs[:, None], kernel.shape)).all()
        # Three excite for each that inhibits (of five units four do), a third as strongly.
        n_inhibits = below - round(0.75 * below)
        ratio = np.sqrt(n_inhibits / (below - n_inhibits))
        sizes = np.where(signs > 0, ratio, 1 / ratio)[:, None] * np.abs(drawn)
        np.testing.assert_allclose(np.abs(kernel), sizes, rtol=1e-5)
    np.testing.assert_array_equal(start[0]["kernel"], free[0]["kernel"])
    # What crosses zero is put there.
    moved = jax.tree.map(lambda leaf: leaf + jax.random.normal(jax.random.key(1), leaf.shape), start)
    held = rule.constrain({"network": moved})["network"]
    for index, below in ((1, 4), (2, 8), (3, 5)):
        kernel = np.asarray(moved[index]["kernel"])
        signs = signs_by_hand(kernel.shape[-2], below)[:, None]
        np.testing.assert_array_equal(held[index]["kernel"], signs * np.maximum(signs * kernel, 0))
        np.testing.assert_array_equal(held[index]["bias"], moved[index]["bias"])
    np.testing.assert_array_equal(held[0]["kernel"], moved[0]["kernel"])


def test_excitation_and_inhibition_cancel_at_the_start():
    network = architectures.build("mlp", input_shape=(3, 1, 1), n_classes=2, hidden=(400, 300))
    rule = learning_rules.build("backprop", network, excitatory=0.8)
    kernel = np.asarray(rule.init(jax.random.key(0)).params["network"][1]["kernel"])
    free = np.asarray(network.init(jax.random.key(0))[1]["kernel"])
    assert abs(kernel.mean()) < 0.02 * kernel.std()
    assert np.mean(kernel**2) == pytest.approx(np.mean(free**2), rel=0.02)


def test_a_fraction_that_is_none_and_units_that_are_not_told_apart_are_refused():
    network = architectures.build("mlp", input_shape=(3, 1, 1), n_classes=2, hidden=(4, 3))
    with pytest.raises(learning_rules.InputError, match=r"excitatory=1.2 was given, expected a fraction"):
        learning_rules.build("backprop", network, excitatory=1.2)


# Energy.


SPIKES = np.zeros((5, 8), np.float32)
SPIKES[[0, 2, 2, 4], [1, 1, 5, 7]] = 1.0
GRADED = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)


def in_a_loop(spikes, weights):
    return jax.lax.scan(lambda total, one: (total + one @ weights, None), jnp.zeros(3), spikes)[0]


def while_there_is_time(spikes, weights):
    return jax.lax.while_loop(lambda at: at[0] < 5, lambda at: (at[0] + 1, at[1] + spikes[at[0]] @ weights), (0, jnp.zeros(3)))[1]


def where_they_are_wanted(spikes, weights):
    return jax.lax.cond(jnp.sum(spikes) > 2, lambda: spikes @ weights, lambda: 0 * spikes @ weights @ weights.T @ weights)


def on_a_picture(spikes, weights):
    maps = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(1.0) + 0 * jnp.sum(spikes)
    return jax.lax.conv_general_dilated(maps, jnp.ones((3, 3, 1, 2)), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.parametrize(
    ("function", "spikes", "multiplied", "added"),
    [
        (jnp.dot, SPIKES, 0, 4 * 3),
        (in_a_loop, SPIKES, 0, 4 * 3),
        (while_there_is_time, SPIKES, 0, 4 * 3),
        (where_they_are_wanted, SPIKES, 0, 4 * 3),
        (jax.jit(jnp.dot), SPIKES, 0, 4 * 3),
        # Both signs, and less what all share.
        (jnp.dot, SPIKES * np.where(np.arange(8) < 4, 1, -1).astype(np.float32), 0, 4 * 3),
        (jnp.dot, np.tile(SPIKES, (5, 1)) - np.linspace(0.1, 0.4, 8, dtype=np.float32), 0, 5 * 4 * 3),
        # As seldom, but of many sizes; and dense.
        (jnp.dot, SPIKES * GRADED, 4 * 3, 0),
        (jnp.dot, GRADED, 5 * 8 * 3, 0),
        # One spike, nine places that hear it, two maps.
        (on_a_picture, SPIKES, 0, 9 * 2),
    ],
)
def test_events_times_fan_out_are_counted_as_by_hand(function, spikes, multiplied, added):
    counted = count_events(function, jnp.asarray(spikes), jnp.asarray(WEIGHTS))
    assert counted == pytest.approx((multiplied, added))


def test_silence_of_graded_signals_is_free_where_signals_are_events_alone():
    rectified = np.maximum(GRADED, 0)
    n_active = int((rectified > 0).sum())
    assert count_events(jnp.dot, rectified, WEIGHTS, graded=True) == pytest.approx((n_active * 3, 0))
    assert count_events(jnp.dot, rectified, WEIGHTS, graded=False) == pytest.approx((5 * 8 * 3, 0))
    assert count_events(jnp.dot, SPIKES, WEIGHTS, graded=False) == pytest.approx((0, 4 * 3))


def test_spikes_of_a_network_cost_what_units_simulated_by_hand_send():
    """Leaky integrate-and-fire units in NumPy, their spikes counted one by one."""
    network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(6, 5))
    test = RuleUnderTest("stdp", lambda net: learning_rules.build("stdp", net), network)
    test.__dict__["state"] = test.start
    options, state = test.rule.options, test.start
    images = test.batch(0)[0]
    heard = np.asarray(spike_trains(images, options.n_steps, options.input_gain, options.coding, None), np.float64)
    heard = heard.reshape(*heard.shape[:2], -1)
    sent, beside = 0.0, 0.0
    for own, kept in zip(state.params["network"][:-1], state.carry["memories"], strict=True):
        kernel = np.asarray(own["kernel"], np.float64)
        sent += np.count_nonzero(heard) * kernel.shape[1]
        # The length of what units see is one sum of squares for all of them.
        beside += np.count_nonzero(heard.mean(axis=0))
        length = np.linalg.norm(heard.mean(axis=0), axis=1)
        length = np.where(length > 0, length, 1.0)
        potential, spikes = np.zeros((len(images), kernel.shape[1])), []
        for now in heard:
            potential = options.leak * potential + now @ (kernel / np.linalg.norm(kernel, axis=0)) / length[:, None]
            spikes.append(potential >= np.asarray(kept.free))
            potential = np.where(spikes[-1], 0, potential)
        heard = np.stack(spikes).astype(np.float64)
    readout = np.count_nonzero(heard.sum(axis=0)) * 10
    found = energy.cost(test, learning=False)
    n = len(images)
    # What is not a spike's is a small part: lengths, and rates that the readout multiplies where they are of many sizes.
    assert sent > 15 * (beside + readout) and found.accumulates == pytest.approx(sent / n, rel=0.02)
    assert sum(found) == pytest.approx((sent + beside + readout) / n, rel=0.01)


# Online.


def test_images_that_are_kept_move_later_changes_and_lie_apart(monkeypatch):
    """Also where the dataflow does not see that they are copies."""
    monkeypatch.setattr(online_learning, "stored", lambda test: [])
    test = RuleUnderTest("hoarder", hoarder)
    found = memory.memory(test)
    assert found.moved > 0.1 and found.apart == ["[0]"]
    tuned = [training.Tuned(0.9, 1.0)] * training.N_STARTS
    test.__dict__["_known"] = {"memory": found, **{f"trained in batches of {size}": tuned for size in (1, 128)}}
    entry = probe(test, "online learning")
    assert entry.verdict == "fails" and "stored data set" in entry.evidence


def test_running_means_move_later_changes_and_keep_no_image_apart():
    found = memory.memory(RuleUnderTest("bcm", lambda network: learning_rules.build("hebbian/bcm", network)))
    assert found.moved > 0.001 and found.apart == []


def test_a_rule_without_memory_is_moved_by_no_past_image():
    assert memory.memory(rule_under_test("backprop")) == memory.Memory(0.0, [])
    assert memory.memory(rule_under_test("feedback_alignment")) == memory.Memory(0.0, [])


def test_marks_lie_apart_where_each_place_has_its_own():
    random = np.random.default_rng(0)
    shared, own = random.normal(size=200), random.normal(size=(5, 200))
    at_another_place = np.stack([np.roll(shared, 17 * place) * random.choice([-1, 1], 200) for place in range(5)])
    assert memory._are_apart(at_another_place) and not memory._are_apart(shared + 0.3 * own)
    # Other numbers at each place: what was drawn anew there, and no image that was kept.
    assert not memory._are_apart(own)
    one_odd = np.tile(shared, (5, 1))
    one_odd[0] = own[0]
    assert not memory._are_apart(one_odd)
    one_alone = np.zeros((5, 200))
    one_alone[0] = shared
    assert memory._are_apart(one_alone) and not memory._are_apart(0 * one_alone)


_BY_NOISE = "target_propagation/textbook_local_difference_reconstruction"


@pytest.mark.parametrize("rule", ["error_decorrelation", pytest.param(_BY_NOISE, marks=pytest.mark.thorough)])
def test_running_means_of_labels_and_noise_that_is_drawn_at_each_place_are_no_stored_images(rule):
    """Marks of an example are unlike at each place by a label that stays behind, or by noise, and the rule keeps no image."""
    found = memory.memory(rule_under_test(rule))
    assert found.moved > 1e-6 and found.apart == []


# Robustness.


def test_networks_are_spoiled_at_one_accuracy():
    test = rule_under_test("backprop")
    reached = [training.to_common_accuracy(test, draw) for draw in range(training.N_STARTS)]
    for each in reached:
        assert training.ACCURACY <= each.accuracy < training.ACCURACY + 0.06 and each.n_steps < training.MOST_STEPS
    # Starts are apart, and each is what it was.
    assert len({each.accuracy for each in reached}) > 1
    assert training.to_common_accuracy(test, 1).accuracy == reached[1].accuracy
    found = robustness.probe(test)
    steps = sorted(each.n_steps for each in reached)
    assert f"in {steps[0]} to {steps[-1]} updates (3 of 3 starts)" in found.evidence
    stuck = RuleUnderTest("stuck", lambda network: still(learning_rules.build("backprop", network)))
    found = robustness.probe(stuck)
    assert found.verdict == "not applicable" and "short of the 0.8" in found.evidence


def test_a_rule_is_not_judged_by_a_rate_that_is_too_long_for_single_examples():
    """Backpropagation with steps a hundred times as long as its own: as good as ever by the rate that suits."""
    long = rule_under_test("backprop", learning_rate=0.02)
    assert long.accuracy(long.train(1, training.UPDATES)) < 0.6
    found = training.of_batch_size(long, 1)
    assert all(each.accuracy > 0.75 and each.rate < 1 for each in found)


def still(rule):
    return rule._replace(constrain=lambda params: jax.tree.map(jnp.zeros_like, params))


# Single phase.


def looking(network, size, in_a_loop=False):
    """Local losses, and another pass on the same images, moved by a size, of which next to nothing is used."""
    rule = learning_rules.build("local_losses/prediction", network)

    def assign_credit(key, state, batch):
        updates, after, info = rule.assign_credit(key, state, batch)
        moved = batch[0] + size * jax.random.normal(key, batch[0].shape)

        def nothing():
            return 1e-30 * sum(jnp.sum(h) for h in network.forward(state.params["network"], moved))

        added = (
            jax.lax.while_loop(lambda at: at[0] < 3, lambda at: (at[0] + 1, at[1] + nothing()), (0, 0.0))[1]
            if in_a_loop
            else nothing()
        )
        return jax.tree.map(lambda leaf: leaf + added, updates), after, info

    return rule._replace(assign_credit=assign_credit)


@pytest.mark.parametrize(
    ("size", "in_a_loop", "times"),
    [
        pytest.param(0.0, False, 1.0, marks=pytest.mark.thorough),
        (0.0, True, 1.0),
        (0.5, False, 2.0),
        pytest.param(0.5, True, 2.0, marks=pytest.mark.thorough),
    ],
)
@pytest.mark.costly
def test_what_is_evaluated_again_is_no_phase_and_what_is_answered_otherwise_is_one(size, in_a_loop, times):
    test = RuleUnderTest("looking", lambda network: looking(network, size, in_a_loop))
    assert set(ways_of_firing.ways(test).values()) == {times}
    assert probe(test, "single phase").verdict == ("meets" if times == 1 else "fails")


def test_units_that_compete_while_they_learn_fire_in_two_ways():
    test = rule_under_test("stdp/pair")
    assert ways_of_firing.two_ways(test) == [0, 1]


def test_events_are_seldom_and_of_one_size_within_an_example():
    post = np.zeros((4, 1, 10))
    assert not ways_of_firing._are_events(post)
    post[0, 0, 3], post[2, 0, [1, 5]] = 0.5, 2.0
    assert ways_of_firing._are_events(post)
    post[2, 0, 5] = -1.0
    assert not ways_of_firing._are_events(post)


# Kolen and Pollack.


def test_the_card_says_where_two_synapses_are_told_the_same():
    test = rule_under_test("feedback_alignment/kolen_pollack")
    assert changed_alike(test) == [1, 2, 3]
    found = probe(test, "weight transport")
    assert found.verdict == "meets" and "same change as the weights of hidden_1, hidden_2 and output" in found.evidence
    assert changed_alike(rule_under_test("feedback_alignment")) == []
