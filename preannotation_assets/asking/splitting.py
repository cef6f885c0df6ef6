"""What is asked instead of a text that was too long, or whose answer was. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from preannotation_assets.asking.partial_answers import PartialAnswer, find_partial_answer
from preannotation_assets.asking.work_queue import WorkItem
from preannotation_assets.extraction.chunking import split_chunk
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.extraction.tokens import SliceEstimates
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.model_servers.template import RequestTemplate, request_key

__all__ = ["PartlyAnswered", "Splitter"]

# A text whose answers are none is cut in two, and so are its parts: 14 requests at most, two for each. Later
# runs see in the answer store what was split so, and ask about its parts without splitting them further.
_UNUSABLE_SPLITS: Final = 2
# How full a longest answer may get by estimate before its text is cut in two at once.
_FILLED: Final = 0.9


@dataclass(frozen=True, slots=True)
class PartlyAnswered:
    """The part of a text that a cut-off answer answers, that answer, and what is still to be asked."""

    item: WorkItem
    salvaged: PartialAnswer
    rest: tuple[WorkItem, ...]


@dataclass(frozen=True, slots=True)
class Splitter:
    """Cuts items for requests of one template; neighbours share ``overlap_tokens``."""

    template: RequestTemplate
    overlap_tokens: int

    def halves(self, item: WorkItem) -> list[WorkItem]:
        """The item in two; none where it is too short for that."""
        chunk = Chunk(0, len(item.text), item.estimated_tokens)
        parts = split_chunk(item.text, chunk, self.overlap_tokens)
        return [self._part(item, part) for part in parts or ()]

    def halves_of_unusable(self, item: WorkItem) -> list[WorkItem]:
        """The item in two because its answers are none; none where that has not helped so far.

        A server may give no answer to any text; to ask about every few lines costs hundreds of requests.
        """
        if item.unusable_splits >= _UNUSABLE_SPLITS:
            return []
        return self.halves(replace(item, unusable_splits=item.unusable_splits + 1))

    def find_partial_answer(self, item: WorkItem, reply: ChatReply) -> PartlyAnswered | None:
        """What a cut-off reply leaves to ask; None where nothing of it can be kept.

        The rest is cut in two, and again, as long as its answer would be too long at the rate of the part
        that is answered.
        """
        estimates = SliceEstimates(item.text)
        calibration = item.estimated_tokens / max(1, estimates.estimate(0, len(item.text)))
        overlap_tokens = self.overlap_tokens / max(calibration, 1e-3)
        salvaged = find_partial_answer(item.text, reply, self.template.prompt.labels, overlap_tokens)
        if salvaged is None:
            return None

        def part(start: int, end: int) -> WorkItem:
            tokens = max(1, round(calibration * estimates.estimate(start, end)))
            return self._part(item, Chunk(start, end, tokens))

        answered = part(0, salvaged.cut)
        longest = _FILLED * answered.estimated_tokens / salvaged.answer_share
        rest = self._at_most(part(salvaged.rest, len(item.text)), longest)
        return PartlyAnswered(answered, salvaged, tuple(rest))

    def _at_most(self, item: WorkItem, tokens: float) -> list[WorkItem]:
        halves = self.halves(item) if item.estimated_tokens > tokens else []
        return [part for half in halves for part in self._at_most(half, tokens)] or [item]

    def _part(self, item: WorkItem, part: Chunk) -> WorkItem:
        """What asks about a part of an item; the part's offsets count from the start of the item."""
        text = item.text[part.start : part.end]
        return WorkItem(
            request_key=request_key(self.template.fingerprint, text_sha256(text)),
            start=item.start + part.start,
            end=item.start + part.end,
            text=text,
            estimated_tokens=part.estimated_tokens,
            unusable_splits=item.unusable_splits,
        )
