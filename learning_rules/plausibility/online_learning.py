"""Does it learn from one example at a time, with no stored history?

Accuracy after as many samples one by one and in batches of 128, and whether what is carried from step to step holds images or
labels themselves: a rule that replays what it stored learns from a data set.

Bottou 1998; Hayes et al. 2021, doi:10.1162/neco_a_01433 (replay).
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import FAILS, MEETS, PARTLY, Criterion, Finding, listed
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.training import SAMPLES, of_batch_size

__all__ = ["CRITERION", "stored"]

_BATCH = 128


def stored(test: RuleUnderTest) -> list[str]:
    """What the carry keeps of the data themselves: "images", "labels".

    Parameters
    ----------
    test
        The rule under test.
    """
    return sorted({origin.copy for origin in test.dataflow.carry.values() if origin.copy})


def probe(test: RuleUnderTest) -> Finding:
    """Train both ways, and look into the carry."""
    alone, together = (test.accuracy(of_batch_size(test, size)) for size in (1, _BATCH))
    value = alone / max(together, 1e-9)
    told = f"accuracy {alone:.2f} after {SAMPLES} examples one by one, {together:.2f} in batches of {_BATCH}"
    kept = stored(test)
    if kept:
        return Finding(FAILS, value, f"{listed(kept)} themselves are kept from step to step, a stored data set; {told}")
    # As much above chance as a batch, or nearly.
    verdict = MEETS if alone >= 0.9 * together and alone > 0.2 else PARTLY if alone >= 0.6 * together and alone > 0.2 else FAILS
    return Finding(verdict, value, told)


CRITERION = Criterion(
    "online learning",
    "Does it learn from one example at a time, with no stored history?",
    f"accuracy at batch size 1 over that at batch size {_BATCH}, after {SAMPLES} examples each",
    "Hayes et al. 2021, doi:10.1162/neco_a_01433",
    probe,
)
