"""Run studies: train rules, compare what they learned with recordings, keep and report the results.

>>> from experiments import train
>>> train(rule="backprop", architecture="mlp", dataset="digits", epochs=1).to_frame().columns[0]
'rule'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bioplausible.foundation.errors import InputError

if TYPE_CHECKING:
    from experiments.compare_config import CompareConfig, ScoringConfig, StimulusConfig
    from experiments.comparing import compare
    from experiments.config import TrainConfig
    from experiments.results import Comparison
    from experiments.trained import Trained
    from experiments.training import train

__all__ = [
    "CompareConfig",
    "Comparison",
    "InputError",
    "ScoringConfig",
    "StimulusConfig",
    "TrainConfig",
    "Trained",
    "compare",
    "train",
]

_HOMES = {
    "compare": "comparing",
    "CompareConfig": "compare_config",
    "ScoringConfig": "compare_config",
    "StimulusConfig": "compare_config",
    "TrainConfig": "config",
    "Comparison": "results",
    "Trained": "trained",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command answers a question of names without loading a library of fMRI."""
    if name not in _HOMES:
        raise AttributeError(f"module 'experiments' has no attribute '{name}'")
    return getattr(import_module(f"experiments.{_HOMES[name]}"), name)
