"""Maps: which model, or which layer of a network, is compared best with the voxels around each place of a brain.

```
OUT/maps/<model>_r.nii.gz                     mean over subjects of the correlation at every place, where their grids are one
OUT/maps/<model>_t.nii.gz                     Student's t of the subjects' correlations against zero
OUT/maps/<model>_neglog10p.nii.gz             -log10 of the p-value that `test` says, corrected over all places and models
OUT/maps/sub-<label>/<model>_r.nii.gz         of one subject
OUT/tables/peaks.csv                          where maps are highest
OUT/maps.png                                  every model's map at its peak
OUT/results.json                              what was run, and all but the maps
```

Voxels without a searchlight are NaN, which viewers leave out.

p-values are of permuted conditions, for other stimuli and these subjects, or of flipped signs, for other subjects and these stimuli
(`experiments.searchlight_groups`).

References: Kriegeskorte, Goebel and Bandettini 2006, doi:10.1073/pnas.0600244103; Nichols and Holmes 2002, doi:10.1002/hbm.1058.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd

import rsa
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.files import cannot_write, whole_file, write_text
from bioplausible.foundation.options import at_least, fraction, one_of, positive
from bioplausible.foundation.progress import Progress
from experiments.config import check_seed, to_record, with_fields, write_yaml
from experiments.environment import check_room, describe_environment
from experiments.files import prepare_folder, short_name
from experiments.model_rdms import model_rdms
from experiments.results import plain, rows
from experiments.searchlight_groups import TESTS, group_of
from neurodata.entities import selection_of
from neurodata.fmri import Volumes, load_volumes, volume_stimuli
from rsa.searchlights import SEARCHLIGHT_COMPARATORS, SEARCHLIGHT_DISTANCES

__all__ = ["PEAK_COLUMNS", "Maps", "SearchlightConfig", "searchlight_maps"]

PEAK_COLUMNS = ("model", "subject", "rank", "x", "y", "z", "i", "j", "k", "r", "t", "p_value", "region")
_MOST_DRAWS = 1_000_000


@dataclass(frozen=True)
class SearchlightConfig:
    """What maps are made of.

    Attributes
    ----------
    recording
        A folder of the user's own BOLD runs, as `neurodata.fmri.load_volumes` takes it.
    models
        As `experiments.model_rdms` takes them; none for every reference model that the stimuli allow.
    mask
        A NIfTI file or a region of the folder; "" for fMRIPrep's brain masks, else the whole volume.
    select
        Which raw files, by the entities of their names: "task=objects", "space=MNI152NLin2009cAsym".
    subjects
        Those whose maps are made; all by default.
    radius
        Of the spheres, in voxels: those nearer than it belong to one.
    minimum_fraction
        Share of a sphere that has to lie within the mask for a place to count.
    distance
        Between patterns, "correlation" or "euclidean".
    comparator
        Between RDMs: "spearman", "pearson", "cosine" or "kendall".
    test
        One of `experiments.searchlight_groups.TESTS`; "conditions" has no form for kendall, whose maps are then without p-values.
    n_draws
        Permutations, or flips; 0 for no p-values.
    n_peaks
        Peaks of each map in the table.
    peak_distance_mm
        Between two of them, at the least.
    seed
        Repeats the permutations.
    """

    recording: str = ""
    models: tuple[str, ...] = ()
    mask: str = ""
    select: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    radius: float | int = 3.0
    minimum_fraction: float | int = 0.5
    distance: str = "correlation"
    comparator: str = "spearman"
    test: str = "conditions"
    n_draws: int = 1000
    n_peaks: int = 5
    peak_distance_mm: float | int = 8.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        positive(self, "radius", "peak_distance_mm")
        at_least(self, 1, "radius", at_most=100)
        fraction(self, "minimum_fraction", with_zero=False)
        at_least(self, 0, "n_draws", at_most=_MOST_DRAWS)
        at_least(self, 1, "n_peaks", at_most=1000)
        one_of(self, "comparator", SEARCHLIGHT_COMPARATORS)
        one_of(self, "distance", SEARCHLIGHT_DISTANCES)
        one_of(self, "test", TESTS)
        check_seed(self.seed)
        for name in self.models:
            if self.models.count(name) > 1:
                raise InputError(f"models={','.join(self.models)} names '{name}' twice: name each once")


@dataclass(frozen=True, eq=False)
class Maps:
    """What was found at every place.

    Attributes
    ----------
    config
        What was asked for.
    volumes
        What it was found in.
    models
        Names, in the maps' order.
    by_subject
        For each subject (n_models, x, y, z); NaN where no searchlight is.
    mean, t, p_value
        Over subjects, likewise; None where there is no group: subjects on several grids or too few of them; or no test.
    peaks
        The columns of `PEAK_COLUMNS`; subject is empty in rows of the group.
    warnings
        What has to be known.
    """

    config: SearchlightConfig
    volumes: Volumes
    models: tuple[str, ...]
    by_subject: tuple[np.ndarray, ...]
    mean: np.ndarray | None
    t: np.ndarray | None
    p_value: np.ndarray | None
    peaks: pd.DataFrame
    warnings: list[str]

    @property
    def tested(self) -> str:
        """What p-values are of, in a sentence; "" where there are none."""
        if self.p_value is None:
            return ""
        if self.config.test == "conditions":
            return (
                "p: mean r against permutations of the conditions, all subjects alike; for other stimuli and these subjects, "
                "corrected over all places and models"
            )
        return (
            "p: t against flips of the subjects' signs; for other subjects who see these stimuli, not for other stimuli, "
            "corrected over all places and models"
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the maps, as plain values."""
        return plain(
            {
                "config": to_record(self.config),
                "environment": describe_environment(),
                "recording": {
                    "name": self.volumes.name,
                    "n_conditions": self.volumes.stimuli.n_conditions,
                    "subjects": list(self.volumes.patterns.subjects),
                    "voxels": {
                        subject: int(mask.sum())
                        for subject, mask in zip(self.volumes.patterns.subjects, self.volumes.masks, strict=True)
                    },
                    "notes": list(self.volumes.notes),
                },
                "models": list(self.models),
                "places": [int(np.isfinite(each[0]).sum()) for each in self.by_subject],
                "warnings": self.warnings,
                "p_values": self.tested,
                "peaks": rows(self.peaks),
            }
        )

    def to_frame(self) -> pd.DataFrame:
        """The peaks."""
        return self.peaks.copy()


def searchlight_maps(
    config: SearchlightConfig | None = None, out: str | Path | None = None, progress: Progress | None = None, **fields: Any
) -> Maps:
    """Map where models are compared with a brain.

    Parameters
    ----------
    config
        What to run; or give its fields as keywords.
    out
        Folder for the maps; None writes nothing.
    progress
        Called with places done, places in all and a line to show.
    **fields
        Fields of `SearchlightConfig` that replace those of `config`.

    Raises
    ------
    InputError
        A folder without BOLD runs, models that cannot be read, or an `out` that cannot be written.
    """
    config = with_fields(config, SearchlightConfig, fields, "searchlight_maps", "recording='my_folder'")
    folder = None if out is None else prepare_folder(Path(out))
    chosen = selection_of(config.select, "select")
    # What is wrong with models is said before patterns are estimated, which may take long.
    models = model_rdms(config.models, volume_stimuli(config.recording), config.distance)
    if progress is not None:
        progress(0, 0, f"patterns of {config.recording}")
    volumes = _chosen(load_volumes(config.recording, config.mask or None, chosen), config.subjects)
    by_subject = _score(config, volumes, models.rdms, progress)
    warnings = list(models.warnings)
    mean, t, p_value = group_of(config, volumes, by_subject, models.rdms, warnings, progress)
    names = tuple(models.rdms)
    maps = Maps(config, volumes, names, by_subject, mean, t, p_value, pd.DataFrame(), warnings)
    maps = dataclasses.replace(maps, peaks=_all_peaks(maps))
    if folder is not None:
        _write(maps, folder)
    return maps


def _chosen(volumes: Volumes, subjects: tuple[str, ...]) -> Volumes:
    """The subjects that were asked for, in the recording's order."""
    there = volumes.patterns.subjects
    for name in subjects:
        if name not in there:
            raise unknown_name(f"subject of recording '{volumes.name}'", name, there)
    kept = [place for place, name in enumerate(there) if not subjects or name in subjects]
    return dataclasses.replace(
        volumes,
        patterns=dataclasses.replace(volumes.patterns, datasets=tuple(volumes.patterns.datasets[place] for place in kept)),
        masks=tuple(volumes.masks[place] for place in kept),
        affines=tuple(volumes.affines[place] for place in kept),
        regions={name: tuple(masks[place] for place in kept) for name, masks in volumes.regions.items()},
    )


def _score(
    config: SearchlightConfig, volumes: Volumes, models: Mapping[str, np.ndarray], progress: Progress | None
) -> tuple[np.ndarray, ...]:
    """Maps of every subject, the mean over a model's seeds."""
    flat = np.concatenate(list(models.values()))
    ends = np.cumsum([len(each) for each in models.values()])[:-1]
    n_subjects = len(volumes.masks)
    n_numbers = sum(mask.size for mask in volumes.masks) * len(models)
    check_room(8 * n_numbers, f"maps of {len(models)} models and {n_subjects} subjects take", "fewer models, or fewer subjects")
    found = []
    for place, (patterns, mask) in enumerate(zip(volumes.patterns.patterns(), volumes.masks, strict=True)):
        neighbourhoods = rsa.volume_neighbourhoods(mask, config.radius, config.minimum_fraction)

        def within(done: int, of: int, line: str, place: int = place) -> None:
            if progress is not None:
                progress(place * of + done, n_subjects * of, f"{line} of subject {place + 1}")

        scores = rsa.searchlight(patterns, neighbourhoods, flat, config.comparator, config.distance, within)
        means = np.stack([part.mean(axis=1) for part in np.split(scores, ends, axis=1)], axis=1)
        found.append(np.moveaxis(rsa.score_map(means, neighbourhoods, mask), -1, 0))
    return tuple(found)


def _all_peaks(maps: Maps) -> pd.DataFrame:
    """Peaks of the group's maps, then of every subject's."""
    found: list[dict[str, Any]] = []
    whose = [("", 0, maps.mean)] if maps.mean is not None else []
    whose += [(name, place, maps.by_subject[place]) for place, name in enumerate(maps.volumes.patterns.subjects)]
    for subject, place, volumes in whose:
        affine, regions = maps.volumes.affines[place], {name: each[place] for name, each in maps.volumes.regions.items()}
        for index, model in enumerate(maps.models):
            for rank, voxel in enumerate(_peaks(volumes[index], affine, maps.config)):
                at = (index, *voxel)
                t, p_value = (None if subject or each is None else float(each[at]) for each in (maps.t, maps.p_value))
                found.append(
                    {
                        "model": model,
                        "subject": subject,
                        "rank": rank + 1,
                        **dict(zip("xyz", (float(each) for each in nibabel.affines.apply_affine(affine, voxel)), strict=True)),
                        **dict(zip("ijk", voxel, strict=True)),
                        "r": float(volumes[at]),
                        "t": t,
                        "p_value": p_value,
                        "region": " ".join(name for name, inside in regions.items() if inside[voxel]),
                    }
                )
    return pd.DataFrame(found, columns=list(PEAK_COLUMNS)).astype({"t": float, "p_value": float})


def _peaks(volume: np.ndarray, affine: np.ndarray, config: SearchlightConfig) -> list[tuple[int, int, int]]:
    """The highest places, from the highest on, none nearer to a higher one than is asked for."""
    places = np.argwhere(np.isfinite(volume))
    places = places[np.argsort(-volume[tuple(places.T)], kind="stable")]
    millimetres = nibabel.affines.apply_affine(affine, places)
    left = np.ones(len(places), dtype=bool)
    found: list[tuple[int, int, int]] = []
    while len(found) < config.n_peaks and left.any():
        highest = int(left.argmax())
        i, j, k = places[highest].tolist()
        found.append((i, j, k))
        left &= np.linalg.norm(millimetres - millimetres[highest], axis=1) >= config.peak_distance_mm
    return found


def _write(maps: Maps, folder: Path) -> None:
    """Write all of it, what was run last."""
    # Drawing is slow to import.
    from experiments.report.maps import plot_maps

    for index, model in enumerate(maps.models):
        name = short_name(model.replace("/", "-"))
        of_group = {"r": maps.mean, "t": maps.t, "neglog10p": None if maps.p_value is None else -np.log10(maps.p_value)}
        for kind, volumes in of_group.items():
            if volumes is not None:
                _write_map(folder / "maps" / f"{name}_{kind}.nii.gz", volumes[index], maps.volumes.affines[0])
        for place, subject in enumerate(maps.volumes.patterns.subjects):
            path = folder / "maps" / f"sub-{short_name(subject)}" / f"{name}_r.nii.gz"
            _write_map(path, maps.by_subject[place][index], maps.volumes.affines[place])
    write_text(folder / "tables" / "peaks.csv", maps.peaks.to_csv(index=False))
    write_text(folder / "config.yaml", write_yaml(maps.config))
    try:
        with whole_file(folder / "maps.png") as partial:
            plot_maps(maps).savefig(partial, dpi=110)
    except OSError as error:
        raise cannot_write(folder / "maps.png", error) from error
    write_text(folder / "results.json", json.dumps(maps.to_json(), indent=1, ensure_ascii=False) + "\n")


def _write_map(path: Path, volume: np.ndarray, affine: np.ndarray) -> None:
    image = nibabel.Nifti1Image(volume.astype(np.float32), affine)
    image.header.set_xyzt_units("mm")
    try:
        with whole_file(path) as partial:
            image.to_filename(partial)
    except OSError as error:
        raise cannot_write(path, error) from error
