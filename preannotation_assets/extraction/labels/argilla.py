"""The settings of the Argilla span question that shows the labels of a scheme."""

import colorsys
from collections.abc import Iterator
from typing import Final, TypedDict

from .models import LabelScheme

__all__ = ["SpanQuestion", "SpanQuestionSettings", "span_question"]

# Argilla 2.8 refuses fewer; without a number it shows all.
_FEWEST_VISIBLE: Final = 3
# The golden angle: however many labels there are, their hues are apart.
_HUE_STEP: Final = 137.50776405 / 360
_LIGHTNESS: Final = 0.8
_SATURATION: Final = 0.8


class SpanQuestionSettings(TypedDict):
    """The arguments of ``argilla.SpanQuestion`` in Argilla 2.8, by name."""

    name: str
    field: str
    labels: dict[str, str]
    allow_overlapping: bool
    visible_labels: int | None


class SpanQuestion(TypedDict):
    """A span question and the colours of its labels, which Argilla's server does not store."""

    question: SpanQuestionSettings
    colors: dict[str, str]


def span_question(scheme: LabelScheme, name: str, field: str) -> SpanQuestion:
    """The span question ``name`` for a scheme, over the record field ``field``.

    ``labels`` maps each label's value to the text the experts see; ``colors`` maps it to ``#rrggbb``.
    """
    names = scheme.label_names
    return SpanQuestion(
        question=SpanQuestionSettings(
            name=name,
            field=field,
            labels={label.name: label.title or label.name for label in scheme.labels},
            allow_overlapping=scheme.overlaps,
            visible_labels=len(names) if len(names) >= _FEWEST_VISIBLE else None,
        ),
        colors=_colors(scheme),
    )


def _colors(scheme: LabelScheme) -> dict[str, str]:
    """The scheme's own colours, and for the other labels one that no label has yet, in the file's order."""
    chosen = {label.color.lower() for label in scheme.labels if label.color}
    free = (color for color in _hues() if color not in chosen)
    return {label.name: label.color.lower() if label.color else next(free) for label in scheme.labels}


def _hues() -> Iterator[str]:
    """Colours, each once, for ever."""
    seen: set[str] = set()
    hue = 0.0
    while True:
        channels = colorsys.hls_to_rgb(hue % 1, _LIGHTNESS, _SATURATION)
        color = "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)
        if color not in seen:
            seen.add(color)
            yield color
        hue += _HUE_STEP
