import bioplausible.foundation.errors

from .compare_config import CompareConfig as CompareConfig
from .compare_config import ScoringConfig as ScoringConfig
from .compare_config import StimulusConfig as StimulusConfig
from .comparing import compare as compare
from .config import TrainConfig as TrainConfig
from .results import Comparison as Comparison
from .trained import Trained as Trained
from .training import train as train

InputError = bioplausible.foundation.errors.InputError
