"""Character references as HTML has them: &uuml;, and how they come out of other programs.

Escaped twice, without their semicolon, or in capitals with the text around them.
"""

import re
from html import unescape
from html.entities import html5
from typing import Final

__all__ = ["REFERENCE", "resolve", "without_references"]

# Names that HTML knows without a semicolon too, but for those that English words begin with (&ethnic).
_SHORT_NAMES: Final = sorted(
    (
        name
        for name, meaning in html5.items()
        if name[-1] != ";"
        and (meaning.isalpha() or name in {"nbsp", "shy"})
        and name.lower() not in {"eth", "thorn", "micro", "ordf", "ordm"}
    ),
    key=len,
    reverse=True,
)
# A reference by name or number, escaped once or more often: &ouml; &#246; &#xf6; &amp;ouml; &#38;ouml;
REFERENCE: Final = (
    r"&(?:amp;|\#38;|\#[xX]26;)*(?:\#\d{1,7};|\#\d{2,4}(?!\d)|\#[xX][0-9a-fA-F]{1,6};|[A-Za-z][A-Za-z0-9]{1,30};"
    rf"|{'|'.join(_SHORT_NAMES)}|amp\b)"
)
"""A regular expression without groups."""

_FOUND: Final = re.compile(REFERENCE)


def resolve(reference: str) -> str:
    """What a reference stands for; itself if it is none.

    One in capitals with its text (&OUML;) is a capital.
    """
    while (plain := unescape(reference)) != reference:
        reference = plain
    if len(reference) > 1 and reference.isupper():
        small = reference.lower()
        plain = unescape(small)
        return reference if plain == small else plain.upper()
    return reference


def without_references(text: str) -> str:
    """A text with what its references stand for."""
    return _FOUND.sub(lambda found: resolve(found.group()), text) if "&" in text else text
