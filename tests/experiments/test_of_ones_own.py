"""A network of flax modules and a rule, as a user would write them in a file, go through every part of the command."""

import json

import numpy as np
import pandas as pd
import pytest

import learning_rules
from bioplausible.foundation.errors import InputError
from experiments.training import train

NETWORK = """
from flax import nnx


def two_layers(input_shape, n_classes, hidden=20):
    n_pixels = input_shape[0] * input_shape[1] * input_shape[2]
    return [
        lambda images: images.reshape(len(images), -1),
        lambda rngs: nnx.Linear(n_pixels, hidden, rngs=rngs),
        nnx.relu,
        lambda rngs: nnx.Linear(hidden, n_classes, rngs=rngs),
    ]
"""

RULE = """
import jax
import optax

import learning_rules
from learning_rules import LearningRule, RuleSpec, RuleState
from learning_rules.signals import through

SPEC = RuleSpec("mine", "", "errors come back through other weights", "nobody yet")


def other_weights(network, learning_rate=3e-3):
    objective = learning_rules.make_objective("cross_entropy", network)

    def init(key):
        return RuleState({"network": network.init(key)}, network.init(jax.random.fold_in(key, 1)))

    def assign_credit(key, state, batch):
        batch = learning_rules.as_batch(batch)

        def loss(params):
            synapses = through(network, params["network"], state.carry)
            readout = network.trace(params["network"], batch.inputs, synapses).outputs[-1]
            return objective.loss(readout, batch), readout

        updates, readout = jax.grad(loss, has_aux=True)(state.params)
        return updates, state, objective.metrics(readout, batch)

    return LearningRule(
        spec=SPEC,
        network=network,
        options={"learning_rate": learning_rate},
        init=init,
        assign_credit=assign_credit,
        constrain=lambda params: params,
        predict=lambda state, inputs: objective.scores(network.forward(state.params["network"], inputs)[-1]),
        represent=lambda state, inputs: network.by_example(network.forward(state.params["network"], inputs)),
        optimizer=lambda n_steps=None: optax.adam(learning_rate),
        objective=objective,
    )


def without_loss(network):
    rule = other_weights(network)
    return rule._replace(assign_credit=lambda key, state, batch: (*rule.assign_credit(key, state, batch)[:2], {}))


def broken(network):
    return other_weights(network)._replace(assign_credit=lambda key, state, batch: state.params["netwrok"])
"""

SHORT = ("--epochs", "1", "--batch-size", "16")
LAYERS = ["linear_0", "linear_1"]


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Where the two stand: (network, rule)."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "my_network.py").write_text(NETWORK)
    (folder / "my_rule.py").write_text(RULE)
    return f"{folder / 'my_network.py'}:two_layers", f"{folder / 'my_rule.py'}:other_weights"


def test_a_rule_trains_a_network_and_options_reach_both(mine, run, run_json, tmp_path):
    network, rule = mine
    options = ("--set", "network.hidden=30", "--set", "learning_rate=0.01")
    arguments = ("train", rule, "--architecture", network, "--dataset", "digits", *SHORT, *options)
    record = run_json(*arguments, "--out", tmp_path / "run")
    assert (record["rule"], record["architecture"]) == (rule, network)
    assert record["options"] == {"learning_rate": 0.01}
    assert record["network"][0]["layer"] == LAYERS[0] and record["network"][0]["output"] == [30]
    assert record["test_accuracy"] > 0.5
    assert list(record["relative_weight_change"]) == list(record["alignment_with_backprop"]) == LAYERS
    # Its readout hears its own error, its hidden layer one that came through other weights.
    cosines = [record["alignment_with_backprop"][layer]["cosine"] for layer in LAYERS]
    assert cosines[1] == pytest.approx(1, abs=1e-5) and cosines[0] < 0.99
    again = run_json("train", rule, "--config", tmp_path / "run" / "config.yaml")
    assert again["test_accuracy_by_epoch"] == record["test_accuracy_by_epoch"]


def test_a_rule_of_ours_trains_a_network_of_ones_own(mine, run_json):
    network, _ = mine
    record = run_json("train", "backprop", "--architecture", network, *SHORT, "--set", "learning_rate=0.01")
    assert record["test_accuracy"] > 0.5 and record["network"][0]["output"] == [20]
    assert all(aligned["cosine"] == pytest.approx(1, abs=1e-5) for aligned in record["alignment_with_backprop"].values())


def test_the_same_names_work_in_python(mine):
    network, rule = mine
    trained = train(rule=rule, architecture=network, dataset="digits", epochs=1, n_train=200, batch_size=32)
    assert trained.network.node_names == ("linear_0", "linear_1") and trained.name == rule


def test_a_scorecard_examines_a_rule_on_a_network_of_ones_own(mine, run_json):
    network, rule = mine
    arguments = ("--criteria", "weight transport,update unlocking", "--workers", "1", "--architecture", network)
    cards = run_json("scorecard", rule, "backprop", *arguments)
    assert list(cards) == [rule, "backprop"]
    assert cards[rule]["weight transport"]["verdict"] == "meets" and cards["backprop"]["weight transport"]["verdict"] == "fails"


def test_a_comparison_scores_the_layers_of_a_network_of_ones_own(mine, recording, run_json, tmp_path):
    network, rule = mine
    arguments = ("--rules", f"backprop,{rule}", "--architecture", network, "--recording", recording, "--epochs", "1")
    small = ("--seeds", "1", "--draws", "9", "--scorecard", "none", "--readout-images", "0", "--set", "network.hidden=60")
    record = run_json("compare", *arguments, *small, "--out", tmp_path / "run")
    assert list(record["rules"]) == ["untrained", "backprop", rule]
    assert {(row["rule"], row["layer"]) for row in record["scores"]} == {
        (each, layer) for each in record["rules"] for layer in LAYERS
    }
    assert record["architecture"]["name"] == network and record["architecture"]["options"]["hidden"] == 60
    assert run_json("report", tmp_path / "run") == record


@pytest.mark.thorough
def test_a_sweep_trains_them_and_knows_them_again_until_their_file_changes(mine, run_json, tmp_path):
    network, rule = mine
    own = tmp_path / "my_rule.py"
    own.write_text(RULE)
    config = {"dataset": "digits", "epochs": 1, "n_train": 200, "batch_size": 32, "architecture": network, "n_seeds": 2}
    sweep = {"train": config, "runs": [{"rule": ["untrained", f"{own}:other_weights"]}]}
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(sweep))  # JSON is YAML
    found = run_json("sweep", path, "--out", tmp_path / "out")
    assert [(row["rule"], row["architecture"]) for row in found["summary"]] == [
        ("untrained", network),
        (f"{own}:other_weights", network),
    ]
    names = sorted(pd.read_parquet(tmp_path / "out" / "study.parquet").query("kind == 'training'")["name"])
    assert names[0].startswith("my_rule.py-other_weights__my_network.py-two_layers__")
    assert run_json("sweep", path, "--out", tmp_path / "out") == found
    own.write_text(RULE + "\n# mended\n")
    run_json("sweep", path, "--out", tmp_path / "out")
    assert len(pd.read_parquet(tmp_path / "out" / "study.parquet").query("kind == 'training'")) == 3


def test_whether_they_go_together_is_said(mine):
    import architectures

    network, rule = mine
    built = architectures.build(network, input_shape=(8, 8, 1), n_classes=10)
    assert learning_rules.support(rule, built) == learning_rules.Support(True, "")
    assert not learning_rules.support(rule.replace("other_weights", "broken"), built).supported
    np.testing.assert_equal(learning_rules.spec(rule).name, rule)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("train", "{rule}s"), ["other_weightss", "did you mean 'other_weights'"]),
        (("train", "backprop", "--architecture", "{network}s"), ["two_layerss", "did you mean 'two_layers'"]),
        (("train", "backprop", "--architecture", "absent.py:net"), ["no file absent.py"]),
        (("train", "backprop", "--architecture", "{network}", "--set", "network.hiden=3"), ["hiden=3", "unexpected keyword"]),
        (("train", "{rule}", "--set", "rate=3"), ["rate=3", "unexpected keyword"]),
        (("train", "{broken}"), ["failed in assign_credit", "KeyError: 'netwrok'"]),
        (("train", "{lossless}"), ["has no 'loss'"]),
        (("compare", "--rules", "{rule}s"), ["did you mean 'other_weights'"]),
        (("compare", "--architecture", "{network}s"), ["did you mean 'two_layers'"]),
        (("scorecard", "backprop", "--architecture", "{network}s"), ["did you mean 'two_layers'"]),
    ],
)
def test_a_mistake_in_them_is_one_line(arguments, parts, mine, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network, rule = mine
    names = {name: rule.replace("other_weights", own) for name, own in (("broken", "broken"), ("lossless", "without_loss"))}
    given = [each.format(network=network, rule=rule, **names) for each in arguments]
    status, out, err = run(*given)
    assert status == 2 and out == "" and err.count("\n") == 1, err
    assert all(part in err for part in parts), err


def test_a_network_that_expects_sequences_is_told_to_read_images():
    with pytest.raises(InputError, match="expects sequences, and 'digits' holds images"):
        train(architecture="recurrent", architecture_options={"reading": "sequence"}, epochs=1)
