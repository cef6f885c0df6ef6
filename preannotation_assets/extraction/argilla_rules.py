"""What Argilla demands of a page's suggestions, and where its web page shows them shifted.

Source of the limits: argilla-server 2.8.0, ``api/schemas/v1/suggestions.py``, ``responses.py`` and
``questions.py``. A test puts these rules beside the server itself: they pass nothing that it rejects.
"""

import html
import re
from typing import Final

__all__ = ["MOST_AGENT_CHARACTERS", "MOST_SPANS", "agent_of", "first_shift", "is_agent"]

MOST_SPANS: Final = 10_000
"""Spans of one suggestion, that is of one page."""

MOST_AGENT_CHARACTERS: Final = 200

# The server also takes white space, which neither a model nor a version has.
_AGENT: Final = re.compile(r"[A-Za-z0-9_:./-]*[A-Za-z0-9][A-Za-z0-9_:./-]*")

# What has another length in UTF-16 units of parsed HTML than in code points: characters outside the basic
# plane, NUL, CR LF, what begins a tag or comment, and character references.
_SHIFTING: Final = re.compile(
    r"[\U00010000-\U0010FFFF\0]|\r\n|<[A-Za-z/!?]|&#[0-9]|&#[xX][0-9a-fA-F]|&[A-Za-z][A-Za-z0-9]{1,31};?"
)


def agent_of(model: str, model_version: str) -> str:
    """Who made a suggestion, as the loader names it."""
    return f"{model}/{model_version}"


def is_agent(agent: str) -> bool:
    """Whether Argilla takes the name: its characters, at least one letter or digit, not too long."""
    return len(agent) <= MOST_AGENT_CHARACTERS and _AGENT.fullmatch(agent) is not None


def first_shift(text: str) -> int | None:
    """The first character, in code points, after which Argilla's web page marks other characters than meant.

    The page counts UTF-16 units of what a browser makes of the text as HTML (argilla issue 5729). What the
    server holds is right all the same, but what an expert marks behind it is not. ``text_to_show`` in
    docs/argilla-loader.md replaces all such characters. None where the text has none of them.
    """
    for match in _SHIFTING.finditer(text):
        found = match.group()
        is_name = found[0] == "&" and found[1].isalpha()
        if not is_name or html.unescape(found) != found:
            return match.start()
    return None
