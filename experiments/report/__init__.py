"""The report of a comparison: figures, a page that opens offline, and a table for the terminal."""

from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__)
