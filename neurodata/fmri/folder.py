"""A user's folder of raw fMRI: a BIDS tree, stimuli and masks.

::

    my_recording/
        recording.yaml                                 optional; options under the key "fmri"
        stimuli/apple.png ...                          what "trial_type" names in the events
        sub-01/func/sub-01_task-objects_run-1_bold.nii.gz, ..._events.tsv, ..._bold.json
        derivatives/fmriprep/sub-01/func/...           where there are preprocessed images, they are taken
        masks/V1.nii.gz                                one for all subjects, or
        masks/sub-01/V1.nii.gz                         one for each

Under "fmri" may stand every option of :class:`neurodata.fmri.FmriOptions` but the conditions, which the stimuli are; "task",
"space", "derivatives" and "strategy" of :func:`neurodata.fmri.from_bids`; "select", a mapping from BIDS entities to values
({task: objects, res: 2}); and "regions", a mapping from name to a mask's path or to {image: path of an atlas, label: number}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import check_keys, make_options
from neurodata.fmri.bids import from_bids, passed_over
from neurodata.fmri.estimation import patterns_and_notes
from neurodata.fmri.options import File, FmriOptions, FmriRun
from neurodata.fmri.stated import KEYS, OPTIONS, StatedOptions
from neurodata.pattern_set import PatternSet
from neurodata.presence import is_named
from neurodata.spellings import composed
from neurodata.stimuli import Stimuli, natural_key

MASK_ENDINGS = (".nii.gz", ".nii")
# images too, but in formats that are not read: a region would be missing without a word
_OTHER_IMAGES = (".mgz", ".mgh", ".img", ".img.gz", ".head", ".brik", ".brik.gz", ".nrrd", ".mha", ".mnc", ".vmr", ".msk", ".voi")
ORIGIN = "recording.yaml"
_EXPECTED = {
    **dict.fromkeys(("high_pass", "smoothing_mm", "repetition_time", "slice_time_reference", "block_delay"), "a number"),
    **dict.fromkeys(("single_trials", "allow_missing", "resample_masks"), "true or false"),
    **dict.fromkeys(("confounds", "strategy"), "a list of names"),
    **dict.fromkeys(("task", "space", "derivatives"), "text"),
    "drift_order": "a whole number",
    "regions": "a mapping from region to a mask or an atlas's label",
}


def _check_stated(stated: Mapping[str, Any], origin: str) -> StatedOptions:
    """What recording.yaml states under "fmri"; InputError for unknown keys (all of them), and values of another kind."""
    check_keys(stated, KEYS, f"{origin}: 'fmri'")
    try:
        return make_options(StatedOptions, stated, "'fmri'", expected=_EXPECTED)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error


def _stated_regions(folder: Path, stated: Mapping[str, Any], origin: str) -> dict[str, Any]:
    regions: dict[str, Any] = {}
    for name, source in stated.items():
        if isinstance(source, str):
            regions[str(name)] = folder / source
        elif isinstance(source, dict) and set(source) == {"image", "label"} and type(source["label"]) is int:
            regions[str(name)] = (folder / str(source["image"]), source["label"])
        else:
            raise InputError(f"{origin}: region '{name}' is {source!r}; expected a mask's path, or {{image: path, label: 3}}")
    return regions


def _region_name(path: Path) -> str | None:
    name = composed(path.name)
    if name.lower().endswith(_OTHER_IMAGES) and name[0] != ".":
        raise InputError(
            f"{path} is an image in a format that is not read; expected NIfTI, {' or '.join(MASK_ENDINGS)}, save it so"
        )
    return next((name[: -len(end)] for end in MASK_ENDINGS if name.lower().endswith(end) and name[0] != "."), None)


def found_regions(folder: Path) -> dict[str, Any]:
    """Find masks/<region> and masks/sub-<label>/<region>."""
    masks = folder / "masks"
    there = sorted(masks.iterdir(), key=lambda path: natural_key(path.name)) if masks.is_dir() else []
    regions: dict[str, Any] = {}
    for path in there:
        name = _region_name(path) if is_named(path) else None
        if name is not None and name in regions:
            raise InputError(f"{regions[name]} and {path} are both of region '{name}'; expected one mask, rename or remove one")
        if name is not None:
            regions[name] = path
    for subject in (path for path in there if path.is_dir()):
        for path in sorted(subject.iterdir(), key=lambda path: natural_key(path.name)):
            name = _region_name(path)
            if name is None:
                continue
            own = regions.setdefault(name, {})
            if not isinstance(own, dict):
                raise InputError(
                    f"{own} and {path} are both of region '{name}'; expected one mask for all subjects, or one for each"
                )
            label = subject.name.removeprefix("sub-")
            if label in own:
                raise InputError(f"{own[label]} and {path} are both of region '{name}'; expected one mask, rename or remove one")
            own[label] = path
    if not regions:
        raise InputError(
            f"no mask found in {masks}; expected masks/<region>.nii.gz or masks/sub-<label>/<region>.nii.gz, or 'regions' under "
            f"'fmri' in {folder / ORIGIN}"
        )
    return regions


def is_fmri_folder(folder: Path) -> bool:
    """Say whether a folder holds BOLD images in BIDS's layout.

    Parameters
    ----------
    folder
        a user's folder.

    Returns
    -------
    True where there is one in the tree itself or among its derivatives.
    """
    patterns = ("sub-*/func/*", "sub-*/ses-*/func/*")
    places = (folder, *(folder / "derivatives").glob("*"), folder / "derivatives")
    images = (path.name.lower() for place in places for pattern in patterns for path in place.glob(pattern))
    return any(name.endswith(("_bold.nii", "_bold.nii.gz")) for name in images)


def load_fmri_folder(
    folder: Path,
    stated: Mapping[str, Any],
    stimuli: Stimuli,
    cache: File | None = None,
    select: Mapping[str, Any] | None = None,
) -> tuple[dict[str, PatternSet], tuple[str, ...]]:
    """Estimate the patterns of a folder in the layout above.

    Parameters
    ----------
    folder
        the folder.
    stated
        what recording.yaml has under "fmri".
    stimuli
        whose ids are the events' conditions; patterns come in their order.
    cache
        folder of finished models, by default ``neurodata.derived.default_folder()``.
    select
        values by entity that images are chosen by.

    Returns
    -------
    patterns by region, and notes on what was left out and how patterns were estimated.

    Raises
    ------
    InputError
        for what is stated wrongly, and files that cannot be read or do not fit together.
    """
    runs, options, stated_regions = stated_runs(folder, stated, stimuli, select)
    regions = found_regions(folder) if stated_regions is None else stated_regions
    sets, notes = patterns_and_notes(runs, regions, options, cache)
    return sets, (estimated(options), *(f"{note}." for note in (*notes, *left_out(folder, runs, stated, select))))


def left_out(folder: Path, runs: Sequence[FmriRun], stated: Mapping[str, Any], select: Mapping[str, Any] | None) -> list[str]:
    """Say what a folder holds and its runs are without, as :func:`neurodata.fmri.bids.passed_over` does.

    Parameters
    ----------
    folder, stated, select
        as for :func:`load_fmri_folder`.
    runs
        what was found.
    """
    given = {key: stated[key] for key in ("task", "derivatives") if stated.get(key) is not None}
    return passed_over(folder, runs, **given, select=select)


def stated_runs(
    folder: Path, stated: Mapping[str, Any], stimuli: Stimuli, select: Mapping[str, Any] | None = None
) -> tuple[list[FmriRun], FmriOptions, dict[str, Any] | None]:
    """Read what a folder states of its runs, and find them.

    Parameters
    ----------
    folder, stated, stimuli, select
        as for :func:`load_fmri_folder`.

    Returns
    -------
    the runs, how they are modelled, and the regions that are stated, None where none are.

    Raises
    ------
    InputError
        for what is stated wrongly, and a tree without runs.
    """
    origin = str(folder / ORIGIN)
    given = {key: value for key, value in stated.items() if value is not None}
    checked = _check_stated(given, origin)
    conditions = tuple(str(identity) for identity in stimuli.ids)
    options = FmriOptions(**{name: getattr(checked, name) for name in OPTIONS}, conditions=conditions)
    search = {key: given[key] for key in ("task", "space", "derivatives", "strategy") if key in given}
    runs = from_bids(folder, **search, select=select)
    return runs, options, _stated_regions(folder, given["regions"], origin) if "regions" in given else None


def estimated(options: FmriOptions) -> str:
    """Say in a sentence how patterns were estimated."""
    estimate = "mean of volumes" if options.model == "block" else f"{options.output} of {options.model}, {options.hrf} response"
    return f"Patterns from BOLD runs ({estimate}, drift {options.drift}, noise {options.noise_model})."


__all__ = ["KEYS", "estimated", "found_regions", "is_fmri_folder", "left_out", "load_fmri_folder", "stated_runs"]
