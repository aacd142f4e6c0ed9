"""What rules need of a network and of an objective, one sentence for each need."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from small_task import batch_of, network_of

import architectures
import learning_rules
from learning_rules import InputError, Needs, make_objective
from learning_rules.needs import missing


def pooled():
    """A chain but for a node without weights."""
    nodes = [
        architectures.convolutional("conv", (6, 6, 1), 3),
        architectures.pooling("pool", (6, 6, 3), "mean"),
        architectures.readout("last", (3, 3, 3), 4),
    ]
    return architectures.chain(nodes, name="pooled", input_shape=(6, 6, 1), n_classes=4)


def nested():
    class Block(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = nnx.Linear(36, 5, rngs=rngs), nnx.Linear(5, 6, rngs=rngs)

        def __call__(self, x):
            return self.second(nnx.relu(self.first(x)))

    modules = [lambda x: x.reshape(len(x), -1), Block(nnx.Rngs(0)), nnx.relu, nnx.Linear(6, 4, rngs=nnx.Rngs(0))]
    return architectures.from_nnx(modules, input_shape=(6, 6, 1), n_classes=4)


def no_hidden():
    return architectures.build("mlp", input_shape=(6, 6, 1), n_classes=4, hidden=())


@pytest.mark.parametrize(
    ("need", "network", "message"),
    [
        ({"static": True}, "elman", "it runs in time.*use a static network such as 'mlp'"),
        ({"static": True}, "spiking", "it runs in time"),
        ({"chain": True}, "residual", "leave out other edges"),
        ({"chain": True}, "elman", "leave out other edges"),
        ({"no_skips": True}, "residual", "leave out skips"),
        ({"no_skips": True}, "gated", "leave out skips"),
        ({"hidden": True}, no_hidden, "add a hidden layer"),
        ({"affine": True}, nested, "'block_0' is not linear in its parameters.*give each of its layers as a node of its own"),
        ({"weighted": True}, pooled, "node 'pool' has no weights"),
        ({"one_z": True}, "attention", "'attention_0' are a tree of several arrays"),
        ({"one_z": True}, "gated", "'hidden_0' are a tree of several arrays"),
        ({"unitwise": True}, "attention", "units of 'attention_0' do not go by their own pre-activations"),
        ({"unitwise": True}, "gated", "units of 'hidden_0'"),
    ],
)
def test_a_need_that_is_not_met_is_one_sentence(need, network, message):
    network = network() if callable(network) else network_of(network)
    reason = missing(Needs(**need), network)
    assert re.search(message, reason) and "\n" not in reason
    assert missing(Needs(affine=False), network) == ""


def test_needs_that_are_met_say_nothing():
    everything = {"static", "chain", "no_skips", "affine", "one_z", "unitwise", "weighted", "hidden"}
    assert everything < {field.name for field in dataclasses.fields(Needs)}
    for name in ("mlp", "cnn", "flax"):
        assert missing(Needs(**dict.fromkeys(everything, True)), network_of(name)) == ""
    # A readout may be what hidden nodes may not; and what has no weights has nothing to be one array or unit by unit.
    assert missing(Needs(one_z=True, unitwise=True), pooled()) == ""
    assert missing(Needs(unitwise=True, one_z=True, no_skips=True), network_of("elman")) == ""


def test_needs_of_an_objective():
    mlp, elman = network_of("mlp"), network_of("elman")
    classes = Needs(targets=("classes",))
    assert missing(classes, mlp, make_objective("squared_error", mlp)) == ""
    reason = missing(classes, mlp, make_objective("regression", mlp))
    assert reason == "the objective 'regression' has values for targets, and the rule learns from classes"
    at_the_end = Needs(per_step=False)
    assert missing(at_the_end, elman, make_objective("cross_entropy", elman)) == ""
    assert "a target at every step" in missing(at_the_end, elman, make_objective("next_token", elman))


LAYERS = [lambda x: x.reshape(len(x), -1), nnx.Linear(64, 4, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(4, 4, rngs=nnx.Rngs(1))]


@pytest.mark.parametrize("name", ["backprop", "feedback_alignment", "hebbian", "predictive_coding", "local_losses"])
def test_probabilities_before_a_softmax_are_refused(name):
    """Cross-entropy of the softmax of probabilities trains, and badly, without a word."""
    bent = architectures.from_nnx([*LAYERS, nnx.softmax], input_shape=(8, 8, 1), n_classes=4)
    with pytest.raises(InputError, match="'linear_1' gives probabilities, and the loss 'cross_entropy' has its own softmax"):
        learning_rules.build(name, bent)
    assert learning_rules.support("backprop", bent, "squared_error").supported


@pytest.mark.parametrize("last", [nnx.log_softmax, lambda z: z / 8, lambda z: 10 * jnp.tanh(z / 10)], ids=["log", "cold", "capped"])
def test_scores_may_be_what_a_user_wants_them_to_be(last):
    assert learning_rules.support("backprop", architectures.from_nnx([*LAYERS, last], input_shape=(8, 8, 1), n_classes=4)).supported


def test_scores_may_be_a_mean_over_places():
    layers = [nnx.Conv(1, 4, (3, 3), rngs=nnx.Rngs(0)), lambda z: z.mean((1, 2))]
    network = architectures.from_nnx(layers, input_shape=(8, 8, 1), n_classes=4)
    assert learning_rules.support("backprop", network).supported


def test_support_says_what_build_does():
    network = nested()
    said = learning_rules.support("feedback_alignment", network)
    assert not said.supported and "'block_0' is not linear" in said.reason
    with pytest.raises(InputError) as caught:
        learning_rules.build("feedback_alignment", network)
    assert str(caught.value) == f"rule 'feedback_alignment' cannot train this 'flax': {said.reason}"
    assert learning_rules.support("backprop", network) == (True, "")
    static = learning_rules.support("backprop", network_of("mlp"), "next_token")
    assert not static.supported and "a static network without steps" in static.reason
    with pytest.raises(InputError, match="a static network without steps"):
        learning_rules.build("backprop", network_of("mlp"), objective="next_token")


@pytest.mark.parametrize(
    "model", [nnx.Linear(3, 4, rngs=nnx.Rngs(0)), nnx.Sequential(nnx.Linear(3, 4, rngs=nnx.Rngs(0))), lambda x: x, "mlp", None]
)
def test_what_is_no_network_is_said_in_one_sentence(model):
    with pytest.raises(InputError) as caught:
        learning_rules.build("backprop", model)
    message = str(caught.value)
    assert type(model).__name__ in message and "architectures.from_nnx(" in message and "\n" not in message


def test_a_model_of_flax_modules_is_trained_once_it_is_a_network():
    network = architectures.from_nnx(
        [lambda x: x.reshape(len(x), -1), nnx.Linear(64, 4, rngs=nnx.Rngs(0))], input_shape=(8, 8, 1), n_classes=4
    )
    rule = learning_rules.build("backprop", network)
    updates, _, info = rule.assign_credit(jax.random.key(1), rule.init(jax.random.key(0)), batch_of(0))
    assert updates["network"][0]["kernel"].shape == (64, 4) and float(info["loss"]) > 0
