"""Faults of the model itself: it tells nothing, or one thing again and again."""

from collections.abc import Sequence

from preannotation_assets.simulator.answer_text import repeated_characters, repeated_objects
from preannotation_assets.simulator.faults import Fault
from preannotation_assets.simulator.habits import Answer

__all__ = ["MODEL_FAULTS", "told_answers"]

MODEL_FAULTS = frozenset(
    {Fault.EMPTY_LIST, Fault.ENDLESS_OBJECTS, Fault.ENDLESS_CHARACTERS, Fault.EQUAL_TOKENS}
)


def told_answers(fault: Fault | None, found: Sequence[Answer], limit: int) -> Sequence[Answer]:
    """What the model tells of what it found: all, nothing, or one thing up to ``limit`` tokens."""
    if fault is Fault.EMPTY_LIST:
        return ()
    if fault is Fault.ENDLESS_OBJECTS:
        return repeated_objects(found, limit)
    if fault is Fault.ENDLESS_CHARACTERS:
        return repeated_characters(found, "A.S.", limit)
    if fault is Fault.EQUAL_TOKENS:
        return repeated_characters(found, ".", limit)
    return found
