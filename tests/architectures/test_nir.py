"""NIR graphs, written and read, against a loop over the graph itself by NIR's own equations (doi:10.1038/s41467-024-52259-9)."""

import jax
import jax.numpy as jnp
import nir
import numpy as np
import pytest

import architectures
import learning_rules
from architectures import InputError, from_nir, to_nir, write_nir

SECONDS = 1e-3
SHAPE, N = (4, 3, 1), 5


@pytest.fixture(autouse=True)
def double():
    """In double precision spikes do not hang on the order of a sum."""
    with jax.enable_x64(True):
        yield


def run_graph(graph, xs, subtracted):
    """What every unit gives at every step, from currents (time, n, ...): Euler's method on each node's equation.

    `subtracted` names units that lose their threshold's worth. What is heard in a loop is what was given a step before.
    """
    nodes, given = graph.nodes, {}
    v = {name: 0.0 for name in nodes}
    spiked = {name: 0.0 for name in nodes}
    delayed = {name: 0.0 for name in nodes}
    found = {name: [] for name in nodes}
    for x in xs:
        now = {}

        def out(name, of=None, x=x, now=now):
            node = nodes[name]
            kind = type(node).__name__
            if name in now:
                return now[name]
            if kind in ("LIF", "IF") and of == name:  # units that hear themselves hear what they gave a step before
                return spiked[name]
            if kind == "Input":
                return x
            if kind == "Delay":
                assert np.all(node.delay == SECONDS)
                return delayed[name]
            heard = [out(source, name if kind in ("LIF", "IF", "LI") else of) for source, to in graph.edges if to == name]
            if kind == "Flatten":
                return heard[0].reshape(len(heard[0]), -1)
            if kind in ("Affine", "Linear"):
                return heard[0] @ node.weight.T + getattr(node, "bias", 0.0) if np.ndim(heard[0]) else getattr(node, "bias", 0.0)
            current = sum(heard)
            if kind == "Output":
                return current
            if kind == "IF":
                v[name] = v[name] + SECONDS * node.r * current
            else:
                v[name] = v[name] + SECONDS / node.tau * (node.v_leak - v[name] + node.r * current)
            now[name] = v[name]
            if kind != "LI":
                v[name] = v[name] - (node.v_threshold * spiked[name] if name in subtracted else 0.0)
                now[name] = (v[name] > node.v_threshold).astype(float)
                spiked[name] = now[name]
                if name not in subtracted:
                    v[name] = np.where(now[name] > 0, node.v_reset, v[name])
            return now[name]

        for name, node in nodes.items():
            given[name] = out(name) if type(node).__name__ in ("LIF", "IF", "LI", "Output") else None
        for name, node in nodes.items():
            if type(node).__name__ == "Delay":
                (source,) = [a for a, b in graph.edges if b == name]
                delayed[name] = now[source]
            if given[name] is not None:
                found[name].append(given[name])
    return {name: np.array(each) for name, each in found.items() if each}


def spiking(**options):
    chosen = {"hidden": (7, 6), "gain": 3.0, "reading": "rate", "n_steps": 12, "leak": 0.8, "threshold": 0.7}
    return architectures.build("spiking", input_shape=SHAPE, n_classes=4, **chosen | options)


def test_what_is_written_is_the_network_by_nir_s_own_equations_and_is_read_to_the_same_spikes(tmp_path):
    network = spiking(recurrent=True)
    params = network.init(jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (N, *SHAPE), minval=-4.0, maxval=4.0)
    expected = dict(zip(network.node_names, jax.jit(network.forward)(params, x), strict=True))
    graph = nir.read(write_nir(tmp_path / "of" / "network.nir", network, params, SECONDS))
    found = run_graph(graph, np.asarray(network.encode(x), np.float64), {"hidden_0", "hidden_1"})
    for name in ("hidden_0", "hidden_1"):
        assert 0.05 < np.mean(found[name]) < 0.95
        np.testing.assert_array_equal(found[name], expected[name])
    np.testing.assert_allclose(found["output"], expected["output"], atol=1e-6)  # weights are written in single precision

    back = from_nir(tmp_path / "of" / "network.nir", input_shape=SHAPE)
    assert (back.reading.name, back.decision) == ("rate", "mean") and set(back.node_names) == {
        "hidden_0",
        "hidden_1",
        "output.units",
    }
    again = dict(zip(back.node_names, jax.jit(back.forward)(back.init(jax.random.key(5)), x), strict=True))
    for name, other in (("hidden_0", "hidden_0"), ("hidden_1", "hidden_1"), ("output.units", "output")):
        np.testing.assert_array_equal(again[name], expected[other])
    # Feedback weights are drawn, not read.
    first = back.nodes[0]
    assert not np.allclose(first.drawn(jax.random.key(0))["kernel"], first.init(jax.random.key(0))["kernel"])
    learning_rules.build("feedback_alignment", back)


def of_others():
    """A graph as another tool could have written it: units of several kinds, constants one a unit, a loop without delay."""
    rng = np.random.default_rng(0)

    def between(low, high, n):
        return rng.uniform(low, high, n)

    nodes = {
        "in": nir.Input(input_type={"input": np.array([5])}),
        "w0": nir.Affine(rng.normal(size=(6, 5)), rng.normal(size=6)),
        "lif": nir.LIF(between(2e-3, 9e-3, 6), between(2, 9, 6), between(-0.1, 0.1, 6), between(0.5, 1, 6), between(-0.3, 0, 6)),
        "own": nir.Linear(rng.normal(size=(6, 6))),
        "w1": nir.Linear(rng.normal(size=(4, 6))),
        "if": nir.IF(between(200, 900, 4), between(0.5, 1, 4), between(-0.3, 0, 4)),
        "w2": nir.Affine(rng.normal(size=(3, 4)), rng.normal(size=3)),
        "li": nir.LI(between(2e-3, 9e-3, 3), between(2, 9, 3), between(-0.1, 0.1, 3)),
        "w3": nir.Linear(rng.normal(size=(2, 3))),
        "out": nir.Output(output_type={"output": np.array([2])}),
    }
    edges = [("in", "w0"), ("w0", "lif"), ("lif", "own"), ("own", "lif"), ("lif", "w1"), ("w1", "if"), ("if", "w2"), ("w2", "li")]
    return nir.NIRGraph(nodes, [*edges, ("li", "w3"), ("w3", "out")])


def test_what_others_write_is_run_by_nir_s_own_equations():
    graph = of_others()
    network = from_nir(graph, seconds_per_step=SECONDS)
    x = np.random.default_rng(1).normal(size=(20, N, 5))
    # `init` gives single precision: the graph's own numbers here, so that both are the same network.
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), network.init(jax.random.key(0)))
    for name in ("w0", "own", "w1", "w2", "w3"):
        graph.nodes[name].weight = graph.nodes[name].weight.astype(np.float64)
    found = run_graph(graph, x, set())
    outputs = dict(zip(network.node_names, jax.jit(network.forward)(params, x), strict=True))
    for name in ("lif", "if"):
        assert 0.05 < np.mean(found[name]) < 0.95
        np.testing.assert_array_equal(outputs[name], found[name])
    np.testing.assert_allclose(outputs["li"], found["li"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["out"], found["out"], rtol=1e-5, atol=1e-5)
    # And out again: units that were set to their reset potentials still are.
    again = from_nir(to_nir(network, network.init(jax.random.key(0)), SECONDS))
    for before, after in zip(network.nodes[:2], again.nodes[:2], strict=True):
        np.testing.assert_allclose(after.unit.leak, before.unit.leak, rtol=1e-12)
        assert (after.unit.threshold, after.unit.reset_to) == (before.unit.threshold, before.unit.reset_to)
    np.testing.assert_array_equal(jax.jit(again.forward)(again.init(jax.random.key(0)), x)[0], outputs["lif"])


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (lambda: architectures.build("cnn", input_shape=(8, 8, 1), n_classes=3, channels=(2, 2)), "none of the units that NIR has"),
        (lambda: architectures.build("recurrent", input_shape=SHAPE, n_classes=3), "node 'hidden_0' is none of the units"),
        (lambda: architectures.build("mlp", input_shape=SHAPE, n_classes=3, hidden=(4,)), "a linear readout"),
    ],
)
def test_units_that_nir_has_not_are_named(network, told):
    network = network()
    with pytest.raises(InputError, match=told):
        to_nir(network, network.init(jax.random.key(0)))


def test_parameters_of_several_seeds_are_refused():
    network = spiking()
    params = jax.vmap(network.init)(jax.random.split(jax.random.key(0), 2))
    with pytest.raises(InputError, match="several seeds"):
        to_nir(network, params)
    with pytest.raises(InputError, match="how long a step lasts"):
        to_nir(network, network.init(jax.random.key(0)), 0.0)


def changed(**nodes):
    graph = of_others()
    graph.nodes |= nodes
    return graph


def without(edge, *others):
    graph = of_others()
    graph.edges = [each for each in graph.edges if each != edge] + list(others)
    return graph


@pytest.mark.parametrize(
    ("graph", "options", "told"),
    [
        (of_others, {"seconds_per_step": None}, "the file does not say of how many seconds"),
        (of_others, {"seconds_per_step": -1.0}, "of -1.0 seconds cannot be"),
        (of_others, {"seconds_per_step": 0.1}, "under a step of 0.1 s"),
        (of_others, {"reset": "none"}, "unknown reset 'none'"),
        (of_others, {"reading": "colums"}, "unknown reading 'colums'"),
        (lambda: changed(li=nir.Threshold(np.ones(3))), {}, "node 'li' of the NIR graph is Threshold"),
        (lambda: changed(more=nir.Output(output_type={"output": np.array([2])})), {}, "2 nodes of kind Output"),
        (lambda: without(("w1", "if")), {}, "'if' of the NIR graph hears nothing"),
        (lambda: without(("w1", "if"), ("lif", "if")), {}, "hears 'lif' without weights"),
        (lambda: without(("lif", "w1"), ("w0", "w1")), {}, "is followed by other weights"),
        (lambda: without(("lif", "w1"), ("w1", "w1")), {}, "in a circle without units|followed by other weights"),
        (lambda: without(("lif", "w1"), ("in", "w1")), {}, r"weights of \(4, 6\) lead from 'in' of \(5,\)"),
        (lambda: without(("lif", "w1"), ("lif", "w1"), ("in", "w1")), {}, "hears 2 nodes"),
    ],
)
def test_graphs_that_cannot_be_run_are_refused_in_one_sentence(graph, options, told):
    with pytest.raises(InputError, match=told) as raised:
        from_nir(graph(), **{"seconds_per_step": SECONDS} | options)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_graphs_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        from_nir(tmp_path / "nowhere.nir")
    (tmp_path / "text.nir").write_text("no graph")
    with pytest.raises(InputError, match="no NIR graph"):
        from_nir(tmp_path / "text.nir")
