"""The scorecard on any network: skips, gates, attention, spikes, time, a user's modules, nested parameters, no biases."""

import functools

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from networks import network_of

import architectures
import learning_rules
from architectures import BIAS, WEIGHT, Edge, Role
from learning_rules import plausibility
from learning_rules.plausibility import neighbours
from learning_rules.plausibility.interventions import _tied, in_null_space, of_tied_labels
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.spiking import fractions_of_events
from learning_rules.plausibility.tagging import Wire

VERDICTS = {"backprop": "fails", "feedback_alignment": "meets"}


@functools.cache
def under_test(rule, name):
    return RuleUnderTest(rule, lambda network: learning_rules.build(rule, network), network_of(name, n_classes=10))


def probe(test, criterion):
    return plausibility.CRITERIA[criterion].probe(test)


@pytest.mark.parametrize("rule", VERDICTS)
@pytest.mark.parametrize("name", ["residual", "elman", "spiking", "gated", "attention", "flax"])
@pytest.mark.costly
def test_weights_that_carry_errors_are_found_on_any_network(rule, name):
    test = under_test(rule, name)
    found = probe(test, "weight transport")
    assert found.verdict == VERDICTS[rule], found
    assert found.value > 0.01 if rule == "backprop" else found.value < 1e-12
    assert all(each.activities < 1e-12 and not each.spanned for each in in_null_space(test).values())


def test_an_error_that_goes_back_in_time_alone_is_carried_through_weights_too():
    """Feedback alignment between nodes, backpropagation through each node's own recurrent weights."""

    def half_way(network):
        rule = learning_rules.build("feedback_alignment", network)

        def assign_credit(key, state, batch):
            mixed = tuple(
                {name: own[name] if name == "kernel_1" else other[name] for name in own}
                for own, other in zip(state.params["network"], state.carry["feedback"], strict=True)
            )
            updates, _, info = rule.assign_credit(key, state._replace(carry={"feedback": mixed}), batch)
            return updates, state, info

        return rule._replace(assign_credit=assign_credit)

    network = network_of("elman", n_classes=10)
    test = RuleUnderTest("half way", half_way, network)
    found = probe(test, "weight transport")
    assert found.verdict == "fails" and "units of hidden_0 and hidden_1," in found.evidence, found
    moved = in_null_space(test)
    assert moved[0, 1].of(0) > 0.01 and moved[1, 1].of(1) > 0.01 and moved[2, 0].of(1) < 1e-12


def test_passes_back_in_time_are_counted():
    assert under_test("backprop", "elman").network.temporal
    found = probe(under_test("backprop", "elman"), "single phase")
    assert found.verdict == "fails" and "back in time through the weights by which hidden_0 and hidden_1" in found.evidence


def test_what_is_near_goes_by_edges():
    local = {name: probe(under_test("backprop", name), "local credit") for name in ("residual", "gated")}
    assert local["residual"].verdict == "fails" and "weights of hidden_2" in local["residual"].evidence
    assert local["gated"].verdict == "not applicable"
    residual, attention = network_of("residual"), network_of("attention")
    assert [sorted(neighbours.sources(residual, node)) for node in range(4)] == [[], [0], [1], [2]]
    # Through a node without weights, what it hears.
    assert attention.node_names[3:] == ("normalised", "output")
    assert sorted(neighbours.sources(attention, 4)) == [2, 3] and sorted(neighbours.hearers(attention, 2)) == [3, 4]
    assert neighbours.hidden_nodes(attention) == (0, 1, 2) and neighbours.examined(attention) == (0, 1)
    assert sorted(neighbours.reached_from(network_of("elman"), 1)) == [1, 2]


def test_spikes_are_events_and_rates_are_none():
    spiking = fractions_of_events(under_test("backprop", "spiking"), learning=False)
    assert sorted(spiking) == [Wire(-1, 0), Wire(0, 0), Wire(0, 1), Wire(1, 1), Wire(1, 2)]
    assert all(fraction == 1.0 for wire, fraction in spiking.items() if wire.source >= 0)
    residual = fractions_of_events(under_test("backprop", "residual"), learning=False)
    assert sorted(residual) == [Wire(-1, 0), Wire(0, 1), Wire(1, 2), Wire(2, 3)] and max(residual.values()) < 0.5


# A user's own.


class _TwoPaths(nnx.Module):
    """Parameters in two levels, which meet the same input."""

    def __init__(self, n_in, n_out, rngs):
        self.direct = nnx.Linear(n_in, n_out, rngs=rngs)
        self.other = nnx.Linear(n_in, n_out, use_bias=False, rngs=rngs)

    def __call__(self, x):
        return self.direct(x) + self.other(x)


class _LowRank(nnx.Module):
    """A product of two arrays of weights: not linear in both."""

    def __init__(self, n_in, n_out, rngs):
        self.into = nnx.Linear(n_in, 6, use_bias=False, rngs=rngs)
        self.out = nnx.Linear(6, n_out, rngs=rngs)

    def __call__(self, x):
        return self.out(self.into(x))


def nested(middle=_TwoPaths):
    """A user's network, whose readout has no bias."""
    return architectures.from_nnx(
        [
            lambda x: x.reshape(len(x), -1),
            lambda rngs: _TwoPaths(64, 22, rngs),
            nnx.tanh,
            lambda rngs: middle(22, 20, rngs),
            nnx.tanh,
            lambda rngs: nnx.Linear(20, 10, use_bias=False, rngs=rngs),
        ],
        input_shape=(8, 8, 1),
        n_classes=10,
    )


@pytest.mark.parametrize("rule", VERDICTS)
@pytest.mark.costly
def test_nested_parameters_are_told_by_their_roles(rule):
    test = RuleUnderTest(rule, lambda network: learning_rules.build(rule, network), nested())
    found = probe(test, "weight transport")
    assert found.verdict == VERDICTS[rule], found
    assert all(each.activities < 1e-12 for each in in_null_space(test).values())
    assert found.value > 0.01 if rule == "backprop" else found.value < 1e-12


def test_scores_are_tied_by_weights_where_the_readout_has_no_bias():
    test = RuleUnderTest("backprop", lambda network: learning_rules.build("backprop", network), nested())
    with jax.enable_x64(True):
        images = test.precise_batch()[0]
        params = _tied(test, images)["network"]
        scores = test.network.forward(params, images)[-1][0]
    assert abs(float(scores[0] - scores[1])) < 1e-12 < abs(float(scores[0] - scores[2]))
    assert of_tied_labels(test).of(0) > 0.01


def test_weights_of_a_module_that_is_not_linear_in_them_are_left_to_the_dataflow():
    test = RuleUnderTest("backprop", lambda network: learning_rules.build("backprop", network), nested(_LowRank))
    assert not test.network.nodes[1].affine
    assert sorted(in_null_space(test)) == [(2, 0)]
    assert probe(test, "weight transport").verdict == "fails"


def test_an_edge_among_several_is_changed_alone():
    def init(key):
        return {"bias": jnp.zeros(12), "far": jax.random.normal(key, (64, 12)) / 8, "near": jax.random.normal(key, (16, 12)) / 4}

    node = architectures.make_node(
        "joined",
        input_shapes=((16,), (8, 8, 1)),
        init=init,
        synapse=lambda p, x: x[0] @ p["near"] + x[1].reshape(-1, 64) @ p["far"] + p["bias"],
        activate=lambda state, z, skips: (state, jnp.tanh(z)),
        roles={
            "bias": Role(BIAS, units=(0,)),
            "far": Role(WEIGHT, units=(1,), fan_in=(0,), edge=1, presynaptic=0),
            "near": Role(WEIGHT, units=(1,), fan_in=(0,), edge=0, presynaptic=0),
        },
    )
    nodes = (architectures.dense("below", (8, 8, 1), 16), node, architectures.readout("output", (12,), 10))
    edges = ((Edge("input"),), (Edge("below"), Edge("input")), (Edge("joined"),))
    network = architectures.Network("joined", (8, 8, 1), 10, nodes, edges)
    test = RuleUnderTest("backprop", lambda network: learning_rules.build("backprop", network), network)
    found = in_null_space(test)
    assert sorted(found) == [(1, 0), (2, 0)] and found[1, 0].of(0) > 0.01 and found[1, 0].activities < 1e-12
    assert set(test.dataflow.reads.backward) == {(1, 0), (2, 0)}


_MINE = """
import architectures, learning_rules

def rule(network, loss="cross_entropy"):
    return learning_rules.build("feedback_alignment", network, loss=loss)

def network(input_shape, n_classes):
    return architectures.build("mlp", input_shape=input_shape, n_classes=n_classes, hidden=(20, 18, 16), residual=False)
"""


def test_a_users_files_give_rule_and_network(tmp_path):
    (tmp_path / "mine.py").write_text(_MINE)
    mine = str(tmp_path / "mine.py")
    card = plausibility.scorecard(f"{mine}:rule", f"{mine}:network", ["single phase"], loss="squared_error")
    assert card["single phase"].verdict == "fails" and "sweep down" in card["single phase"].evidence


def test_small_networks_of_every_architecture_have_nodes_to_examine():
    for name in architectures.names():
        test = RuleUnderTest("untrained", lambda network: learning_rules.build("untrained", network), name)
        assert neighbours.examined(test.network), name
        assert test.n_examples == 7
    # Not 7, since a layer has four times as many units; nor 5, since there are twice as many classes.
    wide = network_of("mlp", n_classes=10, hidden=(28, 16))
    assert RuleUnderTest("untrained", lambda network: learning_rules.build("untrained", network), wide).n_examples == 11


def test_a_network_of_other_images_is_refused():
    with pytest.raises(learning_rules.InputError, match="4 classes apart"):
        plausibility.scorecard("backprop", network_of("mlp"))


@pytest.mark.parametrize(
    ("loss", "name", "shape"),
    [("cross_entropy_per_step", "elman", (8, 7)), ("distillation", "mlp", (7, 10)), ("regression", "mlp", (7, 10))],
)
def test_targets_and_answers_are_the_objectives(loss, name, shape):
    test = RuleUnderTest(loss, lambda network: learning_rules.build("backprop", network, loss=loss), network_of(name, n_classes=10))
    images, targets = test.batch(0)
    assert images.shape == (7, 8, 8, 1) and targets.shape == shape
    assert ("labels",) in test.dataflow.updates[0]
