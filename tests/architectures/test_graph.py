"""Graphs of nodes: their order, and what is wrong with one, in one clear sentence at construction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from graphs import KEY

import architectures
from architectures import Edge, InputError, Network, chain, dense, readout
from architectures.dense import dense_synapse

A, B, LAST = dense("first", (3,), 4), dense("second", (4,), 4), readout("last", (4,), 2)
PLAIN = ((Edge("input"),), (Edge("first"),), (Edge("second"),))


def network(nodes=(A, B, LAST), edges=PLAIN, n_classes=2, input_shape=(3,), **others):
    return Network("mine", input_shape, n_classes, nodes, edges, **others)


def test_nodes_are_put_in_the_order_of_what_they_hear():
    shuffled = network((B, A, LAST), (PLAIN[1], PLAIN[0], PLAIN[2]))
    assert shuffled.node_names == ("first", "second", "last") and shuffled.edges == PLAIN and shuffled.is_chain
    assert shuffled.nodes == network().nodes


def test_of_nodes_that_do_not_hear_each_other_the_one_that_was_given_first_comes_first():
    twins = [dense(name, (3,), 4) for name in ("b", "a", "c")]
    summed = dense("sum", (4,), 4)
    edges = (*[(Edge("input"),)] * 3, (Edge("b"), Edge("a", skip=True), Edge("c", skip=True)), (Edge("sum"),))
    made = network((*twins, summed, readout("last", (4,), 2)), edges)
    assert made.node_names == ("b", "a", "c", "sum", "last")


def test_branches_meet_at_a_node_of_several_weighted_edges():
    left, right = dense("left", (3,), 4, "tanh"), dense("right", (3,), 5, "tanh")
    init, synapse, roles = dense_synapse(((4,), (5,)), 6, (jax.nn.initializers.normal(),) * 2)
    both = architectures.make_node(
        "both",
        input_shapes=((4,), (5,)),
        init=init,
        synapse=synapse,
        activate=lambda state, z, skips: (state, jnp.tanh(z)),
        roles=roles,
    )
    last = readout("last", (6,), 2)
    made = network((left, right, both, last), ((Edge("input"),), (Edge("input"),), (Edge("left"), Edge("right")), (Edge("both"),)))
    params, x = made.init(KEY), jax.random.normal(KEY, (7, 3))
    a, b, c, d = made.forward(params, x)
    np.testing.assert_allclose(c, np.tanh(a @ params[2]["kernel"] + b @ params[2]["kernel_1"] + params[2]["bias"]), atol=1e-6)
    assert [made.hears_nodes(index) for index in range(4)] == [False, False, True, True]
    assert both.fan_in == 9 and not made.temporal and not made.has_skips and not made.is_chain


def test_walk_visits_what_trace_runs():
    residual = architectures.build("mlp", input_shape=(4, 3, 1), n_classes=3, hidden=(5, 5, 5), residual=True)
    params, x = residual.init(KEY), jax.random.normal(KEY, (6, 4, 3, 1))

    def visit(index, inputs, skips):
        return residual.nodes[index].run(params[index], (), inputs, skips)[1]

    for a, b in zip(residual.walk(residual.encode(x), visit), residual.forward(params, x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_synapses_can_be_replaced_by_plain_functions():
    made = network()
    params, x = made.init(KEY), jnp.ones((2, 3))
    halved = [lambda inputs, node=node, p=p: 0.5 * node.synapse(p, inputs) for node, p in zip(made.nodes, params, strict=True)]
    trace = made.trace(params, x, halved)
    np.testing.assert_allclose(trace.z[0], 0.5 * made.trace(params, x).z[0], rtol=1e-6)
    per_step = made.trace(
        params, x, lambda factor: [lambda inputs: factor * made.nodes[0].synapse(params[0], inputs), *halved[1:]], per_step=0.5
    )
    np.testing.assert_array_equal(per_step.z[0], trace.z[0])


WRONG_SKIP = (PLAIN[0], (Edge("first"), Edge("input", skip=True)), PLAIN[2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: network((A, dense("second", (7,), 4), LAST)),
            "'second' takes inputs of shape \\(7,\\), but was given \\(4,\\) by 'first'",
        ),
        (lambda: network(input_shape=(5,)), "'first' takes inputs of shape \\(3,\\), but was given \\(5,\\) by 'input'"),
        (
            lambda: network(edges=(PLAIN[0], (Edge("frist"),), PLAIN[2])),
            "edge from 'frist', which is no node: did you mean 'first'",
        ),
        (lambda: network(edges=(PLAIN[0], (Edge("xyz"),), PLAIN[2])), "no node: there are input, first, second, last"),
        (
            lambda: network(edges=((Edge("second"),), *PLAIN[1:])),
            "first, second, last hear each other in a circle without delay.*delay=1",
        ),
        (lambda: network(edges=((Edge("first"),), *PLAIN[1:])), "in a circle without delay"),
        (lambda: network((A, dense("first", (4,), 4), LAST)), "the name 'first' was given to more than one node"),
        (lambda: network((dense("input", (3,), 4), B, LAST)), "or is the input's"),
        (lambda: network((LAST, A, B), (PLAIN[2], PLAIN[0], PLAIN[1])), "'second' was given last.*but 'last' comes after it"),
        (lambda: network(n_classes=3), "the readout 'last' gives \\(2,\\), expected 3 scores"),
        (lambda: network(edges=((Edge("input"), Edge("first", 2)), *PLAIN[1:])), "has a delay of 2, expected 0 or 1"),
        (lambda: network(edges=((Edge("input"), Edge("first", 1)), *PLAIN[1:])), "takes 1 weighted edges and was given 2"),
        (lambda: network(edges=(PLAIN[0], (Edge("first", skip=True),), PLAIN[2])), "takes 1 weighted edges and was given 0"),
        (lambda: network(edges=WRONG_SKIP), "'second' cannot take what its skip edges bring, \\(\\(3,\\),\\)"),
        (
            lambda: chain([A, B, LAST], name="m", input_shape=(3,), n_classes=2, skips={"second": "first"}),
            "expected names in a list",
        ),
        (
            lambda: network((A, dense("unheard", (3,), 4), B, LAST), (PLAIN[0], PLAIN[0], *PLAIN[1:])),
            "nothing that reaches the scores hears 'unheard'",
        ),
        (lambda: dense("first", (3,), 0), "n_units=0 was given"),
        (lambda: network(edges=PLAIN[:2]), "edges were given for 2 nodes, there are 3"),
        (lambda: network((), ()), "a network without nodes"),
        (lambda: network(decision="best"), "expected 'last' or 'mean'"),
        (lambda: network(reading=architectures.make_reading("current")), "which is static: leave it out"),
        (lambda: chain([A, B, LAST], name="m", input_shape=(3,), n_classes=2, skips={"secnd": ["first"]}), "did you mean 'second'"),
        (lambda: chain([A, B, LAST], name="m", input_shape=(3,), n_classes=2, skips={"second": ["frist"]}), "did you mean 'first'"),
    ],
)
def test_what_is_no_graph_is_said_in_one_sentence(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_skip_that_would_be_spread_over_units_is_refused():
    wide, narrow = dense("first", (3,), 4), dense("second", (4,), 1)
    with pytest.raises(InputError, match="'second' gives \\(1,\\), and with its skip edges \\(4,\\)"):
        network((wide, narrow, readout("last", (1,), 2)), (PLAIN[0], (Edge("first"), Edge("first", skip=True)), PLAIN[2]))


FILE = """
import architectures
from architectures import dense, readout, chain
from flax import nnx

def good(input_shape, n_classes, width=6):
    hidden = dense("wide", input_shape, width)
    return chain([hidden, readout("scores", (width,), n_classes)], name="good", input_shape=input_shape, n_classes=n_classes)

def modules(input_shape, n_classes):
    n = input_shape[0] * input_shape[1] * input_shape[2]
    return [lambda x: x.reshape(len(x), -1), lambda rngs: nnx.Linear(n, 5, rngs=rngs), nnx.relu,
            lambda rngs: nnx.Linear(5, n_classes, rngs=rngs)]

def fails(input_shape, n_classes):
    return {}["size"]

def refuses(input_shape, n_classes):
    return architectures.build("mlp", input_shape=input_shape, n_classes=n_classes, activation="rellu")

def number(input_shape, n_classes):
    return 3

def other_size(input_shape, n_classes):
    return good((4, 4, 1), n_classes)

constant = 3
"""


class TestUsersFunctions:
    @pytest.fixture
    def build(self, tmp_path):
        (tmp_path / "mine.py").write_text(FILE)

        def build(name, **options):
            return architectures.build(f"{tmp_path / 'mine.py'}:{name}", input_shape=(4, 3, 1), n_classes=3, **options)

        return build

    def test_it_gives_a_network_behind_a_front_end(self, build):
        images = np.random.default_rng(0).normal(size=(20, 4, 3, 1))
        made = build("good", width=7, front_end=architectures.fit_front_end("on_off", images))
        assert made.node_names == ("wide", "scores") and made.nodes[0].input_shapes == ((4, 3, 2),)
        assert made.name.endswith("mine.py:good") and made.options == {"width": 7, "front_end": "on_off"}
        assert made.forward(made.init(KEY), jnp.asarray(images[:2], jnp.float32))[-1].shape == (2, 3)

    def test_it_may_give_flax_modules(self, build):
        made = build("modules")
        assert made.node_names == ("linear_0", "linear_1") and made.nodes[-1].output_shape == (3,)

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("god", {}, "did you mean 'good'"),
            ("fails", {}, "called with input_shape=\\(4, 3, 1\\), n_classes=3 and failed: KeyError: 'size'"),
            ("good", {"wdth": 3}, "wdth=3 and failed: TypeError: .*unexpected keyword argument"),
            ("refuses", {}, "did you mean 'relu'"),
            ("number", {}, "returned int, expected a Network or flax modules"),
            ("other_size", {}, "for inputs of \\(4, 4, 1\\) and 3 classes, asked were \\(4, 3, 1\\) and 3"),
            ("constant", {}, "is int, expected a function"),
        ],
    )
    def test_mistakes_are_named(self, build, name, options, message):
        with pytest.raises(InputError, match=message) as caught:
            build(name, **options)
        assert "\n" not in str(caught.value)


def test_what_a_node_cannot_do_without_is_asked_for_at_construction():
    gated, last = architectures.gated("g", (3,), 4), readout("last", (4,), 2)
    own = (Edge("g", 1), Edge("g", 1, skip=True))
    network((gated, last), ((Edge("input"), *own), (Edge("g"),)))
    with pytest.raises(InputError, match="'g' needs 1 edge\\(s\\) with skip=True and was given 0"):
        network((gated, last), ((Edge("input"), own[0]), (Edge("g"),)))
    first = dense("first", (3,), 4)
    with pytest.raises(InputError, match="'g' hears 'first' over its first skip edge"):
        other = (Edge("input"), own[0], Edge("first", skip=True), own[1])
        network((first, gated, last), ((Edge("input"),), other, (Edge("g"),)))


def test_the_input_of_one_step_ago_is_remembered_by_nobody():
    with pytest.raises(InputError, match="edge from the input to 'first' has a delay"):
        network(edges=((Edge("input", 1),), *PLAIN[1:]))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 5), "inputs of shape \\(4, 5\\) were given to '.*', expected \\(n, 3\\): give the images that it was built for"),
        ((3,), "inputs of shape \\(3,\\) .* expected \\(n, 3\\): give one example as a batch of one"),
        ((2, 4, 3), "inputs of shape \\(2, 4, 3\\) .* expected \\(n, 3\\)"),
    ],
)
def test_inputs_of_another_shape_are_refused_in_one_sentence(shape, message):
    made = network()
    params = made.init(jax.random.key(0))
    with pytest.raises(InputError, match=message) as caught:
        made.forward(params, jnp.ones(shape))
    assert "\n" not in str(caught.value)


def test_sequences_have_time_first():
    delayed = network(edges=(PLAIN[0], PLAIN[1], (Edge("second", 1),)))
    params = delayed.init(jax.random.key(0))
    assert delayed.forward(params, jnp.ones((5, 2, 3)))[-1].shape == (5, 2, 2)
    with pytest.raises(InputError, match="expected \\(time, n, 3\\): give time as the first axis, examples as the second"):
        delayed.forward(params, jnp.ones((2, 3)))


def test_a_node_that_hears_itself_alone_is_unheard():
    alone = (Edge("input"), Edge("alone", 1))
    made = dense("alone", (3,), 4, recurrent=True)
    with pytest.raises(InputError, match="nothing that reaches the scores hears 'alone'"):
        network((A, made, B, LAST), (PLAIN[0], alone, *PLAIN[1:]))
