"""The containers of a recording, under one roof: stimuli, RDMs, patterns and what binds them."""

from neurodata.pattern_set import PatternSet
from neurodata.rdm_set import RdmSet
from neurodata.recording import Recording, Region
from neurodata.stimuli import Stimuli

__all__ = ["PatternSet", "RdmSet", "Recording", "Region", "Stimuli"]
