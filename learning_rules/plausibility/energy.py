"""How many synaptic operations does an example cost, learned and inferred?

All products of the traced program are counted, loops with their length. A multiply-accumulate of 32 bits costs 4.6 pJ at 45 nm
and an accumulate 0.9 pJ, which is enough where what goes into a synapse is a spike (Horowitz 2014). The verdict holds learning
against backpropagation on the same network.

Horowitz 2014, doi:10.1109/ISSCC.2014.6757323.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from architectures import Network
from learning_rules.plausibility.criterion import FAILS, MEETS, PARTLY, Criterion, Finding
from learning_rules.plausibility.dataflow import Reads
from learning_rules.plausibility.neighbours import place_of
from learning_rules.plausibility.rule_under_test import RuleUnderTest
from learning_rules.plausibility.spiking import EVENTS, fractions_of_events
from learning_rules.plausibility.tagging import Wire
from learning_rules.plausibility.traced_rule import Place

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


def cost(test: RuleUnderTest, reads: Reads, learning: bool) -> Cost:
    """Of one example.

    Parameters
    ----------
    test
        The rule under test.
    reads
        Products of its learning step, or of its inference.
    learning
        Which of the two.
    """
    events = fractions_of_events(test, learning)
    place = place_of(test.network)
    cheap = 0.0
    for index in range(len(test.network.nodes)):
        for number, edge in enumerate(test.network.weighted_edges(index)):
            if events.get(Wire(place[edge.source], index), 0.0) >= EVENTS:
                cheap += reads.forward[Place(index, number)]
    return Cost((reads.products - cheap) / test.n_examples, cheap / test.n_examples)


def _of_backpropagation(architecture: str | Network) -> float:
    from learning_rules.registry import build

    reference = RuleUnderTest("backprop", lambda network: build("backprop", network), architecture)
    return cost(reference, reference.dataflow.reads, learning=True).nanojoules


_of_small_network = lru_cache(_of_backpropagation)


def probe(test: RuleUnderTest) -> Finding:
    """Count."""
    flow = test.dataflow
    learned = cost(test, flow.reads, learning=True)
    inferred = cost(test, flow.inference, learning=False)
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
