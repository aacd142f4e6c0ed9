"""Image sets that networks are trained on.

>>> from experiments import datasets
>>> images = datasets.load("digits")
>>> images.normalise(images.test.images[:2]).shape
(2, 8, 8, 1)
"""

from .contract import ImageSet, Normalisation, SourceFile, Split
from .loading import describe, fetch, load, names
from .pictures import Pictures, blocks_of

__all__ = ["ImageSet", "Normalisation", "Pictures", "SourceFile", "Split", "blocks_of", "describe", "fetch", "load", "names"]
