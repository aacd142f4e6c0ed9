"""Run studies: train rules, compare what they learned with recordings, keep and report the results.

>>> from experiments import train
>>> train(rule="backprop", architecture="mlp", dataset="digits", epochs=1).to_frame().columns[0]
'rule'
"""

from experiments.comparing import compare
from experiments.config import CompareConfig, TrainConfig
from experiments.results import Comparison
from experiments.training import Trained, train

__all__ = ["CompareConfig", "Comparison", "TrainConfig", "Trained", "compare", "train"]
