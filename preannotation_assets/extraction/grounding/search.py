"""Approximate search for letters over a whole page at once.

The automaton of Wu and Manber ("Fast text searching allowing errors", 1992), turned around: the state
after a prefix of the pattern is the set of all boundaries on the page where that prefix may end, held
in one integer, so that one step costs a handful of big-integer operations for the whole page. Close
look-alikes are free; a level says how many other errors a match may have: a letter more, less or
another, or two swapped. What a match is worth is decided by its price in ``repairs``, not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .lookalikes import BROKEN_LETTERS, LIGATURES
from .page import Page

__all__ = [
    "Pattern",
    "first_level",
    "level_steps",
    "next_level",
    "pattern",
    "suffix_starts",
]


_LETTERS_A_STEP = 30_000
# How many letters of a quote others may stand for.
_LONGEST_GROUP = max(map(len, (*BROKEN_LETTERS, *LIGATURES)))
# The letters that break into others, and those that they break into.
_BREAKING = frozenset(group for group in BROKEN_LETTERS if len(group) == 1)
_BROKEN_PAIRS = frozenset((group[0], group[1]) for group in BROKEN_LETTERS if len(group) > 1)


@dataclass(slots=True)
class Pattern:
    """Letters to search: for each the places that match it, and the groups that end with it.

    A group is a jump: how many letters of the pattern it takes, the places where other letters stand for
    them, and how many those are.
    """

    places: Sequence[int]
    jumps: Sequence[Sequence[tuple[int, int, int]]]


def pattern(page: Page, letters: str) -> Pattern:
    """Looks up the places of the letters and of their look-alikes."""
    sets = page.letter_sets
    alike, stand_ins, loses_letters = sets.alike, sets.stand_ins, sets.has_lost_letters
    places = [alike[letter] for letter in letters]
    jumps = [stand_ins[letter] if letter in _BREAKING else () for letter in letters]
    for position, pair in enumerate(pairwise(letters), start=1):
        if loses_letters or pair in _BROKEN_PAIRS:
            jumps[position] = (*jumps[position], *stand_ins["".join(pair)])
    if loses_letters:
        for position in range(2, len(letters)):
            triple = letters[position - 2 : position + 1]
            if triple in LIGATURES:
                jumps[position] = (*jumps[position], *stand_ins[triple])
    return Pattern(places, jumps)


def level_steps(page: Page, length: int) -> float:
    """The work of one pass over a pattern of some length."""
    return length * (1 + len(page.letters) / _LETTERS_A_STEP)


def first_level(wanted: Pattern, starts: int) -> list[int]:
    """The states without errors, one for every prefix of the pattern; ``starts`` is that of the empty one."""
    states = [starts]
    state = starts
    for places, groups in zip(wanted.places, wanted.jumps, strict=True):
        state = (state & places) << 1
        if groups:
            for back, group, width in groups:
                if reached := states[-back] & group:
                    state |= reached << width
        states.append(state)
        if not state and not any(states[-_LONGEST_GROUP:]):
            break
    return _padded(states, wanted)


def next_level(wanted: Pattern, before: Sequence[int]) -> list[int]:
    """The states with one error more than those given."""
    state = before[0] | before[0] << 1
    states = [state]
    preceding = two_fewer = 0
    steps = zip(wanted.places, wanted.jumps, before, before[1:], strict=False)
    for places, groups, fewer, other in steps:
        # In most rounds there are none with fewer errors: a question costs less than a step for nothing.
        state &= places
        if other:
            state |= other
        swapped = two_fewer & places
        if swapped:
            state |= (swapped & preceding >> 1) << 1
        state = (state | fewer) << 1 | fewer if fewer else state << 1
        if groups:
            for back, group, width in groups:
                if reached := states[-back] & group:
                    state |= reached << width
        states.append(state)
        if not state and not any(states[-_LONGEST_GROUP:]):
            break
        preceding, two_fewer = places, fewer
    return _padded(states, wanted)


def _padded(states: list[int], wanted: Pattern) -> list[int]:
    """The states, and none for prefixes behind so many without any that no longer one can have any."""
    return states + [0] * (1 + len(wanted.places) - len(states))


def suffix_starts(wanted: Pattern, ends: int) -> list[int]:
    """The boundaries where each suffix of the pattern may begin, without errors, to end at ``ends``."""
    length = len(wanted.places)
    states = [0] * length + [ends]
    for position in range(length - 1, -1, -1):
        behind = states[position + 1]
        if not behind and not any(states[max(0, position + 1 - _LONGEST_GROUP) : position + 1]):
            break
        states[position] |= (behind >> 1) & wanted.places[position]
        for back, group, width in wanted.jumps[position]:
            states[position + 1 - back] |= (behind >> width) & group
    return states
