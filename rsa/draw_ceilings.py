"""Noise ceilings of rank comparators in every bootstrap draw.

The best single RDM is the mean of the subjects' mid-ranks (Nili et al. 2014, doi:10.1371/journal.pcbi.1003553), which itself
has to be ranked: once for all subjects and once for each that is left out, in every draw. Entries that a draw does not hold are
dropped first, which leaves two in five.
"""

import numpy as np
from jaxtyping import Float, Int

from rsa.bootstrap import pair_weights
from rsa.compiled import compiled, in_threads
from rsa.kendall import Ranked, held_entries, midranks, signed_agreement, write_codes


@compiled
def _rho_a(ours, theirs, weights, total):
    middle, inner = (total + 1) / 2, 0.0
    for entry in range(weights.size):
        inner += weights[entry] * (ours[entry] - middle) * (theirs[entry] - middle)
    return inner / ((total**3 - total) / 12)


@compiled
def _bounds(codes, order, weights, drawn, by_signs):
    """Lower and upper bound of one draw; every subject that was drawn counts once, its copies are left out together."""
    n_subjects, n_pairs = codes.shape
    total_weight = weights.sum()
    ranks, total = np.empty((n_subjects, n_pairs)), np.zeros(n_pairs)
    for subject in range(n_subjects):
        if drawn[subject] > 0:
            midranks(codes[subject], order[subject], weights, ranks[subject])
            for entry in range(n_pairs):
                total[entry] += drawn[subject] * ranks[subject, entry]
    best_codes, best_ranks, tree = np.empty(n_pairs, codes.dtype), np.empty(n_pairs), np.zeros(n_pairs + 1)
    lower, upper, present = 0.0, 0.0, 0
    for left_out in range(-1, n_subjects):
        if left_out >= 0 and drawn[left_out] == 0:
            continue
        # Sums of halves are exact, and so are ties of the mean.
        best = total if left_out < 0 else total - drawn[left_out] * ranks[left_out]
        best_order = np.argsort(best)
        write_codes(best, best_order, best_codes)
        if not by_signs:
            midranks(best_codes, best_order, weights, best_ranks)
        for subject in range(n_subjects):
            if drawn[subject] == 0 or (left_out >= 0 and subject != left_out):
                continue
            if by_signs:
                agreement = signed_agreement(best_codes, best_order, codes[subject], weights, tree)
                score = agreement / (total_weight * (total_weight - 1) / 2)
            else:
                score = _rho_a(best_ranks, ranks[subject], weights, total_weight)
            if left_out < 0:
                upper += score
                present += 1
            else:
                lower += score
    return lower / present, upper / present


def rank_ceilings(
    comparator: str,
    data: Ranked,
    counts: Int[np.ndarray, "n_condition_draws n_conditions"],
    drawn: Int[np.ndarray, "n_subject_draws n_subjects"],
) -> tuple[Float[np.ndarray, " n_draws"], Float[np.ndarray, " n_draws"]]:
    """Lower and upper noise ceiling of every draw; one row of counts, or of subjects, stands for all draws.

    NaN where a draw holds one subject alone, or fewer than two pairs of conditions.
    """
    bounds = np.full((max(len(counts), len(drawn)), 2), np.nan)

    def one(draw: int) -> None:
        weights = pair_weights(counts[min(draw, len(counts) - 1)])
        subjects = drawn[min(draw, len(drawn) - 1)]
        if (subjects > 0).sum() > 1 and (weights > 0).sum() > 1:
            codes, order, held = held_entries(data.codes, data.order, weights)
            bounds[draw] = _bounds(codes, order, held, subjects, comparator == "kendall")

    in_threads(one, len(bounds))
    return bounds[:, 0], bounds[:, 1]


__all__ = ["rank_ceilings"]
