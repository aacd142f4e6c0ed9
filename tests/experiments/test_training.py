import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import architectures
import learning_rules
from bioplausible.foundation.errors import InputError
from experiments import datasets, preparing
from experiments.config import TrainConfig
from experiments.preparing import build_network, epochs_for, load_images, network_options, with_own_settings
from experiments.results import plain
from experiments.training import train

TINY = TrainConfig(
    rule="backprop",
    architecture="mlp",
    dataset="digits",
    epochs=3,
    batch_size=32,
    n_train=200,
    rule_options={"learning_rate": 0.02},
    architecture_options={"hidden": (16,)},
)
CNN = dataclasses.replace(TINY, architecture="cnn", architecture_options={"channels": (4, 4), "hidden": (16,)}, epochs=1)


@pytest.fixture(scope="module")
def trained():
    return train(TINY)


@pytest.fixture(scope="module")
def two_seeds():
    return train(TINY, n_seeds=2)


@pytest.fixture(scope="module")
def convolutional():
    return train(CNN)


def assert_same_bits(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def of_seed(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def accuracy_of(trained, state, split):
    """Counted by numpy from the scores of the whole network, front end included."""
    images = jnp.asarray(trained.images.normalise(split.images))
    scores = np.asarray(trained.network.forward(state.params["network"], images)[-1])
    return float(np.mean(scores.argmax(axis=1) == split.labels))


def test_training_beats_chance_by_far(trained):
    assert trained.test_accuracy.shape == (1,)
    assert trained.test_accuracy[0] > 0.5
    losses = trained.accuracy["train_loss"]
    assert losses.iloc[-1] < 0.7 * losses.iloc[0]
    assert trained.warnings == []


def test_the_tables_have_one_row_an_epoch_and_one_a_node(two_seeds):
    assert list(two_seeds.accuracy.columns) == [
        "rule",
        "seed",
        "epoch",
        "train_loss",
        "train_accuracy",
        "validation_accuracy",
        "test_accuracy",
    ]
    assert [*zip(two_seeds.accuracy["epoch"], two_seeds.accuracy["seed"], strict=True)] == [
        (e, s) for e in (1, 2, 3) for s in (0, 1)
    ]
    assert [*zip(two_seeds.networks["seed"], two_seeds.networks["layer"], strict=True)] == [
        (seed, layer) for seed in (0, 1) for layer in ("hidden_0", "output")
    ]
    assert two_seeds.to_frame().equals(two_seeds.accuracy)
    assert two_seeds.seconds > 0 and two_seeds.compile_seconds > 0


def test_accuracies_in_the_table_are_those_of_the_last_state(trained):
    last = trained.accuracy.iloc[-1]
    state = of_seed(trained.state, 0)
    assert last["test_accuracy"] == pytest.approx(accuracy_of(trained, state, trained.images.test), abs=1e-6)
    assert last["validation_accuracy"] == pytest.approx(accuracy_of(trained, state, trained.images.validation), abs=1e-6)


def test_the_same_run_gives_the_same_bits_and_another_seed_others(trained):
    again = train(TINY)
    assert again.accuracy.equals(trained.accuracy) and again.networks.equals(trained.networks)
    assert_same_bits((again.state, again.best, again.initial), (trained.state, trained.best, trained.initial))
    other = train(TINY, seed=1)
    assert not np.array_equal(other.accuracy["train_loss"], trained.accuracy["train_loss"])


def test_the_second_of_two_seeds_is_the_run_with_its_own_seed_alone(two_seeds):
    alone = train(TINY, seed=1)
    for together, single in ((two_seeds.accuracy, alone.accuracy), (two_seeds.networks, alone.networks)):
        rows = together[together["seed"] == 1].reset_index(drop=True)
        numbers = rows.select_dtypes("number").columns
        np.testing.assert_allclose(rows[numbers], single[numbers], rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(jax.tree.leaves(of_seed(two_seeds.state, 1)), jax.tree.leaves(of_seed(alone.state, 0)), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-5)


def test_best_is_the_state_of_the_epoch_that_validated_best():
    # A rate this high makes accuracy go up and down, so that the best epoch is not simply the last.
    run = train(TINY, epochs=6, n_seeds=2, rule_options={"learning_rate": 0.3})
    for index in range(2):
        history = run.accuracy[run.accuracy["seed"] == index].set_index("epoch")
        best_epoch = int(history["validation_accuracy"].idxmax())
        assert run.best_epoch[index] == best_epoch
        state = of_seed(run.best, index)
        row = history.loc[best_epoch]
        assert accuracy_of(run, state, run.images.validation) == pytest.approx(row["validation_accuracy"], abs=1e-6)
        assert accuracy_of(run, state, run.images.test) == pytest.approx(row["test_accuracy"], abs=1e-6)
    assert run.best_epoch.min() < 6


def test_the_control_keeps_its_hidden_layers_to_the_bit_and_learns_its_readout():
    control = train(TINY, rule="untrained")
    hidden, readout = slice(0, -1), -1
    assert_same_bits(control.state.params["network"][hidden], control.initial[hidden])
    change = control.networks.set_index("layer")["relative_weight_change"]
    assert change["hidden_0"] == 0 and change["output"] > 0.01
    assert not np.array_equal(control.initial[readout]["kernel"], control.state.params["network"][readout]["kernel"])
    assert control.warnings == []


def test_rules_start_from_the_same_weights_and_see_the_same_images(trained):
    other = train(TINY, rule="feedback_alignment", rule_options={})
    assert_same_bits(other.initial, trained.initial)
    np.testing.assert_array_equal(other.images.train.images, trained.images.train.images)


@pytest.mark.parametrize("name", ["trained", "two_seeds"])
def test_json_has_the_documented_fields_of_the_right_length(name, request):
    run = request.getfixturevalue(name)
    record = json.loads(json.dumps(plain(run.to_json()), allow_nan=False))
    documented = {
        "rule": str,
        "architecture": str,
        "dataset": str,
        "seed": int,
        "epochs": int,
        "test_accuracy": float,
        "test_accuracy_by_epoch": list,
        "alignment_with_backprop": dict,
        "relative_weight_change": dict,
        "activity": dict,
        "info": dict,
        "seconds": float,
        "compile_seconds": float,
    }
    assert {field: type(record[field]) for field in documented} == documented
    assert (record["rule"], record["architecture"], record["dataset"]) == ("backprop", "mlp", "digits")
    assert record["epochs"] == len(record["test_accuracy_by_epoch"]) == len(record["validation_accuracy_by_epoch"]) == 3
    assert record["test_accuracy"] == record["test_accuracy_by_epoch"][-1] == pytest.approx(float(run.test_accuracy[0]))
    assert list(record["alignment_with_backprop"]) == list(record["relative_weight_change"]) == ["hidden_0", "output"]
    assert list(record["activity"]) == ["hidden_0", "output"] and {"silent", "saturated"} <= set(record["activity"]["output"])
    assert record["info"]["loss"] > 0  # what the rule tells of itself
    for aligned in record["alignment_with_backprop"].values():
        assert set(aligned) == {"cosine", "reference_norm"}
        # Backpropagation asks for the gradient itself.
        assert aligned["cosine"] == pytest.approx(1, abs=1e-5) and aligned["reference_norm"] > 0
    assert list(record["angle_to_backprop"]) == ["start", "tenth", "end"]
    assert all(angle < 0.5 for angle in record["angle_to_backprop"].values())
    best = record["best_on_validation"]
    assert best["test_accuracy"] == record["test_accuracy_by_epoch"][best["epoch"] - 1]
    assert best["validation_accuracy"] == max(record["validation_accuracy_by_epoch"])
    assert record["images"]["split"]["train"] == 200 and len(record["images"]["normalisation"]["mean"]) == 1
    assert record["config"]["rule_options"] == {"learning_rate": 0.02}
    assert record["options"]["learning_rate"] == 0.02
    assert [row["layer"] for row in record["network"]] == ["hidden_0", "output"]
    assert ("seeds" in record) == (name == "two_seeds")
    if "seeds" in record:
        assert [each["seed"] for each in record["seeds"]] == [0, 1]


def test_a_rule_trains_behind_the_front_end_that_it_is_tuned_behind_unless_told_otherwise(monkeypatch):
    tuned = dataclasses.replace(learning_rules.spec("backprop"), front_end="on_off")
    monkeypatch.setattr(learning_rules, "spec", lambda name: tuned)
    rule = learning_rules.FAMILIES["backprop"].variants[""]
    monkeypatch.setitem(learning_rules.FAMILIES["backprop"].variants, "", rule._replace(spec=tuned))
    own = train(TINY, rule="backprop", epochs=1)
    assert own.config.front_end == "on_off" and own.network.front_end.name == "on_off" and not own.warnings
    plain = train(TINY, rule="backprop", epochs=1, front_end="none")
    (warning,) = plain.warnings
    assert warning.startswith("front end: backprop was trained behind 'none' and is tuned behind 'on_off'")


@pytest.mark.parametrize(("front_end", "channels"), [("zca", 1), ("on_off", 2)])
def test_a_front_end_is_fitted_without_labels_used_and_recorded(front_end, channels):
    run = train(TINY, front_end=front_end, epochs=1)
    assert run.network.front_end.name == front_end and run.network.options["front_end"] == front_end
    assert run.to_json()["config"]["front_end"] == front_end
    assert run.network.core.input_shape == (8, 8, channels)
    # The table was measured on images encoded once, before training; here the whole network encodes them.
    measured = accuracy_of(run, of_seed(run.state, 0), run.images.test)
    assert run.accuracy["test_accuracy"].iloc[-1] == pytest.approx(measured, abs=2 / 359)
    expected = architectures.fit_front_end(front_end, run.images.normalise(run.images.train.images))
    images = jnp.asarray(run.images.normalise(run.images.test.images[:7]))
    np.testing.assert_allclose(run.network.encode(images), expected(images), rtol=1e-5, atol=1e-5)
    layers = run.represent(np.asarray(images))
    direct = run.network.forward(of_seed(run.state, 0).params["network"], images)
    for ours, theirs in zip(layers, direct, strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-4, atol=1e-5)


def test_represent_gives_every_layer_of_every_seed(two_seeds):
    images = two_seeds.images.normalise(two_seeds.images.test.images[:5])
    layers = two_seeds.represent(images)
    assert [layer.shape for layer in layers] == [(2, 5, 16), (2, 5, 10)]
    assert not np.allclose(layers[0][0], layers[0][1])


def test_represent_at_another_size_is_the_convolutions_with_the_trained_weights(convolutional):
    part, left_out = convolutional.network.at_size((16, 12, 1))
    assert "hidden_0" in left_out
    images = np.random.default_rng(0).standard_normal((3, 16, 12, 1)).astype(np.float32)
    layers = convolutional.represent(images, part)
    assert [layer.shape for layer in layers] == [(1, 3, 8, 6, 4), (1, 3, 4, 3, 4)]
    x = jnp.asarray(images)
    for node, params, layer in zip(part.nodes, of_seed(convolutional.state, 0).params["network"], layers, strict=False):
        x = node.run(params, (), (x,))[1]
        np.testing.assert_allclose(layer[0], x, rtol=1e-4, atol=1e-5)


def test_a_rule_that_settles_represents_at_its_training_size_only(convolutional):
    spec = dataclasses.replace(convolutional.rule.spec, represents_by_forward_pass=False)
    settling = dataclasses.replace(convolutional, rule=convolutional.rule._replace(spec=spec))
    part, _ = convolutional.network.at_size((16, 16, 1))
    with pytest.raises(InputError, match="at the size that it was trained at only"):
        settling.represent(np.zeros((2, 16, 16, 1), np.float32), part)
    assert len(settling.represent(np.zeros((2, 8, 8, 1), np.float32))) == 4


def test_excluded_images_are_in_no_split(trained):
    excluded = tuple(range(0, 300, 7))
    run = train(TINY, exclude_indices=excluded, epochs=1)
    n_images = sum(len(split.labels) for split in (run.images.train, run.images.validation, run.images.test))
    assert run.images.excluded_indices == excluded
    assert n_images <= 1797 - len(excluded)
    assert run.to_json()["images"]["split"]["excluded_indices"] == list(excluded)


def test_progress_counts_epochs():
    told = []
    train(TINY, lambda done, of, line: told.append((done, of, line)))
    assert [(done, of) for done, of, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert all("validation accuracy" in line for *_, line in told)


@pytest.mark.parametrize("n_train", [200, 1_000, 3_000, 5_000, 7_000, 60_000])
def test_epochs_aim_at_a_number_of_steps_within_bounds(n_train):
    fewest, most, target = preparing._MIN_EPOCHS, preparing._MAX_EPOCHS, preparing._TARGET_STEPS
    epochs, steps = epochs_for(TrainConfig(batch_size=100), n_train), n_train // 100
    assert fewest <= epochs <= most
    if epochs < most:
        assert epochs * steps >= target - steps / 2
    if epochs > fewest:
        assert epochs * steps <= target + steps / 2
    assert epochs_for(TrainConfig(batch_size=100, epochs=3), n_train) == 3


def test_a_configuration_builds_its_network():
    images = datasets.load("digits", n_train=100)
    assert build_network(TINY, images).node_names == ("hidden_0", "output")


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"batch_size": 201}, ["batch_size=201", "200 training images"]),
        ({"rule": "backprob"}, ["learning rule 'backprob'", "did you mean 'backprop'"]),
        ({"rule": "feedback_alignment/dirct"}, ["'dirct'", "direct"]),
        ({"architecture": "mpl"}, ["architecture 'mpl'", "mlp"]),
        ({"dataset": "digit"}, ["'digit'", "digits"]),
        ({"front_end": "zcaa"}, ["'zcaa'", "zca"]),
        ({"rule_options": {"learning_rat": 1.0}}, ["'learning_rat'", "did you mean 'learning_rate'"]),
        ({"rule_options": {"learning_rate": "fast"}}, ["'learning_rate'", "'fast'", "a number"]),
        ({"rule_options": {"learning_rate": -1.0}}, ["learning_rate=-1.0", "positive"]),
        ({"architecture_options": {"hiden": (3,)}}, ["'hiden'", "did you mean 'hidden'"]),
        ({"architecture_options": {"hidden": "16"}}, ["'hidden'", "'16'"]),
        ({"epoch": 3}, ["'epoch'", "did you mean 'epochs'"]),
        ({"n_train": 9}, ["n_train=9"]),
        ({"validation_fraction": 0.0}, ["validation_fraction=0.0"]),
        ({"split_seed": -1}, ["split_seed=-1"]),
    ],
)
def test_mistakes_are_said_in_one_sentence(fields, parts):
    with pytest.raises(InputError) as caught:
        train(TINY, **fields)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message


def test_the_distance_from_backpropagation_is_followed_through_training():
    run = train(TINY, rule="feedback_alignment", n_seeds=2, epochs=10)
    hidden = run.networks[run.networks["layer"] == "hidden_0"].sort_values("seed")
    np.testing.assert_allclose(run.angles["end"], np.degrees(np.arccos(hidden["cosine"])), rtol=1e-5)
    # Lillicrap et al. 2016: random feedback starts anywhere, and forward weights come to it.
    assert (run.angles["end"] < run.angles["start"]).all() and (run.angles["tenth"] != run.angles["start"]).all()
    control = train(TINY, rule="untrained", epochs=1)
    assert np.isnan(control.angles["end"]).all()  # nothing is asked of hidden nodes: there is no angle
    assert control.to_json()["angle_to_backprop"] == {"start": None, "tenth": None, "end": None}


def test_backpropagation_learns_by_the_optimiser_of_any_rule():
    """Its own, borrowed, gives the same bits; Kolen-Pollack's trains feedback weights too, which backpropagation has none of."""
    config = dataclasses.replace(TINY, rule_options={}, epochs=1)
    own = train(config)
    assert_same_bits(train(config, optimizer_of="backprop").state.params, own.state.params)
    other = train(config, optimizer_of="feedback_alignment/kolen_pollack")
    assert (other.networks["relative_weight_change"] > 0).all()
    assert not np.array_equal(jax.tree.leaves(other.state.params)[0], jax.tree.leaves(own.state.params)[0])
    with pytest.raises(InputError, match="trains feedback, network: a rule can borrow"):
        train(config, rule="feedback_alignment/kolen_pollack", optimizer_of="backprop")


def test_alignment_and_change_are_what_the_diagnostics_say(trained):
    x = jnp.asarray(trained.images.normalise(trained.images.train.images))
    y = jnp.asarray(trained.images.train.labels)
    state = of_seed(trained.state, 0)
    aligned = learning_rules.alignment_with_backprop(trained.rule, state, jax.random.key(0), (x, y))
    changed = learning_rules.relative_weight_change(trained.network, of_seed(trained.initial, 0), state.params["network"])
    np.testing.assert_allclose(trained.networks["reference_norm"], aligned.reference_norm, rtol=1e-3)
    np.testing.assert_allclose(trained.networks["relative_weight_change"], changed, rtol=1e-4)


def test_a_rule_brings_what_it_was_published_with_unless_told_otherwise():
    own = TrainConfig(rule="energy_based/textbook")
    assert (with_own_settings(own).batch_size, with_own_settings(TrainConfig()).batch_size) == (20, 128)
    assert build_network(own, load_images(own)).options["activation"] == "hard_sigmoid"
    told = dataclasses.replace(own, batch_size=7, architecture_options={"activation": "tanh", "hidden": (5,)})
    assert with_own_settings(told).batch_size == 7
    assert network_options(told) == {"activation": "tanh", "hidden": (5,)}
    # What the architecture has no option for is left alone.
    assert network_options(dataclasses.replace(own, architecture="mine.py:network")) == {}
