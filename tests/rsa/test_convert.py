import numpy as np
import pytest
from rsatoolbox.data import Dataset, TemporalDataset
from rsatoolbox.rdm import calc_rdm

import rsa

# rsatoolbox fills whole-number descriptors with NaN.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in cast")


def test_there_and_back(tied_rdms):
    condensed = tied_rdms(0, 3, 6)
    rdms = rsa.to_rsatoolbox(
        condensed, names=["a", "b", "c"], conditions=[f"stimulus {i}" for i in range(6)], distance="correlation"
    )
    assert rdms.rdm_descriptors["name"] == ["a", "b", "c"] and rdms.dissimilarity_measure == "correlation"
    assert rdms.subset("name", "b").get_vectors()[0] == pytest.approx(condensed[1])
    assert rdms.subset_pattern("condition", ["stimulus 1", "stimulus 4"]).n_cond == 2
    np.testing.assert_array_equal(rsa.from_rsatoolbox(rdms), condensed)
    np.testing.assert_array_equal(rdms.get_matrices(), rsa.to_square(condensed))


def test_the_copy_is_the_callers_own(tied_rdms):
    condensed = tied_rdms(1, 2, 5)
    rdms = rsa.to_rsatoolbox(condensed)
    rsa.from_rsatoolbox(rdms)[:] = 0
    rdms.dissimilarities[:] = -1
    assert condensed.min() > 0


def test_wrong_things_are_refused(tied_rdms):
    with pytest.raises(rsa.InputError, match="2 names were given for 3 RDMs"):
        rsa.to_rsatoolbox(tied_rdms(2, 3, 5), names=["a", "b"])
    with pytest.raises(rsa.InputError, match="1 names were given for 5 conditions"):
        rsa.to_rsatoolbox(tied_rdms(2, 3, 5), conditions=["a"])
    with pytest.raises(rsa.InputError, match="ndarray was given"):
        rsa.from_rsatoolbox.__wrapped__(tied_rdms(2, 3, 5))


@pytest.mark.usefixtures("unchecked_shapes")
def test_batches_are_refused(tied_rdms):
    with pytest.raises(rsa.InputError, match=r"rsatoolbox holds \(n_rdms, n_pairs\)"):
        rsa.to_rsatoolbox(tied_rdms(3, 2, 5)[None])


def _patterns(*shape: int) -> np.ndarray:
    return np.random.default_rng(9).normal(size=shape)


def test_datasets_there_and_back():
    patterns, conditions, runs = _patterns(3, 4, 5), ["dog", "cat", "eel", "ant"], ["second", "first", "third"]
    patterns[1, 2] = np.nan
    dataset = rsa.dataset_to_rsatoolbox(patterns, conditions, runs, channels=list("abcde"))
    assert dataset.n_obs == 11 and list(dataset.channel_descriptors["channel"]) == list("abcde")
    np.testing.assert_array_equal(dataset.subset_obs("run", "second").measurements, patterns[0])
    back = rsa.from_rsatoolbox_dataset(dataset, run="run")
    assert (back.conditions, back.runs) == (conditions, runs)
    np.testing.assert_array_equal(back.patterns, patterns)
    averaged = rsa.from_rsatoolbox_dataset(dataset)
    np.testing.assert_allclose(averaged.patterns, np.nanmean(patterns, axis=0), rtol=1e-14)
    assert averaged.runs == []


def test_datasets_without_runs():
    patterns = _patterns(4, 6)
    dataset = rsa.dataset_to_rsatoolbox(patterns)
    assert "run" not in dataset.obs_descriptors
    back = rsa.from_rsatoolbox_dataset(dataset)
    assert back.conditions == [0, 1, 2, 3]
    np.testing.assert_array_equal(back.patterns, patterns)


@pytest.mark.parametrize("distance", ["correlation", "euclidean", "mahalanobis", "crossnobis"])
def test_a_dataset_has_our_rdm(distance):
    patterns, conditions = _patterns(3, 4, 5), ["dog", "cat", "eel", "ant"]
    dataset = rsa.dataset_to_rsatoolbox(patterns, conditions)
    noise = rsa.noise_precision(_patterns(20, 5))
    options = {"noise": noise} if distance in ("mahalanobis", "crossnobis") else {}
    cv = {"cv_descriptor": "run"} if distance == "crossnobis" else {}
    theirs = calc_rdm(dataset, distance, "condition", **options, **cv)
    back = rsa.from_rsatoolbox_dataset(dataset, run="run")
    if distance == "crossnobis":
        ours = rsa.crossnobis(back.patterns, noise)
    else:
        ours = rsa.rdm(back.patterns.mean(axis=0), distance, **options)
    # rsatoolbox sorts conditions by name.
    by_name = [back.conditions.index(name) for name in theirs.pattern_descriptors["condition"]]
    assert by_name != sorted(by_name)
    ours = rsa.to_condensed(rsa.to_square(ours)[np.ix_(by_name, by_name)])
    np.testing.assert_allclose(ours, rsa.from_rsatoolbox(theirs)[0], rtol=0, atol=1e-10)


def test_repeats_within_a_run_are_averaged():
    dataset = Dataset(_patterns(12, 3), obs_descriptors={"stimulus": list("abcabc") * 2, "session": [1] * 6 + [2] * 6})
    back = rsa.from_rsatoolbox_dataset(dataset, "stimulus", "session")
    np.testing.assert_allclose(back.patterns, dataset.measurements.reshape(2, 2, 3, 3).mean(axis=1), rtol=1e-14)
    theirs = calc_rdm(dataset, "crossnobis", "stimulus", cv_descriptor="session")
    np.testing.assert_allclose(rsa.crossnobis(back.patterns), rsa.from_rsatoolbox(theirs)[0], rtol=0, atol=1e-10)


@pytest.mark.usefixtures("unchecked_shapes")
def test_wrong_datasets_are_refused():
    with pytest.raises(rsa.InputError, match="3 names were given for 4 conditions"):
        rsa.dataset_to_rsatoolbox(_patterns(2, 4, 5), list("abc"))
    with pytest.raises(rsa.InputError, match="without an axis of runs"):
        rsa.dataset_to_rsatoolbox(_patterns(4, 5), runs=[1, 2])
    with pytest.raises(rsa.InputError, match="convert one subject at a time"):
        rsa.dataset_to_rsatoolbox(_patterns(2, 2, 4, 5))
    with pytest.raises(rsa.InputError, match="unknown observation descriptor 'conds'.*condition, run"):
        rsa.from_rsatoolbox_dataset(rsa.dataset_to_rsatoolbox(_patterns(2, 4, 5)), "conds")
    with pytest.raises(rsa.InputError, match="TemporalDataset was given"):
        rsa.from_rsatoolbox_dataset(TemporalDataset(_patterns(2, 4, 5)))
    with pytest.raises(rsa.InputError, match="ndarray was given"):
        rsa.from_rsatoolbox_dataset(_patterns(4, 5))
