"""A spiking layer that we wrote as NIR, run by spyx: its spikes beside ours.

    python tests/peers/nir_in_spyx.py

Needs `pip install spyx nir` beside what this project needs. Units of spyx lose their threshold's worth as ours do, and tell of a
spike in the step after the one in which the potential passed the threshold: its spikes are ours, one step later.
"""

import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import nir  # noqa: E402
import numpy as np  # noqa: E402

import architectures  # noqa: E402

SECONDS, N_UNITS = 1e-3, 30


def main():
    from spyx.nir import from_nir

    options = {"hidden": (N_UNITS,), "gain": 3.0, "reading": "sequence", "leak": 0.85, "threshold": 0.7}
    network = architectures.build("spiking", input_shape=(5,), n_classes=4, **options)
    params = network.init(jax.random.key(0))
    x = 2 * np.random.default_rng(0).normal(size=(100, 6, 5)).astype(np.float32)
    ours = np.asarray(network.forward(params, x)[0])
    with tempfile.TemporaryDirectory() as folder:
        graph = nir.read(architectures.write_nir(Path(folder) / "network.nir", network, params, SECONDS))
    # The layer alone, up to its spikes.
    nodes = {name: graph.nodes[name] for name in ("input", "hidden_0.weights", "hidden_0")}
    nodes["output"] = nir.Output({"output": np.array([N_UNITS])})
    edges = [("input", "hidden_0.weights"), ("hidden_0.weights", "hidden_0"), ("hidden_0", "output")]
    _, theirs = from_nir(nir.NIRGraph(nodes, edges), jnp.asarray(x), dt=SECONDS)
    same = np.asarray(theirs)[1:] == ours[:-1]
    found = {"spikes a unit and step": float(ours.mean()), "same spikes": float(same.mean()), "compared": same.size}
    print(json.dumps(found | {name: importlib.metadata.version(name) for name in ("spyx", "nir", "jax")}))
    return 0 if same.all() and 0.05 < ours.mean() < 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
