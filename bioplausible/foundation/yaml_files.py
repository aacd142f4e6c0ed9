"""YAML in and out, with mistakes in one sentence, and numbers as YAML 1.2 has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from bioplausible.foundation.errors import InputError

__all__ = ["read_mapping", "to_yaml"]


class _Loader(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, where 1e-3 without a point is a word; here it is the number that YAML 1.2 takes it for."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def read_mapping(path: Path, such_as: str = "key: value") -> dict[Any, Any]:
    """Read the mapping that a YAML file holds.

    Parameters
    ----------
    path
        the file.
    such_as
        a line that could stand in it, for messages.

    Returns
    -------
    its keys and values; of an empty file none.

    Raises
    ------
    InputError
        for a file that cannot be read, is not YAML, or holds something else than a mapping.
    """
    try:
        record = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 a SafeLoader
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): give the path of a file in YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        why = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InputError(
            f"{path} is not YAML{where} ({why}): expected lines such as '{such_as}', with values that contain ': ' in quotes"
        ) from None
    if record is None:
        return {}
    if not isinstance(record, dict):
        raise InputError(f"{path} holds a {type(record).__name__}: expected a mapping, of lines such as '{such_as}'")
    return record


def to_yaml(record: Any) -> str:
    r"""Write plain values as YAML, in their own order.

    Parameters
    ----------
    record
        mappings, lists, texts, numbers.

    Returns
    -------
    the text.

    >>> to_yaml({"rule": "hebbian", "epochs": 3})
    'rule: hebbian\nepochs: 3\n'
    """
    return yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
