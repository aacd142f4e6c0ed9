"""Choosing among the files of a BIDS tree by the entities of their names: session, task, acquisition, run, echo, space, …

A recording is runs of subjects. Files that differ in subject, session, run or direction are runs of their own; where they differ
in anything else (two tasks, two spaces, a raw and a cleaned version of one run) a choice has to be stated, since they would be
counted twice or mixed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bioplausible.foundation.errors import InputError, guesses, unknown_name
from neurodata.stimuli import natural_key

LONG_NAMES: Mapping[str, str] = {
    "subject": "sub",
    "session": "ses",
    "acquisition": "acq",
    "direction": "dir",
    "reconstruction": "rec",
    "resolution": "res",
    "density": "den",
    "description": "desc",
    "processing": "proc",
    "hemisphere": "hemi",
    "tracer": "trc",
    "ceagent": "ce",
}
ENTITIES = (
    "sub", "ses", "task", "acq", "ce", "trc", "rec", "dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc",
    "hemi", "space",
    "split", "recording", "chunk", "seg", "res", "den", "label", "desc", "datatype",
)  # fmt: skip
# one value for all files; of others (acquisition, reconstruction, …) one for each run
ONE_FOR_ALL = ("task", "space", "res", "den", "desc", "echo", "part", "proc", "recording", "datatype")
A_RUN = ("sub", "ses", "dir", "run")  # a run is often repeated in the other direction of phase encoding
OF_ONE_RUN = ("hemi", "split")  # parts that are joined
NONE = "none"  # what a file is called that lacks an entity which others have
_DATATYPES = ("func", "meg", "eeg")
_NUMBERED = ("run", "echo", "flip", "inv", "split", "chunk")

Item = TypeVar("Item")


def entities_of(name: str) -> dict[str, str]:
    """Read the entities of a file's name.

    >>> entities_of("sub-01_task-objects_run-02_bold.nii.gz")
    {'sub': '01', 'task': 'objects', 'run': '02'}
    """
    # what follows the last _ is suffix and ending; some put a point into a label, which BIDS does not allow
    parts = (part.partition("-") for part in name.split("_")[:-1])
    return {key: value for key, dash, value in parts if dash and key in ENTITIES}


def entities_at(path: Path) -> dict[str, str]:
    """Read the entities of a file's name, and subject and session of its folders where the name does not say.

    >>> entities_at(Path("sub-01/ses-2/func/task-objects_bold.nii.gz"))
    {'sub': '01', 'ses': '2', 'task': 'objects'}
    """
    return {**_of_folders(path), **entities_of(path.name)}


def check_place(path: Path) -> None:
    """Refuse a file whose name says another subject or session than its folders do: it would be counted as somebody else's.

    Parameters
    ----------
    path
        of a run's data.

    Raises
    ------
    InputError
        where they differ in more than leading noughts.
    """
    said = entities_of(path.name)
    for entity, value in _of_folders(path).items():
        if entity in said and said[entity].lstrip("0") != value.lstrip("0"):
            raise InputError(
                f"{path} is of {entity}-{said[entity]} by its name and of {entity}-{value} by its folder; expected one of them, "
                "rename or move it"
            )


def _of_folders(path: Path) -> dict[str, str]:
    if path.parent.name not in _DATATYPES:
        return {}
    found: dict[str, str] = {}
    for folder in (each.name for each in list(path.parents)[1:3]):
        entity, dash, value = folder.partition("-")
        if not (dash and value and entity in {"ses", "sub"} and entity not in found):
            break
        found[entity] = value
    return {entity: found[entity] for entity in ("sub", "ses") if entity in found}


def subjects_without(root: Path, datatypes: Sequence[str], subjects: Iterable[str], what: str) -> list[str]:
    """Name the subjects whose folders hold files and nothing that was read, as where a file's name has a slip or another format.

    Parameters
    ----------
    root
        the tree.
    datatypes
        folders of a subject or session that count, such as "func".
    subjects
        labels of those that were read.
    what
        would have been read, in words.

    Returns
    -------
    a note, or none.
    """
    places = [place for above in ("sub-*", "sub-*/ses-*") for kind in datatypes for place in root.glob(f"{above}/{kind}")]
    there = {_of_folders(place / "file")["sub"] for place in places if _holds_files(place)}
    left = sorted(there - {each.removeprefix("sub-") for each in subjects}, key=natural_key)
    if not left:
        return []
    shown = ", ".join(f"sub-{each}" for each in left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    whose = "1 subject who has a folder" if len(left) == 1 else f"{len(left)} subjects who have a folder"
    return [f"{root}: {what} was read of {whose} ({shown})"]


def _holds_files(place: Path) -> bool:
    return place.is_dir() and any(each.name[0] != "." for each in place.iterdir())


def is_selection(value: object) -> bool:
    """Whether a value of a file of settings is a selection: a mapping from words to names, numbers or lists of them."""

    def is_name(each: object) -> bool:
        return isinstance(each, str | int) and not isinstance(each, bool)

    return isinstance(value, Mapping) and all(
        isinstance(key, str) and (is_name(each) or (isinstance(each, list | tuple) and bool(each) and all(map(is_name, each))))
        for key, each in value.items()
    )


def checked_selection(select: Mapping[str, Any] | None, origin: str) -> dict[str, tuple[str, ...]]:
    """Bring a selection to the short names of entities and texts.

    Parameters
    ----------
    select
        a value or several by entity, by its short or long name; None for no selection.
    origin
        where it is stated, for errors.

    Returns
    -------
    values by short name.

    Raises
    ------
    InputError
        for an unknown entity (the nearest is guessed), one that is stated twice, and values that are no names.

    >>> checked_selection({"session": "01", "run": [1, 2]}, "select")
    {'ses': ('01',), 'run': ('1', '2')}
    """
    if select is None:
        return {}
    if not is_selection(select):
        raise InputError(
            f"{origin} is {select!r}; expected a mapping from an entity to its value, such as {{task: objects, res: 2}}"
        )
    unknown = [key for key in select if key not in ENTITIES and key not in LONG_NAMES]
    if unknown:
        raise InputError(f"{origin} has unknown entities: {guesses(unknown, [*ENTITIES, *LONG_NAMES])}")
    chosen: dict[str, tuple[str, ...]] = {}
    for key, given in select.items():
        entity = LONG_NAMES.get(key, key)
        if entity in chosen:
            raise InputError(f"{origin} states '{entity}' twice, also as '{key}'; expected it once")
        values = given if isinstance(given, list | tuple) else [given]
        chosen[entity] = tuple(str(value).removeprefix(f"{entity}-") for value in values)
    return chosen


def selection_of(texts: Sequence[str], origin: str) -> dict[str, tuple[str, ...]]:
    """Read a selection from texts such as "task=objects", as a command line gives them.

    Parameters
    ----------
    texts
        an entity and a value each, by "="; several values of one entity are several texts.
    origin
        where they are stated, for errors.

    Returns
    -------
    as :func:`checked_selection`.

    Raises
    ------
    InputError
        for a text without "=" or without a value, and as :func:`checked_selection` does.

    >>> selection_of(["task=objects", "run=1", "run=2"], "--select")
    {'task': ('objects',), 'run': ('1', '2')}
    """
    values: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        entity, equals, value = (part.strip() for part in text.partition("="))
        if not (entity and equals and value):
            raise InputError(f"{origin} holds '{text}'; expected an entity and its value, such as task=objects")
        values[entity].append(value)
    return checked_selection(values, origin)


def _plainly(value: str, entity: str) -> str:
    # an index is a number: run 1 is run-01
    return str(int(value)) if entity in _NUMBERED and value.isdecimal() else value


def is_value(value: str, wanted: str, entity: str) -> bool:
    """Whether two values of an entity are one, of which one may have leading noughts where it is a number.

    >>> is_value("01", "1", "run"), is_value("01", "1", "sub")
    (True, False)
    """
    return _plainly(value, entity) == _plainly(wanted, entity)


def choose(
    found: Sequence[tuple[Item, Mapping[str, str]]], select: Mapping[str, tuple[str, ...]], origin: object, told: str = "select"
) -> list[Item]:
    """Choose files by their entities, and refuse what would be a guess.

    Parameters
    ----------
    found
        files and the entities of each.
    select
        from :func:`checked_selection`.
    origin
        the folder, for errors.
    told
        where a choice can be stated, for errors.

    Returns
    -------
    those chosen, in the order given.

    Raises
    ------
    InputError
        for a value that no file has, where several fit (the entity and its values are named), and for two files of one run.

    >>> choose([("a", {"task": "rest"}), ("b", {"task": "objects"})], {"task": ("objects",)}, "study")
    ['b']
    """
    left = list(found)
    for entity, wanted in select.items():
        values = _values(entity, [each for _, each in left])
        for value in wanted:
            if values == [NONE] and value != NONE:
                raise InputError(f"{origin} has no file with an entity '{entity}' in its name; leave '{entity}' out of {told}")
            if not any(is_value(there, value, entity) for there in values):
                raise unknown_name(f"{entity} of {origin}", value, values)
        left = [(item, each) for item, each in left if any(is_value(each.get(entity, NONE), value, entity) for value in wanted)]
    for entity in ONE_FOR_ALL:
        _check_one(entity, [each for _, each in left], select, origin, told)
    groups: dict[tuple[str | None, ...], list[Mapping[str, str]]] = defaultdict(list)
    for _, each in left:
        groups[tuple(_plainly(each[key], key) if key in each else None for key in A_RUN)].append(each)
    for group in groups.values():
        for entity in ENTITIES:
            if entity not in A_RUN and entity not in OF_ONE_RUN:
                _check_one(entity, group, select, origin, told)
    _check_that_none_is_there_twice(left)
    return [item for item, _ in left]


def _check_that_none_is_there_twice(found: Iterable[tuple[Any, Mapping[str, str]]]) -> None:
    """Refuse two files of one run, such as two formats of it, which would be counted as two."""
    of: dict[frozenset[tuple[str, str]], Any] = {}
    for item, each in found:
        key = frozenset((entity, _plainly(value, entity)) for entity, value in each.items())
        path = getattr(item, "path", item)
        if key in of:
            raise InputError(f"{of[key]} and {path} are the same run; expected one file of it, rename or remove one")
        of[key] = path


def _values(entity: str, each: Iterable[Mapping[str, str]]) -> list[str]:
    return sorted({one.get(entity, NONE) for one in each}, key=natural_key)


def _check_one(
    entity: str, each: Sequence[Mapping[str, str]], select: Mapping[str, tuple[str, ...]], origin: object, told: str
) -> None:
    values = _values(entity, each)
    # several that were asked for are taken
    if entity not in select and len(values) > 1:
        name = {short: long for long, short in LONG_NAMES.items()}.get(entity, entity)
        first = next(value for value in values if value != NONE)
        raise InputError(
            f"{origin} holds several {name}{'e' if name.endswith('s') else ''}s ({', '.join(values)}); state which as "
            f"{entity}, such as "
            f"'{told}: {{{entity}: {first}}}' in recording.yaml, or {entity}={first} with --select"
        )


__all__ = [
    "A_RUN",
    "ENTITIES",
    "OF_ONE_RUN",
    "check_place",
    "checked_selection",
    "choose",
    "entities_at",
    "entities_of",
    "is_selection",
    "is_value",
    "selection_of",
    "subjects_without",
]
