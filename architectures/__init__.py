"""Networks as graphs of nodes whose synapses, activations and states are apart, so that any learning rule can train any of them.

>>> import architectures, jax
>>> network = architectures.build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(256, 256))
>>> params = network.init(jax.random.key(0))
>>> [h.shape for h in network.forward(params, jax.numpy.zeros((5, 28, 28, 1)))]
[(5, 256), (5, 256), (5, 10)]
"""

from bioplausible.foundation.errors import InputError as InputError
from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__, "InputError")
