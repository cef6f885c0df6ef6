"""How a page stands in a prompt: between two tags that nothing on the page can close.

Servers put messages into the chat template as one text and read that text with special tokens on, so what
looks like one on a page becomes one (github.com/ollama/ollama, 15931 and 17262, both open).
"""

import hashlib
import re
from itertools import count
from typing import Final

__all__ = ["break_control_tokens", "delimit_page"]

# The shapes of special tokens: <|eot_id|>, <eos>, </s>, [INST], [/INST], [|user|], [gMASK], and Ollama's
# own place for an image, [img-0]. No special token known has a blank behind its bracket.
_CONTROL_TOKEN: Final = re.compile(
    r"<(?=[^\s<>]{1,100}>)|\[(?=(?:/?[A-Z][A-Z0-9_]{2,60}|\|[^\s|\]]{1,60}\||gMASK|img-\d+)\])"
)
_LOOKS_LIKE_THE_TAG: Final = re.compile(r"<\s*+(?:/\s*+)?page", re.IGNORECASE)
_DIGITS: Final = 8


def break_control_tokens(text: str) -> str:
    """The text with a blank behind the opening bracket of everything shaped like a special token.

    Nothing else is changed, and grounding finds a quote with such a blank where it stood without.
    """
    return _CONTROL_TOKEN.sub(r"\g<0> ", text)


def delimit_page(text: str) -> str:
    r"""``<page>\n...\n</page>`` around a text, with special tokens broken.

    A text that holds anything like the tag gets a tag of its own, such as ``page-1f3c9a20``, made from the
    text and not found in it, so that no text can write its own end.
    """
    shown = break_control_tokens(text)
    tag = _own_tag(shown) if _LOOKS_LIKE_THE_TAG.search(shown) else "page"
    return f"<{tag}>\n{shown}\n</{tag}>"


def _own_tag(text: str) -> str:
    content, folded = text.encode("utf-8", "surrogatepass"), text.lower()
    digests = (hashlib.sha256(b"%d\n%b" % (attempt, content)).hexdigest()[:_DIGITS] for attempt in count())
    return next(f"page-{digest}" for digest in digests if digest not in folded)
