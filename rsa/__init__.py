"""Representational similarity analysis: RDMs, comparators, noise ceilings and inference, arrays in and arrays out.

Condensed RDMs (upper triangle, row by row) are the currency. Everything computes in double precision whatever JAX's
global setting is, takes its randomness from explicit keys, and returns NumPy arrays. rsatoolbox is the interchange
format and the oracle of the tests.
"""

from bioplausible.foundation.errors import InputError as InputError
from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__, "InputError")
