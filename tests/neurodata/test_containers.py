import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import pdist, squareform

from neurodata import InputError, PatternSet, RdmSet, Recording, Stimuli
from neurodata.rdm_set import condense


@settings(max_examples=60, deadline=None)
@given(n_conditions=st.integers(3, 30), n_subjects=st.integers(1, 12), seed=st.integers(0, 2**32 - 1), condensed=st.booleans())
def test_square_and_condensed_are_the_same(n_conditions, n_subjects, seed, condensed):
    generator = np.random.default_rng(seed)
    distances = [pdist(generator.standard_normal((n_conditions, 4))) for _ in range(n_subjects)]
    array = np.stack(distances) if condensed else np.stack([squareform(each) for each in distances])
    found = RdmSet.from_array(array, n_conditions=n_conditions)
    np.testing.assert_array_equal(found.rdms(), np.stack(distances))
    assert found.n_conditions == n_conditions
    np.testing.assert_array_equal(found.to_rsatoolbox().get_matrices(), [squareform(each) for each in distances])


def test_condensed_form_that_looks_square(make_rdms):
    vectors = condense(make_rdms(10, n_conditions=5))
    assert vectors.shape == (10, 10)
    np.testing.assert_array_equal(condense(vectors), vectors)
    np.testing.assert_array_equal(condense(make_rdms(n_conditions=10)), condense(make_rdms(1, n_conditions=10))[0])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda rdms: rdms[:, :, :11], "not square"),
        (lambda rdms: rdms[:, :-1], "not square"),
        (lambda rdms: rdms[:, :10, :10], "RDMs of 10 conditions for 12 stimuli"),
        (lambda rdms: condense(rdms)[:, :45], "RDMs of 10 conditions for 12 stimuli"),
        (lambda rdms: condense(rdms)[:, :-1], "not square"),
        (lambda rdms: np.where(np.eye(12), 1.0, rdms), "on its diagonal; expected 0"),
        (lambda rdms: rdms + np.tri(12, k=-1), "not symmetric"),
        (lambda rdms: rdms.astype(str), "expected real dissimilarities"),
        (lambda rdms: rdms[:0], "expected real dissimilarities"),
        (lambda rdms: rdms[None, None], "expected .n, n., .n_subjects, n, n."),
    ],
)
def test_unusable_rdms(make_rdms, spoil, expected):
    with pytest.raises(InputError, match=expected) as caught:
        RdmSet.from_array(spoil(make_rdms(2)), n_conditions=12, origin="rdms_IT.npz")
    assert str(caught.value).startswith("rdms_IT.npz: ")


def test_infinite_entries_are_located(make_rdms):
    rdms = make_rdms(3)
    rdms[1, 4, 7] = rdms[1, 7, 4] = np.inf
    with pytest.raises(InputError, match=r"2 of 432 entries are infinite \(the first at 2, 5, 8"):
        RdmSet.from_array(rdms)


def test_missing_pairs_are_kept_and_averaged_over_the_sessions_that_have_them(make_rdms):
    rdms = make_rdms(2)
    rdms[0, 4, 7] = rdms[0, 7, 4] = np.nan
    kept = RdmSet.from_array(rdms).rdms()
    place = np.flatnonzero((np.triu_indices(12, 1)[0] == 4) & (np.triu_indices(12, 1)[1] == 7))[0]
    assert np.isnan(kept[0, place]) and np.isnan(kept).sum() == 1
    descriptors = {"subject": ["a", "a", "b"], "session": ["1", "2", "1"]}
    both = np.stack([kept[0], kept[1], kept[1]])
    mean = RdmSet(RDMs(both, rdm_descriptors=descriptors)).rdms()
    assert mean[0, place] == kept[1, place] and mean[0, 0] == (kept[0, 0] + kept[1, 0]) / 2


def test_a_pair_is_missing_in_both_triangles_and_not_everywhere(make_rdms):
    rdms = make_rdms(2)
    rdms[0, 4, 7] = np.nan
    with pytest.raises(InputError, match="pair of conditions 5 and 8 in one triangle and NaN in the other"):
        RdmSet.from_array(rdms)
    with pytest.raises(InputError, match="RDM 2 has NaN for every pair of conditions"):
        RdmSet.from_array(np.stack([make_rdms(1)[0], np.full((12, 12), np.nan)]))


def test_two_conditions_are_too_few():
    with pytest.raises(InputError, match="at least 3"):
        RdmSet.from_array(np.ones((4, 1)))


def test_single_precision_is_symmetric_enough(make_rdms):
    rdms = make_rdms(2).astype(np.float32)
    rdms[0, 0, 1] *= np.float32(1 + 1e-7)
    assert RdmSet.from_array(rdms).rdms().dtype == np.float64


def test_negative_cross_validated_distances_pass():
    vectors = np.random.default_rng(0).standard_normal((3, 66))
    np.testing.assert_array_equal(RdmSet.from_array(vectors).rdms(), vectors)


def test_sessions_and_times_from_rsatoolbox():
    generator = np.random.default_rng(0)
    cells = [(s, k, t) for t in (0.1, 0.0) for s in ("b", "a") for k in (1, 2)]
    vectors = generator.uniform(size=(len(cells), 10))
    descriptors = {name: [cell[axis] for cell in cells] for axis, name in enumerate(("subject", "session", "time"))}
    found = RdmSet.from_rsatoolbox(RDMs(vectors, rdm_descriptors=descriptors))
    assert found.subjects == ("b", "a") and found.sessions == ("1", "2")
    np.testing.assert_array_equal(found.times, [0.0, 0.1])
    by_session = found.rdms_by_session()
    assert by_session.shape == (2, 2, 2, 10)
    for row, (subject, session, time) in enumerate(cells):
        place = ("b", "a").index(subject), session - 1, (0.0, 0.1).index(time)
        np.testing.assert_array_equal(by_session[place], vectors[row])
    np.testing.assert_allclose(found.rdms(), by_session.mean(axis=1), rtol=1e-15)
    again = RdmSet.from_rsatoolbox(found.to_rsatoolbox())
    np.testing.assert_array_equal(again.rdms(), found.rdms())


def test_uneven_sessions_average_what_is_there():
    vectors = np.random.default_rng(0).uniform(size=(3, 10))
    found = RdmSet(RDMs(vectors, rdm_descriptors={"subject": ["a", "a", "b"]}))
    np.testing.assert_allclose(found.rdms(), [vectors[:2].mean(axis=0), vectors[2]])
    with pytest.raises(InputError, match="subject 'b' has no session '2'"):
        found.rdms_by_session()


def test_missing_and_repeated_rdms_are_refused():
    vectors = np.ones((3, 10))
    with pytest.raises(InputError, match="subject 'b' has no RDM at 0.2 s"):
        RdmSet(RDMs(vectors, rdm_descriptors={"subject": ["a", "a", "b"], "time": [0.1, 0.2, 0.1]}))
    with pytest.raises(InputError, match="3 RDMs but only 2 distinct"):
        RdmSet(RDMs(vectors, rdm_descriptors={"subject": ["a", "a", "b"], "session": [1, 1, 1]}))


def test_patterns_average_runs_in_the_conditions_order():
    generator = np.random.default_rng(0)
    runs = generator.standard_normal((2, 4, 7))
    order = [2, 0, 3, 1]
    names = ["a", "b", "c", "d"]
    rows = np.concatenate([runs[0], runs[1][order]])
    conditions = names + [names[index] for index in order]
    found = PatternSet.from_arrays([rows], conditions=conditions, runs=["1"] * 4 + ["2"] * 4)
    np.testing.assert_allclose(found.patterns()[0], runs.mean(axis=0), rtol=1e-14)
    np.testing.assert_array_equal(found.patterns_by_run()[0], runs)
    assert found.conditions == ("a", "b", "c", "d")


def test_patterns_in_time_and_through_rsatoolbox():
    measurements = [np.random.default_rng(s).standard_normal((5, 6 + s, 3)) for s in range(2)]
    times = np.array([0.0, 0.1, 0.2])
    found = PatternSet.from_arrays(measurements, times=times)
    for given_, patterns in zip(measurements, found.patterns(), strict=True):
        np.testing.assert_array_equal(patterns, np.moveaxis(given_, -1, 0))
    again = PatternSet.from_rsatoolbox(found.to_rsatoolbox())
    np.testing.assert_array_equal(again.times, times)
    assert again.n_channels == (6, 7) and again.subjects == found.subjects
    assert found.patterns_by_run()[1].shape == (1, 3, 5, 7)


def test_unusable_patterns():
    good = np.ones((4, 5))
    with pytest.raises(InputError, match="3 of 20 measurements of subject 2 are NaN"):
        PatternSet.from_arrays([good, np.where(np.arange(20).reshape(4, 5) < 3, np.nan, 1.0)])
    with pytest.raises(InputError, match="'subject_02' have 3 rows for 4 stimuli"):
        PatternSet.from_arrays([good, good[:3]], conditions=list("abcd"))
    with pytest.raises(InputError, match="at 2 times but 0 times in seconds"):
        PatternSet.from_arrays([np.ones((4, 5, 2))])
    with pytest.raises(InputError, match="without the observation descriptor 'stimulus'.*it has conds"):
        PatternSet.from_rsatoolbox([Dataset(good, obs_descriptors={"conds": list("abcd")})], condition="stimulus")
    with pytest.raises(InputError, match="the condition 'd' is not in the patterns of both"):
        PatternSet((Dataset(good, obs_descriptors={"condition": list("abcd")}),
                    Dataset(good, {"subject": "x"}, obs_descriptors={"condition": list("abca")})))  # fmt: skip
    with pytest.raises(InputError, match="2 conditions; expected at least 3"):
        PatternSet.from_arrays([good[:2]])
    uneven = PatternSet.from_arrays([good], conditions=list("abca"))
    with pytest.raises(InputError, match="measured 0 times in run '2'"):
        uneven.patterns_by_run()


def test_unusable_stimuli():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    with pytest.raises(InputError, match="'a' is used 2 times"):
        Stimuli(images, np.array(["a", "b", "a"]))
    with pytest.raises(InputError, match="2 images are too few"):
        Stimuli(images[:2], np.array(["a", "b"]))
    with pytest.raises(InputError, match="categories has shape .2,. for 3 images"):
        Stimuli(images, np.array(["a", "b", "c"]), categories=np.array(["x", "y"]))
    with pytest.raises(InputError, match="expected .n_conditions, height, width, 3. of uint8"):
        Stimuli(images.astype(float), np.array(["a", "b", "c"]))
    with pytest.raises(InputError, match="no categories are known"):
        Stimuli(images, np.array(["a", "b", "c"])).same_category()


def test_recording_checks_what_it_binds(stimuli, make_rdms):
    region = RdmSet.from_array(make_rdms(2))

    def record(**changes):
        return Recording(**({"name": "r", "stimuli": stimuli, "modality": "fmri", "regions": {"IT": region}} | changes))

    assert not record().simulated and record(modality="simulated fmri").simulated
    with pytest.raises(InputError, match="no region"):
        record(regions={})
    with pytest.raises(InputError, match="region 'V1' has 10 conditions for 12 stimuli"):
        record(regions={"V1": RdmSet.from_array(make_rdms(2, n_conditions=10))})
    with pytest.raises(InputError, match="in another order .row 1 is 'object_12'"):
        record(regions={"IT": RdmSet.from_array(make_rdms(2), conditions=list(stimuli.ids[::-1]))})
    with pytest.raises(InputError, match="begin the modality with 'simulated'"):
        record(truth={"IT": "category"})
    with pytest.raises(InputError, match="no region has a time axis"):
        record(times=np.array([0.0, 0.1]))
    in_time = RdmSet.from_array(make_rdms(2, 2), times=np.array([0.0, 0.1]))
    with pytest.raises(InputError, match="times that are not the recording's"):
        record(regions={"IT": in_time}, times=np.array([0.0, 0.2]))
    with pytest.raises(InputError, match="not an ascending list"):
        record(regions={"IT": in_time}, times=np.array([0.1, 0.0]))
    with pytest.raises(TypeError):
        record().regions["V1"] = region
