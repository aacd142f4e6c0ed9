"""Many trainings from one file: a table of accuracies against floors and controls, or a search with one budget for every rule."""

from experiments.sweeping.config import SearchConfig, SweepConfig, expand
from experiments.sweeping.running import sweep
from experiments.sweeping.summary import best_trials, summarise
from experiments.sweeping.tables import Sweep

__all__ = ["SearchConfig", "Sweep", "SweepConfig", "best_trials", "expand", "summarise", "sweep"]
