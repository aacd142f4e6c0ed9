"""Block designs that state a label for each volume, as Haxby et al. 2001 do (doi:10.1126/science.1063736).

The patterns are those of the split-half analyses that became usual with these data: each run's drift (quadratic) is taken
out, each voxel is z-scored over the run, and a category's pattern is the mean of the volumes that carry its label.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bioplausible.foundation.errors import InputError
from neurodata.fmri.estimation import Regions, patterns
from neurodata.fmri.images import open_bold
from neurodata.fmri.options import File, FmriOptions, FmriRun
from neurodata.fmri.tables import read_timing
from neurodata.pattern_set import PatternSet

BLOCK_OPTIONS = FmriOptions(model="block", drift="polynomial", drift_order=2, standardize="zscore_sample")
"""Options for designs with a label a volume: means of volumes, quadratic drift taken out, each voxel standardised in each run."""
REST = ("rest",)


class Block(NamedTuple):
    """One run in a file of labels: its name, first volume and the one behind the last, and the label of each volume."""

    run: str
    volumes: tuple[int, int]
    labels: tuple[str, ...]


def read_labels(attributes: File) -> list[Block]:
    """Read a text with a label and a run for each volume, separated by spaces; a line of titles may go before.

    Raises
    ------
    InputError
        for lines of another form, and for a run whose volumes do not follow each other.
    """
    try:
        lines = [line.split() for line in Path(attributes).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{attributes} cannot be read; expected a text with a label and a run for each volume") from error
    if lines and len(lines[0]) == 2 and not lines[0][1].lstrip("-").isdigit():
        lines = lines[1:]
    for number, line in enumerate(lines, 1):
        if len(line) != 2:
            raise InputError(f"{attributes}: line {number} is '{' '.join(line)}'; expected a label and a run, separated by a space")
    blocks: list[Block] = []
    first = 0
    for run, group in itertools.groupby(lines, key=lambda line: line[1]):
        labels = tuple(label for label, _ in group)
        if run in [block.run for block in blocks]:
            raise InputError(f"{attributes}: run {run} begins again at volume {first + 1}; expected the volumes of a run together")
        blocks.append(Block(run, (first, first + len(labels)), labels))
        first += len(labels)
    if not blocks:
        raise InputError(f"{attributes} holds no label; expected a label and a run for each volume")
    return blocks


def block_events(labels: Sequence[str], repetition_time: float, rest: Sequence[str] = REST) -> pd.DataFrame:
    """Turn a label for each volume into events.

    Parameters
    ----------
    labels
        of each volume of a run.
    repetition_time
        seconds from volume to volume.
    rest
        labels that are no condition.

    Returns
    -------
    table with onset and duration in seconds and trial_type, one row a block.

    >>> block_events(["rest", "face", "face", "rest", "cat"], 2.5)
       onset  duration trial_type
    0    2.5       5.0       face
    1   10.0       2.5        cat
    """
    rows, volume = [], 0
    for label, group in itertools.groupby(labels):
        length = len(list(group))
        if label not in rest:
            rows.append((volume * repetition_time, length * repetition_time, label))
        volume += length
    return pd.DataFrame(rows, columns=["onset", "duration", "trial_type"])


def block_runs(
    bold: File, attributes: File, subject: str = "01", repetition_time: float | None = None, rest: Sequence[str] = REST
) -> list[FmriRun]:
    """Split a file of several runs by its text of labels.

    Runs without any labelled volume are left out.

    Parameters
    ----------
    bold
        a 4D NIfTI file with all runs one after the other.
    attributes
        a text with a label and a run for each volume.
    subject
        whose.
    repetition_time
        seconds from volume to volume, by default the header's.
    rest
        labels that are no condition.

    Returns
    -------
    the runs, with their events and the volumes that they take up.

    Raises
    ------
    InputError
        for another number of labels than volumes, and as ``read_labels``.
    """
    name = os.fspath(bold)
    image = open_bold(bold, name)
    blocks = read_labels(attributes)
    if blocks[-1].volumes[1] != image.n_volumes:
        raise InputError(
            f"{attributes} labels {blocks[-1].volumes[1]} volumes and {name} has {image.n_volumes}; expected a line for each volume"
        )
    seconds, _ = read_timing(FmriRun(bold, None), FmriOptions(repetition_time=repetition_time), image)
    runs = []
    for block in blocks:
        events = block_events(block.labels, seconds, rest)
        if len(events):
            runs.append(FmriRun(bold, events, subject=subject, run=block.run, volumes=block.volumes))
    if not runs:
        raise InputError(f"{attributes} labels nothing but {', '.join(rest)}; expected conditions")
    return runs


def block_patterns(
    bold: File,
    attributes: File,
    regions: Regions,
    options: FmriOptions = BLOCK_OPTIONS,
    *,
    subject: str = "01",
    rest: Sequence[str] = REST,
    cache: File | None = None,
) -> dict[str, PatternSet]:
    """Estimate patterns of one subject's categories, run by run.

    Parameters
    ----------
    bold
        a 4D NIfTI file with all runs one after the other.
    attributes
        a text with a label and a run for each volume.
    regions, options, cache
        as for :func:`neurodata.fmri.patterns`; by default the means described above.
    subject
        whose.
    rest
        labels that are no condition.

    Returns
    -------
    patterns by region, as of :func:`neurodata.fmri.patterns`.

    Raises
    ------
    InputError
        for files that cannot be read or do not fit together.
    """
    return patterns(block_runs(bold, attributes, subject, options.repetition_time, rest), regions, options, cache)


__all__ = ["BLOCK_OPTIONS", "block_events", "block_patterns", "block_runs", "read_labels"]
