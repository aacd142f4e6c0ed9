"""How many synaptic operations does an example cost, learned and inferred?

Where signals are graded, all products of the traced program are counted in full, loops with their length, whatever the numbers.
Where what hidden nodes hear is events, an operation is an event times its fan-out, counted on a run of the learned state
(`event_products`): silence costs nothing. A multiply-accumulate of 32 bits costs 4.6 pJ at 45 nm and an accumulate 0.9 pJ, which is
enough where what goes into a synapse is a spike (Horowitz 2014). What units do by themselves (leak, traces, thresholds) is not
counted. The verdict holds learning against backpropagation on the same network.

Horowitz 2014, doi:10.1109/ISSCC.2014.6757323; events times fan-out: Merolla et al. 2014, doi:10.1126/science.1254642.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from architectures import Network
from learning_rules.plausibility.criterion import FAILS, MEETS, PARTLY, Criterion, Finding
from learning_rules.plausibility.event_products import count_events
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.spiking import EVENTS, fractions_of_events

__all__ = ["CRITERION", "Cost", "cost"]

_MULTIPLY_ACCUMULATE_PJ = 4.6
_ACCUMULATE_PJ = 0.9


class Cost(NamedTuple):
    """Operations an example.

    Attributes
    ----------
    multiply_accumulates, accumulates
        Numbers of them.
    """

    multiply_accumulates: float
    accumulates: float

    @property
    def nanojoules(self) -> float:
        """At 45 nm."""
        return (self.multiply_accumulates * _MULTIPLY_ACCUMULATE_PJ + self.accumulates * _ACCUMULATE_PJ) / 1000


def cost(test: RuleUnderTest, learning: bool) -> Cost:
    """Of one example.

    Parameters
    ----------
    test
        The rule under test.
    learning
        Whether it learns, or represents.
    """
    last = len(test.network.nodes) - 1
    into_hidden = [each >= EVENTS for wire, each in fractions_of_events(test, learning).items() if wire.hearer != last]
    if not any(into_hidden):
        products = (test.dataflow.reads if learning else test.dataflow.inference).products
        return Cost(products / test.n_examples, 0.0)
    # How often units spike hangs on thresholds that have come to rest.
    batch = test.batch(0)
    if learning:
        counted = count_events(
            lambda state, batch, key: test.rule.assign_credit(key, state, batch)[0],
            test.state,
            batch,
            test.key(2),
            graded=all(into_hidden),
        )
    else:
        counted = count_events(test.rule.represent, test.state, batch[0], graded=all(into_hidden))
    return Cost(*(each / test.n_examples for each in counted))


def _of_backpropagation(architecture: str | Network) -> float:
    from learning_rules.registry import build

    reference = RuleUnderTest("backprop", lambda network: build("backprop", network), architecture)
    return cost(reference, learning=True).nanojoules


_of_small_network = lru_cache(_of_backpropagation)


def probe(test: RuleUnderTest) -> Finding:
    """Count."""
    flow = test.dataflow
    learned, inferred = cost(test, learning=True), cost(test, learning=False)
    reference = _of_small_network if isinstance(test.architecture, str) else _of_backpropagation
    value = learned.nanojoules / reference(test.architecture)
    told = (
        f"{learned.nanojoules:.0f} nJ to learn an example ({learned.multiply_accumulates / 1000:.1f} k multiply-accumulates, "
        f"{learned.accumulates / 1000:.1f} k accumulates), {inferred.nanojoules:.0f} nJ to infer one; {value:.2f} times what "
        "backpropagation takes to learn one"
    )
    if flow.reads.endless:
        told += "; a loop of unknown length is counted once"
    return Finding(MEETS if value <= 1.05 else PARTLY if value <= 3 else FAILS, value, told)


CRITERION = Criterion(
    "energy",
    "Does learning an example cost no more synaptic operations than backpropagation?",
    "energy of learning an example over that of backpropagation on the same network",
    "Horowitz 2014, doi:10.1109/ISSCC.2014.6757323",
    probe,
)
