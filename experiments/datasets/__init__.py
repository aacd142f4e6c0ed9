"""Image sets that networks are trained on.

>>> from experiments import datasets
>>> images = datasets.load("digits")
>>> images.normalise(images.test.images[:2]).shape
(2, 8, 8, 1)
"""

from .contract import ImageSet, Normalisation, SourceFile, Split
from .loading import describe, fetch, load, names

__all__ = ["ImageSet", "Normalisation", "SourceFile", "Split", "describe", "fetch", "load", "names"]
