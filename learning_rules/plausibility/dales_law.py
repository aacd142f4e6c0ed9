"""Do a unit's outgoing weights keep one sign?

Counted over the hidden units that hidden nodes hear, before learning and after a short training: a unit violates Dale's law where
some of its outgoing weights excite and others inhibit.

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

__all__ = ["CRITERION", "fraction_of_violations", "outgoing_weights"]


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


def probe(test: RuleUnderTest) -> Finding:
    """Before and after."""
    before = fraction_of_violations(test.network, test.fresh(4).params["network"])
    if np.isnan(before):
        return Finding(NOT_APPLICABLE, 0.0, "no hidden node hears a hidden unit over weights that tell units apart")
    after = fraction_of_violations(test.network, test.state.params["network"])
    verdict = MEETS if after == 0 else PARTLY if after < 0.5 else FAILS
    return Finding(
        verdict,
        after,
        f"{after:.0%} of hidden units excite some of their targets and inhibit others after learning, {before:.0%} before",
    )


CRITERION = Criterion(
    "Dale's law",
    "Do a unit's outgoing weights keep one sign?",
    "fraction of hidden units with outgoing weights of both signs, after learning",
    "Eccles, Fatt and Koketsu 1954, doi:10.1113/jphysiol.1954.sp005226; Cornford et al. 2021, arXiv:2009.00941",
    probe,
)
