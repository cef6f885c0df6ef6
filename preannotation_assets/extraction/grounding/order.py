"""The order of the answers as evidence: models mostly answer in reading order.

The answers form a chain. Going forward on the page from one answer to the next is free; going back
costs ``STEP_BACK``. The cost of a place for an answer is then that of the cheapest chain through it
(its min-marginal), found by one pass forward and one backward. Answers that stand at one place only
are anchors for the others; an order that is no order (shuffled answers) adds the same to every place.
"""

from collections.abc import Sequence

from .candidates import Candidate

__all__ = ["STEP_BACK", "chain_costs"]

STEP_BACK = 1.0
OVERLAP = 0.3

_INFINITY = float("inf")


def chain_costs(answers: Sequence[Sequence[Candidate]]) -> list[list[float]]:
    """The cost of every candidate of every answer, in the chain of all answers.

    The candidates of an answer must be sorted by their place; an answer without any is skipped.
    """
    chain = [index for index, candidates in enumerate(answers) if candidates]
    forward = _pass([answers[index] for index in chain])
    backward = _pass([_mirrored(answers[index]) for index in reversed(chain)])
    costs: list[list[float]] = [[] for _ in answers]
    for index, ahead, behind in zip(chain, forward, reversed(backward), strict=True):
        own = answers[index]
        through = [a + b - c.cost for a, b, c in zip(ahead, reversed(behind), own, strict=True)]
        offset = min(c.cost for c in own) - min(through)
        costs[index] = [cost + offset for cost in through]
    return costs


def _mirrored(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [Candidate(-c.end, -c.start, c.cost, c.match, c.similarity) for c in reversed(candidates)]


def _pass(answers: Sequence[Sequence[Candidate]]) -> list[list[float]]:
    """For every candidate the cost of the cheapest chain that ends in it."""
    result: list[list[float]] = []
    before: Sequence[Candidate] = ()
    totals: list[float] = []
    for candidates in answers:
        here: list[float] = []
        back = min(totals, default=0.0) + STEP_BACK
        behind = _INFINITY if before else 0.0
        position = 0
        for candidate in candidates:
            while position < len(before) and before[position].end <= candidate.start:
                behind = min(behind, totals[position])
                position += 1
            best = min(behind, back)
            ahead = position
            while ahead < len(before) and before[ahead].start <= candidate.start:
                if (before[ahead].start, before[ahead].end) != (candidate.start, candidate.end): best = min(best, totals[ahead] + OVERLAP)
                ahead += 1
            here.append(candidate.cost + best)
        result.append(here)
        before, totals = candidates, here
    return result
