"""Learning rules behind one contract: a NamedTuple of pure functions, whatever the rule, whatever the network.

>>> import architectures, jax, learning_rules
>>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(16,))
>>> rule = learning_rules.build("feedback_alignment", network)
>>> state = rule.init(jax.random.key(0))
>>> batch = jax.numpy.ones((4, 8, 8, 1)), jax.numpy.arange(4)
>>> pseudo_gradients, state, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)
>>> jax.tree.structure(pseudo_gradients) == jax.tree.structure(state.params)
True
"""

from bioplausible.foundation.errors import InputError as InputError
from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__, "InputError")
