"""Does a synapse's change need anything but its own signals, its own block's state and at most a broadcast scalar?

Every activity that is on a wire counts as that block's own signal, and the rest of the program is asked what a block's change needs
beside its own and its neighbours' signals: activities or weights further away, or labels as a vector. Asked of blocks with two or
more above them. Beside it, the intervention: weights two or more blocks above are changed where no forward activity feels it.

Richards et al. 2019, doi:10.1038/s41593-019-0520-2; Whittington and Bogacz 2019, doi:10.1016/j.tics.2018.12.005.
"""

from __future__ import annotations

from typing import Any

from learning_rules.plausibility.criterion import FAILS, MEETS, NOT_APPLICABLE, PARTLY, Criterion, Finding, listed
from learning_rules.plausibility.interventions import in_null_space
from learning_rules.plausibility.subject import Subject

__all__ = ["CRITERION", "remote"]


def remote(subject: Subject, block: int) -> list[str]:
    """What a block's change needs from further away than its neighbours, in words."""
    names = subject.network.block_names
    found: list[str] = []
    for token in sorted(subject.dataflow.signals[block], key=str):
        kind: Any = token[0]
        if kind == "activity" and abs(token[1] - block) > 1 and token[1] >= 0:
            found.append(f"activity of {names[token[1]]}")
        elif kind == "weights" and token[1] not in (block, block + 1):
            found.append(f"weights of {names[token[1]]}")
        elif kind == "labels":
            found.append("labels")
    return list(dict.fromkeys(found))


def probe(subject: Subject) -> Finding:
    """Dataflow with wires cut, and the intervention two blocks up."""
    names = subject.network.block_names
    examined = [block for block in subject.hidden if block + 2 < len(names)]
    if not any(subject.dataflow.signals[block] for block in examined):
        return Finding(NOT_APPLICABLE, 0.0, "the body learns nothing")
    needs = {block: remote(subject, block) for block in examined}
    far = {block for block, needed in needs.items() if needed and needed != ["labels"]}
    taught = {block for block, needed in needs.items() if needed == ["labels"]}
    found = in_null_space(subject)
    moved = max((found[above].of(block) for block in examined for above in range(block + 2, len(names))), default=0.0)
    scalars = any(
        token[0] == "scalar" and token[1][0] == "labels" for block in examined for token in subject.dataflow.signals[block]
    )
    beside = f"weights two or more blocks above, changed where no forward activity feels it, move it by {moved:.1e}"
    value = (len(far) + 0.5 * len(taught)) / len(examined)
    if len(far) == len(examined):
        return Finding(
            FAILS, value, f"{names[examined[0]]} needs {listed(needs[examined[0]])}, none of it its own or a neighbour's; {beside}"
        )
    if far:
        block = min(far)
        return Finding(
            PARTLY,
            value,
            f"{listed([names[each] for each in sorted(far)])} needs {listed(needs[block])}, the other blocks their own signals and "
            f"their neighbours'; {beside}",
        )
    if taught:
        return Finding(
            PARTLY,
            value,
            f"own signals suffice but for the label, which reaches {listed([names[each] for each in sorted(taught)])} as a vector; "
            + beside,
        )
    with_scalar = " and a number broadcast to all" if scalars else ""
    return Finding(MEETS, value, f"own and neighbours' signals suffice{with_scalar}; {beside}")


CRITERION = Criterion(
    "local credit",
    "Does a synapse's change need nothing but its own signals, its block's state and at most a broadcast scalar?",
    "share of examined blocks whose change needs more (a label as a vector counts half)",
    "Richards et al. 2019, doi:10.1038/s41593-019-0520-2; Whittington and Bogacz 2019, doi:10.1016/j.tics.2018.12.005",
    probe,
)
