import re
import zipfile

import numpy as np
import pytest

import neurodata
from bioplausible.foundation.errors import InputError
from experiments.activations import read_activations
from experiments.comparing import compare
from experiments.config import CompareConfig

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
        (lambda path: saved(path / "a.npz", conv=np.array([[{}]] * N)), "holds objects of Python"),
        (lambda path: saved(path / "a.npz", conv=np.where(np.eye(N) > 0, [[np.nan]] + [[1.0]] * (N - 1), 1.0)), "of stimulus 1:"),
        (
            lambda path: saved(path / "a.npz", **{"0/a": np.ones((N, 2)), "1/b": np.ones((N, 2))}),
            r"differ in their layers \(a, b\)",
        ),
        (lambda path: saved(path / "backprop.npz", conv=np.ones((N, 3))), "as another model is"),
        (lambda path: lying(path / "a.npz"), "GiB at the least"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_sentence(write, told, tmp_path):
    path = write(tmp_path)
    with pytest.raises(InputError, match=told) as caught:
        read_activations(path, N, taken=("backprop",))
    assert str(caught.value).count("\n") == 0 and re.search(re.escape(path), str(caught.value))


def test_a_model_from_elsewhere_is_scored_by_the_same_inference(tmp_path):
    """A region that is driven by a model's own layer is found to be most like that layer."""
    shown = neurodata.default_stimuli()
    n = len(shown.images)
    planted, other = (RNG.standard_normal((n, 20)) for _ in range(2))
    sizes = {"n_subjects": 4, "n_channels": 32, "n_runs": 2}
    recording = neurodata.simulate(shown, {"driven": planted}, signal_to_noise=4.0, **sizes)
    folder = neurodata.save(recording, tmp_path / "observers")
    arrays = {f"{seed}/{layer}": x for seed in (0, 1) for layer, x in (("early", other), ("late", planted))}
    comparison = compare(
        CompareConfig(
            rules=("untrained",),
            architecture="mlp",
            recording=str(folder),
            activations=(saved(tmp_path / "mine.npz", **arrays),),
            epochs=1,
            n_train=200,
            batch_size=32,
            seeds=1,
            n_draws=19,
            scorecard="none",
            readout_images=0,
            reference_models=("pixels",),
        ),
        tmp_path / "out",
    )
    own = comparison.aggregates().set_index(["rule", "layer"])["score"]
    assert own["mine", "late"] > 0.5 > 0.2 > abs(own["mine", "early"])
    assert set(comparison.scores.query("rule == 'mine'")["seed"].dropna()) == {0, 1}
    assert comparison.rules["mine"]["summary"] == "activations from mine.npz, 2 seeds"
    assert "activations from mine.npz" in (tmp_path / "out" / "report.html").read_text()
    assert type(comparison).load(tmp_path / "out").rules["mine"]["sha256"] == comparison.rules["mine"]["sha256"]
