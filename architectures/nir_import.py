"""Spiking networks of other tools: a NIR graph as a network, whose units' equations `architectures.nir_export` tells."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from architectures.dense import added, dense_synapse, kernel_init, pointwise
from architectures.dynamics import spiking_units
from architectures.edge import INPUT, Edge
from architectures.network import Network
from architectures.nir_export import SUBTRACT, nir, nir_is_there
from architectures.node import Node, Params, Unit, make_node
from architectures.readings import READINGS, make_reading
from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["from_nir"]

_UNITS, _WEIGHTS, _RESETS = ("LIF", "IF", "LI"), ("Affine", "Linear"), (SUBTRACT, "v_reset")


class _Arriving(NamedTuple):
    """One way into a unit: where it begins, the weights on it, and whether it is delayed."""

    source: str
    weights: Any
    delayed: bool


def from_nir(
    graph: Any,
    *,
    seconds_per_step: float | None = None,
    reset: str | None = None,
    reading: str | None = None,
    n_steps: int | None = None,
    decision: str | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Network:
    """A network that a NIR graph describes; every seed starts from the graph's weights.

    Parameters
    ----------
    graph
        A `nir.NIRGraph`, or the path of a `.nir` file: of `LIF`, `IF` and `LI` units, with `Affine` or `Linear` weights between
        them, flattened or delayed by a step; a loop without a delay is read with one of a step.
    seconds_per_step
        How long a step lasts; by default what the file says, if it was written here.
    reset
        "subtract" where units lose the threshold's worth of potential, "v_reset" where they are set to the reset potential; by
        default what the units' metadata say, else "v_reset", as NIR defines it.
    reading
        How images are read in time, one of `READINGS`, or "sequence" for sequences; by default what the file says, else "sequence".
    n_steps
        Steps that an image is shown for.
    decision
        Whether the scores are the readout's at the "last" step, or their "mean" over steps; by default what the file says, else
        the mean.
    input_shape
        Of an image, where it is not the shape of what the graph takes at one step (images that are read by rows).

    Raises
    ------
    InputError
        A file that cannot be read, or a part of the graph that has no counterpart here, by its name.
    """
    nir_is_there()
    digest = ""
    if isinstance(graph, str | Path):
        digest, graph = _read(Path(graph))
    said = graph.metadata if isinstance(graph.metadata, Mapping) else {}
    seconds = _seconds(said.get("seconds_per_step") if seconds_per_step is None else seconds_per_step)
    read_as = reading or _text(said.get("reading", "sequence"))
    if read_as not in (*READINGS, "sequence"):
        raise unknown_name("reading", read_as, (*READINGS, "sequence"))
    steps = n_steps or int(said.get("n_steps", 0)) or 20
    inputs, outputs = _ends(graph)
    shape = _lengths(graph.nodes[inputs].input_type["input"])
    last = _readout(graph, outputs)
    # What is heard has to be shaped before whoever hears it is made: units say their own shapes.
    shapes = {inputs: shape} | {name: _lengths(node.output_type["output"]) for name, node in graph.nodes.items()}
    names = [name for name, node in graph.nodes.items() if _kind(node) in _UNITS and name != last]
    nodes, edges = [], []
    for name in [*names, last]:
        ways = _ways(graph, name, seconds)
        nodes.append(_node(graph.nodes[name], name, ways, seconds, reset, shapes))
        edges.append(tuple(Edge(INPUT if way.source == inputs else _called(way.source), delay=int(way.delayed)) for way in ways))
    return Network(
        "nir",
        tuple(input_shape or shape),
        nodes[-1].output_shape[0],
        tuple(nodes),
        tuple(edges),
        reading=None if read_as == "sequence" else make_reading(read_as, steps),
        decision=decision or _text(said.get("decision", "mean")),
        options={"nir": digest, "seconds_per_step": seconds, "reading": read_as, "n_steps": steps, "reset": reset or ""},
    )


def _read(path: Path) -> tuple[str, Any]:
    """The digest of a file, and the graph in it."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a .nir file") from error
    try:
        return digest, nir.read(path)
    except Exception as error:  # noqa: BLE001 a file from elsewhere may hold anything
        raise InputError(
            f"{path} is no NIR graph that can be read ({type(error).__name__}): give a file that nir.write wrote"
        ) from error


def _seconds(given: Any) -> float:
    """How long a step lasts."""
    try:
        if math.isfinite(seconds := float(given)) and seconds > 0:
            return seconds
    except (TypeError, ValueError):
        pass
    found = "the file does not say of how many seconds" if given is None else f"of {given!r} seconds cannot be"
    raise InputError(f"a NIR graph is run in steps, and {found}: give seconds_per_step, such as 0.001")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _kind(node: Any) -> str:
    return type(node).__name__


def _lengths(shape: Any) -> tuple[int, ...]:
    return tuple(int(each) for each in np.ravel(shape))


def _called(name: str) -> str:
    """The name of a node here, where "input" is what comes from outside."""
    return f"{name}_units" if name == INPUT else name


def _ends(graph: Any) -> tuple[str, str]:
    """The names of the input and of the output, of which there is one each; what is no node of ours is refused."""
    known = (*_UNITS, *_WEIGHTS, "Input", "Output", "Delay", "Flatten")
    for name, node in graph.nodes.items():
        if _kind(node) not in known:
            raise InputError(f"node '{name}' of the NIR graph is {_kind(node)}, expected one of {', '.join(known)}")
    found = []
    for kind in ("Input", "Output"):
        names = [name for name, node in graph.nodes.items() if _kind(node) == kind]
        if len(names) != 1:
            raise InputError(f"a NIR graph with {len(names)} nodes of kind {kind} was given, expected one: join or split it")
        found += names
    return found[0], found[1]


def _readout(graph: Any, outputs: str) -> str:
    """The units whose output is the graph's; the output itself where weights lead to it."""
    before = [source for source, to in graph.edges if to == outputs]
    if len(before) == 1 and _kind(graph.nodes[before[0]]) in _UNITS:
        return before[0]
    return outputs


def _ways(graph: Any, name: str, seconds: float) -> list[_Arriving]:
    """Every way into units, from the units or the input that it begins at."""
    ways = []
    for at in [source for source, to in graph.edges if to == name]:
        weights, n_steps, passed = None, 0, set()
        while _kind(graph.nodes[at]) not in (*_UNITS, "Input"):
            if at in passed:
                raise InputError(f"'{at}' of the NIR graph lies in a circle without units: cut it")
            passed.add(at)
            part, before = graph.nodes[at], [source for source, to in graph.edges if to == at]
            if len(before) != 1 or (weights is not None and _kind(part) in _WEIGHTS):
                what = "is followed by other weights" if len(before) == 1 else f"hears {len(before)} nodes"
                raise InputError(f"node '{at}' of the NIR graph {what}, expected one {' or '.join(_WEIGHTS)} between units")
            weights = part if _kind(part) in _WEIGHTS else weights
            n_steps += _n_steps(part, at, seconds) if _kind(part) == "Delay" else 0
            at = before[0]
        if weights is None:
            raise InputError(f"node '{name}' of the NIR graph hears '{at}' without weights, expected an Affine or Linear between")
        if n_steps > 1:
            raise InputError(f"what '{name}' hears of '{at}' in the NIR graph is {n_steps} steps old, expected one at most")
        ways.append(_Arriving(at, weights, n_steps == 1 or at == name))
    if not ways:
        raise InputError(f"node '{name}' of the NIR graph hears nothing: lead weights to it")
    return ways


def _n_steps(delay: Any, name: str, seconds: float) -> int:
    """How many steps a delay lasts."""
    lasting = np.unique(np.round(np.asarray(delay.delay, np.float64) / seconds, 6))
    if len(lasting) != 1 or lasting[0] != round(float(lasting[0])):
        raise InputError(
            f"delay '{name}' of the NIR graph lasts {lasting.tolist()} steps of {seconds:g} s, expected a whole number, one for all"
        )
    return int(lasting[0])


def _node(
    units: Any, name: str, ways: list[_Arriving], seconds: float, reset: str | None, shapes: Mapping[str, tuple[int, ...]]
) -> Node:
    """A node of these units, with the weights of all ways into them."""
    unit, gain, offset = _unit(units, name, seconds, reset)
    kernels = [np.asarray(way.weights.weight, np.float64).T * gain for way in ways]
    n_units = math.prod(shapes[name])
    given = tuple(shapes[way.source] for way in ways)
    for way, kernel, shape in zip(ways, kernels, given, strict=True):
        if kernel.shape != (math.prod(shape), n_units):
            raise InputError(
                f"weights of {kernel.T.shape} lead from '{way.source}' of {shape} to '{name}' in the NIR graph, expected "
                f"({n_units}, {math.prod(shape)})"
            )
    bias = offset + gain * sum(np.asarray(getattr(way.weights, "bias", 0.0), np.float64) for way in ways)
    fixed = {"bias": np.broadcast_to(bias, n_units)}
    fixed |= {f"kernel_{index}" if index else "kernel": kernel for index, kernel in enumerate(kernels)}
    draws = (kernel_init("relu" if unit.kind == "spiking" else "identity", 1.0),) * len(kernels)
    redraw, synapse, roles = dense_synapse(given, n_units, draws)

    def init(key: PRNGKeyArray) -> Params:
        return jax.tree.map(lambda each: jnp.asarray(each, jnp.float32), fixed)

    does: dict[str, Any] = {"activate": pointwise("identity"), "unitwise": True, "unit": unit}
    if unit.kind == "spiking":
        does = spiking_units(n_units, unit)
    elif unit.kind == "leaky":
        does = _leaky_units(n_units, unit)
    return make_node(_called(name), affine=True, input_shapes=given, init=init, synapse=synapse, roles=roles, redraw=redraw, **does)


def _leaky_units(n_units: int, unit: Unit) -> dict[str, Any]:
    """What potentials do that leak and are passed on."""
    leak = np.asarray(unit.leak)

    def activate(v: Any, z: Any, skips: tuple[Any, ...]) -> tuple[Any, Any]:
        v = (leak * v + (1 - leak) * z).astype(z.dtype)
        return v, added(v, skips)

    return {
        "activate": activate,
        "init_state": lambda n, dtype=jnp.float32: jnp.zeros((n, n_units), dtype),
        "unitwise": True,
        "unit": unit,
    }


def _unit(node: Any, name: str, seconds: float, reset: str | None) -> tuple[Unit, np.ndarray, np.ndarray]:
    """What units are here, the factor on all that reaches them, and what is added to it."""
    kind = _kind(node)
    if kind == "Output":
        return Unit("linear"), np.ones(()), np.zeros(())
    r = np.asarray(node.r, np.float64)
    if kind == "IF":
        leak, gain, offset = np.ones(r.shape), seconds * r, np.zeros(r.shape)
    else:
        tau, at_rest = np.asarray(node.tau, np.float64), np.asarray(node.v_leak, np.float64)
        if not np.all(tau >= seconds * (1 - 1e-9)):
            raise InputError(
                f"units '{name}' of the NIR graph have a time constant of {tau.min():g} s, under a step of {seconds:g} s: give "
                "seconds_per_step of at most that"
            )
        leak = 1 - np.minimum(seconds / tau, 1)
        # Potentials that leak take the share of what arrives themselves.
        gain, offset = (r, at_rest) if kind == "LI" else ((1 - leak) * r, (1 - leak) * at_rest)
    if kind == "LI":
        return Unit("leaky", _numbers(leak)), gain, offset
    how = reset or _text((node.metadata or {}).get("reset", "v_reset"))
    if how not in _RESETS:
        raise unknown_name("reset", how, _RESETS)
    to = None if how == SUBTRACT else _numbers(np.asarray(node.v_reset, np.float64))
    return Unit("spiking", _numbers(leak), _numbers(np.asarray(node.v_threshold, np.float64)), to), gain, offset


def _numbers(values: np.ndarray) -> float | tuple[float, ...]:
    """One number where all are the same."""
    flat = np.ravel(values)
    return float(flat[0]) if np.all(flat == flat[0]) else tuple(float(each) for each in flat)
