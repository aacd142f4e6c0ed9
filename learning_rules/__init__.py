"""Learning rules behind one contract: a NamedTuple of pure functions, whatever the rule, whatever the network.

>>> import architectures, jax
>>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(16,))
>>> rule = build("feedback_alignment", network)
>>> state = rule.init(jax.random.key(0))
>>> batch = jax.numpy.ones((4, 8, 8, 1)), jax.numpy.arange(4)
>>> pseudo_gradients, state, info = rule.assign_credit(jax.random.key(1), state, batch)
>>> jax.tree.structure(pseudo_gradients) == jax.tree.structure(state.params)
True
"""

from architectures.errors import InputError
from learning_rules.contract import Batch, Family, LearningRule, RuleSpec, RuleState, Support, Variant
from learning_rules.diagnostics import Diagnosis, activity, alignment_with_backprop, diagnose, relative_weight_change, saturation
from learning_rules.registry import FAMILIES, build, names, options_of, spec, support

__all__ = [
    "FAMILIES",
    "Batch",
    "Diagnosis",
    "Family",
    "InputError",
    "LearningRule",
    "RuleSpec",
    "RuleState",
    "Support",
    "Variant",
    "activity",
    "alignment_with_backprop",
    "build",
    "diagnose",
    "names",
    "options_of",
    "relative_weight_change",
    "saturation",
    "spec",
    "support",
]
