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
    """Values are what YAML 1.2 takes them for, where PyYAML follows 1.1.

    There 1e-3 without a point is a word, `no` is false, 010 is eight, 1:30 is ninety and 2020-01-01 no text. Digits that follow a
    nought stay as they are written, 0x10 too, and +1 is no name, which is neither version's: subjects and sessions are called so.
    """


_PLAIN = {
    "bool": (r"^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "int": (r"^(0|-?[1-9][0-9]*)$", "-0123456789"),
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


class _Dumper(yaml.SafeDumper):
    """Text that either version takes for something else stands in quotes."""


for _name, (_pattern, _first) in _PLAIN.items():
    for _reads_or_writes in (_Loader, _Dumper):
        _reads_or_writes.add_implicit_resolver(f"{_TAG}{_name}", re.compile(_pattern), list(_first))


class _Checked:
    """Looks through what was read before anything is made of it."""

    def __init__(self, loader: _Loader, longest: int) -> None:
        self._loader, self._most = loader, max(longest, _LARGEST)
        self._sizes: dict[int, int | None] = {}

    def size(self, node: yaml.Node) -> int:
        """How many values a node is, each as often as it is said again by its alias; a key stands in it once."""
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) not in self._sizes:
            self._sizes[id(node)] = None
            if isinstance(node, yaml.MappingNode):
                self._keys(node)
            parts = [part for each in node.value for part in (each if isinstance(each, tuple) else (each,))]
            self._sizes[id(node)] = 1 + sum(self.size(part) for part in parts)
        size = self._sizes[id(node)]
        if size is None or size > self._most:
            why = "holds itself" if size is None else f"holds more than {self._most} values, by its aliases"
            raise yaml.MarkedYAMLError(problem=f"what begins there {why}", problem_mark=node.start_mark)
        return size

    def _keys(self, node: yaml.MappingNode) -> None:
        there = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}merge":
                continue
            name = self._loader.construct_object(key)
            if name in there:
                raise yaml.MarkedYAMLError(problem=f"'{key.value}' stands there twice", problem_mark=key.start_mark)
            there.add(name)


def _load(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _Checked(loader, len(text)).size(node)
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested hundreds of levels deep") from None
    except (KeyError, IndexError, AttributeError, TypeError):
        raise yaml.YAMLError("a value is not what its tag, such as !!int, says") from None
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
    except UnicodeDecodeError:
        raise InputError(f"{path} is not YAML (it is no text in UTF-8): save it as UTF-8") from None
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
    return yaml.dump(record, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
