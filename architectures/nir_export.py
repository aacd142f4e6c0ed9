r"""Spiking networks as other tools have them: NIR graphs, out and in (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9).

NIR says what a unit is in continuous time, and a network here runs in steps of :math:`\Delta`. By Euler's forward method, which
other tools in steps take as well, :math:`\tau \dot v = v_{leak} - v + R I` is

.. math:: v \leftarrow \kappa v + (1 - \kappa)(v_{leak} + R I), \qquad \kappa = 1 - \Delta / \tau,

so that a leaky integrate-and-fire unit, :math:`v \leftarrow \kappa v + z`, has :math:`R = 1 / (1 - \kappa)`. A reset takes effect
in the step after the spike, beside that step's leak. NIR's unit is set to its reset potential; one that loses its threshold's worth
instead, as ours do, is a matter that NIR leaves to tools: it is written as "subtract" in the unit's metadata and read from there.
A delayed edge is written with a delay of one step; units that hear themselves without one, as some tools write it, are read with
one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lazy_loader
import numpy as np

from architectures.edge import INPUT
from architectures.network import Network
from architectures.node import Node, Params
from architectures.roles import WEIGHT
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import whole_file

__all__ = ["OUTPUT", "SECONDS_PER_STEP", "SUBTRACT", "nir", "nir_is_there", "to_nir", "write_nir"]

nir: Any = lazy_loader.load("nir", error_on_import=False)

SECONDS_PER_STEP = 1e-3
SUBTRACT, OUTPUT = "subtract", "output"


def nir_is_there() -> None:
    """Say what is missing where the package nir is not installed."""
    try:
        nir.NIRGraph  # noqa: B018 - loads it
    except ModuleNotFoundError:
        raise InputError("NIR graphs need the package nir, which is not installed: pip install 'bioplausible[nir]'") from None


def to_nir(network: Network, params: Any, seconds_per_step: float = SECONDS_PER_STEP) -> Any:
    """A network as a NIR graph.

    Parameters
    ----------
    network
        Of leaky integrate-and-fire, leaky and linear units with dense weights, recurrent or not. What stands before the first node,
        a front end and a reading of images in time, is no part of NIR: its name is written into the graph's metadata.
    params
        One tree a node, those of one seed.
    seconds_per_step
        How long a step lasts; NIR's time constants are in seconds.

    Returns
    -------
    nir.NIRGraph
        A node's weights are called `NODE.weights`, its units `NODE`.

    Raises
    ------
    InputError
        Units or edges that NIR has no words for (rates, gates, convolutions, skips), or parameters of several seeds.
    """
    nir_is_there()
    if not seconds_per_step > 0:
        raise InputError(f"seconds_per_step={seconds_per_step} was given, expected how long a step lasts: try {SECONDS_PER_STEP}")
    nodes: dict[str, Any] = {
        INPUT: nir.Input(input_type={"input": np.array(network.step_shape)}),
        OUTPUT: nir.Output(output_type={"output": np.array(network.nodes[-1].output_shape)}),
    }
    edges: list[tuple[str, str]] = []
    shapes = {INPUT: network.step_shape} | {node.name: node.output_shape for node in network.nodes}
    called = {INPUT: INPUT} | {node.name: _called(node, network) for node in network.nodes}
    for index, node in enumerate(network.nodes):
        _check_node(network, index)
        for number, (edge, weights) in enumerate(zip(network.edges[index], _kernels(node, params[index]), strict=True)):
            way = _way(node, number, shapes[edge.source], weights, np.asarray(params[index]["bias"]))
            if edge.delay:
                delay = nir.Delay(np.full(shapes[edge.source], float(seconds_per_step)))
                way = {f"{node.name}.{number}.delay": delay} | way
            names = [called[edge.source], *way, called[node.name]]
            nodes |= way
            edges += list(zip(names, names[1:], strict=False))
        if called[node.name] != OUTPUT:
            nodes[called[node.name]] = _units(node, seconds_per_step)
    if (last := called[network.nodes[-1].name]) != OUTPUT:
        edges.append((last, OUTPUT))
    return nir.NIRGraph(nodes, edges, metadata=_said_of(network, seconds_per_step))


def _called(node: Node, network: Network) -> str:
    """The name of a node's units; a linear readout has none, and its weights lead to the graph's output."""
    if node is network.nodes[-1] and node.unit is not None and node.unit.kind == "linear":
        return OUTPUT
    return f"{node.name}.units" if node.name == OUTPUT else node.name


def _said_of(network: Network, seconds_per_step: float) -> dict[str, Any]:
    """What is no part of the graph, and has to be known to run it as it was run."""
    reading = network.reading
    n_steps = network.options.get("n_steps")
    return {
        "written_by": "bioplausible",
        "seconds_per_step": float(seconds_per_step),
        "front_end": network.front_end.name,
        "reading": "sequence" if reading is None else reading.name,
        "n_steps": int(n_steps) if n_steps else 0,
        "decision": network.decision,
    }


def _check_node(network: Network, index: int) -> None:
    node, edges = network.nodes[index], network.edges[index]
    last = index == len(network.nodes) - 1
    if any(edge.skip for edge in edges):
        raise InputError(f"node '{node.name}' hears others without weights, which is not written as NIR: leave its skips out")
    if node.unit is None or (node.unit.kind == "linear" and not last):
        raise InputError(
            f"node '{node.name}' is none of the units that NIR has: it takes spiking units (`leaky_integrate_and_fire`), leaky "
            "ones without an activation function, and a linear readout"
        )


def _kernels(node: Node, params: Params) -> list[np.ndarray]:
    """Weights of every edge into a node, (fan-in, units)."""
    names = [name for name, role in node.roles.items() if role.kind == WEIGHT]
    kernels = [np.asarray(params[name]) for name in sorted(names, key=lambda name: node.roles[name].edge)]
    if any(each.ndim != 2 for each in kernels):
        shape = "several seeds" if all(each.ndim == 3 for each in kernels) else "other than dense weights"
        raise InputError(f"parameters of node '{node.name}' are of {shape}: give the dense weights of one seed")
    return kernels


def _way(node: Node, number: int, shape: tuple[int, ...], kernel: np.ndarray, bias: np.ndarray) -> dict[str, Any]:
    """The weights of an edge, behind a flattening where what arrives has several axes; the bias goes with the first edge."""
    name = f"{node.name}.{number}" if number else node.name
    flat = {}
    if len(shape) > 1:
        flat = {f"{name}.flatten": nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0, end_dim=-1)}
    return {**flat, f"{name}.weights": nir.Linear(kernel.T) if number else nir.Affine(kernel.T, bias)}


def _units(node: Node, seconds_per_step: float) -> Any:
    """A node's units, in double precision, so that single precision is not lost on the way back."""
    assert node.unit is not None, "it is checked"

    def each(value: Any) -> np.ndarray:
        return np.array(np.broadcast_to(value, node.output_shape), np.float64)

    leak, nothing = each(node.unit.leak), each(0.0)
    if np.any(leak == 1):
        if node.unit.kind == "leaky" or np.any(leak != 1):
            raise InputError(f"some units of node '{node.name}' leak and others do not, for which NIR has no one node: split it")
        metadata = {"reset": SUBTRACT if node.unit.reset_to is None else "v_reset"}
        threshold, reset = each(node.unit.threshold), each(0.0 if node.unit.reset_to is None else node.unit.reset_to)
        return nir.IF(r=each(1 / seconds_per_step), v_threshold=threshold, v_reset=reset, metadata=metadata)
    tau = seconds_per_step / (1 - leak)
    if node.unit.kind == "leaky":
        return nir.LI(tau=tau, r=each(1.0), v_leak=nothing)
    return nir.LIF(
        tau=tau,
        r=1 / (1 - leak),
        v_leak=nothing,
        v_threshold=each(node.unit.threshold),
        v_reset=each(0.0 if node.unit.reset_to is None else node.unit.reset_to),
        metadata={"reset": SUBTRACT if node.unit.reset_to is None else "v_reset"},
    )


def write_nir(path: str | Path, network: Network, params: Any, seconds_per_step: float = SECONDS_PER_STEP) -> Path:
    """Write a network to a `.nir` file, which other tools for spiking networks read.

    Parameters
    ----------
    path
        Of the file; what was there is replaced.
    network, params, seconds_per_step
        As `to_nir` takes them.

    Raises
    ------
    InputError
        As `to_nir`; or a place that cannot be written.
    """
    graph = to_nir(network, params, seconds_per_step)
    with whole_file(Path(path)) as beside:
        nir.write(beside, graph)
    return Path(path)
