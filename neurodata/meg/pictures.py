"""Looking at patterns in time before anything is compared with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure
from scipy.spatial.distance import pdist, squareform

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.pictures import Picture
from neurodata.pattern_set import PatternSet


def dissimilarity_over_time(patterns: PatternSet) -> Float64[np.ndarray, "n_subjects n_times n_pairs"]:
    """Compute squared Euclidean distances between conditions at each time, divided by the number of channels.

    Of noise-normalised patterns they are in units of one trial's noise variance. Noise adds to them at every time: what
    counts is their rise above the baseline.

    Parameters
    ----------
    patterns
        of a recording in time.

    Returns
    -------
    condensed RDMs, (n_subjects, n_times, n_pairs), conditions in the order of the patterns.

    Raises
    ------
    InputError
        for patterns without a time axis.
    """
    if patterns.times is None:
        raise InputError(f"{patterns.origin}: patterns without times; expected a recording in time")
    return np.stack([[pdist(moment, "sqeuclidean") / moment.shape[1] for moment in each] for each in patterns.patterns()])


def draw_dissimilarity(
    regions: Mapping[str, PatternSet], *, windows: Mapping[str, tuple[float, float]] | None = None, moments: Sequence[float] = ()
) -> Figure:
    """Draw dissimilarity over time, a row for each region, with RDMs at some moments.

    Parameters
    ----------
    regions
        patterns in time by the region's name.
    windows
        start and stop in seconds of what is known to happen, drawn as spans.
    moments
        seconds at which RDMs are drawn; by default the baseline's end and the peak of each region.

    Returns
    -------
    a figure that no window shows: ``figure.savefig("dissimilarity.png")``.

    Raises
    ------
    InputError
        for patterns without a time axis.
    """
    if not regions:
        raise InputError("no regions were given; expected at least one PatternSet in time")
    figure = Picture(figsize=(9.5, 2.6 * len(regions)), layout="constrained")
    n_moments = len(moments) or 2
    axes = figure.subplots(len(regions), 1 + n_moments, squeeze=False, width_ratios=[3.2] + [1.0] * n_moments)
    for row, (name, patterns) in zip(axes, regions.items(), strict=True):
        rdms = dissimilarity_over_time(patterns)
        times = patterns.times
        assert times is not None, "dissimilarity_over_time has refused it"
        mean = rdms.mean(axis=2)
        curve = row[0]
        for index, (window, (start, stop)) in enumerate((windows or {}).items()):
            curve.axvspan(1e3 * start, 1e3 * stop, color=("0.92", "0.86")[index % 2], linewidth=0, zorder=0)
            curve.text(1e3 * start, 0.03, f" {window}", fontsize=8, color="0.35", transform=curve.get_xaxis_transform())
        if len(mean) > 1:
            curve.plot(1e3 * times, mean.T, color="#88a9c9", linewidth=0.6)
        curve.plot(1e3 * times, mean.mean(axis=0), color="#1f4e79", linewidth=1.4)
        curve.axvline(0, color="0.6", linewidth=0.6)
        curve.set(xlim=1e3 * times[[0, -1]], ylabel="mean squared distance\nper channel")
        count = f"{len(mean)} subject{'s' if len(mean) > 1 else ''}"
        curve.set_title(f"{name}: {count}, {patterns.n_conditions} conditions, {patterns.n_channels[0]} channels", fontsize=9)
        peak = times[mean.mean(axis=0).argmax()]
        shown = list(moments) or [min(times, key=abs), peak]
        largest = max(rdms[:, np.abs(times - moment).argmin()].mean(axis=0).max() for moment in shown)
        for axis, moment in zip(row[1:], shown, strict=True):
            nearest = np.abs(times - moment).argmin()
            image = axis.imshow(squareform(rdms[:, nearest].mean(axis=0)), vmin=0, vmax=largest, cmap="viridis")
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"RDM at {1e3 * times[nearest]:.0f} ms", fontsize=8)
        figure.colorbar(image, ax=row[-1], shrink=0.8).ax.tick_params(labelsize=7)
        curve.tick_params(labelsize=8)
        curve.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("time from onset (ms)")
    return figure


__all__ = ["dissimilarity_over_time", "draw_dissimilarity"]
