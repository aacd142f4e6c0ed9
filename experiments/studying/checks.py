"""Every mistake of a study, before anything is trained."""

from __future__ import annotations

import neurodata
import rsa
from bioplausible.foundation.errors import InputError, unknown_name
from experiments.measured import CATEGORY
from experiments.recordings import load_recording
from experiments.studying.config import StudyConfig
from neurodata import Recording

__all__ = ["check_study", "recording_of"]


def check_study(config: StudyConfig) -> None:
    """Say what a study could not do.

    Parameters
    ----------
    config
        Of the study.

    Raises
    ------
    InputError
        Unknown names, models taken out by a comparator that cannot, or a recording that is not there, has no pictures or is
        measured over time.
    """
    for kind, given, valid in (
        ("measure", config.measures, rsa.MEASURES),
        ("comparator", config.comparators, rsa.COMPARATORS),
        ("reference model", config.partial, [*rsa.REFERENCE_MODELS, CATEGORY]),
    ):
        for name in given:
            if name not in valid:
                raise unknown_name(f"{kind} of a study", name, valid)
    if config.partial and config.comparators[0] not in rsa.PARTIAL_COMPARATORS:
        raise InputError(
            f"partial={', '.join(config.partial)} was given with comparator '{config.comparators[0]}', which has no partial form: "
            f"put {' or '.join(rsa.PARTIAL_COMPARATORS)} first, or leave partial out"
        )
    for name in config.recordings:
        if name in neurodata.names() and not neurodata.describe(name)["cached"]:
            continue  # it is fetched when it is needed: gigabytes are not moved to see a name
        recording_of(name)


def recording_of(name: str) -> Recording:
    """A recording that rules can be ranked in.

    Parameters
    ----------
    name
        Of it, or a folder.

    Raises
    ------
    InputError
        One without pictures, or one that is measured over time.
    """
    recording = load_recording(name)
    if recording.times is not None:
        raise InputError(
            f"recording '{name}' is measured over time, and a study ranks rules at one moment: use compare, whose report has all "
            "times"
        )
    return recording
