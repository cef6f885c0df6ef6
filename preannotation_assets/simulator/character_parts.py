"""How the tokens of a character that takes several are listed among the log-probabilities."""

from enum import StrEnum

from preannotation_assets.simulator.layout import bytewise

__all__ = ["CharacterParts", "shown_part"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class CharacterParts(StrEnum):
    """What stands for the parts of a character: all of it with the last one, or something for each."""

    WHOLE = "whole"
    # As of Ollama's Go runner: what a text holds for bytes that are none.
    REPLACED = "replaced"
    # As llama-server may give them.
    LEFT_OUT = "left_out"


def shown_part(text: str, parts: CharacterParts) -> str:
    """What the list shows for a token: ``text`` is empty for a first part, and the character for the last."""
    is_part = not text or next(bytewise(text)) == ""
    if parts is CharacterParts.WHOLE or not is_part:
        return text
    return _REPLACEMENT if parts is CharacterParts.REPLACED else ""
