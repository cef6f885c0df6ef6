"""The label scheme: what the experts mark, as a YAML file they can edit."""

from .argilla import SpanQuestion, span_question
from .colours import label_colours, text_colour_on
from .models import MOST_QUOTE_CHARACTERS, Example, ExampleSource, Label, LabelScheme
from .parsing import CheckedScheme, check_label_scheme, parse_label_scheme

__all__ = [
    "MOST_QUOTE_CHARACTERS",
    "CheckedScheme",
    "Example",
    "ExampleSource",
    "Label",
    "LabelScheme",
    "SpanQuestion",
    "check_label_scheme",
    "label_colours",
    "parse_label_scheme",
    "span_question",
    "text_colour_on",
]
