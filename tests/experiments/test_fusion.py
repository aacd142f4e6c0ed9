"""Regions of one recording are found in the time course of another when, and only when, they were put there."""

import dataclasses

import fake_comparison as fake
import jax
import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup
from scipy.ndimage import uniform_filter1d
from scipy.spatial.distance import pdist, squareform
from scipy.stats import binomtest, spearmanr

import neurodata
import rsa
from experiments.beside import tables_beside
from experiments.compare_config import CompareConfig
from experiments.fusion import _clusters, fuse, pair_of
from experiments.lasting import generalisation_table
from experiments.report import page as page_of_report
from experiments.report.page import render, write_report
from neurodata import InputError, PatternSet, RdmSet, Recording, Stimuli
from neurodata.cache import data_path

TIMES = np.round(np.arange(-0.1, 0.4, 0.05), 3)
N = 14


def stimuli_of(names):
    images = np.random.default_rng(0).integers(0, 255, (len(names), 8, 8, 3), np.uint8)
    return Stimuli(images, np.array(names), source="noise")


def rdm_set(rdms, times=None):
    return RdmSet.from_array(rdms, times=times)


@pytest.fixture(scope="module")
def two():
    """An early and a late geometry: regions of five subjects, and a time course in which one follows the other."""
    random = np.random.default_rng(1)
    names = [f"s{index:02d}" for index in range(N)]
    early, late = (pdist(random.standard_normal((N, 6))) for _ in range(2))
    n_pairs = len(early)
    regions = {name: rdm_set(one + 0.5 * random.standard_normal((5, n_pairs))) for name, one in (("EVC", early), ("IT", late))}
    weights = [np.exp(-(((TIMES - middle) / 0.06) ** 2)) for middle in (0.1, 0.25)]
    course = weights[0][:, None] * early + weights[1][:, None] * late + 0.3 * random.standard_normal((3, len(TIMES), n_pairs)) + 5
    shuffled = random.permutation(N)
    moved = np.stack([[squareform(each)[np.ix_(shuffled, shuffled)][np.triu_indices(N, 1)] for each in one] for one in course])
    own = Recording("fmri", stimuli_of(names), "fmri", regions)
    other = Recording("meg", stimuli_of([names[index] for index in shuffled]), "meg", {"MEG": rdm_set(moved, TIMES)}, times=TIMES)
    return own, other, course


def test_stimuli_are_found_by_their_names_and_scores_are_scipys(two):
    own, other, course = two
    table = fuse(pair_of(own, other), n_draws=0).fusion.set_index(["region", "time"])
    for name in own.regions:
        subjects = np.asarray(own.regions[name].rdms())
        for time, rdm in zip(TIMES, course.mean(axis=0), strict=True):
            expected = np.mean([spearmanr(rdm, subject).statistic for subject in subjects])
            assert table.loc[(name, time), "score"] == pytest.approx(expected, abs=1e-9)
    assert table[["lower", "upper", "p_value", "cluster_p_value"]].isna().all(axis=None)


@pytest.mark.parametrize("turned", [False, True])
def test_the_early_region_peaks_first_whichever_recording_is_named_first(two, turned):
    own, other, _ = two
    found = fuse(pair_of(other, own) if turned else pair_of(own, other), n_draws=200)
    latency = found.fusion_latencies.set_index("region")
    assert abs(latency.loc["EVC", "latency"] - 0.1) < 0.051 and abs(latency.loc["IT", "latency"] - 0.25) < 0.051
    for row in latency.itertuples():
        assert row.lower <= row.latency <= row.upper
    difference = found.fusion_differences.iloc[0]
    assert (difference["earlier"], difference["later"]) == ("EVC", "IT")
    assert difference["lower"] > 0 and difference["p_value"] < 0.05
    assert difference["difference"] == pytest.approx(latency.loc["IT", "latency"] - latency.loc["EVC", "latency"])
    at = found.fusion.set_index(["region", "time"])
    assert at.loc[("EVC", 0.1), "cluster_p_value"] < 0.05 and at.loc[("EVC", 0.1), "lower"] > 0
    assert not (at.loc["IT"].loc[-0.1, "cluster_p_value"] < 0.05)
    inside = (at["lower"] <= at["score"]) & (at["score"] <= at["upper"])
    assert inside.all()


def test_clusters_of_unrelated_recordings_are_found_in_five_percent():
    """Ten subjects share a geometry, and a time course has another: flips of subjects' signs find it in a third of all studies."""
    random, n_studies = np.random.default_rng(5), 120
    found, flipped = 0, 0
    for study in range(n_studies):
        shared = random.standard_normal((20, 30))
        subjects = np.stack([pdist(shared + random.standard_normal(shared.shape), "correlation") for _ in range(10)])
        course = uniform_filter1d(random.standard_normal((20, 20, 15)), 5, axis=0)
        course = np.stack([pdist(each, "correlation") for each in course])
        scores = np.asarray(rsa.compare(course, subjects, "pearson"))
        clusters, note = _clusters(course, subjects, scores.mean(axis=1), "pearson", 99, study)
        assert note == ""
        found += bool((clusters <= 0.05).any())
        flips = rsa.cluster_sign_flips(jax.random.key(study), scores.T, n_draws=99).clusters
        flipped += any(cluster.p_value <= 0.05 for cluster in flips)
    assert binomtest(found, n_studies, 0.05).pvalue > 0.01
    assert flipped > n_studies / 4


def test_why_there_are_no_clusters_is_said(two, monkeypatch):
    own, other, _ = two
    few = fuse(pair_of(own, other), n_draws=10)
    assert few.fusion["cluster_p_value"].isna().all() and "region 'EVC': too few stimuli or draws" in few.warnings[0]
    monkeypatch.setattr(rsa, "permutation_null", lambda *_: np.full((99, len(TIMES)), np.nan))
    assert "region 'IT': pairs that were not measured" in fuse(pair_of(own, other), n_draws=99).warnings[1]


def test_latencies_of_one_geometry_do_not_differ(two):
    own, other, _ = two
    twice = dataclasses.replace(own, regions={"a": own.regions["IT"], "b": own.regions["IT"]})
    found = fuse(pair_of(twice, other), n_draws=100)
    assert found.fusion_differences.iloc[0][["difference", "lower", "upper", "p_value"]].tolist() == [0, 0, 0, 1]


@pytest.mark.skipif(not (data_path() / "cichy92" / "cichy2014_fmri_EVC_RDMs.npz").is_file(), reason="cichy92 is not here")
def test_what_was_measured_in_half_of_the_subjects_is_found_in_the_other_half():
    """A made time course of the first seven subjects' EVC, then IT: real geometries, whose order is known."""
    recording = neurodata.load("cichy92")
    evc, it = (np.asarray(recording.regions[name].rdms()) for name in ("EVC", "IT"))
    course = np.stack([[evc[:7].mean(axis=0), it[:7].mean(axis=0)]])
    times = np.array([0.1, 0.2])
    meg = dataclasses.replace(recording, name="made", regions={"MEG": rdm_set(course, times)}, times=times)
    rest = dataclasses.replace(recording, regions={"EVC": rdm_set(evc[7:]), "IT": rdm_set(it[7:])})
    found = fuse(pair_of(rest, meg), n_draws=0)
    assert found.fusion_latencies["latency"].tolist() == [0.1, 0.2]


def test_what_does_not_go_together_is_said(two):
    own, other, _ = two
    with pytest.raises(InputError, match="neither has a time axis"):
        pair_of(own, own)
    with pytest.raises(InputError, match="both have a time axis"):
        pair_of(other, other)
    strange = dataclasses.replace(own, stimuli=stimuli_of([*map(str, own.stimuli.ids[:-1]), "zebra"]))
    with pytest.raises(InputError, match="1 of 14 stimuli, such as 'zebra'"):
        pair_of(strange, other)
    renamed = dataclasses.replace(own, stimuli=stimuli_of([f"other {index}" for index in range(N)]))
    assert "same order" in pair_of(renamed, other).warnings[0]


def test_generalisation_over_time_is_each_subject_against_the_mean_of_the_others(two):
    _, other, course = two
    table = generalisation_table(other, comparator="pearson")
    unit = course - course.mean(axis=2, keepdims=True)
    unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    expected = np.zeros((len(TIMES), len(TIMES)))
    for subject in range(3):
        others = np.delete(unit, subject, axis=0).mean(axis=0)
        expected += np.array([[np.corrcoef(mine, theirs)[0, 1] for theirs in others] for mine in unit[subject]]) / 3
    found = table.pivot(index="time", columns="other_time", values="value").to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected - expected.T).max() > 0.01  # rows and columns are told apart


def test_one_subject_is_compared_between_runs():
    random = np.random.default_rng(3)
    lasting = (TIMES > 0.05) & (TIMES < 0.2)
    signal = random.standard_normal((6, 10))[:, :, None] * lasting
    noise = 0.01 * random.standard_normal((2, 6, 10, len(TIMES)))
    names = [f"s{index}" for index in range(6)]
    patterns = PatternSet.from_arrays(
        [np.concatenate(signal + noise)], conditions=names * 2, runs=["1"] * 6 + ["2"] * 6, times=TIMES
    )
    recording = Recording("one", stimuli_of(names), "meg", {"MEG": patterns}, times=TIMES)
    matrix = generalisation_table(recording).pivot(index="time", columns="other_time", values="value").to_numpy()
    expected = pdist(signal[:, :, lasting.argmax()], "sqeuclidean").mean() / 10
    np.testing.assert_allclose(matrix[np.ix_(lasting, lasting)], expected, rtol=0.05)
    assert np.abs(matrix[~lasting]).max() < 0.05 * expected


def test_tables_and_pictures_stand_beside_a_comparison_and_are_found_again(two, tmp_path, monkeypatch):
    own, other, _ = two
    # Other pictures of the page are drawn elsewhere, and take long.
    monkeypatch.setattr(page_of_report, "inline_svg", lambda *_: Markup("<svg></svg>"))
    comparison = fake.fake_comparison(n_draws=0)
    comparison = dataclasses.replace(comparison, recording={**comparison.recording, "times": list(TIMES)}, warnings=[])
    folder = tmp_path / "out"
    tables, warnings = tables_beside(other, CompareConfig.of(fusion="any", n_draws=60, measures="correlation"), pair_of(other, own))
    assert all(isinstance(each, str) for each in warnings)
    comparison = dataclasses.replace(comparison, beside=tables)
    comparison.save(folder)
    write_report(comparison, folder / "report.html")
    record = comparison.to_json()
    assert [row["latency"] for row in record["fusion_latencies"]] == [0.1, 0.25]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "IT peaks 150&nbsp;ms after EVC" in page and "How long a region" in page
    table = pd.read_csv(folder / "tables" / "generalisation_over_time.csv")
    assert len(table) == len(TIMES) ** 2
    (folder / "report.html").unlink()
    assert write_report(comparison, folder / "report.html").read_text(encoding="utf-8") == page
    assert "in-time" not in render(comparison)
    (folder / "tables" / "fusion.csv").write_text("region,time\nEVC,0.1\n")
    with pytest.raises(InputError, match=r"fusion\.csv cannot be read .it lacks sensors"):
        write_report(comparison, folder / "report.html")
