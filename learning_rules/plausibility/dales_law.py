r"""Do a unit's outgoing weights keep one sign?

Looked at over the hidden units that hidden nodes hear, before learning and after a short training: a unit violates Dale's law where
some of its outgoing weights excite and others inhibit. How far it does is graded by the share of its outgoing weight that has the
sign of the larger part,

.. math:: p = \frac{\max(E, I)}{E + I} = \frac12 \Bigl(1 + \frac{|\sum_j w_j|}{\sum_j |w_j|}\Bigr), \qquad
    E = \sum_j [w_j]_+, \; I = \sum_j [-w_j]_+

which is 1 where the law is kept and, of n weights that are drawn from a normal distribution about zero, about
:math:`\tfrac12 + 1 / (2 \sqrt n)`. No publication fixes such an index; this one is a straight line of a unit's net over its
summed weight. The law is met where no unit has both signs, partly where at most a tenth of the weight is of the wrong one.

Dale 1935; Eccles, Fatt and Koketsu 1954, doi:10.1113/jphysiol.1954.sp005226; Cornford et al. 2021, arXiv:2009.00941.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from architectures import WEIGHT, Network
from architectures.edge import INPUT
from architectures.roles import role_leaves
from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding
from learning_rules.plausibility.rule_under_test import RuleUnderTest

__all__ = ["CRITERION", "fraction_of_violations", "majority_share", "outgoing_weights"]

_PARTLY = 0.9


def outgoing_weights(network: Network, params: Any) -> list[np.ndarray]:
    """Weights from hidden units onto hidden nodes: for each group of units (units, targets).

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.
    """
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for index, node in enumerate(network.nodes[:-1]):
        edges = network.weighted_edges(index)
        for role, leaf in zip(role_leaves(node.roles), jax.tree.leaves(params[index]), strict=True):
            if role.kind != WEIGHT or role.edge is None or role.presynaptic is None or edges[role.edge].source == INPUT:
                continue
            # All but the presynaptic axis are targets, whatever the shape of the patch.
            outgoing = np.moveaxis(np.asarray(leaf), role.presynaptic, 0)
            units = found.setdefault((edges[role.edge].source, len(outgoing)), [])
            units.append(outgoing.reshape(len(outgoing), -1))
    return [np.concatenate(arrays, axis=1) for arrays in found.values()]


def fraction_of_violations(network: Network, params: Any) -> float:
    """Fraction of hidden units whose weights onto hidden nodes have both signs; NaN where hidden nodes hear none.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.
    """
    both, of = 0, 0
    for outgoing in outgoing_weights(network, params):
        # What is not a number has no sign to keep.
        broken = ~np.isfinite(outgoing).all(axis=1)
        both += int((((outgoing > 0).any(axis=1) & (outgoing < 0).any(axis=1)) | broken).sum())
        of += len(outgoing)
    return both / of if of else float("nan")


def majority_share(network: Network, params: Any) -> float:
    """Share of a unit's outgoing weight that has the sign of the larger part, mean over hidden units that hidden nodes hear.

    Parameters
    ----------
    network
        The network.
    params
        One tree per node.

    Returns
    -------
    float
        In [0.5, 1]; NaN where hidden nodes hear none. Of a unit with no weight at all, 1: it has no sign to break. Of one whose
        weights are not numbers, 0.5.
    """
    shares = []
    for outgoing in outgoing_weights(network, params):
        broken = ~np.isfinite(outgoing).all(axis=1)
        known = np.where(broken[:, None], 0.0, outgoing.astype(np.float64))
        summed = np.abs(known).sum(axis=1)
        net = np.divide(np.abs(known.sum(axis=1)), summed, out=np.ones(len(known)), where=summed > 0)
        shares.append(np.where(broken, 0.5, 0.5 * (1 + net)))
    return float(np.concatenate(shares).mean()) if shares else float("nan")


def probe(test: RuleUnderTest) -> Finding:
    """Before and after."""
    start, learned = (state.params["network"] for state in (test.fresh(4), test.state))
    before, after = (majority_share(test.network, params) for params in (start, learned))
    if np.isnan(before):
        return Finding(NOT_APPLICABLE, 0.0, "no hidden node hears a hidden unit over weights that tell units apart")
    both_before, both = (fraction_of_violations(test.network, params) for params in (start, learned))
    return Finding(
        MEETS if both == 0 else PARTLY if after >= _PARTLY else FAILS,
        after,
        f"{after:.0%} of a unit's outgoing weight has one sign after learning, {before:.0%} before; {both:.0%} of hidden units "
        f"excite some of their targets and inhibit others, {both_before:.0%} before",
    )


CRITERION = Criterion(
    "Dale's law",
    "Do a unit's outgoing weights keep one sign?",
    "share of a hidden unit's outgoing weight that has the sign of the larger part, after learning (1 keeps the law)",
    "Eccles, Fatt and Koketsu 1954, doi:10.1113/jphysiol.1954.sp005226; Cornford et al. 2021, arXiv:2009.00941",
    probe,
)
