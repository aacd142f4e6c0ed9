"""Source estimates on two balls of cortex in a spherical head: what one holds is found there."""

import mne
import numpy as np
import pytest
from mne.minimum_norm import make_inverse_operator
from scipy.stats import spearmanr

import rsa
from neurodata import InputError
from neurodata.meg import source_patterns
from neurodata.meg.helmet import HEAD_CENTRE, helmet_info

N_CONDITIONS, ONSET = 16, 10


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """Surfaces as FreeSurfer writes them, a source space, its forward solution, and a label on each side."""
    folder = tmp_path_factory.mktemp("subjects")
    surfaces = folder / "ball" / "surf"
    surfaces.mkdir(parents=True)
    sphere = mne.make_sphere_model(HEAD_CENTRE, 0.09, verbose="error")
    unit = mne.surface._get_ico_surface(3)
    for hemisphere, side in (("lh", -0.036), ("rh", 0.036)):
        mne.write_surface(surfaces / f"{hemisphere}.white", 1e3 * (0.03 * unit["rr"] + [side, 0, 0.04]), unit["tris"])
        mne.write_surface(surfaces / f"{hemisphere}.sphere", 100 * unit["rr"], unit["tris"])
    space = mne.setup_source_space("ball", "ico2", subjects_dir=folder, add_dist=False, verbose="error")
    info = helmet_info(100.0)
    info = mne.pick_info(info, mne.pick_types(info, meg=True))
    forward = mne.make_forward_solution(
        info, mne.transforms.Transform("head", "mri"), space, sphere, eeg=False, mindist=0.0, verbose="error"
    )
    labels = []
    for hemisphere, each in zip(("lh", "rh"), space, strict=True):
        outer = each["vertno"][np.abs(each["rr"][each["vertno"], 0]) > 0.05]
        labels.append(mne.Label(outer, hemi=hemisphere, subject="ball", name=f"lateral-{hemisphere}"))
    return info, forward, labels


@pytest.fixture(scope="module")
def planted(head):
    """Averages in which the left label's currents hold three features of each condition."""
    info, forward, labels = head
    fixed = mne.convert_forward_solution(forward, force_fixed=True, verbose="error")
    generator = np.random.default_rng(0)
    features = generator.standard_normal((N_CONDITIONS, 3))
    left = np.isin(forward["src"][0]["vertno"], labels[0].vertices)
    places = forward["src"][0]["rr"][forward["src"][0]["vertno"][left]] @ generator.standard_normal((3, 3)) * 60
    moments = np.zeros((N_CONDITIONS, fixed["sol"]["data"].shape[1]))
    moments[:, : len(left)][:, left] = features @ np.sin(places).T * 20e-9
    deviations = np.where(np.array(info.get_channel_types()) == "grad", 3e-12, 3e-14)
    covariance = mne.Covariance(np.diag(deviations**2), info["ch_names"], [], [], 1000)
    runs = {}
    for run in ("1", "2"):
        data = 0.3 * deviations[:, None] * generator.standard_normal((N_CONDITIONS, 306, 20))
        data[:, :, ONSET:] += (moments @ fixed["sol"]["data"].T)[:, :, None]
        runs[run] = [
            mne.EvokedArray(each, info, -0.1, f"c{index:02d}", nave=10, verbose="error") for index, each in enumerate(data)
        ]
    return runs, covariance, rsa.rdm(moments[:, : len(left)][:, left], "euclidean")


def test_planted_label_holds_what_was_planted(head, planted):
    _, forward, labels = head
    runs, covariance, truth = planted
    regions, times = source_patterns({"ball": runs}, forward, labels, noise_covariance=covariance)
    assert list(regions) == ["lateral-lh", "lateral-rh"] and len(times) == 20
    left, right = (region.patterns()[0] for region in regions.values())
    assert left.shape == (20, N_CONDITIONS, len(labels[0].vertices))
    assert regions["lateral-lh"].patterns_by_run()[0].shape[0] == 2
    after, before = times >= 0, times < 0
    assert (left[after] ** 2).mean() > 10 * (right[after] ** 2).mean() and (left[after] ** 2).mean() > 50 * (
        left[before] ** 2
    ).mean()
    scores = np.array([spearmanr(rsa.rdm(moment, "euclidean"), truth).statistic for moment in left])
    assert scores[after].min() > 0.6 and np.abs(scores[before].mean()) < 0.25


def test_an_inverse_operator_and_epochs_will_do(head, planted):
    info, forward, labels = head
    runs, covariance, _ = planted
    operator = make_inverse_operator(info, forward, covariance, loose="auto", depth=0.8, rank="info", verbose="error")
    one, _ = source_patterns({"ball": runs["1"]}, forward, labels, noise_covariance=covariance)
    other, _ = source_patterns({"ball": runs["1"]}, {"ball": operator}, {"ball": labels})
    np.testing.assert_allclose(one["lateral-lh"].patterns()[0], other["lateral-lh"].patterns()[0])
    trials = np.concatenate([[each.data for each in runs[run]] for run in runs])
    codes = np.tile(np.arange(1, N_CONDITIONS + 1), 2)
    events = np.stack([np.arange(len(codes)), np.zeros_like(codes), codes], axis=1)
    event_id = {f"c{code - 1:02d}": code for code in codes[:N_CONDITIONS]}
    epochs = mne.EpochsArray(trials, info, events, -0.1, event_id, verbose="error")
    averaged, _ = source_patterns({"ball": epochs}, operator, labels)
    mean = source_patterns({"ball": runs}, operator, labels)[0]["lateral-lh"].patterns()[0]
    np.testing.assert_allclose(averaged["lateral-lh"].patterns()[0], mean, atol=1e-9 * np.abs(mean).max())


def test_what_is_missing_is_named(head, planted):
    info, forward, labels = head
    runs, covariance, _ = planted
    with pytest.raises(InputError, match="subject 'ball' has averages and a forward model but no noise covariance"):
        source_patterns({"ball": runs["1"]}, forward, labels)
    with pytest.raises(InputError, match=r"no inverse or forward solution for subject 'ball' \(given for cube\)"):
        source_patterns({"ball": runs["1"]}, {"cube": forward}, labels, noise_covariance=covariance)
    unused = np.setdiff1d(np.arange(600), forward["src"][0]["vertno"])[:3]
    empty = mne.Label(unused, hemi="lh", subject="ball", name="nowhere-lh")
    with pytest.raises(InputError, match="label 'nowhere-lh' of subject 'ball' has no vertex in the source space"):
        source_patterns({"ball": runs["1"]}, forward, [empty], noise_covariance=covariance)
    with pytest.raises(InputError, match="unknown method 'dSPMs': did you mean 'dSPM'"):
        source_patterns({"ball": runs["1"]}, forward, labels, noise_covariance=covariance, method="dSPMs")
    with pytest.raises(InputError, match="two averages of subject 'ball' have one comment"):
        source_patterns({"ball": runs["1"][:1] * 2}, forward, labels, noise_covariance=covariance)
