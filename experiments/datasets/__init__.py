"""Image sets that networks are trained on.

>>> from experiments import datasets
>>> images = datasets.load("digits")
>>> images.normalise(images.test.images[:2]).shape
(2, 8, 8, 1)
"""

from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__)
