"""Many trainings from one file: a table of accuracies against floors and controls, or a search with one budget for every rule."""

from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__)
