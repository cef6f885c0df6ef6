"""Words that nobody else writes: a page is made of them, and every secret is one.

A word repeats five letters, so each of its substrings of 8 characters is one of five. Whoever finds such a
substring, anywhere and however it is written, has found a leak.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["ANOTHER_SCRIPT", "PAGE_MARKERS", "PLAIN", "SECRETS", "SECRET_MARKERS", "Marker", "page_text"]

WINDOW: Final = 8
_REPEATS: Final = 4


@dataclass(frozen=True, slots=True)
class Marker:
    """A word made of ``unit`` again and again; ``name`` says what it stands for."""

    name: str
    unit: str

    @property
    def word(self) -> str:
        return self.unit * _REPEATS

    @property
    def core(self) -> str:
        """Four letters that are in every window."""
        return self.unit[: WINDOW // 2]

    @property
    def windows(self) -> list[str]:
        """Every substring of 8 characters, however long the word is."""
        endless = self.unit * 3
        return [endless[start : start + WINDOW] for start in range(len(self.unit))]


PLAIN: Final = Marker("page text", "qzxwv".upper())
# What is escaped, and takes two bytes a letter.
ANOTHER_SCRIPT: Final = Marker("page text in another script", "ждфщю".upper())
PAGE_MARKERS: Final = (PLAIN, ANOTHER_SCRIPT)

_SECRET_UNITS: Final = {
    "CF_ACCESS_CLIENT_ID": "jqkvb",
    "CF_ACCESS_CLIENT_SECRET": "jqkvc",
    "motherduck_token": "jqkvd",
    "AWS_ACCESS_KEY_ID": "jqkvf",
    "AWS_SECRET_ACCESS_KEY": "jqkvg",
    "AWS_SESSION_TOKEN": "jqkvh",
    "PREANNOTATION_SERVER_API_KEY": "jqkvm",
    "OTEL_EXPORTER_OTLP_HEADERS": "jqkvn",
}
SECRET_MARKERS: Final = tuple(Marker(variable, unit) for variable, unit in _SECRET_UNITS.items())
SECRETS: Final = {marker.name: marker.word for marker in SECRET_MARKERS} | {
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={_SECRET_UNITS['OTEL_EXPORTER_OTLP_HEADERS'] * _REPEATS}"
}


def page_text(number: int) -> str:
    """A page of marker words, with just enough between them for the stand-ins to find something."""
    word, other = PLAIN.word, ANOTHER_SCRIPT.word
    return (
        f'M/V "{word}"  IMO 9666948. {word} {number}\n'
        f"Master: {word.title()}.  Flag: Panama {other}\n"
        f"{word} {other} {word}\n"
    )
