import numpy as np
import pytest

import rsa


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
