"""Cross-validated distances against rsatoolbox, and as statistics: noise has none."""

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm

import rsa
from rsa import tiles

# rsatoolbox fills whole-number descriptors with NaN.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in cast")

N_RUNS, N_CONDITIONS, N_CHANNELS = 4, 6, 9


def _patterns(seed: int, *batch: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    signal = random.normal(3, 1, size=(*batch, 1, N_CONDITIONS, N_CHANNELS))
    return signal + random.normal(size=(*batch, N_RUNS, N_CONDITIONS, N_CHANNELS))


def _noise(seed: int, *batch: int) -> np.ndarray:
    return rsa.noise_precision(np.random.default_rng(seed).normal(size=(*batch, 30, N_CHANNELS)) * np.linspace(0.5, 2, N_CHANNELS))


def _dataset(patterns: np.ndarray, keep: list[int] | None = None) -> Dataset:
    n_runs, n_conditions, _ = patterns.shape
    runs, conditions = np.repeat(np.arange(n_runs), n_conditions), np.tile(np.arange(n_conditions), n_runs)
    dataset = Dataset(patterns.reshape(n_runs * n_conditions, -1).copy(), obs_descriptors={"conds": conditions, "run": runs})
    return dataset if keep is None else dataset.subset_obs("run", keep)


def _judge(patterns: np.ndarray, **options) -> np.ndarray:
    return calc_rdm(_dataset(patterns), method="crossnobis", descriptor="conds", cv_descriptor="run", **options).get_vectors()[0]


@pytest.mark.parametrize("n_runs", [2, 3, 4])
def test_crossnobis_equals_rsatoolbox(n_runs):
    patterns, noise = _patterns(0)[:n_runs], _noise(1)
    np.testing.assert_allclose(rsa.crossnobis(patterns), _judge(patterns), rtol=0, atol=1e-10)
    np.testing.assert_allclose(rsa.crossnobis(patterns, noise), _judge(patterns, noise=noise), rtol=0, atol=1e-10)


def test_a_precision_for_each_run_equals_rsatoolbox():
    patterns, noise = _patterns(2), _noise(3, N_RUNS)
    expected = _judge(patterns, noise=list(noise))
    np.testing.assert_allclose(rsa.crossnobis(patterns, run_noise=noise), expected, rtol=0, atol=1e-10)
    assert np.abs(rsa.crossnobis(patterns, noise.mean(axis=0)) - expected).max() > 1e-3


def test_equal_precisions_of_runs_are_one_precision():
    patterns, noise = _patterns(4), _noise(5)
    each = np.broadcast_to(noise, (N_RUNS, N_CHANNELS, N_CHANNELS))
    np.testing.assert_allclose(rsa.crossnobis(patterns, run_noise=each), rsa.crossnobis(patterns, noise), rtol=0, atol=1e-12)


def test_batches_equal_loops():
    patterns, noise, run_noise = _patterns(6, 2, 3), _noise(7, 2, 1), _noise(8, 3, N_RUNS)
    whitened, by_run = rsa.crossnobis(patterns, noise), rsa.crossnobis(patterns, run_noise=run_noise)
    assert whitened.shape == by_run.shape == (2, 3, 15)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(whitened[i, j], rsa.crossnobis(patterns[i, j], noise[i, 0]))
        np.testing.assert_array_equal(by_run[i, j], rsa.crossnobis(patterns[i, j], run_noise=run_noise[j]))


@pytest.mark.parametrize("entries", [1, 20, 200])
def test_tiles_change_nothing(entries, monkeypatch):
    patterns, noise, run_noise = _patterns(9, 5), _noise(10), _noise(11, N_RUNS)
    counts = np.random.default_rng(12).poisson(5, size=patterns.shape)
    missing = _with_missing(patterns)

    def everything() -> list[np.ndarray]:
        whitened, by_run = rsa.crossnobis(patterns, noise), rsa.crossnobis(patterns, run_noise=run_noise)
        return [whitened, by_run, rsa.crossnobis(missing), rsa.poisson_cv(counts)]

    whole = everything()
    monkeypatch.setattr(tiles, "TILE_ENTRIES", entries)
    for one, other in zip(whole, everything(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_noise_has_no_crossnobis_distance_but_a_euclidean_one():
    """Six hundred sets of patterns without a signal, noise correlated between channels and estimated from residuals."""
    random = np.random.default_rng(13)
    mixing = np.eye(N_CHANNELS) + 0.4 * random.normal(size=(N_CHANNELS, N_CHANNELS))
    shape = (600, N_RUNS, N_CONDITIONS, N_CHANNELS)
    patterns = random.normal(size=shape) @ mixing
    noise = rsa.noise_precision(random.normal(size=(600, 30, N_CHANNELS)) @ mixing)
    run_noise = rsa.noise_precision(random.normal(size=(600, N_RUNS, 30, N_CHANNELS)) @ mixing)

    def z(distances: np.ndarray) -> float:
        means = distances.mean(axis=1)
        return means.mean() / (means.std(ddof=1) / np.sqrt(len(means)))

    for distances in (
        rsa.crossnobis(patterns),
        rsa.crossnobis(patterns, noise),
        rsa.crossnobis(patterns, run_noise=run_noise),
        rsa.crossnobis(_with_missing(patterns), noise),
    ):
        assert abs(z(distances)) < 3, z(distances)
        assert 0.4 < (distances < 0).mean() < 0.6
    assert z(rsa.rdm(patterns.mean(axis=1), "euclidean")) > 50
    assert z(rsa.rdm(patterns.mean(axis=1), "mahalanobis", noise)) > 50
    counts = random.poisson(8, size=shape)
    assert abs(z(rsa.poisson_cv(counts))) < 3, z(rsa.poisson_cv(counts))
    assert z(rsa.rdm(counts.mean(axis=1), "poisson")) > 50


def test_the_mean_over_noise_is_the_true_distance():
    random = np.random.default_rng(14)
    signal = random.normal(size=(N_CONDITIONS, N_CHANNELS))
    # Runs differ by a pattern of their own, which differences take out.
    patterns = (
        signal + random.normal(size=(2000, N_RUNS, N_CONDITIONS, N_CHANNELS)) + random.normal(size=(2000, N_RUNS, 1, N_CHANNELS))
    )
    truth = rsa.rdm(signal, "euclidean")
    for distances in (rsa.crossnobis(patterns), rsa.crossnobis(_with_missing(patterns))):
        standard_error = distances.std(axis=0) / np.sqrt(len(distances))
        assert (np.abs(distances.mean(axis=0) - truth) < 4 * standard_error).all()


def test_scales_and_rotations():
    patterns, noise = _patterns(15), _noise(16)
    rotation = np.linalg.qr(np.random.default_rng(17).normal(size=(N_CHANNELS, N_CHANNELS)))[0]
    distances = rsa.crossnobis(patterns, noise)
    np.testing.assert_allclose(rsa.crossnobis(3 * patterns, noise / 9), distances, rtol=1e-10)
    np.testing.assert_allclose(rsa.crossnobis(patterns @ rotation, rotation.T @ noise @ rotation), distances, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(rsa.crossnobis(3 * patterns), 9 * rsa.crossnobis(patterns), rtol=1e-12)
    offset = np.random.default_rng(18).normal(scale=1e5, size=(N_RUNS, 1, N_CHANNELS))
    np.testing.assert_allclose(rsa.crossnobis(patterns + offset, noise), distances, atol=1e-8)
    np.testing.assert_allclose(rsa.crossnobis(patterns[[2, 0, 3, 1]], noise), distances, rtol=1e-10)


def _with_missing(patterns: np.ndarray) -> np.ndarray:
    missing = patterns.copy()
    missing[..., 0, 2, :] = missing[..., 3, 4, :] = missing[..., 3, 2, :] = np.nan
    return missing


@pytest.mark.parametrize("whitened", [False, True])
def test_conditions_missing_in_runs_use_the_runs_that_showed_both(whitened):
    patterns, options = _patterns(19), {"noise": _noise(20)} if whitened else {}
    ours = rsa.to_square(rsa.crossnobis(_with_missing(patterns), **options))
    for i, j in zip(*np.triu_indices(N_CONDITIONS, 1), strict=True):
        measured = ~np.isnan(_with_missing(patterns)[:, [i, j], 0]).any(axis=1)
        assert ours[i, j] == pytest.approx(_judge(patterns[measured][:, [i, j]], **options)[0], abs=1e-10)


def test_poisson_equals_the_mean_over_rsatoolboxs_folds():
    counts = np.random.default_rng(21).poisson(4, size=(N_RUNS, N_CONDITIONS, N_CHANNELS))
    # rsatoolbox returns its last fold: each run is made the last in turn.
    folds = [
        calc_rdm(_dataset(np.roll(counts, shift, axis=0) * 1.0), method="poisson_cv", descriptor="conds", cv_descriptor="run")
        for shift in range(N_RUNS)
    ]
    expected = np.mean([fold.get_vectors()[0] for fold in folds], axis=0)
    np.testing.assert_allclose(rsa.poisson_cv(counts), expected, rtol=0, atol=1e-10)


def test_missing_counts_use_the_runs_that_showed_both():
    counts = np.random.default_rng(22).poisson(4, size=(N_RUNS, N_CONDITIONS, N_CHANNELS)) * 1.0
    ours = rsa.to_square(rsa.poisson_cv(_with_missing(counts)))
    assert ours[0, 1] == pytest.approx(rsa.to_square(rsa.poisson_cv(counts))[0, 1], abs=1e-12)
    assert ours[2, 4] == pytest.approx(rsa.to_square(rsa.poisson_cv(counts[1:3]))[2, 4], abs=1e-12)


def _broken(run: int, condition: int, value: float, channel: int | slice = 3) -> np.ndarray:
    patterns = np.abs(_patterns(23, 2))
    patterns[1, run, condition, channel] = value
    return patterns


def _seldom() -> np.ndarray:
    patterns = _patterns(24)
    patterns[1:, 2] = np.nan
    return patterns


@pytest.mark.parametrize(
    ("patterns", "options", "message"),
    [
        (_patterns(25)[:1], {}, "patterns have 1: measure two or more"),
        (_patterns(25)[0], {}, r"shape \(6, 9\): give \(..., n_runs, n_conditions, n_channels\)"),
        (_patterns(25)[:, :2], {}, "at least 3 conditions, and these patterns have 2"),
        (_patterns(25)[..., :0], {}, "no channels"),
        (_broken(1, 4, np.nan), {}, "condition 5 in run 2 holds NaN or infinite values in pattern set 2"),
        (_broken(2, 0, np.inf), {}, "condition 1 in run 3 holds NaN"),
        (_seldom(), {}, "conditions 1 and 3 were measured together in 1 run"),
        (_patterns(25), {"noise": np.eye(8)}, r"shape \(8, 8\), but the patterns have 9 channel"),
        (_patterns(25), {"noise": np.zeros((3, 9, 9))}, r"leading axes \(3,\) of noise do not broadcast"),
        (_patterns(25), {"noise": np.triu(np.ones((9, 9)))}, "noise is not symmetric"),
        (_patterns(25), {"noise": np.ones((9, 9)) - 2 * np.eye(9)}, "noise is not positive definite"),
        (_patterns(25), {"noise": np.full((9, 9), np.nan)}, "noise holds NaN"),
        (_patterns(25), {"run_noise": np.eye(9)[None]}, r"run_noise has shape \(1, 9, 9\), but the patterns have 4 runs"),
        (_patterns(25), {"run_noise": np.zeros((4, 9, 9))}, "run_noise is not positive definite"),
        (_patterns(25), {"noise": np.eye(9), "run_noise": np.stack([np.eye(9)] * 4)}, "both noise and run_noise"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_unusable_runs_are_refused(patterns, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.crossnobis(patterns, **options)


def test_negative_counts_are_refused():
    with pytest.raises(rsa.InputError, match="condition 5 goes down to -2 in pattern set 2, 4.*counts"):
        rsa.poisson_cv(_broken(3, 4, -2.0))


def test_one_channel_has_crossnobis_distances():
    patterns = np.array([[0.0, 1, 3], [0.5, 1, 2]])[..., None]
    np.testing.assert_allclose(rsa.crossnobis(patterns), [0.5, 4.5, 2.0])
