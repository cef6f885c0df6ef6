"""The settings of the Argilla span question that shows the labels of a scheme."""

from typing import Final, TypedDict

from .colours import label_colours
from .models import LabelScheme

__all__ = ["SpanQuestion", "SpanQuestionSettings", "span_question"]

# Argilla 2.8 refuses fewer; without a number it shows all.
_FEWEST_VISIBLE: Final = 3


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
        colors=label_colours(scheme),
    )
