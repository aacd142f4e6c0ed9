"""Brain recordings: stimuli, regions, subjects and times, as arrays and as rsatoolbox's objects.

>>> import neurodata
>>> recording = neurodata.load("simulated")
>>> recording.stimuli.images.shape, recording.simulated
((60, 8, 8, 3), True)
"""

from bioplausible.foundation.errors import InputError as InputError
from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__, "InputError")
