"""How many synaptic operations does an example cost, learned and inferred?

All products of the traced program are counted, loops with their length. A multiply-accumulate of 32 bits costs 4.6 pJ at 45 nm
and an accumulate 0.9 pJ, which is enough where what goes into a synapse is a spike (Horowitz 2014). The verdict holds learning
against backpropagation on the same network.

Horowitz 2014, doi:10.1109/ISSCC.2014.6757323.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from learning_rules.plausibility.criterion import FAILS, MEETS, PARTLY, Criterion, Finding
from learning_rules.plausibility.dataflow import Reads
from learning_rules.plausibility.spiking import EVENTS, share_of_events
from learning_rules.plausibility.subject import Subject

__all__ = ["CRITERION", "Cost", "cost"]

_MULTIPLY_ACCUMULATE_PJ = 4.6
_ACCUMULATE_PJ = 0.9


class Cost(NamedTuple):
    """Operations an example: multiply-accumulates, accumulates, and nanojoules."""

    multiply_accumulates: float
    accumulates: float

    @property
    def nanojoules(self) -> float:
        """At 45 nm."""
        return (self.multiply_accumulates * _MULTIPLY_ACCUMULATE_PJ + self.accumulates * _ACCUMULATE_PJ) / 1000


def cost(subject: Subject, reads: Reads, learning: bool) -> Cost:
    """Of one example."""
    events = share_of_events(subject, learning)
    # Block k's synapses are driven by the wire below it.
    cheap = sum(reads.forward[position + 1] for position, share in events.items() if share >= EVENTS)
    return Cost((reads.products - cheap) / subject.n_examples, cheap / subject.n_examples)


@lru_cache
def _of_backpropagation(architecture: str) -> float:
    from learning_rules.registry import build

    reference = Subject("backprop", lambda network: build("backprop", network), architecture)
    return cost(reference, reference.dataflow.reads, learning=True).nanojoules


def probe(subject: Subject) -> Finding:
    """Count."""
    flow = subject.dataflow
    learned = cost(subject, flow.reads, learning=True)
    inferred = cost(subject, flow.inference, learning=False)
    value = learned.nanojoules / _of_backpropagation(subject.architecture)
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
