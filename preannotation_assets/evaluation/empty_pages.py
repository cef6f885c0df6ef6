"""What a cheap test could save that leaves out pages on which nothing is to be marked. It measures only.

The test is a ridge regression of the spans of a page on its words and their shapes, fitted to reviewed pages
and asked about documents that it has not seen: a few sums of products, so that fitting it anew for each
fold costs nothing. Beside it stands the test that counts letters.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import fsum
from typing import Final

import numpy as np
import numpy.typing as npt

from preannotation_assets.evaluation.bootstrap import Interval, Ratios, ratio_intervals
from preannotation_assets.evaluation.held_out import digest_of
from preannotation_assets.evaluation.page_words import COLUMNS, count_letters, hashed_words
from preannotation_assets.evaluation.pages import PageKey, ReviewedPage
from preannotation_assets.evaluation.scores import Figure

__all__ = [
    "ALLOWANCES",
    "FEWEST_DOCUMENTS",
    "FEWEST_OF_A_KIND",
    "MOST_PAGES",
    "MOST_SPANS_LOST",
    "CheapTest",
    "EmptyPages",
    "PageRequests",
    "PageSample",
    "SavedAt",
    "measure_empty_pages",
]

MOST_SPANS_LOST: Final = 0.005
"""The share of all spans that a test may lose on the documents by which its threshold is set."""
FEWEST_OF_A_KIND: Final = 20
FEWEST_DOCUMENTS: Final = 10
"""With fewer pages that hold nothing, fewer that hold something, or fewer documents nothing is measured."""
MOST_PAGES: Final = 5000
"""About so many are kept to measure with: the documents whose digests are lowest."""

LEAST_SAVED: Final = 0.01
ALLOWANCES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Other shares of the spans that may be lost, for the curve."""

_FOLDS: Final = 5
_PENALTY: Final = 10.0
# Words weigh more against the penalty than the length of the page does.
_WORDS_SCALE: Final = 3.0
_FREE: Final = 1e-6
_SEED: Final = 1
_DIGESTS: Final = 16**16
_ROWS_AT_ONCE: Final = 500

_Vector = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.float16]
_Folds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PageRequests:
    """What a page took: its requests, their tokens, and the seconds that a server worked on them.

    Tokens and seconds are of those that are known, None where none is. A request that several pages share
    is the first one's.
    """

    requests: int
    tokens: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CheapTest:
    """What a test would have left out of documents that it has not seen; the figures are shares.

    ``requests_saved``, ``tokens`` and ``seconds`` are unknown where nobody knows what the pages took.
    """

    pages_saved: Figure
    requests_saved: Figure
    spans_lost: Figure
    tokens: int | None
    seconds: float | None

    @property
    def saves_little(self) -> bool:
        """Whether it may be less than 1 % that is saved, which chance alone gives."""
        saved = self.pages_saved if self.requests_saved.value is None else self.requests_saved
        return (saved.interval.low if saved.interval else saved.value or 0.0) < LEAST_SAVED


@dataclass(frozen=True, slots=True)
class SavedAt:
    """What the test by words would have left out of unseen documents, were ``allowed`` spans to be lost.

    All are shares: of the spans, of the pages, and of the spans again.
    """

    allowed: float
    pages_saved: float
    spans_lost: float


@dataclass(frozen=True, slots=True)
class EmptyPages:
    """How many reviewed pages with text hold nothing, and what could be saved by that.

    ``measured`` of them were kept to measure with; both tests are None where there are too few. ``curve`` is
    that of the test by words, by what it may lose.
    """

    pages: int
    empty: int
    measured: int
    by_words: CheapTest | None
    by_letters: CheapTest | None
    curve: tuple[SavedAt, ...] = ()


@dataclass(slots=True)
class PageSample:
    """Reviewed pages as numbers, without their texts; ``expected`` is how many pages come at most."""

    expected: int
    pages: int = 0
    empty: int = 0
    keys: list[PageKey] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)
    letters: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    words: list[_Rows] = field(default_factory=list)

    def add(self, page: ReviewedPage) -> None:
        """Takes a page in; of one without text nobody is asked, so it is none."""
        if not page.text.strip():
            return
        self.pages += 1
        self.empty += not page.gold
        # Whole documents, always the same ones, as long as there are as many pages.
        if int(digest_of(page.doc_id), 16) * self.expected >= MOST_PAGES * _DIGESTS:
            return
        self.keys.append((page.doc_id, page.page_num))
        self.spans.append(len(page.gold))
        self.letters.append(count_letters(page.text))
        self.lengths.append(len(page.text))
        self.words.append(hashed_words(page.text).astype(np.float16))

    @property
    def is_enough(self) -> bool:
        """Whether anything can be measured."""
        empty = self.spans.count(0)
        documents = {doc_id for doc_id, _ in self.keys}
        return min(empty, len(self.spans) - empty) >= FEWEST_OF_A_KIND and len(documents) >= FEWEST_DOCUMENTS


def measure_empty_pages(
    sample: PageSample, taken: Mapping[PageKey, PageRequests] | None, samples: int
) -> EmptyPages:
    """Measures both tests; ``taken`` is what pages took, None where that is unknown."""
    if not sample.is_enough:
        return EmptyPages(sample.pages, sample.empty, len(sample.keys), None, None)
    folds = _folds(sample.keys)
    spans = np.array(sample.spans, float)
    letter_counts = np.array(sample.letters, float)
    by_words = _scores_by_words(sample, folds, np.log1p(spans))
    words, letters = (
        _figures(sample, _left_out(folds, spans, scores, MOST_SPANS_LOST), taken, samples)
        for scores in (by_words, np.tile(letter_counts, (_FOLDS, 1)))
    )
    curve = tuple(_saved_at(allowed, folds, spans, by_words) for allowed in ALLOWANCES)
    return EmptyPages(sample.pages, sample.empty, len(sample.keys), words, letters, curve)


def _folds(keys: Sequence[PageKey]) -> _Folds:
    """A fold for each page, one a document; the largest first, each into the one with the fewest pages."""
    sizes = Counter(doc_id for doc_id, _ in keys)
    held = [0] * _FOLDS
    folds = {}
    for doc_id in sorted(sizes, key=lambda doc_id: (-sizes[doc_id], doc_id)):
        folds[doc_id] = held.index(min(held))
        held[folds[doc_id]] += sizes[doc_id]
    return np.array([folds[doc_id] for doc_id, _ in keys])


def _scores_by_words(sample: PageSample, folds: _Folds, wanted: _Vector) -> _Vector:
    """A row a fold: scores of all pages by fits without that fold.

    A page of another fold is scored by the fit without both folds, so that it is unseen as well; one of the
    fold itself by the mean of these fits. So thresholds are set on scores like those that they are for.
    """
    rows = np.array(sample.words)
    lengths = np.log1p(np.array(sample.lengths, float))
    products = [_products(rows[folds == fold], lengths[folds == fold], wanted[folds == fold])
                for fold in range(_FOLDS)]  # fmt: skip
    scores = np.zeros((_FOLDS, len(rows)))
    for one, other in combinations(range(_FOLDS), 2):
        seen = [products[fold] for fold in range(_FOLDS) if fold not in (one, other)]
        weights = _solve(*(np.sum(each, axis=0) for each in zip(*seen, strict=True)))
        for own, beside in ((one, other), (other, one)):
            scores[own, folds == beside] = _apply(rows[folds == beside], lengths[folds == beside], weights)
            of_own = _apply(rows[folds == own], lengths[folds == own], weights)
            scores[own, folds == own] += of_own / (_FOLDS - 1)
    return scores


def _matrix(rows: _Rows, lengths: _Vector) -> _Vector:
    values: _Vector = np.hstack(
        [_WORDS_SCALE * rows.astype(float), lengths[:, None], np.ones((len(rows), 1))]
    )
    return values


def _products(rows: _Rows, lengths: _Vector, wanted: _Vector) -> tuple[_Vector, _Vector]:
    """The sums that a fit needs of some pages."""
    squares, by_wanted = np.zeros((COLUMNS + 2, COLUMNS + 2)), np.zeros(COLUMNS + 2)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        values = _matrix(rows[part], lengths[part])
        squares += values.T @ values
        by_wanted += values.T @ wanted[part]
    return squares, by_wanted


def _solve(squares: _Vector, by_wanted: _Vector) -> _Vector:
    penalties = np.full(COLUMNS + 2, _PENALTY)
    # The intercept goes free, as far as it can be told.
    penalties[-1] = _FREE
    return np.linalg.solve(squares + np.diag(penalties), by_wanted).astype(float)


def _apply(rows: _Rows, lengths: _Vector, weights: _Vector) -> _Vector:
    found: _Vector = np.zeros(len(rows))
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        found[part] = _matrix(rows[part], lengths[part]) @ weights
    return found


def _saved_at(allowed: float, folds: _Folds, spans: _Vector, scores: _Vector) -> SavedAt:
    is_left_out = _left_out(folds, spans, scores, allowed)
    return SavedAt(allowed, float(is_left_out.mean()), float(spans[is_left_out].sum() / spans.sum()))


def _left_out(folds: _Folds, spans: _Vector, scores: _Vector, allowed: float) -> npt.NDArray[np.bool_]:
    """Which pages a test leaves out: those below the threshold that the other folds set."""
    found = np.zeros(len(folds), bool)
    for fold in range(_FOLDS):
        own, others = folds == fold, folds != fold
        found[own] = scores[fold, own] < _threshold(scores[fold, others], spans[others], allowed)
    return found


def _threshold(scores: _Vector, spans: _Vector, allowed: float) -> float:
    """The highest score such that the pages below it hold no more spans than may be lost."""
    order = np.argsort(scores, kind="stable")
    lost = np.cumsum(spans[order]) > allowed * spans.sum()
    return float(scores[order[np.argmax(lost)]])


def _figures(
    sample: PageSample,
    is_left_out: npt.NDArray[np.bool_],
    taken: Mapping[PageKey, PageRequests] | None,
    samples: int,
) -> CheapTest:
    nothing = PageRequests(0, None, None)
    costs = [nothing if taken is None else taken.get(key, nothing) for key in sample.keys]
    weights = np.array([[1, cost.requests, spans] for cost, spans in zip(costs, sample.spans, strict=True)])
    ratios = _by_document(sample.keys, weights * is_left_out[:, None], weights)
    saved_pages, saved_requests, lost = (
        _figure(ratios, number, interval)
        for number, interval in enumerate(ratio_intervals(ratios, samples, _SEED))
    )
    saved = [cost for cost, left in zip(costs, is_left_out, strict=True) if left]
    tokens = _sum_of_known((cost.tokens for cost in costs), (cost.tokens for cost in saved))
    seconds = _sum_of_known((cost.seconds for cost in costs), (cost.seconds for cost in saved))
    return CheapTest(saved_pages, saved_requests, lost, None if tokens is None else round(tokens), seconds)


def _by_document(keys: Sequence[PageKey], parts: _Vector, wholes: _Vector) -> Ratios:
    documents, place = np.unique([doc_id for doc_id, _ in keys], return_inverse=True)
    summed = [np.zeros((len(documents), wholes.shape[1])) for _ in range(2)]
    for target, rows in zip(summed, (parts, wholes), strict=True):
        np.add.at(target, place, rows)
    return Ratios(*summed)


def _figure(ratios: Ratios, number: int, interval: Interval | None) -> Figure:
    part, whole = float(ratios.parts[:, number].sum()), float(ratios.wholes[:, number].sum())
    return Figure(part / whole if whole else None, interval)


def _sum_of_known(every: Iterable[float | None], some: Iterable[float | None]) -> float | None:
    """The sum of some, where of any of all something is known."""
    if all(number is None for number in every):
        return None
    return fsum(number for number in some if number is not None)
