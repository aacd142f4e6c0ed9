"""From raw files to scores: `compare` finds what was planted in simulated NIfTI and FIF files, and nothing where nothing was."""

import numpy as np
import pytest

import neurodata
from experiments import stimuli
from experiments.compare_config import CompareConfig
from experiments.comparing import compare
from experiments.training import train
from neurodata import fmri, meg

SHOWN = neurodata.default_stimuli()
EXCLUDED = tuple(int(index) for index in SHOWN.source_indices)
LAYERS = ("conv_0", "conv_1", "hidden_0", "output")
PLANTED, WINDOW = "conv_1", (0.15, 0.3)
CONFIG = CompareConfig.of(
    rules=("backprop",),
    architecture="cnn",
    dataset="digits",
    epochs=8,
    batch_size=32,
    seeds=1,
    n_draws=99,
    n_train=400,
    scorecard="none",
    readout_images=0,
    reference_models=("pixels",),
    architecture_options={"channels": (4, 4), "hidden": (16,), "activation": "tanh"},
)


@pytest.fixture(scope="module")
def features():
    """What the planted layer of backpropagation's network makes of the stimuli."""
    reference = train(CONFIG.training_of("backprop", EXCLUDED))
    shown = stimuli.present(SHOWN.images, reference.network.input_shape, reference.images.normalisation)
    return reference.represent(shown)[LAYERS.index(PLANTED)][0].reshape(len(shown), -1)


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """Finished models go to a folder of the test's own."""
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path / "data"))


def best_layer(table):
    return table.loc[table["score"].idxmax(), "layer"]


def test_a_planted_layer_is_found_in_its_region_from_nifti_files(features, own_data, tmp_path):
    sizes = {"n_subjects": 4, "n_runs": 2, "repeats": 1}
    folder = fmri.simulate_bold(tmp_path / "bold", SHOWN, {"planted": features, "other": "category"}, signal_to_noise=4.0, **sizes)
    comparison = compare(CONFIG, recording=str(folder))
    assert comparison.recording["modality"].startswith("simulated")
    own = comparison.aggregates().query("rule == 'backprop'")
    planted, other = (own[own["region"] == region] for region in ("planted", "other"))
    assert best_layer(planted) == PLANTED
    assert planted["score"].max() > 0.3 and planted["p_adjusted"].min() < 0.05
    assert planted["score"].max() > other["score"].max()


@pytest.mark.thorough
def test_null_nifti_files_give_nothing(features, own_data, tmp_path):
    folder = fmri.simulate_bold(
        tmp_path / "bold", SHOWN, {"nothing": features}, n_subjects=4, signal_to_noise=0.0, n_runs=2, repeats=1
    )
    comparison = compare(CONFIG, recording=str(folder), rules=("untrained",))
    own = comparison.aggregates()
    assert own["score"].abs().max() < 0.05 and (own["p_adjusted"] > 0.05).all()


@pytest.fixture(scope="module")
def make_meg():
    sizes = {"n_subjects": 2, "n_runs": 1, "n_repeats": 4, "sampling_rate": 50.0, "onset_asynchrony": 0.6}

    def make(folder, features, signal_to_noise):
        windows = {"planted": WINDOW}
        return meg.simulate_raw(
            folder, SHOWN, {"planted": features}, signal_to_noise=signal_to_noise, drive_windows=windows, **sizes
        )

    return make


@pytest.mark.thorough
def test_a_planted_layer_is_found_in_its_time_from_fif_files(features, make_meg, own_data, tmp_path):
    comparison = compare(CONFIG, recording=str(make_meg(tmp_path / "meg", features, 1.0)))
    own = comparison.aggregates().query("rule == 'backprop' and region == 'gradiometers'")
    inside = own["time"].astype(float).between(WINDOW[0] + 0.02, WINDOW[1] - 0.04)
    outside = ~own["time"].astype(float).between(WINDOW[0] - 0.05, WINDOW[1] + 0.05)
    means = own[inside].groupby("layer")["score"].mean()
    assert means.idxmax() == PLANTED and means.max() > 0.15
    assert own[outside].groupby("layer")["score"].mean().abs().max() < 0.05
    found = comparison.clusters.query("rule == 'backprop' and region == 'gradiometers' and layer == @PLANTED and p_value < 0.05")
    assert len(found) == 1
    assert found["start"].iloc[0] == pytest.approx(WINDOW[0], abs=0.05) and found["stop"].iloc[0] == pytest.approx(
        WINDOW[1], abs=0.05
    )


@pytest.mark.thorough
def test_null_fif_files_give_nothing(features, make_meg, own_data, tmp_path):
    comparison = compare(CONFIG, recording=str(make_meg(tmp_path / "meg", features, 0.0)), rules=("untrained",))
    own = comparison.aggregates()
    assert own.groupby("layer")["score"].mean().abs().max() < 0.03
    # Clusters are tested layer by layer and sensor type by sensor type, five in a hundred of which are found where nothing is.
    n_tests = len(own.groupby(["rule", "layer", "region"]))
    assert (comparison.clusters["p_value"] < 0.05 / n_tests).sum() == 0
    assert np.isfinite(own["score"]).all()
