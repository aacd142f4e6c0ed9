from .accuracy import plot_accuracy as plot_accuracy
from .differences import plot_differences as plot_differences
from .notebook import comparison_html as comparison_html
from .overview import plot_overview as plot_overview
from .page import write_report as write_report
from .rdms import plot_rdms as plot_rdms
from .scores import plot_scores as plot_scores
from .sizes import plot_sizes as plot_sizes
from .stimuli import plot_stimuli as plot_stimuli
from .terminal import controls_table as controls_table
from .terminal import terminal_table as terminal_table
from .time_course import plot_scores_over_time as plot_scores_over_time
from .wording import summary as summary

__all__: list[str]
