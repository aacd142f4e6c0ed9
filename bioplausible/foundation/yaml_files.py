"""YAML in and out, with mistakes in one sentence, and numbers as YAML 1.2 has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from bioplausible.foundation.errors import InputError

__all__ = ["read_mapping", "to_yaml"]


_LARGEST = 100_000


class _Loader(yaml.SafeLoader):
    """Values are what YAML 1.2 takes them for, where PyYAML follows 1.1, and a key stands once.

    There 1e-3 without a point is a word, `no` is false, 010 is eight, 1:30 is ninety and 2020-01-01 no text. What begins with
    nought stays as it is written, which is neither version's: subjects and sessions are called so.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        there: dict[Any, yaml.Node] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if key.tag != "tag:yaml.org,2002:merge" and name in there:
                raise yaml.MarkedYAMLError(problem=f"'{name}' stands there twice", problem_mark=key.start_mark)
            there[name] = key
        return super().construct_mapping(node, deep)


_PLAIN = {
    "bool": (r"^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "int": (r"^[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)$", "-+0123456789"),
    "float": (
        r"^([-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        "-+.0123456789",
    ),
}
_TAG = "tag:yaml.org,2002:"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, known) for tag, known in resolvers if tag not in {f"{_TAG}{name}" for name in (*_PLAIN, "timestamp")}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(_pattern), list(_first))


def _size(node: yaml.Node | None, known: dict[int, int | None]) -> int:
    """How many values a node is, each as often as it is said again by its alias."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = None
        parts = [part for each in node.value for part in (each if isinstance(each, tuple) else (each,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    size = known[id(node)]
    if size is None or size > _LARGEST:
        why = "holds itself" if size is None else f"holds more than {_LARGEST} values, by its aliases"
        raise yaml.MarkedYAMLError(problem=f"what begins there {why}", problem_mark=node.start_mark)
    return size


def _load(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {})
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested hundreds of levels deep") from None
    finally:
        loader.dispose()


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
        record = _load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): give the path of a file in YAML") from None
    except (yaml.YAMLError, ValueError) as error:  # not of its encoding; a number of more digits than Python reads
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
