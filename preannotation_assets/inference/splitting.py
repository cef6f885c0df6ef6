"""What is asked instead of a text that was too long, or whose answer was. Pure."""

from dataclasses import dataclass
from typing import Final

from preannotation_assets.extraction.chunking import split_chunk
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.extraction.tokens import PieceEstimates
from preannotation_assets.inference.backlog import PieceToAsk
from preannotation_assets.inference.protocol import ChatReply, RequestTemplate, request_key
from preannotation_assets.inference.salvage import Salvaged, salvage

__all__ = ["SalvagedPiece", "Splitter"]

# How full a longest answer may get by estimate before its text is cut in two at once.
_FILLED: Final = 0.9


@dataclass(frozen=True, slots=True)
class SalvagedPiece:
    """The part of a text that a cut-off answer answers, that answer, and what is still to be asked."""

    piece: PieceToAsk
    salvaged: Salvaged
    rest: tuple[PieceToAsk, ...]


@dataclass(frozen=True, slots=True)
class Splitter:
    """Cuts pieces for requests of one template; neighbours share ``overlap_tokens``."""

    template: RequestTemplate
    overlap_tokens: int

    def halves(self, piece: PieceToAsk) -> list[PieceToAsk]:
        """The piece in two; none where it is too short for that."""
        chunk = Chunk(0, len(piece.text), piece.estimated_tokens)
        parts = split_chunk(piece.text, chunk, self.overlap_tokens)
        return [self._part(piece, part) for part in parts or ()]

    def salvage(self, piece: PieceToAsk, reply: ChatReply) -> SalvagedPiece | None:
        """What a cut-off reply leaves to ask; None where nothing of it can be kept.

        The rest is cut in two, and again, as long as its answer would be too long at the rate of the part
        that is answered.
        """
        estimates = PieceEstimates(piece.text)
        calibration = piece.estimated_tokens / max(1, estimates.estimate(0, len(piece.text)))
        salvaged = salvage(piece.text, reply, self.overlap_tokens / max(calibration, 1e-3))
        if salvaged is None:
            return None

        def part(start: int, end: int) -> PieceToAsk:
            tokens = max(1, round(calibration * estimates.estimate(start, end)))
            return self._part(piece, Chunk(start, end, tokens))

        answered = part(0, salvaged.cut)
        longest = _FILLED * answered.estimated_tokens / salvaged.answer_share
        rest = self._at_most(part(salvaged.rest, len(piece.text)), longest)
        return SalvagedPiece(answered, salvaged, tuple(rest))

    def _at_most(self, piece: PieceToAsk, tokens: float) -> list[PieceToAsk]:
        halves = self.halves(piece) if piece.estimated_tokens > tokens else []
        return [part for half in halves for part in self._at_most(half, tokens)] or [piece]

    def _part(self, piece: PieceToAsk, part: Chunk) -> PieceToAsk:
        """A part of a piece as a piece; the part's offsets count from the start of the piece."""
        text = piece.text[part.start : part.end]
        return PieceToAsk(
            request_key=request_key(self.template.fingerprint, text_sha256(text)),
            start=piece.start + part.start,
            end=piece.start + part.end,
            text=text,
            estimated_tokens=part.estimated_tokens,
        )
