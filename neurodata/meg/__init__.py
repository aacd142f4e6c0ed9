"""Magneto- and electroencephalography: from raw FIF files, epochs or averages to noise-normalised patterns in time.

Filtering, epochs, rejection and inverse solutions are MNE's, BIDS trees are read by mne-bids.
"""

from neurodata.meg.epochs import make_epochs
from neurodata.meg.evoked import from_evoked
from neurodata.meg.folder import find_runs, from_bids, is_meg_folder, load_meg_folder
from neurodata.meg.options import MegOptions, MegRun, options_from
from neurodata.meg.pictures import dissimilarity_over_time, draw_dissimilarity
from neurodata.meg.pipeline import patterns
from neurodata.meg.simulation import simulate_raw
from neurodata.meg.sources import source_patterns

__all__ = [
    "MegOptions",
    "MegRun",
    "dissimilarity_over_time",
    "draw_dissimilarity",
    "find_runs",
    "is_meg_folder",
    "from_bids",
    "from_evoked",
    "load_meg_folder",
    "make_epochs",
    "options_from",
    "patterns",
    "simulate_raw",
    "source_patterns",
]
