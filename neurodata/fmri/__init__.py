"""fMRI: from BOLD runs and events to patterns of conditions, with nilearn.

``patterns`` is the way in: runs (``FmriRun``, or ``from_bids`` for a whole tree) and regions in, one PatternSet a region
out, runs kept apart. ``noise_residuals`` gives what whitens them, ``block_patterns`` serves block designs with a label for
each volume, ``simulate_bold`` writes a recording whose truth is known, ``load_fmri_folder`` reads a user's folder, and
``load_volumes`` all voxels of one, for maps.
"""

from neurodata.fmri.bids import from_bids
from neurodata.fmri.blocks import BLOCK_OPTIONS, block_events, block_patterns, block_runs
from neurodata.fmri.estimation import Residuals, noise_residuals, patterns
from neurodata.fmri.folder import is_fmri_folder, load_fmri_folder
from neurodata.fmri.options import FmriOptions, FmriRun
from neurodata.fmri.regions import regions_from_atlas, voxel_mask
from neurodata.fmri.simulated import simulate_bold
from neurodata.fmri.volumes import Volumes, load_volumes, volume_stimuli

__all__ = [
    "BLOCK_OPTIONS",
    "FmriOptions",
    "FmriRun",
    "Residuals",
    "Volumes",
    "block_events",
    "block_patterns",
    "block_runs",
    "from_bids",
    "is_fmri_folder",
    "load_fmri_folder",
    "load_volumes",
    "noise_residuals",
    "patterns",
    "regions_from_atlas",
    "simulate_bold",
    "volume_stimuli",
    "voxel_mask",
]
