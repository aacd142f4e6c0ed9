import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioplausible.foundation.errors import InputError
from experiments.datasets.splits import apportion, stratified_choice, take_fraction, take_subset

LABELS = np.random.default_rng(0).choice(4, size=403, p=[0.5, 0.3, 0.15, 0.05]).astype(np.int32)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 200), min_size=2, max_size=12), share=st.floats(0, 1))
def test_shares_sum_to_the_total_and_are_off_by_less_than_one(counts, share):
    counts = np.array(counts)
    total = round(share * counts.sum())
    chosen = apportion(counts, total, np.zeros_like(counts), counts)
    assert chosen.sum() == total
    assert np.all(np.abs(chosen - counts * total / counts.sum()) < 1)


def test_bounds_hold_where_exact_shares_break_them():
    counts = np.array([1000, 2, 2])
    assert apportion(counts, 5, np.ones(3, int), counts).tolist() == [3, 1, 1]
    assert apportion(counts, 1003, np.zeros(3, int), counts - 1).tolist() != counts.tolist()


def test_fraction_is_disjoint_complete_stratified_and_repeatable():
    taken, left = take_fraction(LABELS, 4, 0.25, 7, every_class=False, what="test")
    assert np.array_equal(np.sort(np.concatenate([taken, left])), np.arange(len(LABELS)))
    exact = np.bincount(LABELS) / 4
    assert len(taken) == round(len(LABELS) / 4)
    assert np.all(np.abs(np.bincount(LABELS[taken], minlength=4) - exact) < 1)
    again, _ = take_fraction(LABELS, 4, 0.25, 7, every_class=False, what="test")
    other, _ = take_fraction(LABELS, 4, 0.25, 8, every_class=False, what="test")
    assert np.array_equal(taken, again) and not np.array_equal(taken, other)


def test_every_image_is_chosen_equally_often_over_seeds():
    labels = np.zeros(20, np.int32)
    chosen = np.zeros(20)
    for seed in range(2000):
        chosen[stratified_choice(labels, np.array([5]), seed)[0]] += 1
    # Binomial(2000, 1/4): a standard deviation of 19.4.
    assert np.all(np.abs(chosen - 500) < 5 * 19.4)


def test_every_class_gives_at_least_one_where_asked():
    labels = np.array([0] * 100 + [1] * 2, np.int32)
    taken, left = take_fraction(labels, 2, 0.1, 0, every_class=True, what="test")
    assert set(labels[taken]) == set(labels[left]) == {0, 1}


def test_subset_of_equal_classes_is_balanced_and_nested():
    labels = np.repeat(np.arange(5, dtype=np.int32), 40)
    small, large = take_subset(labels, 5, 25, 3, "test"), take_subset(labels, 5, 100, 3, "test")
    assert np.bincount(labels[small]).tolist() == [5] * 5
    assert set(small) < set(large)


def test_impossible_requests_say_what_is_possible():
    with pytest.raises(InputError, match=r"n_train=3 was given, where 4 \(one image a class\) to 403"):
        take_subset(LABELS, 4, 3, 0, "birds")
    with pytest.raises(InputError, match="birds: n_train=404"):
        take_subset(LABELS, 4, 404, 0, "birds")
    with pytest.raises(InputError, match="cannot be taken from 3 images, 1 in the smallest of 2 classes"):
        take_fraction(np.array([0, 0, 1], np.int32), 2, 0.2, 0, every_class=True, what="birds")
    with pytest.raises(InputError, match="a fraction of 0.001 cannot be taken"):
        take_fraction(LABELS, 4, 0.001, 0, every_class=False, what="birds")
