"""Few-shot examples out of reviewed pages: excerpts, what each of them shows, and which are taken. Pure."""

from .candidates import Candidate, CandidateRules, candidates_of
from .habits import OcrHabit
from .selection import Selection, select_examples
from .shown import Shown, ShownKind, shown_by

__all__ = [
    "Candidate",
    "CandidateRules",
    "OcrHabit",
    "Selection",
    "Shown",
    "ShownKind",
    "candidates_of",
    "select_examples",
    "shown_by",
]
