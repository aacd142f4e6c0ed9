"""Options from mappings, from where all packages share them."""

from bioplausible.foundation.options import make_options

__all__ = ["make_options"]
