"""Must a block wait for blocks above it before it can change?

Weights above are changed at random: does the block's change move? A number that is broadcast to all (a reward) counts as a wait,
but a lesser one than that for a vector of signals.

Jaderberg et al. 2017, arXiv:1608.05343 (update locking); Belilovsky, Eickenberg and Oyallon 2020, arXiv:1901.08164.
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding
from learning_rules.plausibility.interventions import above_at_random
from learning_rules.plausibility.subject import Subject

__all__ = ["CRITERION"]

_MOVED = 1e-9


def probe(subject: Subject) -> Finding:
    """Change what is above."""
    names = subject.network.block_names
    updates = subject.dataflow.updates
    if not any(updates[block] for block in subject.hidden):
        return Finding(NOT_APPLICABLE, 0.0, "the body learns nothing")
    moved = {(above, block): found.of(block) for above, found in above_at_random(subject).items() for block in range(above)}
    known = {pair: each for pair, each in moved.items() if each == each}
    value = max(known.values(), default=0.0)
    vector = any(token[0] in ("weights", "activity") and token[1] > block for block in subject.hidden for token in updates[block])
    scalar = any(
        token[0] == "scalar" and token[1][0] in ("weights", "activity") and token[1][1] > block
        for block in subject.hidden
        for token in updates[block]
    )
    if not known:
        return Finding(
            FAILS, float("nan"), "what it asks of blocks below others is nothing or not a number: no movement can be told"
        )
    if value > _MOVED or vector:
        above, block = max(known, key=lambda pair: known[pair])
        told = f"new weights in {names[above]} move the change of {names[block]} by {value:.1e} (relative)"
        if not vector and scalar:
            return Finding(PARTLY, value, f"{told}, by a number that is broadcast to all")
        if value <= _MOVED:
            return Finding(PARTLY, value, "signals from above enter, but new weights there moved nothing on these images")
        return Finding(FAILS, value, told)
    return Finding(MEETS, value, f"new weights above leave every change as it was (moved by {value:.1e})")


CRITERION = Criterion(
    "update unlocking",
    "Can a block change without waiting for blocks above it?",
    "largest relative movement of a block's change after a random change of weights above",
    "Jaderberg et al. 2017, arXiv:1608.05343; Belilovsky, Eickenberg and Oyallon 2020, arXiv:1901.08164",
    probe,
)
