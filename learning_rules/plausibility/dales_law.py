"""Do a unit's outgoing weights keep one sign?

Counted over the units that a block's synapses read, before learning and after a short training: a unit violates Dale's law where
some of its outgoing weights excite and others inhibit.

Dale 1935; Eccles, Fatt and Koketsu 1954, doi:10.1113/jphysiol.1954.sp005226; Cornford et al. 2021, arXiv:2009.00941.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from learning_rules.plausibility.criterion import FAILS, MEETS, PARTLY, Criterion, Finding
from learning_rules.plausibility.subject import Subject
from learning_rules.plausibility.training import long_training

__all__ = ["CRITERION", "share_of_violations"]


def share_of_violations(params: Any, n_blocks: int) -> float:
    """Share of units whose outgoing weights have both signs: those that blocks between the first and the last read."""
    both, of = 0, 0
    for block in range(1, n_blocks - 1):
        kernel = np.asarray(params["network"][block]["kernel"])
        # The last axis but one are the units that are read, whatever the shape of the patch.
        outgoing = np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
        # What is not a number has no sign to keep.
        broken = ~np.isfinite(outgoing).all(axis=1)
        both += int((((outgoing > 0).any(axis=1) & (outgoing < 0).any(axis=1)) | broken).sum())
        of += len(outgoing)
    return both / max(of, 1)


def probe(subject: Subject) -> Finding:
    """Before and after."""
    n_blocks = len(subject.network.blocks)
    before = share_of_violations(subject.rule.init(subject.key(4)).params, n_blocks)
    after = share_of_violations(long_training(subject).params, n_blocks)
    verdict = MEETS if after == 0 else PARTLY if after < 0.5 else FAILS
    return Finding(
        verdict,
        after,
        f"{after:.0%} of hidden units excite some of their targets and inhibit others after learning, {before:.0%} before",
    )


CRITERION = Criterion(
    "Dale's law",
    "Do a unit's outgoing weights keep one sign?",
    "share of hidden units with outgoing weights of both signs, after learning",
    "Eccles, Fatt and Koketsu 1954, doi:10.1113/jphysiol.1954.sp005226; Cornford et al. 2021, arXiv:2009.00941",
    probe,
)
