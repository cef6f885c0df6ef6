"""How far experts agree who reviewed the same pages."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from preannotation_assets.evaluation.pages import place_of
from preannotation_assets.evaluation.responses import Response
from preannotation_assets.extraction.segments import Mark

__all__ = ["AgreementTally", "PairAgreement"]

_Value = frozenset[str]


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two experts on the pages that both reviewed: spans of the same borders and label, and all of each.

    ``f1`` is the F1 of the one held against the other, whichever of the two is taken for the gold (Hripcsak
    and Rothschild, 2005); None where neither marked anything.
    """

    first: str
    second: str
    pages: int
    shared: int
    first_spans: int
    second_spans: int

    @property
    def f1(self) -> float | None:
        """Twice the shared spans over all of both."""
        total = self.first_spans + self.second_spans
        return 2 * self.shared / total if total else None


@dataclass(slots=True)
class _PairCounts:
    pages: int = 0
    shared: int = 0
    first_spans: int = 0
    second_spans: int = 0


@dataclass(slots=True)
class AgreementTally:
    """Adds pages up; what one expert alone reviewed says nothing and is passed over."""

    pages: int = 0
    _pairs: dict[tuple[str, str], _PairCounts] = field(default_factory=dict)
    # Krippendorff's n_c, and the sum of o_ck over all c that are not k.
    _values: Counter[_Value] = field(default_factory=Counter)
    _disagreement: float = 0.0

    def add(self, length: int, responses: Sequence[Response]) -> None:
        """Adds a page of so many characters, with one response an expert."""
        if len(responses) < 2:  # noqa: PLR2004
            return
        self.pages += 1
        for one, other in combinations(sorted(responses, key=lambda response: response.annotator), 2):
            counts = self._pairs.setdefault((one.annotator, other.annotator), _PairCounts())
            first, second = set(map(place_of, one.spans)), set(map(place_of, other.spans))
            counts.pages += 1
            counts.shared += len(first & second)
            counts.first_spans += len(first)
            counts.second_spans += len(second)
        for characters, values in _runs(length, [response.spans for response in responses]):
            self._add_characters(characters, Counter(values))

    def _add_characters(self, characters: int, values: Counter[_Value]) -> None:
        experts = values.total()
        for value, count in values.items():
            self._values[value] += characters * count
        unequal = experts**2 - sum(count**2 for count in values.values())
        self._disagreement += characters * unequal / (experts - 1)

    @property
    def pairs(self) -> list[PairAgreement]:
        """Every two experts that share a page, by name."""
        return [
            PairAgreement(*names, counts.pages, counts.shared, counts.first_spans, counts.second_spans)
            for names, counts in sorted(self._pairs.items())
        ]

    @property
    def alpha(self) -> float | None:
        """Krippendorff's alpha for nominal data; a unit is a character, its value the labels it has.

        1 is agreement in all, 0 what chance would give, below it is disagreement by method. None where every
        character has one and the same value, as then there is nothing to tell apart (Krippendorff, 2011:
        alpha = 1 - (n - 1) * sum of o_ck / sum of n_c * n_k, both over c that are not k).
        """
        total = self._values.total()
        expected = total**2 - sum(count**2 for count in self._values.values())
        return 1 - (total - 1) * self._disagreement / expected if expected else None


def _runs(length: int, marked: Sequence[Sequence[Mark]]) -> Iterator[tuple[int, list[_Value]]]:
    """The page in stretches on which nobody's labels change: how long, and what each expert has there."""
    sweeps = [_labels_at(marks) for marks in marked]
    borders = {0, length, *(border for sweep in sweeps for border, _ in sweep)}
    values: list[_Value] = [frozenset()] * len(marked)
    places = [0] * len(marked)
    for start, end in pairwise(sorted(borders)):
        for expert, sweep in enumerate(sweeps):
            while places[expert] < len(sweep) and sweep[places[expert]][0] <= start:
                values[expert] = sweep[places[expert]][1]
                places[expert] += 1
        yield end - start, list(values)


def _labels_at(marks: Iterable[Mark]) -> list[tuple[int, _Value]]:
    """Each border of the marks, and the labels from there on."""
    changes: dict[int, list[tuple[str, int]]] = {}
    for mark in marks:
        changes.setdefault(mark.start, []).append((mark.label, 1))
        changes.setdefault(mark.end, []).append((mark.label, -1))
    depth: Counter[str] = Counter()
    found = []
    for border in sorted(changes):
        for label, change in changes[border]:
            depth[label] += change
        found.append((border, frozenset(label for label, count in depth.items() if count)))
    return found
