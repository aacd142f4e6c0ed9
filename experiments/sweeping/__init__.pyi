from .config import SearchConfig as SearchConfig
from .config import SweepConfig as SweepConfig
from .config import expand as expand
from .running import sweep as sweep
from .summary import best_trials as best_trials
from .summary import summarise as summarise
from .tables import Sweep as Sweep
