import bioplausible.foundation.errors

from .compatibility import support_matrix as support_matrix
from .compatibility import temporal_support_matrix as temporal_support_matrix
from .compatibility import typical_networks as typical_networks
from .contract import Batch as Batch
from .contract import Family as Family
from .contract import LearningRule as LearningRule
from .contract import RuleSpec as RuleSpec
from .contract import RuleState as RuleState
from .contract import Support as Support
from .contract import Variant as Variant
from .diagnostics import BY_OTHER_MEANS as BY_OTHER_MEANS
from .diagnostics import Diagnosis as Diagnosis
from .diagnostics import activity as activity
from .diagnostics import alignment_with_backprop as alignment_with_backprop
from .diagnostics import diagnose as diagnose
from .diagnostics import mean_angle as mean_angle
from .diagnostics import relative_weight_change as relative_weight_change
from .diagnostics import saturation as saturation
from .expected_updates import alignment_of_the_mean as alignment_of_the_mean
from .needs import Needs as Needs
from .objectives import OBJECTIVES as OBJECTIVES
from .objectives import Objective as Objective
from .objectives import as_batch as as_batch
from .objectives import make_objective as make_objective
from .optimizers import borrowed_optimizer as borrowed_optimizer
from .registry import FAMILIES as FAMILIES
from .registry import build as build
from .registry import names as names
from .registry import options_of as options_of
from .registry import spec as spec
from .registry import support as support
from .step import Learner as Learner
from .step import make_step as make_step
from .step import start as start

InputError = bioplausible.foundation.errors.InputError
