"""Brain recordings: stimuli, regions, subjects and times, as arrays and as rsatoolbox's objects.

>>> import neurodata
>>> recording = neurodata.load("simulated")
>>> recording.stimuli.images.shape, recording.simulated
((60, 8, 8, 3), True)
"""

from bioplausible.foundation.errors import InputError
from neurodata import cichy92, kriegeskorte92
from neurodata.cache import RemoteFile, data_path, fetch
from neurodata.containers import PatternSet, RdmSet, Recording, Stimuli
from neurodata.folder import save
from neurodata.registry import describe, download, load, names, references
from neurodata.selection import select
from neurodata.simulated import default_stimuli, simulate
from neurodata.stages import STAGES

__all__ = [
    "STAGES",
    "InputError",
    "PatternSet",
    "RdmSet",
    "Recording",
    "RemoteFile",
    "Stimuli",
    "cichy92",
    "data_path",
    "default_stimuli",
    "describe",
    "download",
    "fetch",
    "kriegeskorte92",
    "load",
    "names",
    "references",
    "save",
    "select",
    "simulate",
]
