"""Maps of a group of subjects: mean, t, and whether a model is found anywhere.

p-values are of the mean correlation against permutations of the conditions, all subjects alike (`rsa.searchlight_permutations`): is
it more than that of a model which has nothing to do with the stimuli, for these subjects? `test="subjects"` flips the subjects'
signs instead (`rsa.sign_flips`), and what it finds holds for these stimuli alone, in other subjects: subjects who share a geometry
resemble a model by chance with one sign. In simulated studies of ten subjects, 20 stimuli and two unrelated models, flips found
something in 10, 62 and 100 % where subjects' noise was twice, once and half of what they share, and permutations in 6, 2 and 2 %.
t, too, is of subjects alone.

References: Nichols and Holmes 2002, doi:10.1002/hbm.1058; Kriegeskorte, Mur and Bandettini 2008, doi:10.3389/neuro.06.004.2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax
import numpy as np

import rsa
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from neurodata.fmri import Volumes

if TYPE_CHECKING:
    from experiments.searchlights import SearchlightConfig

__all__ = ["TESTS", "group_of"]

TESTS = ("conditions", "subjects")
"""What is permuted: the conditions, for other stimuli, or the signs of subjects, for other subjects who see these stimuli."""


def group_of(
    config: SearchlightConfig,
    volumes: Volumes,
    by_subject: tuple[np.ndarray, ...],
    models: Mapping[str, np.ndarray],
    warnings: list[str],
    progress: Progress | None,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Mean, t and p-value over subjects, where there are several at the same places.

    Parameters
    ----------
    config
        Its test and draws, and how scores were made.
    volumes
        Patterns and masks.
    by_subject
        For each subject (n_models, x, y, z); NaN where no searchlight is.
    models
        Name -> RDMs, (n_seeds, n_pairs), in the maps' order.
    warnings
        What is left out is said here.
    progress
        Called with places done, places in all and a line to show.

    Returns
    -------
    mean, t, p_value
        (n_models, x, y, z), or None.
    """
    n_subjects = len(by_subject)
    if n_subjects < 2:
        return None, None, None
    if not volumes.one_grid:
        warnings.append(
            "no group: the subjects' images lie on several grids, so that their places cannot be compared: bring them into one "
            "space first (fMRIPrep: --output-spaces MNI152NLin2009cAsym:res-2), and state it as 'space' under 'fmri'"
        )
        return None, None, None
    stacked = np.stack(by_subject)
    everywhere = np.isfinite(stacked).all(axis=(0, 1))
    if not everywhere.any():
        warnings.append("no group: there is no place at which all subjects have a searchlight")
        return None, None, None
    scores = stacked[:, :, everywhere]

    def volume(values: np.ndarray) -> np.ndarray:
        whole = np.full(stacked.shape[1:], np.nan)
        whole[:, everywhere] = values
        return whole

    mean, t = volume(scores.mean(axis=0)), volume(rsa.student_t(scores))
    if not config.n_draws:
        return mean, t, None
    if config.test == "conditions" and config.comparator == "kendall":
        warnings.append(
            "no p-values: kendall is no inner product, and permutations of the conditions would take as long as a thousand maps: "
            "take spearman, or --test subjects for these stimuli alone"
        )
        return mean, t, None
    try:
        if config.test == "subjects":
            p_value = rsa.sign_flips(jax.random.key(config.seed), scores, config.n_draws).p_value
        else:
            p_value = _permuted(config, volumes, everywhere, models, progress)
    except InputError as error:
        warnings.append(f"no p-values: {error}")
        return mean, t, None
    return mean, t, volume(p_value)


def _permuted(
    config: SearchlightConfig, volumes: Volumes, everywhere: np.ndarray, models: Mapping[str, np.ndarray], progress: Progress | None
) -> np.ndarray:
    """p-values against permutations of the conditions, (n_models, n_places), at the places that all subjects have."""
    places, members = np.flatnonzero(everywhere), []
    for mask in volumes.masks:
        own = rsa.volume_neighbourhoods(mask, config.radius, config.minimum_fraction)
        of_place = dict(zip(np.flatnonzero(mask)[own.centres].tolist(), own.members, strict=True))
        members.append([of_place[place] for place in places.tolist()])
    ends = np.cumsum([0, *(len(each) for each in models.values())])
    found = rsa.searchlight_permutations(
        jax.random.key(config.seed),
        volumes.patterns.patterns(),
        members,
        np.concatenate(list(models.values())),
        config.comparator,
        config.distance,
        config.n_draws,
        [range(start, stop) for start, stop in zip(ends, ends[1:], strict=False)],
        progress,
    )
    return found.p_value.T
