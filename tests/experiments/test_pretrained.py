"""A network starts where it is told to, whatever the rule, and what does not fit is refused in a sentence."""

import dataclasses

import jax
import numpy as np
import orbax.checkpoint as ocp
import pandas as pd
import pytest

from bioplausible.foundation.errors import InputError
from experiments.config import TrainConfig, deciding_record
from experiments.preparing import prepare
from experiments.saving import train_in
from experiments.sweeping.config import SweepConfig
from experiments.sweeping.summary import networks_of, summarise
from experiments.trained import Trained
from experiments.training import begin

SMALL = TrainConfig(rule="backprop", dataset="digits", n_train=64, batch_size=32, epochs=1, architecture_options={"hidden": (5,)})


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Two trained networks, and the folder that keeps them."""
    folder = tmp_path_factory.mktemp("first") / "run"
    return train_in(folder, dataclasses.replace(SMALL, n_seeds=2, seed=3)), folder


@pytest.fixture
def weights():
    random = np.random.default_rng(0)
    shapes = {"hidden_0/kernel": (64, 5), "hidden_0/bias": (5,), "output/kernel": (5, 10), "output/bias": (10,)}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def start_of(**fields):
    return begin(prepare(dataclasses.replace(SMALL, **fields))).start.params


def test_a_network_goes_on_from_the_seed_that_is_named(first):
    trained, folder = first
    started = start_of(init=f"{folder}@4", rule="feedback_alignment/kolen_pollack", n_seeds=2)["network"]
    for node, there in zip(started, trained.state.params["network"], strict=True):
        for name, leaf in node.items():
            np.testing.assert_array_equal(np.asarray(leaf), np.broadcast_to(np.asarray(there[name])[1], leaf.shape))


def test_feedback_weights_are_drawn_as_without_it(first):
    _, folder = first
    rule = "feedback_alignment/kolen_pollack"
    ours, theirs = start_of(init=f"{folder}@3", rule=rule), start_of(rule=rule)
    for a, b in zip(jax.tree.leaves(ours["feedback"]), jax.tree.leaves(theirs["feedback"]), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_arrays_by_name_are_taken_and_what_they_leave_out_is_drawn(weights, tmp_path):
    np.savez(tmp_path / "mine.npz", **{name: each for name, each in weights.items() if name.startswith("hidden")})
    started, drawn = (start_of(n_seeds=2, **fields)["network"] for fields in ({"init": str(tmp_path / "mine.npz")}, {}))
    for seed in range(2):
        np.testing.assert_array_equal(np.asarray(started[0]["kernel"])[seed], weights["hidden_0/kernel"])
    np.testing.assert_array_equal(np.asarray(started[1]["kernel"]), np.asarray(drawn[1]["kernel"]))


def test_a_tree_of_orbax_is_taken_by_name(weights, tmp_path):
    tree = {node: {name: weights[f"{node}/{name}"] for name in ("kernel", "bias")} for node in ("hidden_0", "output")}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "tree", tree)
    started = start_of(init=str(tmp_path / "tree"))["network"]
    np.testing.assert_array_equal(np.asarray(started[1]["bias"])[0], weights["output/bias"])


def test_what_it_started_from_decides_a_training_wherever_it_was_read_and_stays_with_it(weights, tmp_path):
    for name in ("a.npz", "b.npz"):
        np.savez(tmp_path / name, **weights)
    np.savez(tmp_path / "c.npz", **{**weights, "output/bias": weights["output/bias"] + 1})
    digests = [prepare(dataclasses.replace(SMALL, init=str(tmp_path / name))).digest for name in ("a.npz", "b.npz", "c.npz")]
    assert digests[0] == digests[1] != digests[2] and prepare(SMALL).digest not in digests
    trained = train_in(tmp_path / "run", dataclasses.replace(SMALL, init=str(tmp_path / "a.npz")))
    (tmp_path / "a.npz").unlink()
    loaded = Trained.load(tmp_path / "run")
    assert loaded.digest == trained.digest
    assert not [line for line in loaded.warnings if "another day" in line]
    np.testing.assert_array_equal(np.asarray(loaded.initial[0]["kernel"])[0], weights["hidden_0/kernel"])
    # what was trained before there was a choice is called as it was
    assert "init" not in deciding_record(SMALL) and "stream" not in deciding_record(SMALL)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"output/bias": np.zeros(3)}, ["'output/bias' has the shape (3,)", "(10,)", "--set network"]),
        ({"output/bias": np.full(10, np.nan)}, ["'output/bias'", "finite"]),
        ({"outptu/bias": np.zeros(10)}, ["'outptu'", "did you mean 'output'"]),
        ({"output/bais": np.zeros(10)}, ["'bais'", "did you mean 'bias'"]),
        ({"output/bias": None}, ["has no 'output/bias'", "(10,)"]),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_a_sentence(weights, changes, parts, tmp_path):
    given = {name: each for name, each in {**weights, **changes}.items() if each is not None}
    np.savez(tmp_path / "mine.npz", **given)
    refused({"init": str(tmp_path / "mine.npz")}, parts)


def test_places_that_hold_no_parameters_are_refused_in_a_sentence(first, tmp_path):
    _, folder = first
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("words")
    refused({"init": str(folder)}, ["holds 2 networks, of seeds 3 to 4", f"{folder}@3"])
    refused({"init": f"{folder}@7"}, ["no seed '7'", "3 to 4"])
    refused({"init": f"{folder}@3", "architecture_options": {"hidden": (5, 5)}}, ["2 nodes", "has 3"])
    refused({"init": f"{folder}@3", "architecture_options": {"hidden": (6,)}}, ["'hidden_0/bias' has the shape (5,)", "(6,)"])
    refused({"init": str(tmp_path / "empty")}, ["empty holds no checkpoint"])
    refused({"init": str(tmp_path / "text.npz")}, ["is no .npz"])
    refused({"init": str(tmp_path / "absent")}, ["nothing is there"])
    refused({"init": f"{folder}@3", "rule": "stdp/textbook"}, ["'stdp/textbook'", "weights of its own"])


def test_runs_of_a_sweep_that_start_elsewhere_are_rows_and_tasks_of_their_own():
    shared = {"architecture": "mlp", "dataset": "digits", "front_end": "none", "architecture_options": "{}", "rule_options": "{}"}
    shared |= {"epochs": 1, "seconds": 1.0, "warnings": ""}
    accuracies = {("untrained", None): 0.3, ("backprop", None): 0.4, ("untrained", "a"): 0.8, ("backprop", "a"): 0.9}
    rows = [
        {**shared, "rule": rule, "init": init, "seed": seed, "test_accuracy": value, "validation_accuracy": value}
        for (rule, init), value in accuracies.items()
        for seed in range(3)
    ]
    table = summarise(pd.DataFrame(rows), SweepConfig(runs=({"rule": "backprop"},)))
    own = table[table["rule"] == "backprop"]
    assert own["mean"].tolist() == pytest.approx([0.4, 0.9])
    assert own["difference"].tolist() == pytest.approx([0.1, 0.1])  # each from the control that starts where it does
    assert networks_of(own) == ["mlp", "mlp, from a"]


def refused(fields, parts):
    with pytest.raises(InputError) as caught:
        prepare(dataclasses.replace(SMALL, **fields))
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message
