"""What every package shares and none owns: mistakes, options, files, progress, and names that stand for objects.

It imports none of the other packages, and nothing that takes long to import.
"""

from bioplausible.foundation.errors import InputError, guesses, unknown_name
from bioplausible.foundation.options import at_least, check_keys, fraction, make_options, one_of, positive
from bioplausible.foundation.progress import Progress, silent
from bioplausible.foundation.resolve import is_reference, load_object, resolve

__all__ = [
    "InputError",
    "Progress",
    "at_least",
    "check_keys",
    "fraction",
    "guesses",
    "is_reference",
    "load_object",
    "make_options",
    "one_of",
    "positive",
    "resolve",
    "silent",
    "unknown_name",
]
