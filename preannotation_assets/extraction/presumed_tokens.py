"""What is presumed of a model's tokenizer before its server has counted anything.

Llama 3 has a token for up to three digits; most other models have one for each. Which of them a model does is
known only of a few names, so that every other model is presumed to have the dearer one.
"""

import re
from typing import Final

from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors, TokenKind

__all__ = ["presumed_factors"]

# Llama 3 and 4, gpt-oss and DeepSeek V3, as Ollama, Hugging Face, llama.cpp and others write them. After
# "llama-3" comes no letter, and no size or bits that only older ones have.
_THREE_DIGITS_A_TOKEN: Final = re.compile(
    r"(?:(?:meta-)?llama[-_]?v?(?:3(?:[._p-][123])?|4)|gpt-?oss|deepseek-v3(?:\.[12])?)"
    r"(?![0-9a-z]|\.[0-9]|[-_.]?bit|[-_](?:5|7|13|30|33|65)b)"
)
# A model that was distilled or merged bears several names, and may have the tokenizer of any.
_OF_ANOTHER: Final = re.compile(r"dist|student|qwen|gemma|mistral|mixtral|phi|smol|falcon|granite|vicuna")
# Above what Qwen, Gemma 3, Mistral and SmolLM2 count of pages of numbers; docs/chunking.md has the figures.
_ONE_DIGIT_A_TOKEN: Final = KindFactors.by_name(
    {
        TokenKind.DIGITS: 3.0,
        # Two or three tokens each, and one for the blank before a number.
        TokenKind.ARABIC_DIGITS: 1.3,
        TokenKind.DEVANAGARI_DIGITS: 2.2,
        TokenKind.THAI_DIGITS: 1.5,
        # No-break spaces and fractions are two tokens.
        TokenKind.SIGNS: 2.0,
    }
)


def presumed_factors(model: str) -> KindFactors:
    """What the estimate of each kind is multiplied by while nothing was learned of a model.

    Args:
        model: Its name as its server has it: ``llama3.3:70b``, ``Qwen/Qwen3-32B``, a path.

    Returns:
        1 for all kinds where the name is that of a model with three digits a token, and else what is above
        the counts of models with a token a digit.
    """
    name = model.lower().rstrip("/").rpartition("/")[2]
    has_three = _THREE_DIGITS_A_TOKEN.match(name) and not _OF_ANOTHER.search(name)
    return LLAMA_3 if has_three else _ONE_DIGIT_A_TOKEN
