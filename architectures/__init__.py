"""Networks as graphs of nodes whose synapses, activations and states are apart, so that any learning rule can train any of them.

>>> import jax
>>> network = build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(256, 256))
>>> params = network.init(jax.random.key(0))
>>> [h.shape for h in network.forward(params, jax.numpy.zeros((5, 28, 28, 1)))]
[(5, 256), (5, 256), (5, 10)]
"""

from architectures.attention import attention
from architectures.convolutional import convolutional, normalising, pooling
from architectures.dense import dense, readout
from architectures.dynamics import gated, leaky_integrate_and_fire, leaky_rate
from architectures.edge import INPUT, Edge
from architectures.flax_modules import from_nnx, node_from_nnx
from architectures.front_end import FRONT_ENDS, FrontEnd, fit_front_end, no_front_end
from architectures.network import Crossing, Network, Trace, chain
from architectures.node import Node, Params, make_node
from architectures.readings import READINGS, Reading, make_reading
from architectures.registry import ARCHITECTURES, build, names
from architectures.roles import BIAS, GAIN, WEIGHT, Role
from bioplausible.foundation.errors import InputError

__all__ = [
    "ARCHITECTURES",
    "BIAS",
    "FRONT_ENDS",
    "GAIN",
    "INPUT",
    "READINGS",
    "WEIGHT",
    "Crossing",
    "Edge",
    "FrontEnd",
    "InputError",
    "Network",
    "Node",
    "Params",
    "Reading",
    "Role",
    "Trace",
    "attention",
    "build",
    "chain",
    "convolutional",
    "dense",
    "fit_front_end",
    "from_nnx",
    "gated",
    "leaky_integrate_and_fire",
    "leaky_rate",
    "make_node",
    "make_reading",
    "names",
    "no_front_end",
    "node_from_nnx",
    "normalising",
    "pooling",
    "readout",
]
