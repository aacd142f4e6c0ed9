"""Figures that show themselves: what a notebook's cell ends in is seen, whichever backend matplotlib has.

IPython knows what a figure looks like once `pyplot` has been imported for it. Ours are made without `pyplot`, whose global state
keeps every figure alive, and say themselves what they look like.
"""

from __future__ import annotations

import io

from matplotlib.figure import Figure

__all__ = ["Picture"]

_DOTS_PER_INCH = 90


class Picture(Figure):
    r"""A figure of matplotlib that no window shows, and that a notebook does.

    >>> Picture(figsize=(1, 1))._repr_png_()[:4]
    b'\x89PNG'
    """

    def _repr_png_(self) -> bytes:
        """As IPython asks for it. The same figure gives the same bytes."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
        return buffer.getvalue()
