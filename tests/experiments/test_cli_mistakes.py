"""A mistake ends in one line that says what was given, with status 2, before anything is trained or written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.cli import main


def _npz(path, **changes):
    generator = np.random.default_rng(0)
    arrays = {
        "x_train": generator.integers(0, 255, (40, 4, 4), np.uint8),
        "y_train": np.arange(40) % 2,
        "x_test": generator.integers(0, 255, (10, 4, 4), np.uint8),
        "y_test": np.arange(10) % 2,
    }
    np.savez(path, **{**arrays, **changes})
    return path


def _class_folders(path):
    for split in ("train", "test"):
        for name, side in (("a", 8), ("b", 9)):
            (path / split / name).mkdir(parents=True)
            for index in range(4):
                Image.fromarray(np.full((side, side), 20 * index, np.uint8)).save(path / split / name / f"{index}.png")
    return path


def _recording(path, rdms):
    (path / "stimuli").mkdir(parents=True)
    for index in range(8):
        Image.fromarray(np.full((8, 8, 3), 20 * index, np.uint8)).save(path / "stimuli" / f"{index}.png")
    np.save(path / "rdms_V1.npy", rdms)
    return path


@pytest.fixture
def place(tmp_path, study):
    """Everything that a user can get wrong, by name."""
    whole = _npz(tmp_path / "whole.npz")
    (tmp_path / "truncated.npz").write_bytes(whole.read_bytes()[:700])
    _npz(tmp_path / "labels.npz", y_test=np.array([0, 1] * 4 + [2, 7]))
    _npz(tmp_path / "negative.npz", y_train=np.arange(40) % 2 - 1)
    _npz(tmp_path / "counts.npz", y_train=np.arange(39) % 2)
    _npz(tmp_path / "shapes.npz", x_test=np.zeros((10, 5, 5), np.uint8))
    _class_folders(tmp_path / "folders")
    square = np.random.default_rng(0).random((8, 8))
    square = (square + square.T) * (1 - np.eye(8))
    spoiled = square.copy()
    spoiled[2, 3] = spoiled[3, 2] = np.inf
    _recording(tmp_path / "not_square", square[:, :7])
    _recording(tmp_path / "with_infinity", spoiled)
    _recording(tmp_path / "too_few_rows", square[:6, :6])
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    (tmp_path / "trained").mkdir()
    for name in ("training.json", "results.json"):
        (tmp_path / "trained" / name).write_text("{}")
    (tmp_path / "broken.yaml").write_text("epochs: [1")
    (tmp_path / "unknown.yaml").write_text("epoch: 1")
    (tmp_path / "no_rule.yaml").write_text("epochs: 1")
    (tmp_path / "sweep.yaml").write_text("runs: [{rule: backprop}]")
    return {"here": str(tmp_path), "study": str(study)}


MISTAKES = {
    "rule": ("train backprob", ["unknown learning rule 'backprob'", "did you mean 'backprop'", "feedback_alignment"]),
    "variant": ("train feedback_alignment/sgin", ["'sgin'", "did you mean 'sign'"]),
    "architecture": ("train backprop --architecture cmm", ["unknown architecture 'cmm'", "cnn"]),
    "image set": ("train backprop --dataset digist", ["'digist'", "did you mean 'digits'", "fashion_mnist"]),
    "missing npz": ("train backprop --dataset {here}/nowhere.npz", ["nowhere.npz"]),
    "front end": ("train backprop --front-end zac", ["'zac'", "zca"]),
    "option's name": ("train backprop --set learning_rat=1", ["'learning_rat'", "did you mean 'learning_rate'"]),
    "option's type": ("train backprop --set learning_rate=fast", ["'learning_rate'", "'fast'", "expected a number"]),
    "option's form": ("train backprop --set nonsense", ["--set nonsense", "option=value"]),
    "network's option": ("train backprop --set network.hidden=a,b", ["'hidden'", "a,b", "mlp"]),
    "epochs": ("train backprop --epochs 0", ["--epochs 0 was given"]),
    "no number": ("train backprop --epochs many", ["--epochs", "'many'"]),
    "seed": ("train backprop --seed -1", ["--seed -1 was given"]),
    "large seed": ("train backprop --seed 4294967296", ["--seed 4294967296", "at most 4294967295"]),
    "huge seed": ("train backprop --seed 99999999999999999999", ["--seed 99999999999999999999", "at most"]),
    "seeds of several": ("compare --config {study} --seed 4294967295 --seeds 2", ["--seed 4294967295", "at most 4294967294"]),
    "card's seed": ("scorecard backprop --seed -1", ["--seed -1", "at least 0"]),
    "card's workers": ("scorecard backprop --workers 0", ["--workers 0", "at least 1"]),
    "config without rule": ("train --config {here}/no_rule.yaml", ["no_rule.yaml names no rule", "rule: backprop"]),
    "batch": ("train backprop --batch-size 5000", ["--batch-size 5000"]),
    "flag": ("train backprop --epoch 3", ["--epoch", "--epochs"]),
    "no rule": ("train", ["RULE"]),
    "command": ("trian backprop", ["trian"]),
    "list": ("list rulez", ["rulez", "rules"]),
    "config's field": ("train backprop --config {here}/unknown.yaml", ["unknown.yaml", "'epoch'", "did you mean 'epochs'"]),
    "config's form": ("train backprop --config {here}/broken.yaml", ["broken.yaml", "not YAML"]),
    "no config": ("train backprop --config {here}/nowhere.yaml", ["nowhere.yaml", "cannot be read"]),
    "truncated npz": ("train backprop --dataset {here}/truncated.npz", ["truncated.npz"]),
    "labels above": ("train backprop --dataset {here}/labels.npz", ["labels.npz", "y_test", "7"]),
    "labels below": ("train backprop --dataset {here}/negative.npz", ["negative.npz", "y_train", "-1"]),
    "labels missing": ("train backprop --dataset {here}/counts.npz", ["counts.npz", "39", "40"]),
    "images' shapes": ("train backprop --dataset {here}/shapes.npz", ["shapes.npz", "4x4", "5x5"]),
    "images' sizes": ("train backprop --dataset {here}/folders", ["folders", "8", "9"]),
    "rules": ("compare --config {study} --rules backprop,hebian", ["'hebian'", "Valid are"]),
    "rule twice": ("compare --config {study} --rules backprop,backprop", ["twice"]),
    "recording": ("compare --config {study} --recording cichy", ["'cichy'", "cichy92", "simulated"]),
    "no folder": ("compare --config {study} --recording {here}/nowhere", ["nowhere", "does not exist"]),
    "RDM not square": ("compare --config {study} --recording {here}/not_square", ["rdms_V1.npy", "(8, 7)"]),
    "infinite RDM": ("compare --config {study} --recording {here}/with_infinity", ["rdms_V1.npy", "inf"]),
    "too few rows": ("compare --config {study} --recording {here}/too_few_rows", ["rdms_V1.npy", "6", "8"]),
    "distance": ("compare --config {study} --distance euclid", ["'euclid'", "did you mean 'euclidean'"]),
    "comparator": ("compare --config {study} --comparator spearmen", ["'spearmen'", "did you mean 'spearman'"]),
    "draws": ("compare --config {study} --draws -3", ["--draws -3"]),
    "rule's option": ("compare --config {study} --set learning_rate=1", ["learning_rate", "--config"]),
    "stimulus size": ("compare --config {study} --stimulus-size 16", ["mlp", "(16, 16, 1)", "convolutional"]),
    "fetch": ("data fetch digist", ["'digist'", "did you mean 'digits'"]),
    "engine": ("sweep {here}/absent.yaml --engine slurm", ["slurm", "dask"]),
    "address": ("sweep {here}/sweep.yaml --address here:1", ["here:1", "--engine dask"]),
    "no port": ("sweep {here}/sweep.yaml --engine dask --address here", ["'here'", "HOST:PORT"]),
    "shard": ("sweep {here}/absent.yaml --shard 2", ["--shard 2", "such as 1/4"]),
    "report": ("report {here}/used", ["used", "results.json"]),
    "report of a training": ("report {here}/trained", ["trained holds one training", "compare", "train --init", "searchlight"]),
    "export of no training": ("export {here}/used {here}/network.nir", ["used", "training"]),
    "export as something else": ("export {here}/trained {here}/network.txt", ["network.txt", "ends in .nir"]),
    "seeds": ("compare --config {study} --seeds 0", ["--seeds 0 was given, expected at least 1"]),
    "no size": ("compare --config {study} --stimulus-size 0", ["--stimulus-size 0 was given, expected each at least 1\n"]),
    "comparator as measure": (
        "compare --config {study} --measure cosine",
        ["measure 'cosine': valid are", "--comparator cosine"],
    ),
    "measure as comparator": ("compare --config {study} --comparator crossnobis", ["'crossnobis' is a measure: give --measure"]),
    "criterion": ("scorecard backprop --criteria energie", ["'energie'", "did you mean 'energy'"]),
    "card's rule": ("scorecard backprob", ["unknown learning rule 'backprob'", "did you mean 'backprop'"]),
    "card's network": ("scorecard backprop --architecture cmm", ["unknown architecture 'cmm'"]),
    "network's unknown option": (
        "train backprop --set network.hiden=3",
        ["'hiden'", "'mlp'", "did you mean 'hidden'"],
    ),
    "two variants": ("train burst/two_phase --set variant=single_phase", ["'burst/two_phase'", "variant='single_phase'"]),
    "listed rule": ("list rules burst/one", ["variant of 'burst'", "'one'", "single_phase"]),
    "listed configuration": ("list configurations trian", ["configuration 'trian'", "did you mean 'train'"]),
    "listed measure": ("list measures cka", ["cka was given to list measures"]),
}


@pytest.mark.parametrize(("line", "parts"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_status_2_and_leaves_nothing(line, parts, place, run, monkeypatch):
    for module in ("experiments.trained", "experiments.comparing"):
        monkeypatch.setattr(f"{module}.describe_environment", lambda: pytest.fail("it ran to its end"))
    here = Path(place["here"])
    before = sorted(here.rglob("*"))
    arguments = [each.format(**place) for each in line.split()]
    if arguments[0] in ("train", "compare") and len(arguments) > 1:
        arguments += ["--out", str(here / "out")]
    status, out, err = run(*arguments)
    assert status == 2 and out == ""
    assert err.startswith("bioplausible: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert all(part in err for part in parts), err
    assert "Traceback" not in err
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("command", ["train backprop", "compare --config {study}"])
@pytest.mark.parametrize(
    ("out", "part"), [("used", "holds files already"), ("whole.npz", "is a file"), ("whole.npz/in", "cannot be")]
)
def test_an_out_that_is_used_or_cannot_be_is_refused_before_training(command, out, part, place, run, monkeypatch):
    monkeypatch.setattr("experiments.preparing.make_programs", lambda *arguments: pytest.fail("it trained"))
    before = sorted(Path(place["here"]).rglob("*"))
    status, printed, err = run(*command.format(**place).split(), "--out", Path(place["here"]) / out)
    assert status == 2 and printed == "" and err.count("\n") == 1 and part in err and out.split("/")[0] in err
    assert sorted(Path(place["here"]).rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "whose"),
    [
        (["compare", "--recording", ""], "--recording"),
        (["compare", "--store", ""], "--store"),
        (["compare", "--store="], "--store"),
        (["train", "backprop", "--out", ""], "--out"),
        (["report", ""], "an argument"),
    ],
)
def test_an_empty_name_stands_for_no_folder(line, whose, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(line)
    assert caught.value.code == 2 and not list(tmp_path.iterdir())
    assert capsys.readouterr().err == f"bioplausible: {whose} was given as an empty name: give one, or leave it out\n"
