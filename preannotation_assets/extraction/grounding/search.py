"""Approximate search for letters over a whole page at once.

The automaton of Wu and Manber ("Fast text searching allowing errors", 1992), turned around: the state
after a prefix of the pattern is the set of all boundaries on the page where that prefix may end, held
in one integer, so that one step costs a handful of big-integer operations for the whole page. Close
look-alikes are free; a level says how many other errors (a letter more, less or another) a match may
have. What a match is worth is decided by its price in ``repairs``, not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .page import Page

__all__ = ["Pattern", "first_level", "next_level", "pattern", "suffix_starts"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Letters to search: for each the places that match it, and the groups that end with it.

    A group is a jump: how many letters of the pattern it takes, the places where other letters stand for
    them, and how many those are.
    """

    places: Sequence[int]
    jumps: Sequence[Sequence[tuple[int, int, int]]]


def pattern(page: Page, letters: str) -> Pattern:
    """Looks up the places of the letters and of their look-alikes."""
    places = [page.alike(letter) for letter in letters]
    jumps = [page.stand_ins(letters[:1])]
    for position in range(1, len(letters)):
        pair = letters[position - 1 : position + 1]
        jumps.append((*page.stand_ins(letters[position]), *page.stand_ins(pair)))
    return Pattern(places, jumps)


def first_level(wanted: Pattern, starts: int) -> list[int]:
    """The states without errors, one for every prefix of the pattern; ``starts`` is that of the empty one."""
    states = [starts]
    state = starts
    jumps = wanted.jumps
    for position, places in enumerate(wanted.places):
        state = (state & places) << 1
        for back, group, width in jumps[position]:
            state |= (states[position + 1 - back] & group) << width
        states.append(state)
    return states


def next_level(wanted: Pattern, before: Sequence[int]) -> list[int]:
    """The states with one error more than those given."""
    state = before[0] | before[0] << 1
    states = [state]
    jumps = wanted.jumps
    for position, places in enumerate(wanted.places):
        fewer = before[position]
        state = (((state & places) | fewer | before[position + 1]) << 1) | fewer
        for back, group, width in jumps[position]:
            state |= (states[position + 1 - back] & group) << width
        states.append(state)
    return states


def suffix_starts(wanted: Pattern, ends: int) -> list[int]:
    """The boundaries where each suffix of the pattern may begin, without errors, to end at ``ends``."""
    length = len(wanted.places)
    states = [0] * length + [ends]
    for position in range(length - 1, -1, -1):
        state = (states[position + 1] >> 1) & wanted.places[position]
        for back in (1, 2):
            if position + back > length:
                break
            for taken, group, width in wanted.jumps[position + back - 1]:
                if taken == back:
                    state |= (states[position + back] >> width) & group
        states[position] = state
    return states
