import zipfile

import numpy as np
import pandas as pd
import pytest

import neurodata
from bioplausible.foundation.errors import InputError
from experiments.activations import read_activations
from experiments.compare_config import CompareConfig
from experiments.comparing import compare

N = 6
RNG = np.random.default_rng(0)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_layers_of_several_seeds_are_read_as_they_were_written(tmp_path):
    arrays = {f"{seed}/{layer}": RNG.random((N, 2, 3)).astype(np.float32) for seed in (3, 5) for layer in ("conv", "fc/1")}
    found = read_activations(saved(tmp_path / "mine.npz", **arrays), N)
    assert found.name == "mine" and len(found.sha256) == 64
    assert {seed: list(layers) for seed, layers in found.layers.items()} == {3: ["conv", "fc/1"], 5: ["conv", "fc/1"]}
    np.testing.assert_array_equal(found.layers[5]["fc/1"], arrays["5/fc/1"].reshape(N, 6))
    alone = read_activations(saved(tmp_path / "alone.npz", **{"conv1": np.ones((N, 4), int)}), N)
    assert list(alone.layers) == [0] and alone.layers[0]["conv1"].shape == (N, 4)


def written(path):
    path.write_text("words")
    return str(path)


def lying(path):
    """An array whose header says a shape that no memory holds."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({N}, {10**15}), }}\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("conv.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    return str(path)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: str(path / "absent.npz"), "is not there"),
        (lambda path: written(path / "a.txt"), "is no .npz"),
        (lambda path: written(path / "a.npz"), "is no .npz"),
        (lambda path: saved(path / "a.npz"), "holds no array"),
        (lambda path: saved(path / "a.npz", conv=np.ones((N - 1, 3))), rf"shape \({N - 1}, 3\), expected \({N}, ...\)"),
        (lambda path: saved(path / "a.npz", conv=np.ones(N)), rf"shape \({N},\)"),
        (lambda path: saved(path / "a.npz", conv=np.array([["a"]] * N)), "expected numbers"),
        (lambda path: saved(path / "a.npz", conv=np.array([[{}]] * N)), "holds objects of Python, expected numbers"),
        (lambda path: saved(path / "a.npz", conv=np.where(np.eye(N) > 0, [[np.nan]] + [[1.0]] * (N - 1), 1.0)), "of stimulus 1:"),
        (
            lambda path: saved(path / "a.npz", **{"0/a": np.ones((N, 2)), "1/b": np.ones((N, 2))}),
            r"differ in their layers \(a, b\)",
        ),
        (lambda path: saved(path / "backprop.npz", conv=np.ones((N, 3))), "as another model is"),
        (
            lambda path: saved(path / "a.npz", **{"0/a": np.ones((N, 2)), "00/a": np.ones((N, 2))}),
            "is layer 'a' of seed 0 once more",
        ),
        (lambda path: saved(path / "a.npz", **{f"{2**40}/a": np.ones((N, 2))}), "seed=1099511627776 was given"),
        (lambda path: lying(path / "a.npz"), "GiB at the least"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_sentence(write, told, tmp_path):
    path = write(tmp_path)
    with pytest.raises(InputError, match=told) as caught:
        read_activations(path, N, taken=("backprop",))
    said = str(caught.value)
    assert said.count("\n") == 0 and said.count("activations /") <= 1 and (path in said or "seed=" in said)


SHOWN = neurodata.default_stimuli()
CONFIG = CompareConfig.of(
    rules=("backprop",),
    architecture="mlp",
    architecture_options={"hidden": (8,)},
    epochs=1,
    n_train=200,
    batch_size=32,
    seeds=2,
    n_draws=49,
    scorecard="none",
    readout_images=0,
    reference_models=("pixels",),
)


@pytest.fixture(scope="module")
def planted():
    return RNG.standard_normal((len(SHOWN.images), 20))


@pytest.fixture(scope="module")
def observers(planted, tmp_path_factory):
    sizes = {"n_subjects": 4, "n_channels": 32, "n_runs": 2}
    recording = neurodata.simulate(SHOWN, {"driven": planted}, signal_to_noise=4.0, **sizes)
    return str(neurodata.save(recording, tmp_path_factory.mktemp("recordings") / "observers"))


@pytest.fixture(scope="module")
def without(observers, tmp_path_factory):
    return compare(CONFIG, recording=observers, store=tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@pytest.mark.costly
def test_a_model_from_elsewhere_is_scored_by_the_same_inference_and_changes_no_other(seeds, planted, observers, without, tmp_path):
    """A region that a model's own layer drives is most like that layer; its seeds are no seeds of ours."""
    other = RNG.standard_normal(planted.shape)
    arrays = {f"{seed}/{layer}": x for seed in seeds for layer, x in (("output", other), ("late", planted))}
    given = saved(tmp_path / "mine.npz", **arrays)
    comparison = compare(CONFIG, tmp_path / "out", recording=observers, activations=(given,))
    own = comparison.aggregates().set_index(["rule", "layer"])
    assert own["score"]["mine", "late"] > 0.5 > 0.2 > abs(own["score"]["mine", "output"])
    assert own["lower"]["mine", "late"] < own["score"]["mine", "late"] < own["upper"]["mine", "late"]
    assert own["p_value"]["mine", "late"] < 0.05 < own["p_value"]["mine", "output"]
    assert set(comparison.scores.query("rule == 'mine'")["seed"].dropna()) == set(seeds)
    ours = comparison.scores[comparison.scores["rule"] != "mine"].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours.drop(columns="p_adjusted"), without.scores.drop(columns="p_adjusted"))
    pd.testing.assert_frame_equal(comparison.differences, without.differences)  # though one of its layers is called as one of ours
    assert comparison.factors == without.factors
    said = [
        line for line in comparison.warnings if line.startswith("of mine: intervals in region 'driven' say nothing of other seeds")
    ]
    assert len(said) == (len(seeds) == 1)
    assert "activations from mine.npz" in (tmp_path / "out" / "report.html").read_text()
    assert type(comparison).load(tmp_path / "out").rules["mine"]["sha256"] == comparison.rules["mine"]["sha256"]
