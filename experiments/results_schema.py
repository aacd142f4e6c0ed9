"""What a folder of results must hold before a report is drawn from it: it may come from elsewhere, or have been edited by hand.

Fields are checked by type, tables by columns, arrays by shape. What others add is left alone.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal, NotRequired, TypedDict

import cattrs
import numpy as np
import pandas as pd

__all__ = ["check_arrays", "check_record", "check_tables"]


class _Training(TypedDict):
    n_seeds: int
    batch_size: NotRequired[int | None]
    epochs: NotRequired[int | None]


class _Scoring(TypedDict):
    measures: list[str]
    comparators: list[str]
    n_draws: int
    confidence: float


class _Config(TypedDict):
    rules: list[str]
    training: _Training
    scoring: _Scoring


class _Dataset(TypedDict):
    name: str
    n_classes: NotRequired[int]


class _Recording(TypedDict):
    name: str
    modality: str
    n_conditions: int
    simulated: NotRequired[bool]
    truth: NotRequired[dict[str, str] | None]


class _Transform(TypedDict):
    evaluation_size: list[int]


class _Layer(TypedDict):
    layer: str
    input: Any
    output: Any
    parameters: int


class _Architecture(TypedDict):
    name: str
    layers: list[_Layer]
    options: NotRequired[dict[str, Any]]


class _Ceiling(TypedDict):
    region: str
    lower: float | None
    upper: float | None
    time: NotRequired[float | None]
    withheld: NotRequired[str | None]
    n_subjects: NotRequired[int | None]


class _Entry(TypedDict):
    verdict: Literal["meets", "partly", "fails", "not applicable"]
    value: float | None
    evidence: str
    claimed: str
    difference: str


class _Record(TypedDict):
    config: _Config
    environment: dict[str, Any]
    dataset: _Dataset
    recording: _Recording
    transform: _Transform
    architecture: _Architecture
    rules: dict[str, dict[str, Any]]
    ceilings: list[_Ceiling]
    scorecards: NotRequired[dict[str, dict[str, _Entry]]]
    factors: NotRequired[dict[str, list[str]]]
    warnings: NotRequired[list[str]]
    seconds: NotRequired[dict[str, float | None]]


def _same(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return value


def _number(value: Any, _: type) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _listed(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is no list")
    return _CONVERTER.structure(tuple(value), tuple[kind.__args__[0], ...])


def _mapped(value: Any, kind: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is no mapping")
    return {name: _CONVERTER.structure(each, kind.__args__[1]) for name, each in value.items()}


_CONVERTER = cattrs.Converter()
for _kind in (str, bool, int):
    _CONVERTER.register_structure_hook(_kind, _same)
_CONVERTER.register_structure_hook(float, _number)
_CONVERTER.register_structure_hook_func(lambda kind: getattr(kind, "__origin__", None) is list, _listed)
_CONVERTER.register_structure_hook_func(lambda kind: getattr(kind, "__origin__", None) is dict, _mapped)


def check_record(record: Any, origin: str) -> None:
    """Check the document of a comparison.

    Parameters
    ----------
    record
        What `results.json` holds.
    origin
        Its name, for messages.

    Raises
    ------
    ValueError
        The first field that is missing or of another type.
    """
    try:
        _CONVERTER.structure(record, _Record)
    except (cattrs.BaseValidationError, TypeError, AttributeError) as error:
        raise ValueError(cattrs.transform_error(error, path=origin)[0]) from None
    filled = {
        "transform.evaluation_size": record["transform"]["evaluation_size"],
        "ceilings": record["ceilings"],
        "config.scoring.measures": record["config"]["scoring"]["measures"],
        "config.scoring.comparators": record["config"]["scoring"]["comparators"],
    }
    for field, found in filled.items():
        if not found:
            raise ValueError(f"{field} in {origin} is empty")


def check_tables(
    tables: Mapping[str, pd.DataFrame],
    columns: Mapping[str, Collection[str]],
    may_be_empty: Collection[str],
    may_lack: Collection[str],
) -> None:
    """Check that tables have their columns.

    Parameters
    ----------
    tables
        By name.
    columns
        What each must have.
    may_be_empty
        Tables that may have no row.
    may_lack
        Those of them that then may have no column either.

    Raises
    ------
    ValueError
        The first that lacks one.
    """
    for name, table in tables.items():
        missing = [column for column in columns[name] if column not in table]
        if missing and not (name in may_lack and table.empty and len(missing) == len(columns[name])):
            raise ValueError(f"tables/{name}.csv lacks {', '.join(missing)}")
        if table.empty and name not in may_be_empty:
            raise ValueError(f"tables/{name}.csv is empty")


def check_arrays(arrays: Mapping[str, np.ndarray], rdms: Collection[str]) -> None:
    """Check the shapes of what goes with stimuli.

    Parameters
    ----------
    arrays
        `stimuli`, `stimulus_ids`, `categories` where there are some, RDMs, and what others may have added.
    rdms
        Which of them are RDMs.

    Raises
    ------
    ValueError
        The first that does not fit the stimuli, or is of another kind.
    """
    stimuli = arrays["stimuli"]
    if stimuli.dtype != np.uint8 or stimuli.ndim != 4 or stimuli.shape[3] != 3 or stimuli.size == 0:
        raise ValueError(f"stimuli of shape {stimuli.shape} and {stimuli.dtype} in arrays.npz are no colour images of bytes")
    n = len(stimuli)
    expected = {"stimulus_ids": (n,), "categories": (n,)}
    expected |= dict.fromkeys(rdms, (n * (n - 1) // 2,))
    for name, wanted in expected.items():
        if name in arrays and arrays[name].shape != wanted:
            raise ValueError(f"'{name}' in arrays.npz has shape {arrays[name].shape}, not {wanted} as {n} stimuli have")
        if name in rdms and arrays[name].dtype.kind != "f":
            raise ValueError(f"'{name}' in arrays.npz holds {arrays[name].dtype}, not numbers")
