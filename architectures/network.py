"""A network: a label-free front end and a graph of nodes, the same for every learning rule.

A static network is run once; a temporal one, with delayed edges or nodes that remember, by one `lax.scan` over the steps, whatever
their number. `trace` runs it with every signal kept, and with anything else in the place of its synapses: learning rules are
written in what they put there (`learning_rules/signals.py`).

Edges, nodes and their names follow NIR (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9), the exchange format of neuromorphic
tools.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray

from architectures.edge import INPUT, Edge
from architectures.front_end import FrontEnd, no_front_end
from architectures.graph import check, in_order, same_shape
from architectures.node import Node, Params, check_shape
from architectures.readings import Reading
from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["Crossing", "Moment", "Network", "Trace", "chain"]


def _as_it_is(signal: Any) -> Any:
    return signal


class Crossing(NamedTuple):
    """What stands around one node while a network is traced.

    Attributes
    ----------
    synapse
        inputs -> pre-activations, in place of the plain synapse at the parameters.
    skips
        What comes over skip edges -> what `activate` sees.
    output
        What the node's unit does -> what is passed on.
    """

    synapse: Callable[[tuple[Array, ...]], Any]
    skips: Callable[[tuple[Array, ...]], tuple[Array, ...]] = _as_it_is
    output: Callable[[Array], Array] = _as_it_is


class Trace(NamedTuple):
    """Every signal of every node in one run; of a temporal network with time as the leading axis.

    Attributes
    ----------
    inputs
        For each node, what arrived over each weighted edge, (n, ...).
    skips
        For each node, what arrived over each skip edge.
    z
        Pre-activations, an array or a tree.
    outputs
        What each node's unit did; the last are the scores.
    states
        What each node remembered before the step.
    """

    inputs: tuple[tuple[Array, ...], ...]
    skips: tuple[tuple[Array, ...], ...]
    z: tuple[Any, ...]
    outputs: tuple[Array, ...]
    states: tuple[Any, ...]


class Moment(NamedTuple):
    """What one step of a temporal network leaves for the next.

    Attributes
    ----------
    states
        What each node remembers.
    passed_on
        What each node passed on, which delayed edges bring a step later.
    """

    states: tuple[Any, ...]
    passed_on: tuple[Array, ...]


def _in_order(seen: Mapping[int, tuple[Any, ...]]) -> Trace:
    """What was seen of each node, as a trace."""
    return Trace(*zip(*(seen[index] for index in sorted(seen)), strict=True))


Crossings = Sequence[Crossing | Callable[[tuple[Array, ...]], Any]]


@dataclass(frozen=True)
class Network:
    """A graph of nodes. Of nodes whose order is not given by their edges, the one that was given first comes first.

    Attributes
    ----------
    name
        Name of the architecture.
    input_shape
        Shape of one example before the front end: (height, width, channels) of an image; of a network that is given sequences, the
        shape of one step.
    n_classes
        Number of scores.
    nodes
        The nodes; the last is the readout.
    edges
        For each node, the edges that lead to it: weighted ones in the order of the node's `input_shapes`, then skips.
    front_end
        Fixed, label-free transform of the input.
    reading
        How a temporal network takes a static input in time; None where inputs are sequences, or the network is static.
    decision
        Of a temporal network: whether the scores of an example are the readout's at the "last" step, or their "mean" over steps.
    options
        What the architecture was built with, for tables and files.

    >>> from architectures import Edge, dense, make_reading, readout
    >>> nodes = dense("first", (8, 8, 1), 16), dense("second", (16,), 16), readout("last", (16,), 10)
    >>> edges = (Edge("input"),), (Edge("first"), Edge("first", skip=True)), (Edge("second"),)
    >>> Network("mine", (8, 8, 1), 10, nodes, edges).has_skips
    True

    A network in time takes an image row by row with `reading=make_reading("rows")`.
    """

    name: str
    input_shape: tuple[int, ...]
    n_classes: int
    nodes: tuple[Node, ...]
    edges: tuple[tuple[Edge, ...], ...]
    front_end: FrontEnd = field(default_factory=no_front_end)
    reading: Reading | None = None
    decision: str = "last"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the graph, and put nodes in an order in which each has what it hears."""
        if isinstance(self.reading, str):
            raise InputError(f"reading='{self.reading}' was given, expected what make_reading('{self.reading}') gives")
        check_shape(self.input_shape, f"one example of '{self.name}'")
        if isinstance(self.edges, Mapping):
            raise InputError(f"edges of '{self.name}' were given by name, expected for each node in turn a tuple of what it hears")
        nodes, edges = in_order(self.nodes, self.edges)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "edges", edges)
        check(nodes, edges, self.step_shape, self.n_classes)
        if self.reading is not None and not self.temporal:
            raise InputError(f"reading '{self.reading.name}' was given to '{self.name}', which is static: leave it out")
        if self.decision not in ("last", "mean"):
            raise InputError(f"decision='{self.decision}' was given, expected 'last' or 'mean'")

    # What it is.

    @property
    def node_names(self) -> tuple[str, ...]:
        """The name of each node, in order."""
        return tuple(node.name for node in self.nodes)

    @property
    def temporal(self) -> bool:
        """Whether it runs in time: it has delayed edges, or nodes that remember."""
        return any(edge.delay for edges in self.edges for edge in edges) or any(node.has_state for node in self.nodes)

    @property
    def has_skips(self) -> bool:
        """Whether any edge carries no weights."""
        return any(edge.skip for edges in self.edges for edge in edges)

    @property
    def is_chain(self) -> bool:
        """Whether each node hears the one before it through weights, and nothing else."""
        sources = (INPUT, *self.node_names)
        return all(edges == (Edge(source),) for edges, source in zip(self.edges, sources, strict=False))

    @property
    def step_shape(self) -> tuple[int, ...]:
        """Shape of what one example sends into the first node, at one step."""
        shape = self.front_end.output_shape(self.input_shape)
        return shape if self.reading is None else self.reading.step_shape(shape)

    @property
    def core(self) -> Network:
        """The same graph without its front end, for inputs that went through it once, before training."""
        return dataclasses.replace(self, input_shape=self.front_end.output_shape(self.input_shape), front_end=no_front_end())

    def weighted_edges(self, index: int) -> tuple[Edge, ...]:
        """The edges that lead to a node through weights."""
        return tuple(edge for edge in self.edges[index] if not edge.skip)

    def hears_nodes(self, index: int) -> bool:
        """Whether a node hears any other node, or itself, through weights: then an error can be carried back from it."""
        return any(edge.source != INPUT for edge in self.weighted_edges(index))

    def describe(self) -> list[dict[str, Any]]:
        """One row a node: name, where it listens, shapes, number of parameters."""
        rows = []
        for node, edges in zip(self.nodes, self.edges, strict=True):
            n_parameters = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(node.init, jax.random.key(0))))
            hears = ", ".join(e.source + (" (delayed)" if e.delay else "") + (" (skip)" if e.skip else "") for e in edges)
            inputs = node.input_shapes[0] if len(node.input_shapes) == 1 else node.input_shapes
            row = {"layer": node.name, "hears": hears, "input": inputs, "output": node.output_shape, "parameters": n_parameters}
            rows.append(row)
        return rows

    # How it runs.

    def init(self, key: PRNGKeyArray) -> tuple[Params, ...]:
        """Initial parameters, one tree per node."""
        keys = jax.random.split(key, len(self.nodes))
        params = tuple(node.init(k) for node, k in zip(self.nodes, keys, strict=True))
        # Whatever else is compiled with it must not change a bit of what is drawn: all rules start at the same network.
        return jax.lax.optimization_barrier(params)

    def encode(self, inputs: Array) -> Array:
        """Inputs as the first nodes hear them: (n, ...), or (time, n, ...) in a temporal network.

        Raises
        ------
        InputError
            Inputs of another shape than the network takes.
        """
        self._check_inputs(inputs)
        encoded = self.front_end(inputs)
        return encoded if self.reading is None else self.reading.transform(encoded)

    def _check_inputs(self, inputs: Any) -> None:
        in_time = self.temporal and self.reading is None
        shape, expected = tuple(np.shape(inputs)), self.input_shape
        if len(shape) == 1 + in_time + len(expected) and shape[1 + in_time :] == expected:
            return
        told = ", ".join(map(str, expected))
        hint = "give one example as a batch of one" if shape == expected else "give the images that it was built for"
        if in_time:
            hint = "give time as the first axis, examples as the second"
        axes = "time, n" if in_time else "n"
        raise InputError(f"inputs of shape {shape} were given to '{self.name}', expected ({axes}, {told}): {hint}")

    def plain(self, params: Sequence[Params]) -> tuple[Crossing, ...]:
        """The network's own synapses at these parameters."""

        def at(node: Node, own: Params) -> Crossing:
            return Crossing(lambda inputs: node.synapse(own, inputs))

        return tuple(at(node, own) for node, own in zip(self.nodes, params, strict=True))

    def trace(
        self,
        params: Sequence[Params],
        inputs: Array,
        synapses: Crossings | Callable[[Any], Crossings] | None = None,
        *,
        per_step: Any = None,
        encoded: bool = False,
    ) -> Trace:
        """Run the graph and keep every signal.

        Parameters
        ----------
        params
            One tree per node.
        inputs
            (n, *input_shape); sequences are (time, n, *input_shape).
        synapses
            What stands in the place of each node's plain synapse, a `Crossing` or a function from inputs to pre-activations; or a
            function that makes them of what `per_step` holds for the step.
        per_step
            Any tree whose leaves have time as the leading axis (in a static network none); `synapses` is then a function.
        encoded
            Whether the inputs are as `encode` gives them.

        Returns
        -------
        Trace
            In a temporal network every signal has time as its leading axis.
        """
        x = inputs if encoded else self.encode(inputs)

        def crossings(now: Any) -> tuple[Crossing, ...]:
            chosen = self.plain(params) if synapses is None else synapses(now) if callable(synapses) else synapses
            return tuple(each if isinstance(each, Crossing) else Crossing(each) for each in chosen)

        if not self.temporal:
            states = tuple(node.init_state(len(x), x.dtype) for node in self.nodes)
            return self._step(crossings(per_step), states, (None,) * len(self.nodes), x)[0]

        states, silent = self.at_rest(x.shape[1], x.dtype)
        within, afterwards = self._in_time()

        def step(carry: Any, now: Any) -> tuple[Any, Any]:
            signal, extra = now
            before, passed_on = carry
            seen, after, passed_on = self._visit(within, crossings(extra), before, passed_on, signal, {})
            # What is passed on is mostly what a unit did, which is not kept twice.
            others = {index: each for index, each in passed_on.items() if each is not seen[index][3]}
            return (after, tuple(passed_on.get(index, silent[index]) for index in range(len(silent)))), (seen, others)

        seen, others = jax.lax.scan(step, (states, silent), (x, per_step))[1]
        if afterwards:
            passed_on = {index: others.get(index, of_node[3]) for index, of_node in seen.items()}

            def rest(signal: Array, extra: Any, passed_on: Any) -> Any:
                return self._visit(afterwards, crossings(extra), states, silent, signal, passed_on)[0]

            seen |= jax.vmap(rest)(x, per_step, passed_on)
        return _in_order(seen)

    def readout(self, crossings: Crossings, inputs: Array) -> Array:
        """What scores are made of: the readout's outputs, of a decision by the last step at that one alone.

        Parameters
        ----------
        crossings
            What stands around each node, `plain(params)` say.
        inputs
            (n, *input_shape); sequences are (time, n, *input_shape).

        Returns
        -------
        Array
            As the last of `trace`'s outputs; where the last step decides, (1, n, n_classes), and no other step's signals are kept
            for whoever asks for nothing but this.

        >>> import architectures
        >>> network = architectures.build("recurrent", input_shape=(6, 3), n_classes=2, hidden=(4,))
        >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 6, 3))
        >>> scores = network.scores(network.readout(network.plain(params), x))
        >>> bool(jnp.allclose(scores, network.scores(network.forward(params, x)[-1]), atol=1e-6))
        True
        """
        if not self.temporal or self.decision != "last":
            return self.trace((), inputs, crossings).outputs[-1]
        around = [each if isinstance(each, Crossing) else Crossing(each) for each in crossings]
        x = self.encode(inputs)
        within, afterwards = self._in_time()
        last = len(self.nodes) - 1

        def step(carry: Any, now: Array) -> tuple[Any, Any]:
            states, before = carry
            seen, after, passed_on = self._visit(within, around, states, before, now, {})
            kept = tuple(passed_on.get(index, each) for index, each in enumerate(before))
            # What the readout does is asked for, before anything is made of it on its way.
            return (after, kept), seen[last][3] if last in seen else None

        (states, passed_on), outputs = jax.lax.scan(step, tuple(self.at_rest(x.shape[1], x.dtype)), x)
        if last in within:
            return jnp.asarray(outputs[-1:])
        seen, *_ = self._visit(afterwards, around, states, passed_on, x[-1], {index: passed_on[index] for index in within})
        return jnp.asarray(seen[last][3][None])

    def _in_time(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Nodes that are run step by step, and those that can be run for all steps at once when the others are done.

        The latter remember nothing, and nothing that was shown to them is heard by the others, now or a step later: a readout, say.
        """
        place = {name: index for index, name in enumerate(self.node_names)}
        heard_by: dict[int, set[int]] = {index: set() for index in place.values()}
        late: set[int] = set()
        for index, edges in enumerate(self.edges):
            for edge in edges:
                if edge.source != INPUT:
                    heard_by[place[edge.source]].add(index)
                    late |= {index, place[edge.source]} if edge.delay else set()
        afterwards: list[int] = []
        for index in reversed(range(len(self.nodes))):
            if not (self.nodes[index].has_state or index in late) and heard_by[index] <= set(afterwards):
                afterwards.insert(0, index)
        return tuple(index for index in place.values() if index not in afterwards), tuple(afterwards)

    def at_rest(self, n: int, dtype: DTypeLike = jnp.float32) -> Moment:
        """What stands before the first step of a temporal network: states that remember nothing, and nothing passed on.

        Parameters
        ----------
        n
            Number of examples.
        dtype
            Of the signals.
        """
        states = tuple(node.init_state(n, dtype) for node in self.nodes)
        return Moment(states, tuple(jnp.zeros((n, *node.output_shape), dtype) for node in self.nodes))

    def step(self, moment: Moment, x: Array, crossings: Sequence[Crossing]) -> tuple[Moment, Trace]:
        """Run a temporal network for one step: what `trace` does at each.

        Parameters
        ----------
        moment
            What the step before has left, `at_rest` before the first.
        x
            What comes from outside at this step, encoded, (n, *step_shape).
        crossings
            What stands around each node, `plain(params)` say.

        Returns
        -------
        moment, trace
            What this step leaves, and every signal of it, without a time axis.

        >>> import architectures
        >>> network = architectures.build("recurrent", input_shape=(6, 3), n_classes=2, hidden=(4,))
        >>> params, x = network.init(jax.random.key(0)), jnp.ones((5, 6, 3))
        >>> moment = network.at_rest(len(x))
        >>> for now in network.encode(x):
        ...     moment, trace = network.step(moment, now, network.plain(params))
        >>> bool(jnp.allclose(trace.outputs[-1], network.forward(params, x)[-1][-1], atol=1e-6))
        True
        """
        kept, states, passed_on = self._step(crossings, moment.states, moment.passed_on, x)
        return Moment(states, passed_on), kept

    def _step(
        self, crossings: Sequence[Crossing], states: tuple[Any, ...], previous: tuple[Any, ...], x: Array
    ) -> tuple[Trace, tuple[Any, ...], tuple[Array, ...]]:
        """One step of all nodes."""
        seen, after, passed_on = self._visit(tuple(range(len(self.nodes))), crossings, states, previous, x, {})
        return _in_order(seen), after, tuple(passed_on.values())

    def _visit(
        self,
        which: Sequence[int],
        crossings: Sequence[Crossing],
        states: tuple[Any, ...],
        previous: tuple[Any, ...],
        x: Array,
        passed_on: Mapping[int, Array],
    ) -> tuple[dict[int, tuple[Any, ...]], tuple[Any, ...], dict[int, Array]]:
        """Some nodes at one step, in order: what was seen of each, what each remembers, and what is passed on so far."""
        place = {name: index for index, name in enumerate(self.node_names)}
        seen: dict[int, tuple[Any, ...]] = {}
        after, passed_on = list(states), dict(passed_on)

        def signal(edge: Edge) -> Array:
            if edge.source == INPUT:
                return x
            return previous[place[edge.source]] if edge.delay else passed_on[place[edge.source]]

        for index in which:
            node, edges, crossing = self.nodes[index], self.edges[index], crossings[index]
            inputs = tuple(signal(edge) for edge in edges if not edge.skip)
            skips = crossing.skips(tuple(signal(edge) for edge in edges if edge.skip))
            z = crossing.synapse(inputs)
            after[index], h = node.activate(states[index], z, skips)
            seen[index] = (inputs, skips, z, h, states[index])
            passed_on[index] = crossing.output(h)
        return seen, tuple(after), passed_on

    def walk(self, x: Array, visit: Callable[[int, tuple[Array, ...], tuple[Array, ...]], Array]) -> tuple[Array, ...]:
        """Visit the nodes of a static graph in order, each with what it hears.

        Parameters
        ----------
        x
            What comes from outside, encoded.
        visit
            (number of the node, what arrives over its weighted edges, over its skip edges) -> what it passes on.

        Returns
        -------
        tuple of Array
            What each node passed on.
        """
        place = {name: index for index, name in enumerate(self.node_names)}
        passed_on: list[Array] = []
        for index, edges in enumerate(self.edges):
            signals = [(x if edge.source == INPUT else passed_on[place[edge.source]], edge.skip) for edge in edges]
            inputs = tuple(signal for signal, skip in signals if not skip)
            passed_on.append(visit(index, inputs, tuple(signal for signal, skip in signals if skip)))
        return tuple(passed_on)

    def forward(self, params: Sequence[Params], inputs: Array) -> tuple[Array, ...]:
        """Outputs of every node, from normalised inputs; the last are the scores, (n, n_classes) or (time, n, n_classes)."""
        return self.trace(params, inputs).outputs

    def scores(self, readout: Array) -> Array:
        """The scores of each example, (n, n_classes), from the readout's outputs, which in a temporal network have time first."""
        if not self.temporal:
            return readout
        return readout[-1] if self.decision == "last" else jnp.mean(readout, axis=0)

    def by_example(self, outputs: Sequence[Array]) -> tuple[Array, ...]:
        """Outputs with examples as the leading axis: (n, ...) as they are, (time, n, ...) as (n, time, ...)."""
        return tuple(jnp.moveaxis(h, 0, 1) for h in outputs) if self.temporal else tuple(outputs)

    # Another size.

    def at_size(self, input_shape: tuple[int, ...]) -> tuple[Network, str]:
        """The first nodes, as far as they take images of another size, and a sentence on what was left out ("" if nothing).

        Raises
        ------
        InputError
            If not even the first node takes them.
        """
        try:
            shape = self.front_end.output_shape(input_shape)
            shape = shape if self.reading is None else self.reading.step_shape(shape)
        except InputError as error:
            raise InputError(f"images of {input_shape} do not fit the network: {error}") from None
        kept: list[Node] = []
        reason = ""
        shapes = {INPUT: shape}
        for node, edges in zip(self.nodes, self.edges, strict=True):
            given = [shapes.get(edge.source, node.output_shape) for edge in edges if not edge.skip]
            misfit = [(i, each) for i, each in enumerate(given) if not node.accepts(i, each)]
            if misfit:
                (edge, found), left_out = misfit[0], ", ".join(self.node_names[len(kept) :])
                takes = node.input_shapes[edge]
                reason = f"{left_out} left out: '{node.name}' takes inputs of {takes} and at this size gets {found}"
                break
            skips = tuple(shapes.get(edge.source, node.output_shape) for edge in edges if edge.skip)
            kept.append(same_shape(node, tuple(given), skips))
            shapes[node.name] = kept[-1].output_shape
        if not kept:
            raise InputError(
                f"no node of '{self.name}' takes images of {input_shape}, trained at {self.input_shape}: "
                "use a convolutional architecture, or the size that it was trained at"
            )
        network = dataclasses.replace(
            self, input_shape=input_shape, nodes=tuple(kept), edges=self.edges[: len(kept)], n_classes=_n_scores(kept, self)
        )
        return network, reason


def _n_scores(kept: Sequence[Node], network: Network) -> int:
    # Where the readout is left out, whatever is last stands in its place.
    return network.n_classes if len(kept) == len(network.nodes) else 0


def chain(
    nodes: Sequence[Node],
    *,
    name: str,
    input_shape: tuple[int, ...],
    n_classes: int,
    skips: Mapping[str, Sequence[str]] | None = None,
    **others: Any,
) -> Network:
    """A network in which each node hears the one before it through weights.

    Parameters
    ----------
    nodes
        The nodes in order; a node that was built with edges from itself keeps them.
    name, input_shape, n_classes
        As `Network` has them.
    skips
        Node -> names of other nodes that it also hears, without weights.
    **others
        Other attributes of `Network`.

    Raises
    ------
    InputError
        If shapes do not meet, or a name is unknown.

    >>> from architectures import dense, readout
    >>> nodes = [dense("first", (8, 8, 1), 16), dense("second", (16,), 16), readout("last", (16,), 10)]
    >>> chain(nodes, name="mine", input_shape=(8, 8, 1), n_classes=10, skips={"second": ["first"]}).has_skips
    True
    """
    names = [node.name for node in nodes]
    sources = (INPUT, *names)
    also = skips or {}
    for to in also:
        if to not in names:
            raise unknown_name("node", to, names)
        if isinstance(also[to], str):
            raise InputError(f"skips={{'{to}': '{also[to]}'}} was given, expected names in a list: {{'{to}': ['{also[to]}']}}")
    edges = tuple(
        (
            *((Edge(source),) if node.input_shapes else (Edge(source, skip=True),)),
            *node.recurrence,
            *(Edge(other, skip=True) for other in also.get(node.name, ())),
        )
        for node, source in zip(nodes, sources, strict=False)
    )
    shape = tuple(input_shape) if isinstance(input_shape, list) else input_shape
    return Network(name, shape, n_classes, tuple(nodes), edges, **others)
