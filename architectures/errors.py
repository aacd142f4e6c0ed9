"""The mistakes of the user, from where all packages share them."""

from bioplausible.foundation.errors import InputError, unknown_name

__all__ = ["InputError", "unknown_name"]
