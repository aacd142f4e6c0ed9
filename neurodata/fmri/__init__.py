"""fMRI: from BOLD runs and events to patterns of conditions, with nilearn.

``patterns`` is the way in: runs (``FmriRun``, or ``from_bids`` for a whole tree) and regions in, one PatternSet a region
out, runs kept apart. ``noise_residuals`` gives what whitens them, ``block_patterns`` serves block designs with a label for
each volume, ``simulate_bold`` writes a recording whose truth is known, ``load_fmri_folder`` reads a user's folder, and
``load_volumes`` all voxels of one, for maps.
"""

from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__)
