"""Run studies: train rules, compare what they learned with recordings, keep and report the results.

>>> from experiments import train
>>> train(rule="backprop", architecture="mlp", dataset="digits", epochs=1).to_frame().columns[0]
'rule'
"""

from bioplausible.foundation.errors import InputError as InputError
from bioplausible.foundation.lazy_packages import lazy_package

__getattr__, __dir__, __all__ = lazy_package(__name__, __file__, "InputError")
