import itertools

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.yaml_files import read_mapping, to_yaml


def test_there_and_back(tmp_path):
    record = {"rule": "hebbian", "rates": [1e-3, 2], "name": "größer", "options": {"a": None, "b": True}}
    (tmp_path / "a.yaml").write_text(to_yaml(record), encoding="utf-8")
    assert read_mapping(tmp_path / "a.yaml") == record
    assert to_yaml(record).splitlines()[0] == "rule: hebbian" and "größer" in to_yaml(record)


def test_numbers_are_those_of_yaml_1_2(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 4e-10\nb: 1E3\nc: e3\nd: '1e3'\n")
    assert read_mapping(tmp_path / "a.yaml") == {"a": 4e-10, "b": 1000.0, "c": "e3", "d": "1e3"}


def test_values_are_those_of_yaml_1_2_and_identifiers_stay_as_they_are_written(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "subjects: [01, 010, 1, -2, 0, +3, 0x10]\nanswers: [yes, no, on, off, y, true, False]\nsession: 2020-01-01\n"
        "times: [1:30, 1_000, 1., .5, 0.5, 01.5, 1e3, .inf, -.inf]\nnothing: [~, null, ]\n"
    )
    assert read_mapping(tmp_path / "a.yaml") == {
        "subjects": ["01", "010", 1, -2, 0, 3.0, "0x10"],
        "answers": ["yes", "no", "on", "off", "y", True, False],
        "session": "2020-01-01",
        "times": ["1:30", "1_000", 1.0, 0.5, 0.5, "01.5", 1000.0, np.inf, -np.inf],
        "nothing": [None, None],
    }


def test_aliases_say_again_what_stands_elsewhere(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {b: 1, c: 2}\nd: *a\ne: {<<: *a, c: 3}\n")
    assert read_mapping(tmp_path / "a.yaml") == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}, "e": {"b": 1, "c": 3}}
    (tmp_path / "b.yaml").write_text("b: &b {a: 1}\nx:\n  mid: &m {<<: *b, a: 2}\ntop: {<<: *m, c: 3}\nkeys: {1: a, '1': b}\n")
    assert read_mapping(tmp_path / "b.yaml") == {
        "b": {"a": 1},
        "x": {"mid": {"a": 2}},
        "top": {"a": 2, "c": 3},
        "keys": {1: "a", "1": "b"},
    }


def test_long_files_are_read(tmp_path):
    (tmp_path / "a.yaml").write_text(to_yaml({"stimuli": ["1"] * 110_000}))
    assert len(read_mapping(tmp_path / "a.yaml")["stimuli"]) == 110_000


def test_text_that_looks_like_something_else_comes_back_as_text(tmp_path):
    texts = [
        "-.5",
        "+.5",
        "1e3",
        "no",
        "on",
        "01",
        "1:30",
        "2020-01-01",
        "0x1f",
        "true",
        "null",
        "~",
        ".inf",
        "1_000",
        "",
        "-",
        "3",
    ]
    (tmp_path / "a.yaml").write_text(to_yaml({"texts": texts, "numbers": [1e16, -0.5, 1e-5, 2**62, float("inf")]}))
    assert read_mapping(tmp_path / "a.yaml") == {"texts": texts, "numbers": [1e16, -0.5, 1e-5, 2**62, float("inf")]}


LAUGHS = "a: &a [1, 1]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in itertools.pairwise("abcdefgh"))


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert read_mapping(tmp_path / "a.yaml") == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: [", ["not YAML at line", "modality: fmri"]),
        (b"\xff\xfe\x00", ["not YAML"]),
        (b"a: 1\nb:\n  c: 1\n  c: 2", ["at line 4", "'c' stands there twice"]),
        (b"a: {1: x, 1.0: y}", ["'1.0' stands there twice"]),
        (b"a: {true: x, True: y}", ["'True' stands there twice"]),
        *((f"a: {text}".encode(), ["tag"]) for text in ("!!bool foo", "!!int ''", "!!int '+'", "!!float ''", "!!timestamp x")),
        (b"a: &a {b: *a}", ["holds itself"]),
        (b"a: " + b"[" * 5000, ["nested"]),
        (b"a: " + b"9" * 10_000, ["not YAML"]),
        (LAUGHS.encode(), ["more than 100000 values"]),
        (b"- a", ["holds a list", "modality: fmri"]),
        (b"word", ["holds a str"]),
        (None, ["cannot be read", "No such file"]),
    ],
)
def test_what_is_no_mapping_is_said_in_one_sentence(content, said, tmp_path):
    path = tmp_path / "a.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_mapping(path, "modality: fmri")
    message = str(caught.value)
    assert all(word in message for word in (str(path), *said)) and "\n" not in message
