"""Which channels are what: a channels.tsv beside a file in no tree that describes itself, and names that say what formats do not.

EDF, BrainVision and others know no types of channels, so that eyes and heart come as EEG; what their names say then counts, and is
said. In a tree that describes itself mne-bids reads the channels.tsv.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import mne

from bioplausible.foundation.errors import InputError
from neurodata.spellings import check_distinct
from neurodata.text_tables import read_table

# of BIDS's types those that a file may have as EEG; what is MEG a file says itself
_TYPES = {
    "EEG": "eeg", "EOG": "eog", "VEOG": "eog", "HEOG": "eog", "ECG": "ecg", "EMG": "emg", "MISC": "misc", "OTHER": "misc",
    "TRIG": "stim", "GSR": "gsr", "RESP": "resp", "TEMP": "temperature", "EYEGAZE": "misc", "PUPIL": "misc", "AUDIO": "misc",
}  # fmt: skip
_CHANGEABLE = ("eeg", "eog", "ecg", "emg", "misc", "bio")
_SAID_BY_NAME = re.compile(r"(?:^|[^a-z])[hvlr]?(eog|ecg|ekg|emg)", re.IGNORECASE)
# names of amplifiers for what is no scalp: a sensor of light tells pictures apart better than any brain
_WHOLE_NAMES = {
    "eog": re.compile(r"[hv]eo[lrud]?[-_ ]?\d*", re.IGNORECASE),
    "misc": re.compile(
        r"(photo(diode|cell|sensor)?|diode|erg|ana|exg|gsr|eda|scr|resp(iration)?|plet|ppg|pulse|temp|audio|mic|acc[-_ ]?[xyz]?|"
        r"trig(ger)?|status|marker)[-_ ]?\d*",
        re.IGNORECASE,
    ),
}


def _set_types(raw: mne.io.BaseRaw, types: dict[str, str]) -> None:
    there = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    changed = {name: kind for name, kind in types.items() if there[name] != kind and there[name] in _CHANGEABLE}
    if changed:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units: volts of an eye become none of a trigger
            raw.set_channel_types(changed, on_unit_change="ignore", verbose="error")


def read_channels(raw: mne.io.BaseRaw, path: Path) -> None:
    """Take types and bad channels from a channels.tsv; in place.

    Parameters
    ----------
    raw
        the recording; changed.
    path
        the table, with the columns name and, where they are there, type and status.

    Raises
    ------
    InputError
        for a table without names, names that stand twice, and channels that the recording does not have.
    """
    table = read_table(path, "channels with their name, type and status")
    if "name" not in table:
        raise InputError(f"{path} has no column 'name' (it has {', '.join(map(str, table.columns))}); expected the channels' names")
    names = [str(name) for name in table["name"]]
    check_distinct(names, str(path))
    strange = [name for name in names if name not in raw.ch_names]
    if strange:
        raise InputError(
            f"{path} names the channel '{strange[0]}', which the recording does not have ({len(strange)} of {len(names)} such); "
            "expected the recording's names, correct or remove the table"
        )
    if "status" in table:
        bad = [name for name, status in zip(names, table["status"], strict=True) if str(status).lower() == "bad"]
        raw.info["bads"] = [*raw.info["bads"], *(name for name in bad if name not in raw.info["bads"])]
    if "type" in table:
        kinds = {name: _TYPES.get(str(kind).upper()) for name, kind in zip(names, table["type"], strict=True)}
        _set_types(raw, {name: kind for name, kind in kinds.items() if kind is not None})


def types_by_name(raw: mne.io.BaseRaw, origin: object) -> list[str]:
    """Take for what they are called channels that a format without types gives as EEG; in place.

    Parameters
    ----------
    raw
        the recording; changed.
    origin
        the file, for the note.

    Returns
    -------
    a note that names them, where there are any.
    """
    eeg = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "eeg"]
    said = {name: kind for name in eeg if (kind := _kind_by_name(name)) is not None}
    _set_types(raw, said)
    if not said:
        return []
    return [
        f"{origin}: channels that are called after eyes, heart, muscles or devices were taken for no EEG ({', '.join(said)}); "
        "a *_channels.tsv says otherwise"
    ]


def _kind_by_name(name: str) -> str | None:
    if match := _SAID_BY_NAME.search(name):
        return match[1].lower().replace("ekg", "ecg")
    plain = re.sub(r"^EEG[-_ ]|[-_ ](ref|le|a1|a2)$", "", name.strip(), flags=re.IGNORECASE)
    return next((kind for kind, pattern in _WHOLE_NAMES.items() if pattern.fullmatch(plain)), None)


__all__ = ["read_channels", "types_by_name"]
