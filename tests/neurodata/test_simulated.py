import numpy as np
import pytest
import rsatoolbox
from scipy.stats import binom
from sklearn.datasets import load_digits

import neurodata
from neurodata import STAGES, InputError, default_stimuli, simulate


def stage_models(stimuli) -> dict[str, rsatoolbox.rdm.RDMs]:
    models = {}
    for name, stage in STAGES.items():
        features = stage(stimuli)
        varying = features[:, features.std(axis=0) > 0]
        standard = (varying - varying.mean(axis=0)) / varying.std(axis=0)
        models[name] = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(standard), method="euclidean")
    return models


def region_rdms(region, method="correlation") -> rsatoolbox.rdm.RDMs:
    datasets = [rsatoolbox.data.Dataset(patterns) for patterns in region.patterns()]
    return rsatoolbox.rdm.concat([rsatoolbox.rdm.calc_rdm(each, method=method) for each in datasets])


def scores(region, models) -> dict[str, np.ndarray]:
    data = region_rdms(region)
    return {name: rsatoolbox.rdm.compare(model, data, method="spearman")[0] for name, model in models.items()}


def test_planted_stage_is_found_in_every_subject():
    recording = neurodata.load("simulated")
    models = stage_models(recording.stimuli)
    for name, region in recording.regions.items():
        found = scores(region, models)
        planted = found.pop(recording.truth[name])
        assert planted.shape == (12,) and planted.min() > 0.1
        for other, values in found.items():
            assert (planted > values).all(), (name, other)


def test_null_recording_holds_nothing():
    recording = simulate(default_stimuli(), {"null": "gabor_energy"}, n_subjects=40, signal_to_noise=0.0, seed=3)
    found = scores(recording.regions["null"], stage_models(recording.stimuli))["gabor_energy"]
    # subjects are independent: the sign of a score is a fair coin, and their mean is zero within its error
    assert 1e-3 < binom.cdf((found > 0).sum(), 40, 0.5) < 1 - 1e-3
    assert abs(found.mean()) < 4 * found.std(ddof=1) / np.sqrt(40)


def test_variances_are_as_stated():
    ratios = {"signal_to_noise": 0.7, "idiosyncratic_to_noise": 0.3}
    with_signal = simulate(default_stimuli(), {"r": "category"}, 4, n_channels=200, n_runs=6, **ratios).regions["r"]
    for runs in with_signal.patterns_by_run():
        noise = runs.var(axis=0, ddof=1).mean()
        consistent = runs.mean(axis=0).var() - noise / 6
        assert noise == pytest.approx(1.0, rel=0.02)
        assert consistent == pytest.approx(1.0, rel=0.05)  # 0.7 + 0.3
    own = simulate(default_stimuli(), {"r": "category"}, 4, n_channels=200, n_runs=6, signal_to_noise=0.0,
                   idiosyncratic_to_noise=0.3).regions["r"]  # fmt: skip
    for runs in own.patterns_by_run():
        assert runs.mean(axis=0).var() - 1 / 6 == pytest.approx(0.3, rel=0.05)


def test_idiosyncratic_signal_is_shared_by_runs_and_by_no_subjects():
    recording = simulate(default_stimuli(), {"r": "category"}, 6, 0.0, idiosyncratic_to_noise=4.0, n_runs=2)
    halves = recording.regions["r"].patterns_by_run()
    geometry = np.stack([[np.corrcoef(run)[np.triu_indices(60, 1)] for run in runs] for runs in halves])
    between_runs = [np.corrcoef(*subject)[0, 1] for subject in geometry]
    between_subjects = np.corrcoef(geometry[:, 0])[np.triu_indices(6, 1)]
    assert min(between_runs) > 0.4 and np.abs(between_subjects).max() < 0.15


def test_seed_fixes_every_bit():
    def patterns(**options):
        made = simulate(default_stimuli(), {"a": "category", "b": "pixel_energy"}, **{"n_subjects": 3, **options})
        return np.stack([made.regions[name].patterns() for name in ("a", "b")])

    first = patterns(seed=7)
    np.testing.assert_array_equal(first, patterns(seed=7))
    np.testing.assert_array_equal(first, patterns(seed=7, n_subjects=5)[:, :3])
    assert not np.array_equal(first, patterns(seed=8))
    flat = first.reshape(6, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(6)).max() < 0.1  # no two regions or subjects share their draws


def test_drive_has_its_window():
    times = np.arange(-0.1, 0.5, 0.02)
    windows = {"early": (0.06, 0.16), "late": (0.2, 0.4)}
    recording = simulate(default_stimuli(), {"early": "gabor_energy", "late": "category"}, 4, 1.0, times=times,
                         drive_windows=windows)  # fmt: skip
    assert recording.modality == "simulated meg" and dict(recording.drive_windows) == windows
    for name, (start, stop) in windows.items():
        inside = (times >= start) & (times < stop)
        variance = np.stack(recording.regions[name].patterns()).var(axis=(0, 2, 3))
        assert variance[inside].min() > 1.2 and variance[~inside].max() < 0.3


def test_default_windows_follow_each_other_and_must_be_covered():
    drivers = {"a": "gabor_energy", "b": "category"}
    recording = simulate(default_stimuli(), drivers, 1, times=np.arange(0, 0.4, 0.05))
    assert recording.drive_windows["a"] == pytest.approx((0.05, 0.2)) and recording.drive_windows["b"] == pytest.approx((0.2, 0.35))
    with pytest.raises(InputError, match="no time falls into the default window of region 'b'"):
        simulate(default_stimuli(), drivers, 1, times=np.arange(0, 0.15, 0.05))


def test_features_of_a_network_can_drive_a_region():
    stimuli = default_stimuli()
    layer = np.random.default_rng(0).standard_normal((60, 4, 4, 8)).astype(np.float32)
    recording = simulate(stimuli, {"layer": layer}, 6, 1.0)
    model = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(layer.reshape(60, -1).astype(float)), method="euclidean")
    found = rsatoolbox.rdm.compare(model, region_rdms(recording.regions["layer"], "euclidean"), method="spearman")
    assert found.min() > 0.1
    assert recording.truth["layer"] == "given features"


def test_labelled_simulated_everywhere():
    recording = neurodata.load("simulated")
    assert recording.simulated and recording.modality.startswith("simulated") and "simulated" in recording.name
    assert "no brain was measured" in recording.notes and "no brain was measured" in recording.citation
    assert all("simulated" in region for region in recording.regions)
    assert all("simulated" in subject for region in recording.regions.values() for subject in region.subjects)
    assert "0.2" in recording.notes and "0.1" in recording.notes


def test_default_stimuli_are_the_digits_they_say():
    stimuli = default_stimuli()
    images, labels = load_digits(return_X_y=True)
    assert len(set(stimuli.source_indices.tolist())) == 60
    np.testing.assert_array_equal(stimuli.categories, labels[stimuli.source_indices].astype(str))
    assert np.bincount(labels[stimuli.source_indices]).tolist() == [6] * 10
    np.testing.assert_allclose(stimuli.images[..., 1].reshape(60, -1), images[stimuli.source_indices] * 255 / 16, atol=0.5)
    assert stimuli.source_indices[:4].tolist() == [130, 595, 772, 848]


@pytest.mark.parametrize(
    ("drivers", "options", "expected"),
    [
        ({"a": "gabor"}, {}, "unknown stage 'gabor': did you mean 'gabor_energy'"),
        ({"a": np.ones((11, 3))}, {}, r"region 'a' has shape \(11, 3\).*\(12, ...\), one row per stimulus"),
        ({"a": np.ones((12, 3))}, {}, "the same for all 12 stimuli"),
        ({"a": np.full((12, 3), np.nan)}, {}, "NaN or infinite features"),
        ({"a": "category"}, {"n_subjects": 0}, "n_subjects is 0; expected at least 1"),
        ({"a": "category"}, {"signal_to_noise": -1.0}, "signal_to_noise is -1.0; expected a ratio"),
        ({"a": "category"}, {"modality": "fmri"}, "expected it to begin with 'simulated'"),
        ({"a": "category"}, {"name": "my brain"}, "expected it to contain 'simulated'"),
        ({"a": "category"}, {"drive_windows": {"a": (0.0, 1.0)}}, "expected times, and a window for each"),
        ({}, {}, "has no region"),
    ],
)
def test_unusable_options(stimuli, drivers, options, expected):
    with pytest.raises(InputError, match=expected):
        simulate(stimuli, drivers, **options)


def test_some_digits_as_many_as_are_asked_for():
    stimuli, default = default_stimuli(digits=(7, 1), n_exemplars=9), default_stimuli()
    assert list(stimuli.categories) == ["7"] * 9 + ["1"] * 9 and len(set(stimuli.source_indices)) == 18
    assert list(default_stimuli(digits=range(10), n_exemplars=6).ids) == list(default.ids)
    for wrong in ({"digits": ()}, {"digits": (1, 1)}, {"digits": (10,)}, {"n_exemplars": 0}, {"n_exemplars": 101}):
        with pytest.raises(InputError, match="was given; expected"):
            default_stimuli(**wrong)
