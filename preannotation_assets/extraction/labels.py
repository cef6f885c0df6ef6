"""The label scheme: what the experts mark, as a YAML file they can edit."""

from typing import Annotated, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from preannotation_assets.errors import LabelSchemeError

__all__ = ["MOST_QUOTE_CHARACTERS", "Example", "Label", "LabelScheme", "parse_label_scheme"]

MOST_QUOTE_CHARACTERS: Final = 300
"""The longest quote, in code points: the model may not answer a longer one."""

_LabelName = Annotated[str, StringConstraints(pattern=r"^[^\s:]([^:\n]{0,98}[^\s:])?$")]
_Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
_Quote = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_QUOTE_CHARACTERS)
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Label(_Strict):
    """One label: its name as in the Argilla question, and what the model is told of it."""

    name: _LabelName
    definition: _Prose
    examples: tuple[_Prose, ...] = ()
    excludes: _Prose | None = None


class Example(_Strict):
    """A text the model is shown with its right answer: one-key mappings in reading order."""

    text: Annotated[str, StringConstraints(pattern=r"\S")]
    spans: tuple[dict[str, _Quote], ...]

    @model_validator(mode="after")
    def _quotes_are_verbatim(self) -> Self:
        reached = 0
        for number, span in enumerate(self.spans, start=1):
            if len(span) != 1:
                raise ValueError(f"span {number} must be one label with its quote")
            quote = next(iter(span.values()))
            if quote not in self.text:
                raise ValueError(f"the quote of span {number} is not in the example's text")
            # The earliest place that keeps the order; an entity may be nested in the one before it.
            reached = self.text.find(quote, reached)
            if reached < 0:
                raise ValueError(f"span {number} is not in reading order")
        return self


class LabelScheme(_Strict):
    """The labels of one Argilla question. ``overlaps`` says whether its spans may overlap."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    version: Annotated[int, Field(ge=1)]
    overlaps: bool = False
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=200)]
    examples: tuple[Example, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels, in the file's order."""
        return tuple(label.name for label in self.labels)

    @model_validator(mode="after")
    def _labels_are_known_and_unique(self) -> Self:
        names = self.label_names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"label(s) defined twice: {', '.join(twice)}")
        unknown = sorted(
            {name for example in self.examples for span in example.spans for name in span} - set(names)
        )
        if unknown:
            raise ValueError(f"examples use labels that are not defined: {', '.join(unknown)}")
        return self


def parse_label_scheme(source: str, name: str) -> LabelScheme:
    """Reads a label scheme from YAML text; ``name`` (a path) is for the error message.

    Raises:
        LabelSchemeError: not YAML, or not a valid scheme; one line that names the place.
    """
    try:
        document = yaml.safe_load(source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}" if mark else "the whole file"
        raise LabelSchemeError(f"{name} is not YAML", f"look at {place}") from None
    except yaml.reader.ReaderError as error:
        raise LabelSchemeError(
            f"{name} has a control character", f"look at character {error.position + 1}"
        ) from None
    except (ValueError, RecursionError):
        raise LabelSchemeError(
            f"{name} has a value that is neither a date nor a number nor text",
            "put dates into quotation marks",
        ) from None
    try:
        return LabelScheme.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise LabelSchemeError(f"{name} is not a label scheme", f"{place}: {first['msg']}") from None
