"""Command lines and files as they should not be, in one process: what the command says of each.

Run as a script in an empty folder, which it fills; prints one JSON object, the case's name -> what became of it. In a process of its
own, since the suite's own check of types would speak first. Training itself is left out: whoever comes as far was accepted.
"""

from __future__ import annotations

import contextlib
import io
import json
import struct
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20261130
# Those that found a traceback, or were taken for something else, when this was written.
FOUND = (
    "n_classes", "input_shape", "network=", "[[[", "{{{", "(400)", "(5000)", "--workers", "variant=", "os:system", "os.path:join", "18446744073709551617",
    "except: 3", "low: a", "terabytes", "999999999999", "--comparator ", "backprop/", "1000000000000]", "1e999", "rule: untrained'", "010", "1:30", "runs: {}",
    "runs: [{}]", "floors:", "published:", "finalists: 9", "[stimuli, stimuli]", "--criteria ", "1180591620717411303424", "--turns", "--draws",
)  # fmt: skip
LONG = "a" * 5000
WHOLE = (
    "0",
    "-1",
    "1.5",
    "1e3",
    "",
    " ",
    "many",
    "nan",
    "inf",
    "9" * 12,
    str(2**63),
    str(2**64 + 1),
    "1" * 400,
    "0x10",
    "None",
    "[1]",
)
NAMES = (
    "", " ", "nonsense", "/", "backprop/", "/backprop", "..", LONG, "Ünïcode", "a\nb", "backprop,backprop", "None", "3", "*", "$HOME",
    "absent.py:rule", ":rule", "absent_module:rule", "os:system", "os.path:join", "json:", "json:absent", "~nobody/x.py:rule", "-",
)  # fmt: skip
ADDRESSES = ("", "here", ":8786", "here:", "tcp://", "a b:1", "here:123456", "a\nb:1")
PATHS = ("", "absent", "~nobody/absent", LONG, "empty", "empty.npz", "words.txt", "noise.bin", "a\nb", ".", "/dev/null", "*")
VALUES = (
    "", "nan", "inf", "-inf", "1e999", "-1", "0", "true", "None", "[]", "[1, 2]", "{}", "{a: 1}", "word", "1e-400", str(2**64 + 1),
    "1" * 400, "[[[[1]]]]", "'", ": :", "2020-01-01", "[nan]", "[-1]", "[word]", "&a [*a]", "!!python/none", "1,5",
)  # fmt: skip
OPTIONS = (
    "learning_rate", "weight_decay", "absent", "variant", "network", "loss", "network.hidden", "network.activation", "network.gain",
    "network.n_classes", "network.input_shape", "network.front_end", "network.channels", "network.", ".", "", "=", "network.absent",
)  # fmt: skip
YAML = (
    "", "[]", "- rule", "3", "word", "rule: [", "rule: backprop: x", "\t rule: backprop", "rule: &a [*a]", "rule: *a", "!!python/object/apply:os.system [ls]",
    "rule: []", "rule: {a: 1}", "rule: null", "rule: 3", "rule: backprop\nrule: untrained", "epochs: .inf", "epochs: .nan", f"epochs: {2**70}",
    "epochs: true", "epochs: 1.5", "epochs: '3'", "epochs: []", "epochs: -3", "seed: 1e400", f"seed: {2**64}", "seed: {}", "n_seeds: 0",
    "n_seeds: null", f"n_seeds: {10**12}", "batch_size: 0", f"batch_size: {10**15}", "validation_fraction: 2", "validation_fraction: .nan",
    "validation_fraction: word", "n_train: 0", "n_train: -1", f"n_train: {10**12}", "exclude_indices: 3", "exclude_indices: [-1]",
    "exclude_indices: [a]", f"exclude_indices: [{2**70}]", "rule_options: 3", "rule_options: []", "rule_options: {1: 2}", "rule_options: {learning_rate: []}",
    "rule_options: {learning_rate: .nan}", "rule_options: {learning_rate: .inf}", "rule_options: {absent: 1}", "architecture_options: {hidden: word}",
    "architecture_options: {hidden: [0]}", "architecture_options: {hidden: [-1]}", "architecture_options: {hidden: []}", "architecture_options: {hidden: [1.5]}",
    f"architecture_options: {{hidden: [{10**12}]}}", f"architecture_options: {{hidden: [{2**70}]}}", "architecture_options: {n_classes: 3}",
    "architecture_options: {input_shape: [3]}", "architecture_options: {activation: []}", "architecture_options: null", "architecture: []",
    "architecture: null", "dataset: []", "dataset: null", "dataset: ''", "front_end: 3", "front_end: []", "optimizer_of: absent",
    "optimizer_of: []", "optimizer_of: 3", "split_seed: -1", f"split_seed: {2**70}", "absent: 1", "1: 2", "? [a]\n: b", "rule: 2020-01-01",
    "rule: !!binary aGk=", "a: &a {b: *a}", "[" * 3000, "{" * 3000, "\x00", "rule: 'back\x07prop'", "---\nrule: backprop\n---\nrule: hebbian", "rule: >\n",
    "<<: {rule: backprop}", "rule: backprop\n<<: 3", "seed: 010", "seed: 0o10", "seed: 1_000", "epochs: 1:30", "rule: on",
)  # fmt: skip
COMPARE_YAML = (
    "rules: []", "rules: backprop", "rules: null", "rules: {a: 1}", "rules: [3]", "rules: [[backprop]]", "rules: [backprop, backprop]", "seeds: 0",
    f"seeds: {10**12}", "draws: 3", "n_draws: -1", "n_draws: .inf", f"n_draws: {10**15}", "confidence: 0", "confidence: 1", "confidence: .nan", "confidence: high",
    "factors: []", "factors: [absent]", "factors: stimuli", "factors: [stimuli, stimuli]", "reference_models: [absent]", "reference_models: pixels",
    "comparators: absent", "comparators: []", "comparators: [spearman, spearman]", "comparators: [spearman, cka]", "measures: absent", "measures: []", "measures: [correlation, absent]",
    "sizes: 0", "sizes: -3", f"sizes: {10**9}", "sizes: 1.5", "sizes: [null, 0]", "sizes: [8, 8]", "sizes: []",
    "training: 3", "training: {rule: backprop}", "training: {absent: 1}", "training: {epochs: 0}", "epochs: 1\ntraining: {epochs: 1}", "stimuli: []", "stimuli: {recording: []}",
    "scoring: null", "partial: [absent]", "partial: pixels\ncomparators: kendall", "layers: some", "layers: []", "scoring: {measures: {a: 1}}", "scoring: {n_draws: []}", "optimizer_of: absent",
    "scorecard: some", "scorecard: []", "readout_images: -1", f"readout_images: {2**70}", "rule_options: {absent: {}}", "rule_options: {backprop: 3}",
    "rule_options: {backprop: {absent: 1}}", "recording: []", "recording: absent", "recording: ''", "recording: '~nobody/x'", "front_end: absent",
)  # fmt: skip
SWEEP_YAML = (
    "", "runs: []", "runs: 3", "runs: {}", "runs: [3]", "runs: [{}]", "runs: [{rule: []}]", "runs: [{rule: absent}]", "runs: [{rule: backprop, absent: 1}]",
    "runs: [{rule: all, except: 3}]", "runs: [{rule: all, except: [absent]}]", "runs: [{rule: [backprop, backprop]}]", "runs: [{rule: {a: 1}}]", "runs: [{rule: backprop, architecture: []}]",
    "runs: [{rule: backprop, rule_options: [3]}]", "runs: [{rule: backprop, rule_options: 3}]", "runs: [{rule: backprop, rule_options: []}]",
    "runs: [{rule: backprop, epochs: word}]", "runs: [{rule: backprop, epochs: []}]", "train: 3\nruns: [{rule: backprop}]", "train: {absent: 1}\nruns: [{rule: backprop}]",
    "train: []\nruns: [{rule: backprop}]", "title: []\nruns: [{rule: backprop}]", "readout_images: -1\nruns: [{rule: backprop}]", "readout: absent\nruns: [{rule: backprop}]",
    "floors: 3\nruns: [{rule: backprop}]", "floors: {mlp: 3}\nruns: [{rule: backprop}]", "floors: {mlp: {backprop: high}}\nruns: [{rule: backprop}]",
    "floors: {absent: {backprop: 0.5}}\nruns: [{rule: backprop}]", "floors: {mlp: {absent: 0.5}}\nruns: [{rule: backprop}]", "published: {mlp: {backprop: 3}}\nruns: [{rule: backprop}]",
    "published: {mlp: {backprop: {accuracy: x, source: y}}}\nruns: [{rule: backprop}]", "search: 3\nruns: [{rule: backprop}]", "search: {}\nruns: [{rule: backprop}]",
    "search: {trials: 0}\nruns: [{rule: backprop}]", "search: {trials: 2, space: 3}\nruns: [{rule: backprop}]", "search: {trials: 2, space: {absent: {}}}\nruns: [{rule: backprop}]",
    "search: {trials: 2, space: {all: {learning_rate: 3}}}\nruns: [{rule: backprop}]", "search: {trials: 2, space: {all: {learning_rate: {low: a, high: b}}}}\nruns: [{rule: backprop}]",
    "search: {trials: 2, space: {all: {learning_rate: {low: 1, high: 0}}}}\nruns: [{rule: backprop}]", "search: {trials: 2, space: {all: {learning_rate: {low: 0, high: 1}}}}\nruns: [{rule: backprop}]",
    "search: {trials: 2, space: {all: {learning_rate: {low: .nan, high: 1}}}}\nruns: [{rule: backprop}]", "search: {trials: 2, space: {all: {learning_rate: []}}}\nruns: [{rule: backprop}]",
    "search: {trials: 2, space: {all: {absent: [1]}}}\nruns: [{rule: backprop}]", "search: {trials: 2, space: {backprop: {learning_rate: [word]}}}\nruns: [{rule: backprop}]",
    "search: {trials: 2, finalists: 9}\nruns: [{rule: backprop}]", "search: {trials: 2, finalists: 1, final: 3}\nruns: [{rule: backprop}]", "search: {trials: 2, finalists: 1, final: {absent: 3}}\nruns: [{rule: backprop}]",
)  # fmt: skip


class Reached(BaseException):  # noqa: N818 no error: the end of what is tried
    """A training was about to start."""


def images_of(**changes: Any) -> dict[str, Any]:
    """An image set in the Keras layout, with changes."""
    rng = np.random.default_rng(SEED)
    arrays = {
        "x_train": rng.integers(0, 255, (200, 8, 8), np.uint8),
        "y_train": np.arange(200) % 10,
        "x_test": rng.integers(0, 255, (40, 8, 8), np.uint8),
        "y_test": np.arange(40) % 10,
    }
    arrays |= changes
    return {name: value for name, value in arrays.items() if value is not None}


def npz_files() -> Iterator[tuple[str, bytes]]:
    """Image sets with something wrong in each."""
    one = np.zeros((200, 8, 8), np.uint8)
    changes: dict[str, dict[str, Any]] = {
        "no labels": {"y_train": None},
        "no test": {"x_test": None, "y_test": None},
        "one dimension": {"x_train": np.zeros(200)},
        "five dimensions": {"x_train": np.zeros((200, 2, 2, 2, 2))},
        "no images": {"x_train": one[:0], "y_train": np.zeros(0, int)},
        "no test images": {"x_test": one[:0], "y_test": np.zeros(0, int)},
        "no pixels": {"x_train": np.zeros((200, 0, 8)), "x_test": np.zeros((40, 0, 8))},
        "more labels": {"y_train": np.arange(300) % 10},
        "labels of halves": {"y_train": np.arange(200) / 2},
        "labels below nought": {"y_train": np.arange(200) % 10 - 5},
        "labels in the millions": {"y_train": np.arange(200) * 10**6},
        "labels that are not numbers": {"y_train": np.full(200, np.nan)},
        "labels in words": {"y_train": np.full(200, "cat")},
        "labels one hot": {"y_train": np.eye(10)[np.arange(200) % 10]},
        "one class": {"y_train": np.zeros(200, int), "y_test": np.zeros(40, int)},
        "a class in the test alone": {"y_test": np.arange(40) % 11},
        "pixels that are not numbers": {"x_train": np.full((200, 8, 8), np.nan)},
        "endless pixels": {"x_train": np.full((200, 8, 8), np.inf)},
        "pixels in words": {"x_train": np.full((200, 8, 8), "a")},
        "complex pixels": {"x_train": np.ones((200, 8, 8), complex)},
        "pixels that are objects": {"x_train": np.array([None] * 200, object)},
        "other sizes": {"x_test": np.zeros((40, 9, 9), np.uint8)},
        "all alike": {"x_train": one},
        "seven colours": {"x_train": np.zeros((200, 8, 8, 7), np.uint8), "x_test": np.zeros((40, 8, 8, 7), np.uint8)},
        "other names": {"x_train": None, "images": one},
        "dates": {"x_train": np.zeros((200, 8, 8), "datetime64[s]")},
    }
    for name, change in changes.items():
        held = io.BytesIO()
        np.savez(held, allow_pickle=True, **images_of(**change))
        yield name, held.getvalue()
    held = io.BytesIO()
    np.savez(held, **images_of())
    whole = held.getvalue()
    yield "cut off", whole[: len(whole) // 2]
    yield "one byte other", whole[:300] + bytes([whole[300] ^ 255]) + whole[301:]
    yield "no archive", b"not an archive"
    yield "nothing", b""
    yield "one array and no archive", whole_array()
    for name, header in {
        "a header that lies of terabytes": "{'descr': '<f8', 'fortran_order': False, 'shape': (200, 1000000, 100000), }",
        "a header of numbers below nought": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 8, 8), }",
        "a header of no type": "{'descr': 'zz', 'fortran_order': False, 'shape': (2, 8, 8), }",
        "a header that is none": "not a header",
    }.items():
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            for key, value in images_of(x_train=None).items():
                of_key = io.BytesIO()
                np.save(of_key, value)
                archive.writestr(f"{key}.npy", of_key.getvalue())
            text = header.encode() + b"\n"
            archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 64)
        yield name, held.getvalue()


def whole_array() -> bytes:
    """A `.npy` under the name of an `.npz`."""
    held = io.BytesIO()
    np.save(held, np.zeros((200, 8, 8), np.uint8))
    return held.getvalue()


def picture_folders(place: Path) -> Iterator[tuple[str, Path]]:
    """Folders of class folders with something wrong in each."""
    from PIL import Image

    def picture(path: Path, size: tuple[int, int] = (8, 8), mode: str = "L") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, 1).save(path)

    def folder(name: str) -> Path:
        path = place / name.replace(" ", "_")
        path.mkdir()
        return path

    yield "nothing in it", folder("nothing in it")
    path = folder("one class")
    picture(path / "cats" / "a.png")
    yield "one class", path
    path = folder("an empty class")
    picture(path / "cats" / "a.png")
    (path / "dogs").mkdir()
    yield "an empty class", path
    path = folder("words in a class")
    picture(path / "cats" / "a.png")
    (path / "dogs").mkdir()
    (path / "dogs" / "b.txt").write_text("a dog")
    yield "words in a class", path
    path = folder("a broken picture")
    picture(path / "cats" / "a.png")
    picture(path / "dogs" / "b.png")
    (path / "dogs" / "b.png").write_bytes((path / "dogs" / "b.png").read_bytes()[:40])
    yield "a broken picture", path
    path = folder("two sizes")
    picture(path / "cats" / "a.png")
    picture(path / "dogs" / "b.png", (9, 9))
    yield "two sizes", path
    path = folder("two pictures")
    picture(path / "cats" / "a.png")
    picture(path / "dogs" / "b.png")
    yield "two pictures", path
    path = folder("pictures and no classes")
    picture(path / "a.png")
    yield "pictures and no classes", path


def recordings(place: Path) -> Iterator[tuple[str, Path]]:
    """Folders that are no recording."""
    texts = (
        "", "3", "[]", "absent: 1", "kind: absent", "kind: []", "kind: fmri", "subjects: 3", "subjects: []", "subjects: [1, 1]", "stimuli: absent",
        "stimuli: []", "stimuli: {size: 0}", "stimuli: {size: -3, fit: pad}", "kind: rdms\nregions: 3", "kind: meg", "repetition_time: 2000", "files: ../../etc/passwd",
        "regions: {V1: absent.nii}", "window: [0.2, 0.1]", "window: word", "events: {}", "mask: 3", "[", "kind: &a [*a]",
        "stimuli: {size: 400, fit: squeeze}", "stimuli: {files: 3}", "stimuli: {size: [1, 2, 3]}", "select: []", "select: {tsk: a}",
        "select: {task: absent}", "select: {run: 1.5}", "fmri: {select: 3}",
    )  # fmt: skip
    for index, text in enumerate(texts):
        path = place / f"recording_{index}"
        path.mkdir()
        (path / "recording.yaml").write_text(text)
        yield f"recording.yaml {text!r}", path
    for name, file, held in (
        ("rdms of nothing", "rdms.npz", b""),
        ("rdms of noise", "rdms.npz", bytes(range(256)) * 4),
        ("patterns of nothing", "patterns.npz", b""),
        ("stimuli that are none", "stimuli.npz", b"PK"),
        ("rdms in words", "rdms.csv", b"a,b\nc,d\n"),
        ("an empty table", "rdms.csv", b""),
        ("a picture alone", "stimuli.png", b"\x89PNG"),
        ("hdf5 of nothing", "rdms.hdf5", b""),
        ("an image of nothing", "sub-01_bold.nii.gz", b""),
    ):
        path = place / name.replace(" ", "_")
        path.mkdir()
        (path / file).write_bytes(held)
        yield name, path


def cases(place: Path) -> Iterator[tuple[str, list[str]]]:
    """What is tried: its name and the command line."""
    (place / "empty").mkdir()
    (place / "empty.npz").write_bytes(b"")
    (place / "words.txt").write_text("some words\n")
    (place / "noise.bin").write_bytes(np.random.default_rng(SEED).bytes(1000))
    written = 0

    def yaml(text: str) -> str:
        nonlocal written
        written += 1
        path = place / f"config_{written}.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return str(path)

    def line(*arguments: str) -> tuple[str, list[str]]:
        return " ".join(each if len(each) < 60 else f"{each[:20]}… ({len(each)})" for each in arguments), list(arguments)

    for option in ("--epochs", "--batch-size", "--seed"):
        yield from (line("train", "backprop", option, value) for value in WHOLE)
    for value in NAMES:
        yield line("train", value)
        yield line("train", "backprop", "--architecture", value)
        yield line("train", "backprop", "--front-end", value)
        yield line("train", "backprop", "--stream", value)
        yield line("compare", "--rules", value)
        yield line("compare", "--rules", "untrained", "--architecture", value)
        yield line("compare", "--rules", "untrained", "--comparator", value)
        for option in ("--select", "--subjects", "--exclude-subjects", "--regions", "--conditions"):
            yield line("compare", "--rules", "untrained", option, value)
        yield line("compare", "--rules", "untrained", "--distance", value)
        yield line("compare", "--rules", "untrained", "--scorecard", value)
        for option in ("--models", "--mask", "--select", "--subjects", "--comparator", "--measure"):
            yield line("searchlight", "empty", option, value, "--out", "mapped")
        yield line("scorecard", value)
        yield line("scorecard", "untrained", "--criteria", value)
        yield line("scorecard", "untrained", "--architecture", value)
        yield line("list", value)
        yield line("list", "rules", value)
        yield line("list", "architectures", value)
        yield line("list", "measures", value)
        yield line("list", "recording-keys", value)
        yield line("list", "configurations", value)
        yield line("list", "support", "--architecture", value)
        yield line("train", "backprop", "--architecture", "recurrent", "--set", f"temporal={value}")
        yield line("data", "fetch", value)
        yield line("benchmark", value)
        yield line("benchmark", "rules", "--rules", value)
        yield line("benchmark", "angles", "--rules", value)
        yield line("benchmark", "angles", "--depths", value)
        yield line("benchmark", "rsa", "--tasks", value)
        yield line("benchmark", "rsa", "--comparators", value)
        yield line(value)
    for value in PATHS:
        yield line("train", "backprop", "--dataset", value)
        yield line("train", "backprop", "--config", value)
        yield line("train", "nonsense", "--out", value)
        yield line("compare", "--rules", "untrained", "--recording", value)
        yield line("compare", "--rules", "untrained", "--activations", value)
        yield line("compare", "--rules", "untrained", "--fusion", value)
        yield line("compare", "--rules", "untrained", "--store", value)
        yield line("train", "--resume", "--out", value)
        yield line("train", "backprop", "--init", value)
        yield line("train", "backprop", "--log", value)
        yield line("train", "backprop", "--log", f"wandb:{value}")
        yield line("compare", "--rules", "untrained", "--dataset", value)
        yield line("compare", "--config", value)
        yield line("compare", "--rules", "nonsense", "--out", value)
        yield line("searchlight", value, "--out", "mapped")
        yield line("searchlight", "empty", "--out", value)
        yield line("sweep", value)
        yield line("report", value)
        yield line("export", value, "network.nir")
        yield line("export", "empty", value)
        yield line("data", "describe", value)
    for value in WHOLE:
        for option in ("--seeds", "--epochs", "--draws", "--stimulus-size", "--readout-images", "--batch-size", "--seed"):
            yield line("compare", "--rules", "untrained", option, value)
        for option in ("--radius", "--minimum-fraction", "--draws", "--peaks", "--seed"):
            yield line("searchlight", "empty", option, value, "--out", "mapped")
        yield line("export", "empty", "network.nir", "--seed", value)
        yield line("scorecard", "untrained", "--seed", value)
        yield line("scorecard", "untrained", "--workers", value)
        yield line("benchmark", "rules", "--rules", "backprop", "--turns", value)
        yield line("benchmark", "rsa", "--subjects", value)
        yield line("benchmark", "rsa", "--conditions", value)
        yield line("benchmark", "time", "--steps", value)
        yield line("benchmark", "angles", "--rules", "backprop", "--width", value)
    for option in OPTIONS:
        for value in VALUES:
            yield line("train", "backprop", "--set", f"{option}={value}")
    yield line("train", "backprop", "--set", "learning_rate")
    for text in YAML:
        yield f"train of {text[:60]!r}", ["train", "--config", yaml(text)]
        yield f"train backprop of {text[:60]!r}", ["train", "backprop", "--config", yaml(text)]
    for text in (*COMPARE_YAML, *YAML):
        yield f"compare of {text[:60]!r}", ["compare", "--config", yaml(text)]
    for text in (*SWEEP_YAML, *YAML):
        yield f"sweep of {text[:90]!r}", ["sweep", yaml(text), "--out", str(place / f"swept_{written}")]
    for value in WHOLE:
        path = yaml("runs: [{rule: backprop}]")
        yield f"sweep --workers {value[:20]!r}", ["sweep", path, "--workers", value, "--out", str(place / f"swept_{written}")]
    for value in ADDRESSES:
        for engine in ("dask", "local"):
            given = ["sweep", yaml("runs: [{rule: backprop}]"), "--engine", engine, "--address", value]
            yield f"sweep --engine {engine} --address {value[:20]!r}", [*given, "--out", str(place / f"swept_{written}")]
    for value in PATHS:
        given = ["sweep", yaml("runs: [{rule: nonsense}]"), "--store", value]
        yield f"sweep --store {value[:20]!r}", [*given, "--out", str(place / f"swept_{written}")]
    for index, (name, held) in enumerate(npz_files()):
        path = place / f"images_{index}.npz"
        path.write_bytes(held)
        yield f"images: {name}", ["train", "backprop", "--dataset", str(path), "--batch-size", "10"]
    for name, folder in picture_folders(place):
        yield f"pictures: {name}", ["train", "backprop", "--dataset", str(folder), "--batch-size", "1"]
    for name, folder in recordings(place):
        yield f"data describe: {name}", ["data", "describe", str(folder)]
        yield f"compare: {name}", ["compare", "--rules", "untrained", "--recording", str(folder)]


def become(arguments: list[str]) -> dict[str, Any]:
    """What became of a command."""
    from experiments.cli import main

    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(said):
        try:
            main(arguments)
            status: Any = 0
        except SystemExit as stopped:
            status = stopped.code
        except Reached:
            status = "accepted"
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            own = [each for each in traceback.extract_tb(error.__traceback__) if "site-packages" not in each.filename]
            where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else f"{Path(frame.filename).name}:{frame.lineno}"
            status = f"{type(error).__name__} at {where}: {str(error)[:200]}"
    return {"status": status, "said": said.getvalue()}


class Nothing:
    """In the place of processes: work that is handed to it has been accepted."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, _: Any) -> Any:
        raise Reached


def reached(*_: Any, **__: Any) -> Any:
    raise Reached


def main(n_cases: int) -> dict[str, Any]:
    """Try some of the cases, each of those that found something among them; 0 for all."""
    from experiments import benchmark_angles, benchmark_rsa, benchmark_time, benchmarks, engine, preparing

    preparing.make_programs = reached
    engine.Parallel = Nothing
    benchmarks._Timed = benchmark_time._Timed = benchmark_angles._of_rule = reached
    benchmark_rsa._bootstrap = benchmark_rsa._searchlight = benchmark_rsa._crossnobis = benchmark_rsa.measure_growth = reached
    place = Path.cwd()
    tried = dict(cases(place))
    found = [name for name in tried if any(each in name for each in FOUND)]
    others = [name for name in tried if name not in set(found)]
    rng = np.random.default_rng(SEED)
    if n_cases:
        few = max(n_cases // 2, n_cases - len(found))
        found = [found[index] for index in sorted(rng.permutation(len(found))[: n_cases - few])]
        others = [others[index] for index in sorted(rng.permutation(len(others))[:few])]
    became = {}
    for name in (*found, *others):
        before = set(place.iterdir())
        became[name] = become(tried[name])
        became[name]["left"] = sorted(path.name for path in set(place.iterdir()) - before)
    return became


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
