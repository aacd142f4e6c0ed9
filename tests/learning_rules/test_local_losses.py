"""The identities that prove local losses: each node follows its own gradient, and nothing crosses a node."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of

import architectures
import learning_rules
from architectures import INPUT, Edge, Network
from learning_rules import Batch, InputError, RuleState
from learning_rules.local_losses import similarity_matrix

VARIANTS = ("prediction", "similarity_matching", "both")
every_network = pytest.mark.parametrize("architecture", sorted(NETWORKS))
both_networks = pytest.mark.parametrize("architecture", ["cnn", "mlp"])


def rule_of(variant, network, **options):
    return learning_rules.build("local_losses", network, variant=variant, similarity_units=12, **options)


def state_of(rule):
    return double(rule.init(jax.random.key(0)))


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def assert_same(a, b, rtol=1e-10):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


def outputs_by_hand(network, params, images, stop):
    """Every node's outputs, a list over steps, one step and one node after the other; with `stop` no gradient crosses an edge."""
    x = network.encode(images)
    steps = x if network.temporal else x[None]
    states = {node.name: node.init_state(x.shape[-1 - len(network.step_shape)], x.dtype) for node in network.nodes}
    before = {node.name: jnp.zeros((steps.shape[1], *node.output_shape), x.dtype) for node in network.nodes}
    outputs = {node.name: [] for node in network.nodes}
    for now in steps:
        reached = {}
        for node, w, edges in zip(network.nodes, params, network.edges, strict=True):
            heard = [now if e.source == INPUT else before[e.source] if e.delay else reached[e.source] for e in edges]
            heard = [jax.lax.stop_gradient(h) if stop else h for h in heard]
            weighted = tuple(h for h, e in zip(heard, edges, strict=True) if not e.skip)
            skips = tuple(h for h, e in zip(heard, edges, strict=True) if e.skip)
            states[node.name], reached[node.name] = node.activate(states[node.name], node.synapse(w, weighted), skips)
            outputs[node.name].append(reached[node.name])
        before = reached
    return [outputs[node.name] for node in network.nodes]


def cells_of(h, grid):
    """Averages over cells, one cell after the other (the rule multiplies with a matrix)."""

    def bounds(size):
        n_cells = min(grid, size)
        return [slice(i * size // n_cells, -(-(i + 1) * size // n_cells)) for i in range(n_cells)]

    places = h.shape[1:-1]
    cells = [jnp.mean(h[:, *cell], tuple(range(1, h.ndim - 1))) for cell in itertools.product(*map(bounds, places))]
    return jnp.stack(cells, axis=1).reshape(len(h), -1)


def correlations(features):
    """Adjusted cosines are Pearson correlations between rows; a row that is silent is like none."""
    deviations = features - features.mean(1, keepdims=True)
    speaks = jnp.any(deviations != 0, 1)
    lengths = jnp.linalg.norm(jnp.where(speaks[:, None], deviations, 1), axis=1)
    return jnp.where(jnp.outer(speaks, speaks), deviations @ deviations.T / jnp.outer(lengths, lengths), 0)


def sum_of_local_losses(network, params, images, labels, share, grid, stop):
    """The definition in one expression: with `stop` no gradient crosses a node, so one gradient holds them all."""
    target = jax.nn.one_hot(labels, network.n_classes, dtype=images.dtype)
    *hidden, readout = outputs_by_hand(network, params["network"], images, stop)
    scores = readout[0] if not network.temporal else readout[-1] if network.decision == "last" else sum(readout) / len(readout)
    total = -jnp.mean(jnp.sum(jax.nn.log_softmax(scores) * target, 1))
    weighted = [outputs for node, outputs in zip(network.nodes, hidden, strict=False) if node.weighted]
    for outputs, head in zip(weighted, params["heads"], strict=True):
        for h in outputs:
            features = cells_of(h, grid)
            if share < 1:
                guess = features @ head["prediction"]["kernel"] + head["prediction"]["bias"]
                total += (share - 1) * jnp.mean(jnp.sum(jax.nn.log_softmax(guess) * target, 1)) / len(outputs)
            if share > 0:
                difference = correlations(features @ head["similarity"]["kernel"]) - correlations(target)
                total += share * jnp.mean(difference**2) / len(outputs)
    return total


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [(name, "both") for name in sorted(NETWORKS)] + [("cnn", variant) for variant in VARIANTS[:2]],
)
@pytest.mark.costly
def test_each_node_and_head_follow_the_gradient_of_their_own_loss(architecture, variant):
    network = network_of(architecture)
    grid = 3  # uneven cells on maps of 4x4
    rule = rule_of(variant, network, grid=grid, similarity_fraction=0.6)
    share = {"prediction": 0.0, "similarity_matching": 1.0, "both": 0.6}[variant]
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)

        @jax.jit
        def compare(state):
            updates, _, info = rule.assign_credit(jax.random.key(1), state, (images, labels))
            reference = [
                jax.value_and_grad(lambda p, s=stop: sum_of_local_losses(network, p, images, labels, share, grid, s))(state.params)
                for stop in (True, False)
            ]
            return updates, info, reference

        updates, info, ((total, stopped), (_, crossing)) = compare(state)
        assert_same(updates, stopped)
        np.testing.assert_allclose(info["loss"] + sum(info["node_loss"]), total, rtol=1e-12)
        # Let through, errors from above would change what every hidden node is asked.
        for node, a, b in zip(network.nodes[:-1], updates["network"], crossing["network"], strict=False):
            assert not node.weighted or float(jnp.linalg.norm(flat(a) - flat(b))) > 0.05 * float(jnp.linalg.norm(flat(a)))


@both_networks
def test_one_node_and_its_own_head_is_backpropagation(architecture):
    """The head of the first node read as the readout of a network of two: the same gradients."""
    network = network_of(architecture)
    rule = rule_of("prediction", network, grid=64)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        first = network.nodes[0]
        head = architectures.readout("head", first.output_shape, network.n_classes)
        shallow = architectures.chain([first, head], name="shallow", input_shape=(8, 8, 1), n_classes=network.n_classes)
        backprop = learning_rules.build("backprop", shallow)
        params = {"network": (state.params["network"][0], state.params["heads"][0]["prediction"])}
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]
        reference = jax.jit(backprop.assign_credit)(jax.random.key(1), RuleState(params, ()), (images, labels))[0]["network"]
        assert_same((updates["network"][0], updates["heads"][0]["prediction"]), reference, 1e-12)


def shallow_network(network, index, **others):
    """One hidden node and its head, which hear from outside what the node hears in the whole network."""
    node = network.nodes[index]
    own = tuple(edge if edge.source == node.name else edge._replace(source=INPUT) for edge in network.edges[index])
    head = architectures.readout("head", node.output_shape, network.n_classes)
    return Network("shallow", node.input_shapes[0], network.n_classes, (node, head), (own, (Edge(node.name),)), **others)


@pytest.mark.parametrize("index", [1, 2])
def test_one_residual_node_and_its_own_head_is_backpropagation(index):
    """Its skip edge brings what it hears through weights, and it learns as a network of its own would from both."""
    network = network_of("residual")
    rule = rule_of("prediction", network)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        shallow = shallow_network(network, index)
        assert shallow.edges[0] == (Edge(INPUT), Edge(INPUT, skip=True))
        backprop = learning_rules.build("backprop", shallow)
        below = network.forward(state.params["network"], images)[index - 1]
        params = {"network": (state.params["network"][index], state.params["heads"][index]["prediction"])}
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]
        reference = jax.jit(backprop.assign_credit)(jax.random.key(1), RuleState(params, ()), (below, labels))[0]["network"]
        assert_same((updates["network"][index], updates["heads"][index]["prediction"]), reference, 1e-12)


@pytest.mark.parametrize(
    ("architecture", "options"), [("elman", {"hidden": (12,)}), ("elman", {}), ("spiking", {"recurrent": False})]
)
@pytest.mark.costly
def test_one_node_in_time_and_its_own_head_is_backpropagation_along_what_the_node_remembers(architecture, options):
    """With its own recurrent edge cut, an Elman unit remembers nothing, and spiking units their potential: then all of time."""
    network = network_of(architecture, **options)
    rule = rule_of("prediction", network)
    index = len(network.nodes) - 2
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        shallow = shallow_network(network, index)
        outputs = network.forward(state.params["network"], images)
        heard = outputs[index - 1] if index else network.encode(images)
        targets = jnp.broadcast_to(labels, (len(heard), *labels.shape))
        objective = learning_rules.make_objective("cross_entropy_per_step", shallow)

        def loss(params):
            synapses = shallow.plain(params)
            if architecture == "elman":
                node = shallow.nodes[0]
                stopped = architectures.Crossing(lambda x: node.synapse(params[0], (x[0], jax.lax.stop_gradient(x[1]))))
                synapses = (stopped, synapses[1])
            return objective.loss(shallow.trace(params, heard, synapses).outputs[-1], Batch(heard, targets))

        params = (state.params["network"][index], state.params["heads"][index]["prediction"])
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]
        own = (updates["network"][index], updates["heads"][index]["prediction"])
        assert_same(own, jax.jit(jax.grad(loss))(params), 1e-12)
        backprop = learning_rules.build("backprop", shallow, objective="cross_entropy_per_step")
        reference = backprop.assign_credit(jax.random.key(1), RuleState({"network": params}, ()), (heard, targets))[0]["network"]
        if architecture == "spiking":
            assert_same(own, reference, 1e-12)
        else:
            assert float(jnp.linalg.norm(flat(own) - flat(reference))) > 0.01 * float(jnp.linalg.norm(flat(own)))


@both_networks
def test_what_a_node_is_asked_does_not_depend_on_anything_above(architecture):
    network = network_of(architecture)
    rule = rule_of("both", network)
    with jax.enable_x64(True):
        state, batch = state_of(rule), batch_of(2, dtype=jnp.float64)
        ask = jax.jit(lambda params: rule.assign_credit(jax.random.key(1), RuleState(params, ()), batch)[0])
        before = ask(state.params)
        for lowest in range(1, len(network.nodes)):
            shaken = {
                part: (*trees[:lowest], *jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(leaf * 50), trees[lowest:]))
                for part, trees in state.params.items()
            }
            after = ask(shaken)
            for part in before:
                assert_same(after[part][:lowest], before[part][:lowest], 1e-12)
            assert float(jnp.abs(after["network"][lowest]["kernel"] - before["network"][lowest]["kernel"]).max()) > 1e-4


def test_without_hidden_nodes_nothing_but_the_delta_rule_is_left():
    network = network_of("mlp", hidden=())
    rule, backprop = rule_of("both", network), learning_rules.build("backprop", network)
    with jax.enable_x64(True):
        state, batch = state_of(rule), batch_of(2, dtype=jnp.float64)
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]
        reference = backprop.assign_credit(jax.random.key(1), RuleState({"network": state.params["network"]}, ()), batch)[0]
        assert_same(updates["network"], reference["network"], 1e-12)


def test_nodes_without_weights_have_no_head():
    network = network_of("attention")
    heads = jax.eval_shape(rule_of("both", network).init, jax.random.key(0)).params["heads"]
    assert [node.weighted for node in network.nodes] == [True, True, True, False, True] and len(heads) == 3


@pytest.mark.parametrize("architecture", ["mlp", "elman"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.costly
def test_examples_that_do_not_count_teach_nothing(architecture, variant):
    network = network_of(architecture)
    rule = rule_of(variant, network)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        counts = jnp.arange(len(labels)) % 3 > 0
        ask = jax.jit(rule.assign_credit)
        masked, _, info = ask(jax.random.key(1), state, Batch(images, labels, counts.astype(jnp.float64)))
        among, _, reference = ask(jax.random.key(1), state, Batch(images[counts], labels[counts]))
        assert_same(masked, among)
        assert_same(info, reference)


def test_similarities_are_correlations_and_heads_stay_small_on_large_maps():
    rows = np.random.default_rng(0).normal(size=(7, 20))
    with jax.enable_x64(True):
        np.testing.assert_allclose(similarity_matrix(jnp.asarray(rows)), np.corrcoef(rows), atol=1e-9)
    network = architectures.build("cnn", input_shape=(64, 64, 3), n_classes=10)
    heads = jax.eval_shape(learning_rules.build("local_losses", network).init, jax.random.key(0)).params["heads"]
    assert heads[0]["prediction"]["kernel"].shape == (4 * 4 * 32, 10)
    assert heads[0]["similarity"]["kernel"].shape == (4 * 4 * 32, 64)
    assert heads[2]["similarity"]["kernel"].shape == (128, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity_fraction": 1.5}, "above 0 to below 1"),
        ({"grid": 0}, "at least 1"),
        ({"similarity_units": -1}, "at least 0"),
        ({"variant": "predictoin"}, "did you mean 'prediction'"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        rule = learning_rules.build("local_losses", network_of("mlp"), **options)
        rule.assign_credit(jax.random.key(0), rule.init(jax.random.key(0)), batch_of(0))
