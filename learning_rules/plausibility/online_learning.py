"""Does it learn from one example at a time, with no stored history?

Accuracy after as many updates by one example each as by batches of 128, which alone tells what noise a single example brings:
with as many examples a batch would be judged by its few steps. Single examples get the best of a few rates, since a rule's own was
chosen for batches, and both several starts. And whether what is carried from step to step keeps images or labels
themselves (`memory`): past images are changed, and the next change at the same weights is looked at. A running mean may move it; a
rule that replays what it stored learns from a data set. A rule that asks nothing of hidden nodes has nothing to learn online.

Bottou 1998; Hayes et al. 2021, doi:10.1162/neco_a_01433 (replay).
"""

from __future__ import annotations

import numpy as np

from learning_rules.plausibility.criterion import (
    FAILS,
    MEETS,
    NOT_APPLICABLE,
    NOTHING_LEARNED,
    PARTLY,
    Criterion,
    Finding,
    between,
    listed,
)
from learning_rules.plausibility.memory import Memory, memory
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.training import RATES, UPDATES, of_batch_size

__all__ = ["CRITERION", "stored"]

_BATCH = 128
_MOVED = 1e-6
# Accuracy over which something has been learned of ten classes.
_LEARNED = 0.2


def stored(test: RuleUnderTest) -> list[str]:
    """What the carry keeps of the data themselves: "images", "labels".

    Parameters
    ----------
    test
        The rule under test.
    """
    return sorted({origin.copy for origin in test.dataflow.carry.values() if origin.copy})


def probe(test: RuleUnderTest) -> Finding:
    """Change past images, and train both ways."""
    if not test.hidden_learn:
        return Finding(NOT_APPLICABLE, 0.0, NOTHING_LEARNED)
    remembered: Memory = test.once("memory", memory)
    alone, together = (of_batch_size(test, size) for size in (1, _BATCH))
    # Where batches teach nothing either, chance is what a single example is held against.
    values = [one.accuracy / max(many.accuracy, _LEARNED) for one, many in zip(alone, together, strict=True)]
    value = float(np.mean(values))
    accuracy, of_batches = (float(np.mean([each.accuracy for each in found])) for found in (alone, together))
    told = (
        f"accuracy {accuracy:.2f} after {UPDATES} updates by one example each, at the best of {len(RATES)} rates "
        f"({between([each.rate for each in alone])} of its own), {of_batches:.2f} by batches of {_BATCH}; a ratio of "
        f"{between(values)} from start to start"
    )
    kept = stored(test)
    moved = remembered.moved > _MOVED or remembered.moved != remembered.moved
    told += f"; other past images move the next change by {remembered.moved:.1e}"
    if moved and (kept or remembered.apart):
        what = listed(kept) if kept else "past images, one by one,"
        return Finding(FAILS, value, f"{what} are kept from step to step, a stored data set; {told}")
    # As good as a batch, or nearly, and above chance.
    learns = accuracy > _LEARNED
    return Finding(MEETS if learns and value >= 0.9 else PARTLY if learns and value >= 0.6 else FAILS, value, told)


CRITERION = Criterion(
    "online learning",
    "Does it learn from one example at a time, with no stored history?",
    f"accuracy by single examples (at the best of a few rates) over that by batches of {_BATCH}, after {UPDATES} updates each",
    "Hayes et al. 2021, doi:10.1162/neco_a_01433",
    probe,
)
