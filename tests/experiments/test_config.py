import dataclasses

import pytest
import yaml

from bioplausible.foundation.errors import InputError
from experiments.config import CompareConfig, TrainConfig, from_record, read_yaml, to_record, write_yaml

TRAIN = TrainConfig(
    rule="feedback_alignment/direct",
    architecture="cnn",
    dataset="digits",
    epochs=3,
    batch_size=17,
    seed=5,
    n_seeds=2,
    validation_fraction=0.25,
    split_seed=4,
    n_train=200,
    exclude_indices=(3, 1, 4),
    front_end="on_off",
    optimizer_of="backprop",
    rule_options={"learning_rate": 1e-5},
    architecture_options={"strides": 1, "activation": "tanh"},
)
COMPARE = CompareConfig(
    rules=("backprop", "untrained"),
    architecture="mlp",
    dataset="größe/digits.npz",
    recording="my folder",
    epochs=1,
    batch_size=9,
    seed=3,
    seeds=2,
    subjects=("a", "b"),
    exclude_subjects=("c",),
    regions=("IT",),
    conditions=("face",),
    activations=("mine.npz",),
    distance="euclidean",
    comparator="kendall",
    more_comparators=("cka",),
    n_draws=0,
    factors=("stimuli",),
    reference_models=("pixels",),
    confidence=0.9,
    readout_images=30,
    scorecard="none",
    stimulus_size=16,
    more_stimulus_sizes=(32,),
    validation_fraction=0.2,
    split_seed=8,
    n_train=50,
    front_end="zca",
    rule_options={"backprop": {"learning_rate": 0.5}},
    architecture_options={"activation": "tanh"},
)


@pytest.mark.parametrize("config", [TrainConfig(), TRAIN, CompareConfig(), COMPARE], ids=lambda config: type(config).__name__)
def test_yaml_there_and_back_is_the_same_configuration(config, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(write_yaml(config), encoding="utf-8")
    assert read_yaml(path, type(config)) == config
    assert list(yaml.safe_load(path.read_text(encoding="utf-8"))) == [field.name for field in dataclasses.fields(config)]


def test_every_field_of_the_samples_differs_from_its_default():
    # Otherwise the round trip would not notice a field that is dropped.
    for sample, default in ((TRAIN, TrainConfig()), (COMPARE, CompareConfig())):
        same = [f.name for f in dataclasses.fields(sample) if getattr(sample, f.name) == getattr(default, f.name)]
        assert same in ([], ["dataset"])


def test_an_empty_file_is_the_default_configuration(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing yet\n", encoding="utf-8")
    assert read_yaml(tmp_path / "empty.yaml", CompareConfig) == CompareConfig()


def test_one_value_stands_for_a_list_of_one(tmp_path):
    (tmp_path / "c.yaml").write_text("rules: backprop\n", encoding="utf-8")
    assert read_yaml(tmp_path / "c.yaml", CompareConfig).rules == ("backprop",)


def test_numbers_are_read_as_yaml_1_2_and_as_the_command_line_reads_them(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("rule_options: {learning_rate: 1e-2, other: -3E+2, third: .5e1, word: e5, path: 1e}\n", encoding="utf-8")
    expected = {"learning_rate": 0.01, "other": -300.0, "third": 5.0, "word": "e5", "path": "1e"}
    assert read_yaml(path, TrainConfig).rule_options == expected


@pytest.mark.parametrize(
    ("kind", "text", "parts"),
    [
        (TrainConfig, "epoch: 3", ["c.yaml", "'epoch'", "did you mean 'epochs'", "batch_size"]),
        (CompareConfig, "n_seeds: 3", ["c.yaml", "'n_seeds'", "did you mean 'seeds'"]),
        (TrainConfig, "epochs: many", ["c.yaml", "'epochs'", "'many'", "a whole number, or none"]),
        (TrainConfig, "epochs: 2.5", ["c.yaml", "'epochs'", "2.5", "a whole number, or none"]),
        (TrainConfig, "seed: true", ["c.yaml", "'seed'", "True", "expected a whole number"]),
        (TrainConfig, "dataset: 5", ["c.yaml", "'dataset'", "5", "expected text"]),
        (TrainConfig, "exclude_indices: [a]", ["c.yaml", "'exclude_indices'", "int"]),
        (TrainConfig, "rule_options: [1]", ["c.yaml", "'rule_options'", "dict"]),
        (CompareConfig, "rules: {backprop: 1}", ["c.yaml", "'rules'", "backprop", "tuple[str"]),
        (CompareConfig, "rules: 5", ["c.yaml", "'rules'", "5", "tuple[str"]),
        (CompareConfig, "confidence: high", ["c.yaml", "'confidence'", "'high'", "expected a number"]),
        (TrainConfig, "- rule", ["c.yaml", "list", "mapping"]),
        (TrainConfig, "rule: [", ["c.yaml", "not YAML"]),
        (TrainConfig, "batch_size: 0", ["batch_size=0", "at least 1"]),
        (CompareConfig, "rule_options: {backprob: {}}", ["'backprob'", "did you mean 'backprop'"]),
    ],
)
def test_a_file_that_does_not_fit_is_said_in_one_sentence(kind, text, parts, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_yaml(path, kind)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml cannot be read"):
        read_yaml(tmp_path / "nowhere.yaml", TrainConfig)
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path, TrainConfig)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"bytes\.yaml is not YAML"):
        read_yaml(tmp_path / "bytes.yaml", TrainConfig)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (TrainConfig, {"epochs": 0}, "epochs=0"),
        (TrainConfig, {"n_seeds": 0}, "n_seeds=0"),
        (TrainConfig, {"batch_size": -1}, "batch_size=-1"),
        (TrainConfig, {"seed": -1}, "seed=-1"),
        (CompareConfig, {"rules": ()}, "no rule"),
        (CompareConfig, {"rules": ("backprop", "backprop")}, "names a rule twice"),
        (CompareConfig, {"seeds": 0}, "seeds=0"),
        (CompareConfig, {"n_draws": -1}, "n_draws=-1"),
        (CompareConfig, {"confidence": 1.0}, "confidence=1.0"),
        (CompareConfig, {"confidence": float("nan")}, "confidence=nan"),
        (CompareConfig, {"rule_options": {"feedback_alignment/sign": {}}}, "feedback_alignment/sign"),
    ],
)
def test_values_out_of_range_are_refused(kind, fields, message):
    with pytest.raises(InputError, match=message):
        kind(**fields)


def test_training_carries_over_everything_that_the_two_share():
    training = COMPARE.training("backprop", exclude_indices=(7,))
    shared = {f.name for f in dataclasses.fields(TrainConfig)} & {f.name for f in dataclasses.fields(CompareConfig)}
    shared -= {"rule_options"}
    assert shared >= {"architecture", "dataset", "epochs", "batch_size", "seed", "validation_fraction", "split_seed", "n_train"}
    assert {name: getattr(training, name) for name in shared} == {name: getattr(COMPARE, name) for name in shared}
    assert training.rule == "backprop" and training.n_seeds == COMPARE.seeds and training.exclude_indices == (7,)
    assert training.rule_options == {"learning_rate": 0.5}
    assert COMPARE.training("untrained").rule_options == {}


def test_records_are_plain_values():
    record = to_record(COMPARE)
    assert from_record(record, CompareConfig, "the record") == COMPARE
    assert yaml.safe_load(yaml.safe_dump(record)) is not None
