r"""How much weight stands above a place, while places fill up one after the other: what tau-a asks of every entry.

N places are N bits, and an entry that weighs w sets w of them. A tree of base four stands over the words of 64 bits; a node holds
in one word, 21 bits each, how many bits are set beyond its first, second and third child, so that setting bits is one sum a level
and asking is one shift a level. With half a million entries that is seven levels, in 30 KB beside the bits' 90 KB, where a tree of
partial sums (Fenwick 1994, doi:10.1002/spe.4380240306) has twenty in 3 MB.

Indices are unsigned throughout: a signed one costs a test of its sign at every use.
"""

import numpy as np

from rsa.compiled import compiled, inlined

U = np.uint64
ONE, SIX, SEVEN_BITS = U(1), U(6), U(63)
LANE = U(21)
LANE_MASK = U(2**21 - 1)
LANES = U(1 | 1 << 21 | 1 << 42)
LOW_HALF, HALF = U(0xFFFFFFFF), U(32)
MOST_BITS = 2**21 - 1
"""As many bits as a lane counts."""


@inlined
def _count_ones(word):
    """How many bits of a word are set; LLVM knows these steps and makes one instruction of them."""
    word = word - ((word >> U(1)) & U(0x5555555555555555))
    word = (word & U(0x3333333333333333)) + ((word >> U(2)) & U(0x3333333333333333))
    word = (word + (word >> U(4))) & U(0x0F0F0F0F0F0F0F0F)
    return (word * U(0x0101010101010101)) >> U(56)


@compiled
def make_tree(n_bits):
    """Room for so many bits, none set: the words, the nodes of all levels, and where each level begins."""
    n_words = (n_bits >> 6) + 1
    levels, size, total = 0, n_words, 0
    while size > 1:
        size = (size + 3) >> 2
        total += size
        levels += 1
    begins = np.zeros(levels, np.uint64)
    size, total = n_words, 0
    for level in range(levels):
        begins[level] = total
        size = (size + 3) >> 2
        total += size
    return np.zeros(n_words, np.uint64), np.zeros(total, np.uint64), begins


@compiled
def count_from(place, words, nodes, begins):
    """How many bits are set at a place and above it."""
    word = place >> SIX
    found = _count_ones(words[word] >> (place & SEVEN_BITS))
    for level in range(begins.size):
        lane = (word & U(3)) * LANE  # beyond the last child is nothing, and bit 63 is never set
        word = word >> U(2)
        found += (nodes[begins[level] + word] >> lane) & LANE_MASK
    return found


@compiled
def set_bits(place, weight, words, nodes, begins):
    """Set as many bits from a place on as the weight says."""
    while weight > U(0):
        word, offset = place >> SIX, place & SEVEN_BITS
        some = min(weight, U(64) - offset)
        ones = U(0xFFFFFFFFFFFFFFFF) if some == U(64) else (ONE << some) - ONE
        words[word] |= ones << offset
        for level in range(begins.size):
            lane = (word & U(3)) * LANE
            word = word >> U(2)
            nodes[begins[level] + word] += (LANES & ((ONE << lane) - ONE)) * some
        place += some
        weight -= some


@compiled
def untied_agreement(held, n_held, words, nodes, begins, of_each):
    """Weighted sum, over pairs of entries, of the sign of their places' difference, where entries come in order and none are tied.

    What the two functions above do, on one way up the tree: a thousand draws spend most of their time here.
    """
    agreement, counted = 0.0, np.int64(0)
    for entry in range(n_held):
        place, weight = held[entry] & LOW_HALF, held[entry] >> HALF
        word, offset = place >> SIX, place & SEVEN_BITS
        if weight + offset > U(64):  # over the end of a word
            above = count_from(place, words, nodes, begins)
            set_bits(place, weight, words, nodes, begins)
        else:
            bits = words[word]
            above = _count_ones(bits >> offset)
            words[word] = bits | ((U(0xFFFFFFFFFFFFFFFF) >> (U(64) - weight)) << offset)
            for level in range(begins.size):
                lane = (word & U(3)) * LANE
                word = word >> U(2)
                index = begins[level] + word
                node = nodes[index]
                above += (node >> lane) & LANE_MASK
                nodes[index] = node + (LANES & ((ONE << lane) - ONE)) * weight
        own = counted - 2 * np.int64(above)
        agreement += float(np.int64(weight) * own)
        counted = counted + np.int64(weight)
        if of_each.size:
            of_each[entry] = own
    return agreement


__all__ = ["HALF", "LOW_HALF", "MOST_BITS", "count_from", "make_tree", "set_bits", "untied_agreement"]
