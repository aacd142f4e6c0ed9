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


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert read_mapping(tmp_path / "a.yaml") == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: [", ["not YAML at line", "modality: fmri"]),
        (b"\xff\xfe\x00", ["not YAML"]),
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
