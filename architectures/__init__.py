"""Networks as chains of blocks whose synapses and activations are apart, so that any learning rule can train any of them.

>>> import jax
>>> network = build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(256, 256))
>>> params = network.init(jax.random.key(0))
>>> [h.shape for h in network.forward(params, jax.numpy.zeros((5, 28, 28, 1)))]
[(5, 256), (5, 256), (5, 10)]
"""

from architectures.block import Block, Params, convolutional_block, dense_block
from architectures.errors import InputError
from architectures.front_end import FRONT_ENDS, FrontEnd, fit_front_end, no_front_end
from architectures.network import Network
from architectures.registry import ARCHITECTURES, build, names

__all__ = [
    "ARCHITECTURES",
    "FRONT_ENDS",
    "Block",
    "FrontEnd",
    "InputError",
    "Network",
    "Params",
    "build",
    "convolutional_block",
    "dense_block",
    "fit_front_end",
    "names",
    "no_front_end",
]
