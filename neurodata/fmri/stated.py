"""What a folder's recording.yaml may state under "fmri"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from neurodata.fmri.options import FmriOptions

# The conditions are the folder's stimuli.
OPTIONS = tuple(field.name for field in fields(FmriOptions) if field.name != "conditions")


@dataclass(frozen=True)
class StatedOptions(FmriOptions):
    """Options of the estimation, and where its files are.

    Parameters
    ----------
    task, space
        labels of the images that are taken; need not be stated where there is one.
    derivatives
        folder of preprocessed images within the tree, "raw" for none; by default "derivatives", or the one tree in it.
    strategy
        confounds of fMRIPrep by kind, as nilearn's load_confounds calls them, but for "scrub"; in the place of names of columns.
    regions
        a mapping from name to a mask's path or to {image: path of an atlas, label: number}; by default what masks holds.
    """

    task: str | None = None
    space: str | None = None
    derivatives: str | None = None
    strategy: Sequence[str] | None = None
    regions: dict[str, Any] | None = None


KEYS = (*OPTIONS, "task", "space", "derivatives", "strategy", "regions")

__all__ = ["KEYS", "OPTIONS", "StatedOptions"]
