"""Where a network starts, when it does not start from what is drawn: parameters that something else has trained.

```
runs/first            a folder that train --out wrote, of one network
runs/first@2          of the network of seed 2 there
params                a folder that orbax wrote, of a network's parameters
params.npz            numpy.savez("params.npz", **{"conv_0/kernel": ..., "conv_0/bias": ...}): nodes that it leaves out are drawn
```

Every seed starts from the same parameters; what a rule owns beside them (feedback weights) is drawn as ever.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from architectures import Network, Node
from bioplausible.foundation.errors import InputError, unknown_name
from experiments import checkpoints
from experiments.config import TrainConfig, read_yaml
from experiments.files import write_arrays
from experiments.npz_files import read_npz

__all__ = ["FILE", "check_start", "digest_of_start", "started_from", "write_start"]

FILE = "init.npz"
"""Where a training's folder keeps what it started from."""


@dataclass(frozen=True, eq=False)
class _Given:
    """What a node starts from, whatever the key."""

    parameters: Any

    def __call__(self, key: PRNGKeyArray) -> Any:
        return jax.tree.map(jnp.asarray, self.parameters)


def started_from(network: Network, init: str) -> Network:
    """A network that starts from given parameters.

    Parameters
    ----------
    network
        As it was built.
    init
        As the head of this module says.

    Raises
    ------
    InputError
        Nothing there that can be read, several networks, or parameters of other names or shapes.
    """
    given = _read(init, network)
    unknown = [name for name in given if name not in network.node_names]
    if unknown:
        raise unknown_name(f"node of '{network.name}' in init {init}", unknown[0], network.node_names)
    return dataclasses.replace(network, nodes=tuple(_node(node, given.get(node.name), init) for node in network.nodes))


def _node(node: Node, given: Mapping[str, np.ndarray] | None, init: str) -> Node:
    """A node that starts from what is given; feedback weights of its sizes are drawn as before."""
    shapes = jax.eval_shape(node.init, jax.random.key(0))
    leaves, tree = jax.tree.flatten_with_path(shapes)
    if given is None or not leaves:
        return node
    named = {_name(path): leaf for path, leaf in leaves}
    for name in given:
        if name not in named:
            raise unknown_name(f"parameter of node '{node.name}' in init {init}", name, named)
    for name, leaf in named.items():
        if name not in given:
            raise InputError(
                f"init {init} has no '{node.name}/{name}', expected an array of shape {leaf.shape}: give all of a node's"
            )
        if given[name].shape != leaf.shape:
            raise InputError(
                f"init {init}: '{node.name}/{name}' has the shape {given[name].shape}, and the network {leaf.shape} there: build "
                "it with the options that those parameters were trained with (--set network.OPTION=VALUE)"
            )
        if given[name].dtype.kind not in "fiu" or not np.isfinite(given[name]).all():
            raise InputError(f"init {init}: '{node.name}/{name}' holds what is no finite number, expected parameters")
    held = jax.tree.unflatten(tree, [np.asarray(given[name], leaf.dtype) for name, leaf in named.items()])
    return dataclasses.replace(node, init=_Given(held), redraw=node.redraw or node.init)


def _name(path: Any) -> str:
    return str(jax.tree_util.keystr(path, simple=True, separator="/"))


def _read(init: str, network: Network) -> dict[str, dict[str, np.ndarray]]:
    """Node -> parameter -> array."""
    path, seed = Path(init).expanduser(), ""
    if not path.exists() and "@" in init:
        folder, _, seed = init.rpartition("@")
        path = Path(folder).expanduser()
    if path.is_file() or (not path.exists() and path.suffix == ".npz"):
        if seed:
            raise InputError(f"init {init} names a seed of an .npz, which holds one network: leave @{seed} out")
        return _from_npz(path, init)
    if not path.is_dir():
        raise InputError(
            f"init {init}: nothing is there; give a folder that train --out wrote, or an .npz or orbax folder of parameters"
        )
    trained = (path / "checkpoints" / "last").is_dir()
    tree = checkpoints.restore_any(path / "checkpoints" / "last" if trained else path)
    for name in ("params", "network"):
        tree = tree[name] if isinstance(tree, Mapping) and name in tree else tree
    nodes = dict(tree) if isinstance(tree, Mapping) else _by_place(tree, init, network)
    if trained:
        place = _place(path, seed, init)
        nodes = jax.tree.map(lambda leaf: np.asarray(leaf)[place], nodes)
    elif seed:
        raise InputError(f"init {init} names a seed, and {path} is no folder that train --out wrote: leave @{seed} out")
    return {name: _flat(parameters) for name, parameters in nodes.items() if jax.tree.leaves(parameters)}


def _by_place(tree: Any, init: str, network: Network) -> dict[str, Any]:
    """Parameters in the order of nodes, by their names."""
    if not isinstance(tree, list | tuple) or len(tree) != len(network.nodes):
        n = len(tree) if isinstance(tree, list | tuple) else 1
        raise InputError(
            f"init {init} holds parameters of {n} nodes, and the network '{network.name}' has {len(network.nodes)} "
            f"({', '.join(network.node_names)}): build it as it was when they were trained"
        )
    return dict(zip(network.node_names, tree, strict=True))


def _place(folder: Path, seed: str, init: str) -> int:
    """Which of the networks in a folder is meant."""
    seeds = read_yaml(folder / "config.yaml", TrainConfig).seeds
    if not seed and len(seeds) > 1:
        raise InputError(
            f"init {init} holds {len(seeds)} networks, of seeds {seeds[0]} to {seeds[-1]}: name one, {init}@{seeds[0]}"
        )
    if seed and not (seed.isdecimal() and int(seed) in seeds):
        raise InputError(
            f"init {init}: there is no seed '{seed}' in {folder}, which has {seeds[0]} to {seeds[-1]}: name one of them"
        )
    return seeds.index(int(seed)) if seed else 0


def _flat(parameters: Any) -> dict[str, np.ndarray]:
    return {_name(path): np.asarray(leaf) for path, leaf in jax.tree.flatten_with_path(parameters)[0]}


def _from_npz(path: Path, init: str) -> dict[str, dict[str, np.ndarray]]:
    nodes: dict[str, dict[str, np.ndarray]] = {}
    for key, array in read_npz(path, f"init {init}", "one array a parameter, called node/parameter").items():
        node, _, parameter = key.partition("/")
        nodes.setdefault(node, {})[parameter] = array
    return nodes


def _parameters(network: Network) -> dict[str, np.ndarray]:
    """What a network was given to start from, by node/parameter."""
    given = {node.name: node.init.parameters for node in network.nodes if isinstance(node.init, _Given)}
    return {f"{node}/{name}": leaf for node, parameters in given.items() for name, leaf in _flat(parameters).items()}


def digest_of_start(network: Network) -> str:
    """A digest of the parameters that a network starts from, wherever they were read.

    Parameters
    ----------
    network
        From `started_from`.
    """
    digest = hashlib.sha256()
    for name, array in sorted(_parameters(network).items()):
        digest.update(repr((name, array.shape, str(array.dtype))).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_start(folder: Path, network: Network) -> None:
    """Keep what a training starts from beside it, so that it can be looked at again when that is gone.

    Parameters
    ----------
    folder
        Of the training.
    network
        From `started_from`.
    """
    write_arrays(folder / FILE, _parameters(network))


def check_start(network: Network, state: Any, rule: str, init: str) -> None:
    """Say that a rule starts from other weights than it was given.

    Parameters
    ----------
    network
        From `started_from`.
    state
        The rule's at its start, of one network.
    rule, init
        Names, for the message.

    Raises
    ------
    InputError
        A rule that draws the network's weights itself, or bends them to a constraint.
    """
    pairs = zip(network.nodes, state.params["network"], strict=True)
    given = [(node.init.parameters, parameters) for node, parameters in pairs if isinstance(node.init, _Given)]
    same = [jax.tree.map(lambda a, b: np.array_equal(np.asarray(a), np.asarray(b)), *pair) for pair in given]
    if not all(jax.tree.leaves(same)):
        raise InputError(
            f"init {init} was given to '{rule}', which draws weights of its own or bends those that it is given: leave init out, "
            "or take a rule that starts from the network's"
        )
