"""Learning rules behind one contract: a NamedTuple of pure functions, whatever the rule, whatever the network.

>>> import architectures, jax
>>> network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=10, hidden=(16,))
>>> rule = build("feedback_alignment", network)
>>> state = rule.init(jax.random.key(0))
>>> batch = jax.numpy.ones((4, 8, 8, 1)), jax.numpy.arange(4)
>>> pseudo_gradients, state, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)
>>> jax.tree.structure(pseudo_gradients) == jax.tree.structure(state.params)
True
"""

from bioplausible.foundation.errors import InputError
from learning_rules.compatibility import support_matrix, typical_networks
from learning_rules.contract import Batch, Family, LearningRule, RuleSpec, RuleState, Support, Variant
from learning_rules.diagnostics import (
    BY_OTHER_MEANS,
    Diagnosis,
    activity,
    alignment_with_backprop,
    diagnose,
    mean_angle,
    relative_weight_change,
    saturation,
)
from learning_rules.expected_updates import alignment_of_the_mean
from learning_rules.needs import Needs
from learning_rules.objectives import OBJECTIVES, Objective, as_batch, make_objective
from learning_rules.optimizers import borrowed_optimizer
from learning_rules.registry import FAMILIES, build, names, options_of, spec, support
from learning_rules.step import Learner, make_step, start

__all__ = [
    "BY_OTHER_MEANS",
    "FAMILIES",
    "OBJECTIVES",
    "Batch",
    "Diagnosis",
    "Family",
    "InputError",
    "Learner",
    "LearningRule",
    "Needs",
    "Objective",
    "RuleSpec",
    "RuleState",
    "Support",
    "Variant",
    "activity",
    "alignment_of_the_mean",
    "alignment_with_backprop",
    "as_batch",
    "borrowed_optimizer",
    "build",
    "diagnose",
    "make_objective",
    "make_step",
    "mean_angle",
    "names",
    "options_of",
    "relative_weight_change",
    "saturation",
    "spec",
    "start",
    "support",
    "support_matrix",
    "typical_networks",
]
