"""Maps of searchlights: each model's at its peak, on three cuts, with the outlines of the regions that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
from matplotlib.figure import Figure
from nilearn import plotting

from bioplausible.foundation.pictures import Picture
from experiments.report.style import figure_style

if TYPE_CHECKING:
    from experiments.searchlights import Maps

MAX_MODELS, MAX_REGIONS = 12, 8
_AGAINST = {"conditions": "conditions permuted", "subjects": "signs flipped (these stimuli alone)"}


def plot_maps(maps: Maps) -> Figure:
    """Draw the group's map of every model, or the first subject's where there is no group.

    Parameters
    ----------
    maps
        What was found.

    Returns
    -------
    Figure
        A row a model, cut at its highest place; one scale for all. Outlines are regions of the recording, where they are few.
    """
    shown = maps.models[:MAX_MODELS]
    volumes = maps.by_subject[0] if maps.mean is None else maps.mean
    affine, mask = maps.volumes.affines[0], maps.volumes.masks[0]
    whose = maps.volumes.patterns.subjects[0] if maps.mean is None else ""
    peaks = maps.peaks[(maps.peaks["subject"] == whose) & (maps.peaks["rank"] == 1)].set_index("model")
    largest = float(np.nanmax(np.abs(volumes[: len(shown)])))
    background = nibabel.Nifti1Image(mask.astype(np.float32), affine)
    with figure_style():
        # each row's place is nilearn's to divide
        figure = Picture(figsize=(8.0, 2.4 * len(shown)))
        for place, (model, volume) in enumerate(zip(shown, volumes, strict=False)):
            row = peaks.loc[model]
            title = f"{model}: r = {row['r']:.3f} at {row['x']:.0f}, {row['y']:.0f}, {row['z']:.0f} mm"
            title += f", p = {row['p_value']:.2g} corrected, {_AGAINST[maps.config.test]}" if np.isfinite(row["p_value"]) else ""
            figure.text(0.02, 1 - (place + 0.06) / len(shown), title, verticalalignment="top")
            axes = figure.add_axes((0.02, 1 - (place + 0.98) / len(shown), 0.96, 0.78 / len(shown)))
            display = plotting.plot_stat_map(
                nibabel.Nifti1Image(np.nan_to_num(volume).astype(np.float32), affine),
                bg_img=background,
                cut_coords=(row["x"], row["y"], row["z"]),
                vmax=largest,
                axes=axes,
                black_bg=False,
                draw_cross=True,
            )
            if len(maps.volumes.regions) <= MAX_REGIONS:
                for inside in maps.volumes.regions.values():
                    outline = nibabel.Nifti1Image(inside[0].astype(np.float32), affine)
                    display.add_contours(outline, levels=[0.5], colors="black", linewidths=0.8)
    return figure


__all__ = ["plot_maps"]
