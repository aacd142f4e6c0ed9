import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

import learning_rules
from experiments.results import plain
from experiments.training import train
from experiments.warnings import warnings_of

BACKPROP, CONTROL = learning_rules.spec("backprop"), learning_rules.spec("untrained")
SPREAD = np.array([[[9, 1], [2, 8]]])


def accuracy(losses, seed=0):
    return pd.DataFrame({"seed": seed, "epoch": np.arange(len(losses)) + 1, "train_loss": losses})


def networks(change=(0.3, 0.4, 0.5), silent=(0.0, 0.1, 0.0), seed=0):
    layers = ("conv_0", "hidden_0", "output")
    return pd.DataFrame({"seed": seed, "layer": layers, "relative_weight_change": change, "silent": silent})


def found(spec=BACKPROP, losses=(2.0, 1.0), confusion=SPREAD, **nodes):
    return warnings_of("the rule", spec, accuracy(losses), networks(**nodes), confusion, [0])


def test_a_network_that_learns_is_not_accused():
    assert found() == []


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_divergence_names_the_first_epoch(broken):
    (warning,) = found(losses=(2.0, 3.0, broken, 1.0, broken))
    assert warning.startswith("divergence: the rule, seed 0:") and "epoch 3" in warning


def test_collapse_names_the_class_and_its_share():
    (warning,) = found(confusion=np.array([[[0, 50], [1, 49]]]))
    assert warning.startswith("collapse to one class: the rule, seed 0:") and "class 1" in warning and "99.0%" in warning
    assert found(confusion=np.array([[[3, 47], [0, 50]]])) == []


def test_of_a_network_that_diverged_nothing_else_is_claimed():
    nodes = {"change": (np.nan, 0.0, 0.5), "silent": (1.0, 0.95, 0.0)}
    one_class = np.array([[[0, 50], [0, 50]]])
    assert found(losses=(2.0, np.nan), confusion=one_class, **nodes) == [
        "divergence: the rule, seed 0: the loss is not finite from epoch 2 on"
    ]
    assert found(confusion=one_class, **nodes) == ["divergence: the rule, seed 0: weights of 'conv_0' are not finite at the end"]


def test_silence_names_the_layer():
    (warning,) = found(silent=(0.0, 0.95, 0.0))
    assert warning.startswith("silence: the rule, seed 0:") and "95%" in warning and "'hidden_0'" in warning
    assert found(silent=(0.0, 0.9, 0.0)) == []


def test_weights_that_are_destroyed_are_not_called_unmoved():
    (warning,) = found(change=(np.nan, 0.4, 0.5))
    assert warning == "divergence: the rule, seed 0: weights of 'conv_0' are not finite at the end"


@pytest.mark.parametrize("change", [0.004, 0.0])
def test_weights_that_do_not_move_are_named(change):
    (warning,) = found(change=(change, 0.4, 0.5))
    assert warning.startswith("weights that do not move: the rule, seed 0:") and "'conv_0'" in warning


def test_the_untrained_control_is_not_accused_of_its_frozen_hidden_layers_but_of_a_readout_that_does_not_learn():
    assert found(spec=CONTROL, change=(0.0, 0.0, 0.5)) == []
    (warning,) = found(spec=CONTROL, change=(0.0, 0.0, 0.001))
    assert "'output'" in warning
    assert len(found(spec=dataclasses.replace(CONTROL, frozen=""), change=(0.0, 0.0, 0.5))) == 2


def test_each_seed_is_judged_by_its_own_numbers():
    table = pd.concat([accuracy((2.0, 1.0), 4), accuracy((2.0, np.nan), 5)], ignore_index=True)
    blocks = pd.concat([networks(seed=4), networks(seed=5)], ignore_index=True)
    (warning,) = warnings_of("the rule", BACKPROP, table, blocks, np.concatenate([SPREAD, SPREAD]), [4, 5])
    assert "seed 5" in warning and "epoch 2" in warning


def test_divergence_end_to_end_reaches_the_json():
    diverged = train(
        rule="backprop",
        architecture="mlp",
        architecture_options={"hidden": (8,)},
        rule_options={"learning_rate": 1e20},
        dataset="digits",
        epochs=2,
        n_train=200,
        batch_size=32,
    )
    kinds = {warning.partition(":")[0] for warning in diverged.warnings}
    assert "divergence" in kinds
    record = json.loads(json.dumps(plain(diverged.to_json()), allow_nan=False))
    assert record["warnings"] == diverged.warnings
    assert not np.isfinite(diverged.accuracy["train_loss"]).all()


def test_seeds_that_start_from_one_network_are_told_so(tmp_path):
    """A module keeps the parameters that it was made with, for every seed; a function of rngs draws."""
    path = tmp_path / "nets.py"
    path.write_text(
        "from flax import nnx\n"
        "flat = lambda x: x.reshape(len(x), -1)\n"
        "def one(input_shape, n_classes):\n"
        "    return [flat, nnx.Linear(64, 8, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(8, 10, rngs=nnx.Rngs(1))]\n"
        "def several(input_shape, n_classes):\n"
        "    return [flat, lambda rngs: nnx.Linear(64, 10, rngs=rngs)]\n"
    )
    fields = {"dataset": "digits", "n_train": 128, "epochs": 1, "n_seeds": 2}
    (warning,) = (text for text in train(architecture=f"{path}:one", **fields).warnings if text.startswith("one start"))
    assert "all 2 seeds of" in warning and "functions of rngs" in warning
    assert not any(text.startswith("one start") for text in train(architecture=f"{path}:several", **fields).warnings)
