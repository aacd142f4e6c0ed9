"""Averages: real Neuromag responses where they are at hand, and files of known content."""

import mne
import numpy as np
import pytest

import rsa
from neurodata import InputError, cache
from neurodata.meg import dissimilarity_over_time, draw_dissimilarity, from_evoked
from neurodata.meg.helmet import helmet_info

REAL = cache.data_path() / "mne_evoked" / "test-ave.fif.gz"
real = pytest.mark.skipif(not REAL.is_file(), reason=f"test-ave.fif.gz is not in {REAL.parent}: set {cache.ENVIRONMENT_VARIABLE}")


@pytest.fixture(scope="module")
def responses():
    return from_evoked(REAL)


@real
def test_real_responses_are_read_with_types_apart(responses):
    regions, times = responses
    assert {name: region.n_channels for name, region in regions.items()} == {
        "magnetometers": (102,),
        "gradiometers": (204,),
        "EEG": (60,),
    }
    assert len(times) == 421 and times[0] == pytest.approx(-0.2, abs=1e-3) and times[-1] == pytest.approx(0.5, abs=1e-3)
    for region in regions.values():
        assert region.conditions == ("Left Auditory", "Right Auditory", "Left visual", "Right visual")
        assert region.datasets[0].obs_descriptors["n_trials"] == [3, 6, 6, 6]


@real
def test_real_noise_is_whitened(responses):
    regions, times = responses
    raw, _ = from_evoked(REAL, noise_normalisation="none")
    for name, region in regions.items():
        dataset = region.datasets[0]
        trials = np.array(dataset.obs_descriptors["n_trials"])[:, None, None]
        noise = (dataset.measurements * np.sqrt(trials))[:, :, times < 0]
        flat = np.moveaxis(noise, 1, -1).reshape(-1, noise.shape[1])
        covariance = np.cov(flat, rowvar=False)
        assert 0.3 < np.trace(covariance) / len(covariance) < 1.1
        away = np.abs(np.corrcoef(flat, rowvar=False) - np.eye(len(covariance))).mean()
        plain = raw[name].datasets[0].measurements[:, :, times < 0]
        before = np.abs(np.corrcoef(np.moveaxis(plain, 1, -1).reshape(-1, plain.shape[1]), rowvar=False) - np.eye(plain.shape[1]))
        assert away < before.mean() / 1.5


@real
def test_real_conditions_separate_after_onset(responses):
    regions, times = responses
    early, evoked = (times > 0.005) & (times < 0.04), (times > 0.08) & (times < 0.18)
    for region in regions.values():
        rdms = np.stack([rsa.rdm(moment, "euclidean") for moment in region.patterns()[0]])
        assert rdms.shape == (421, 6)
        np.testing.assert_allclose(rdms, dissimilarity_over_time(region)[0], rtol=1e-9)
        mean = rdms.mean(axis=1)
        assert mean[evoked].mean() > 1.5 * mean[early].mean() > 1.5 * mean[times < 0].mean()


@real
def test_real_picture(responses):
    figure = draw_dissimilarity(responses[0])
    titles = [axis.get_title() for axis in figure.axes]
    assert (
        "magnetometers: 1 subject, 4 conditions, 102 channels" in titles and "EEG: 1 subject, 4 conditions, 60 channels" in titles
    )
    figure.canvas.draw()


def test_real_file_is_named_where_it_is_missing(tmp_path):
    with pytest.raises(InputError, match="nowhere-ave.fif does not exist; expected a whole FIF file of averages"):
        from_evoked(tmp_path / "nowhere-ave.fif")


def averages(seed: int, n: int = 4, rate: float = 200.0) -> list[mne.EvokedArray]:
    generator = np.random.default_rng(seed)
    info = helmet_info(rate)
    info = mne.pick_info(info, range(30))
    scale = np.tile([1e-12, 3e-12, 1e-14], 10)[:, None]
    return [
        mne.EvokedArray(scale * generator.standard_normal((30, 120)), info, -0.2, f"c{index}", nave=4 + index, verbose="error")
        for index in range(n)
    ]


def test_subjects_names_and_given_covariance(tmp_path):
    files = {}
    for seed, subject in enumerate(("anna", "ben")):
        files[subject] = tmp_path / f"{subject}-ave.fif"
        mne.write_evokeds(files[subject], averages(seed), verbose="error")
    deviations = np.tile([1e-12, 3e-12, 1e-14], 10)
    names = averages(0)[0].ch_names
    mne.write_cov(tmp_path / "noise-cov.fif", mne.Covariance(np.diag(deviations**2), names, [], [], 1000), verbose="error")
    regions, times = from_evoked(
        files, conditions={"c2": "cat", "c0": "dog", "c1": "elk"}, noise_covariance=tmp_path / "noise-cov.fif"
    )
    assert regions["gradiometers"].subjects == ("anna", "ben") and regions["gradiometers"].conditions == ("cat", "dog", "elk")
    given = averages(1)[2].apply_baseline((-0.2, 0.0), verbose="error")
    expected = given.get_data(picks="grad") / np.tile([1e-12, 3e-12], 10)[:, None]
    np.testing.assert_allclose(regions["gradiometers"].datasets[1].measurements[0], expected, atol=1e-5)
    np.testing.assert_allclose(times, given.times, atol=1e-7)


def test_filter_and_decimation(tmp_path):
    mne.write_evokeds(tmp_path / "a-ave.fif", averages(0), verbose="error")
    regions, times = from_evoked(tmp_path / "a-ave.fif", h_freq=20.0, decimate=4, noise_normalisation="none")
    assert len(times) == 30 and regions["magnetometers"].patterns()[0].shape == (30, 4, 10)
    for options, expected in (
        ({"decimate": 4}, "a-ave.fif: every 4th sample of 200 Hz is 50 Hz, which aliases"),
        ({"baseline": (-0.3, 0.0)}, "a-ave.fif: the baseline from -0.3 to 0 s is not within the averages from -0.2 to 0.395 s"),
        ({"conditions": {"d1": "dog"}}, "a-ave.fif: unknown condition 'd1'"),
        ({"channel_types": ("eeg",)}, r"a-ave.fif has no good channel of type 'eeg' \(it has mag, grad\)"),
        ({"noise_normalisation": "white"}, "unknown noise_normalisation 'white'"),
    ):
        with pytest.raises(InputError, match=expected):
            from_evoked(tmp_path / "a-ave.fif", **options)


def test_damaged_files(tmp_path):
    path = tmp_path / "a-ave.fif"
    mne.write_evokeds(path, averages(0), verbose="error")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match="a-ave.fif is truncated"):
        from_evoked(path)
    mne.write_evokeds(tmp_path / "b-ave.fif", averages(0), verbose="error")
    names = averages(0)[0].ch_names[:20]
    mne.write_cov(tmp_path / "n-cov.fif", mne.Covariance(np.eye(20), names, [], [], 9), verbose="error")
    with pytest.raises(InputError, match="n-cov.fif has no noise covariance of MEG0.* and .* other channels"):
        from_evoked(tmp_path / "b-ave.fif", noise_covariance=tmp_path / "n-cov.fif")
    mne.write_evokeds(tmp_path / "c-ave.fif", [averages(0)[0], averages(1)[0], averages(2)[1]], verbose="error")
    with pytest.raises(InputError, match="c-ave.fif has two averages of one name"):
        from_evoked(tmp_path / "c-ave.fif")
