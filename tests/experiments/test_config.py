import dataclasses

import pytest
import yaml

from bioplausible.foundation.errors import InputError
from experiments.compare_config import CompareConfig
from experiments.config import TrainConfig, from_record, read_yaml, to_record, write_yaml

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
    init="mine.npz",
    stream="always",
    rule_options={"learning_rate": 1e-5},
    architecture_options={"strides": 1, "activation": "tanh"},
)
COMPARE = CompareConfig.of(
    rules=("backprop", "untrained"),
    architecture="mlp",
    dataset="größe/digits.npz",
    recording="my folder",
    epochs=1,
    batch_size=9,
    seed=3,
    seeds=2,
    select=("task=objects", "run=1"),
    subjects=("a", "b"),
    exclude_subjects=("c",),
    regions=("IT",),
    conditions=("face",),
    activations=("mine.npz",),
    fusion="my meg",
    measures=("euclidean", "crossnobis"),
    comparators=("kendall", "cka"),
    partial=("gabor",),
    layers="best",
    n_draws=0,
    factors=("stimuli",),
    reference_models=("pixels",),
    confidence=0.9,
    readout_images=30,
    scorecard="none",
    sizes=(16, 32),
    optimizer_of="backprop",
    init="yours.npz",
    stream="never",
    validation_fraction=0.2,
    split_seed=8,
    n_train=50,
    front_end="zca",
    rule_options={"backprop": {"learning_rate": 0.5}},
    architecture_options={"activation": "tanh"},
)


TRAIN_ALONE = TrainConfig(epochs=2)


@pytest.mark.parametrize("config", [TrainConfig(), TRAIN, CompareConfig(), COMPARE], ids=lambda config: type(config).__name__)
def test_yaml_there_and_back_is_the_same_configuration(config, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(write_yaml(config), encoding="utf-8")
    assert read_yaml(path, type(config)) == config
    assert list(yaml.safe_load(path.read_text(encoding="utf-8"))) == [field.name for field in dataclasses.fields(config)]


def _leaves(config):
    """Every value of a configuration, those of its parts by their names; what the whole decides of a part is none."""
    found = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        leaves = _leaves(value) if dataclasses.is_dataclass(value) else {field.name: value}
        found |= {name: leaf for name, leaf in leaves.items() if value is leaf or name not in config.decided}
    return found


def test_every_field_of_the_samples_differs_from_its_default():
    # Otherwise the round trip would not notice a field that is dropped.
    for sample, default in ((TRAIN, TrainConfig()), (COMPARE, CompareConfig())):
        given, others = _leaves(sample), _leaves(default)
        same = [name for name, value in given.items() if value == others[name]]
        assert same in ([], ["dataset"])


def test_fields_of_parts_are_given_by_name_or_in_their_part(tmp_path):
    flat, nested = tmp_path / "flat.yaml", tmp_path / "nested.yaml"
    flat.write_text("rules: backprop\nepochs: 3\nseeds: 2\nrecording: cichy92\nmeasures: [euclidean]\n")
    nested.write_text(
        "rules: [backprop]\ntraining: {epochs: 3, n_seeds: 2}\nstimuli: {recording: cichy92}\nscoring: {measures: euclidean}\n"
    )
    named = CompareConfig.of(rules="backprop", epochs=3, seeds=2, recording="cichy92", measures="euclidean")
    assert read_yaml(flat, CompareConfig) == read_yaml(nested, CompareConfig) == named
    # What is not said stays as a comparison has it, and not as a training alone would.
    assert named.training.architecture == "cnn" and named.training.front_end == "none"
    assert named.replace(seed=4).training == dataclasses.replace(named.training, seed=4)
    assert named.replace(training=TRAIN_ALONE).training == TRAIN_ALONE


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
        (CompareConfig, "n_seed: 3", ["c.yaml", "'n_seed'", "did you mean 'n_seeds'"]),
        (CompareConfig, "rule: backprop", ["c.yaml", "'rule'", "did you mean 'rules'"]),
        (CompareConfig, "training: {rule: backprop}", ["c.yaml", "'rule'", "valid are: architecture, "]),
        (CompareConfig, "training: 3", ["c.yaml", "'training'", "3", "a mapping of its fields: architecture, "]),
        (CompareConfig, "epochs: 3\ntraining: {epochs: 3}", ["c.yaml", "'epochs'", "given twice"]),
        (CompareConfig, "scoring: {measure: euclidean}", ["c.yaml", "'measure'", "did you mean 'measures'"]),
        (CompareConfig, "stimuli: {sizes: large}", ["c.yaml", "'sizes'", "'large'"]),
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
        (CompareConfig, {"seeds": 0}, "n_seeds=0"),
        (CompareConfig, {"n_draws": -1}, "n_draws=-1"),
        (CompareConfig, {"confidence": 1.0}, "confidence=1.0"),
        (CompareConfig, {"confidence": float("nan")}, "confidence=nan"),
        (CompareConfig, {"rule_options": {"feedback_alignment/sign": {}}}, "feedback_alignment/sign"),
    ],
)
def test_values_out_of_range_are_refused(kind, fields, message):
    with pytest.raises(InputError, match=message):
        (kind.of if kind is CompareConfig else kind)(**fields)


def test_a_comparison_decides_what_its_trainings_train():
    training = COMPARE.training_of("backprop", exclude_indices=(7,))
    decided = {"rule": "backprop", "exclude_indices": (7,), "rule_options": {"learning_rate": 0.5}}
    assert training == dataclasses.replace(COMPARE.training, **decided)
    assert training.n_seeds == 2 and training.epochs == 1 and training.architecture_options == {"activation": "tanh"}
    assert COMPARE.training_of("untrained").rule_options == {}
    with pytest.raises(InputError, match="rule was given for the training: rules decide it"):
        CompareConfig(training=TrainConfig(rule="hebbian"))


def test_records_are_plain_values():
    record = to_record(COMPARE)
    assert from_record(record, CompareConfig, "the record") == COMPARE
    assert yaml.safe_load(yaml.safe_dump(record)) is not None
