"""Magneto- and electroencephalography: from raw FIF files, epochs or averages to noise-normalised patterns in time.

Filtering, epochs, rejection and inverse solutions are MNE's, BIDS trees are read by mne-bids.
"""

from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__)
