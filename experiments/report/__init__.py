"""The report of a comparison: figures, a page that opens offline, and a table for the terminal."""

from experiments.report.accuracy import plot_accuracy
from experiments.report.differences import plot_differences
from experiments.report.overview import plot_overview
from experiments.report.page import write_report
from experiments.report.rdms import plot_rdms
from experiments.report.scores import plot_scores
from experiments.report.sizes import plot_sizes
from experiments.report.stimuli import plot_stimuli
from experiments.report.terminal import controls_table, terminal_table
from experiments.report.time_course import plot_scores_over_time
from experiments.report.wording import summary

__all__ = [
    "controls_table",
    "plot_accuracy",
    "plot_differences",
    "plot_overview",
    "plot_rdms",
    "plot_scores",
    "plot_scores_over_time",
    "plot_sizes",
    "plot_stimuli",
    "summary",
    "terminal_table",
    "write_report",
]
