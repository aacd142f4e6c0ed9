"""Do feedback signals read the forward weights backwards?

Two kinds of evidence, which are always both reported. *Intervention*: a block's weights are changed in the null space of the
batch's presynaptic activity, which leaves every forward activity as it was; if what is asked of blocks below moves, the weights
were read in the other direction. *Dataflow*: the program's products are searched for one that sums the weights over their units.
The intervention needs no look inside, but accuses rules whose second pass leaves the null space (perturbed, modulated or settled
activities); there the dataflow decides.

Grossberg 1987, doi:10.1111/j.1551-6708.1987.tb00862.x; Crick 1989, doi:10.1038/337129a0 (weight transport).
"""

from __future__ import annotations

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding, listed
from learning_rules.plausibility.interventions import in_null_space
from learning_rules.plausibility.subject import Subject

__all__ = ["CRITERION"]

# Between what rounding moves (under 1e-12) and what reading a weight moves (over 1e-2).
_MOVED = 1e-6


def _read_backwards(subject: Subject, how: str) -> list[int]:
    """Blocks whose weights are read so in the changes of blocks below."""
    return sorted(
        {
            token[1]
            for block in subject.hidden
            for token in subject.dataflow.updates[block]
            if token[0] == "weights" and token[2] == how and token[1] > block
        }
    )


def _looked_at(subject: Subject) -> bool:
    """Whether weights above were looked at in a way that the dataflow lost track of."""
    return any(
        token[0] == "weights" and token[2] == "value" and token[1] > block
        for block in subject.hidden
        for token in subject.dataflow.updates[block]
    )


def probe(subject: Subject) -> Finding:
    """Both kinds of evidence."""
    names = subject.network.block_names
    if not any(subject.dataflow.updates[block] for block in subject.hidden):
        return Finding(NOT_APPLICABLE, 0.0, "the body learns nothing")
    moved = {(block, below): found.of(below) for block, found in in_null_space(subject).items() for below in range(block)}
    value = max((each for each in moved.values() if each == each), default=0.0)
    backwards, signs = _read_backwards(subject, "backward"), _read_backwards(subject, "sign backward")
    flow = subject.dataflow
    extra = any(flow.reads.forward[block] > 1.5 * flow.inference.forward[block] for block in subject.hidden) or any(
        ("random",) in flow.updates[block] for block in subject.hidden
    )
    told = f"a change of weights that no forward activity feels moves the changes below by {value:.1e} (relative)"
    if backwards:
        where = listed([names[block] for block in backwards])
        agrees = "" if value > _MOVED else "; the intervention did not see it"
        return Finding(
            FAILS,
            value,
            f"errors are summed over the units of {where}, that is, carried down through forward weights; {told}{agrees}",
        )
    if signs:
        return Finding(
            PARTLY, value, f"errors are carried down through the signs of {listed([names[block] for block in signs])}; {told}"
        )
    if value > _MOVED and (not extra or _looked_at(subject)):
        return Finding(
            FAILS,
            value,
            f"{told}, which no product that the dataflow follows explains: the weights are read in some other way",
        )
    if not any(each == each for each in moved.values()):
        return Finding(
            FAILS, float("nan"), "what it asks of blocks below others is nothing or not a number: no movement can be told"
        )
    if value > _MOVED:
        why = "no product sums forward weights over their units: a second pass or settling leaves the null space and explains it"
        return Finding(MEETS, value, f"{told}, but {why}")
    return Finding(MEETS, value, f"no product sums forward weights over their units, and {told}")


CRITERION = Criterion(
    "weight transport",
    "Do feedback signals keep from reading the forward weights backwards?",
    "largest relative movement of a change below, after a change of weights that no forward activity feels",
    "Grossberg 1987, doi:10.1111/j.1551-6708.1987.tb00862.x; Crick 1989, doi:10.1038/337129a0",
    probe,
)
