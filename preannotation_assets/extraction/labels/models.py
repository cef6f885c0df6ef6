"""What a label scheme is made of, and the limits of every field.

The models look at one field at a time; what must fit together is in ``checks``. Names, titles and
counts stay within what Argilla 2.8's server takes for a span question: values of 1 to 200 characters,
texts of 1 to 500, at most 500 labels.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from preannotation_assets.extraction.values import (
    DEFAULT_LOWER_FACTOR,
    LONGEST_PATTERN,
    OnInvalid,
    ValueCheck,
    ValueRule,
    pattern_fault,
)

__all__ = [
    "MOST_EXAMPLES",
    "MOST_EXAMPLE_SPANS",
    "MOST_LABEL_EXAMPLES",
    "MOST_QUOTE_CHARACTERS",
    "Example",
    "ExampleSource",
    "Label",
    "LabelScheme",
    "MarkedQuote",
]

MOST_QUOTE_CHARACTERS: Final = 300
"""The longest quote, in code points: the model may not answer a longer one."""

# More do not fit into a prompt; an alias of YAML repeats one in three characters, and each is grounded.
MOST_LABEL_EXAMPLES: Final = 100
MOST_EXAMPLES: Final = 100
MOST_EXAMPLE_SPANS: Final = 500


def _usable(pattern: str) -> str:
    fault = pattern_fault(pattern)
    if fault:
        raise ValueError(fault)
    return pattern


_LabelName = Annotated[str, StringConstraints(pattern=r"^[^\s:\p{Cc}]([^:\p{Cc}]{0,98}[^\s:\p{Cc}])?$")]
_Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\p{Cc}]+$")
]
_Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
_Quote = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_QUOTE_CHARACTERS)
]
MarkedQuote = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=100)], _Quote],
    Field(min_length=1, max_length=1),
]
"""One label and its quote."""

_Pattern = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_PATTERN), AfterValidator(_usable)
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Label(_Strict):
    """One label: what the model is told of it, what its values must be, and how Argilla shows it.

    ``name`` is the label's value in the Argilla question. The model sees ``name``, ``definition``,
    ``examples`` and ``excludes``, nothing else.
    """

    name: _LabelName
    definition: _Prose
    examples: Annotated[tuple[_Prose, ...], Field(max_length=MOST_LABEL_EXAMPLES)] = ()
    excludes: _Prose | None = None
    title: _Title | None = None
    color: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    pattern: _Pattern | None = None
    check: ValueCheck | None = None
    on_invalid: OnInvalid | None = None
    lower_factor: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None

    @property
    def rule(self) -> ValueRule | None:
        """What the label's values must satisfy; None where the scheme says nothing of it."""
        if self.pattern is None and self.check is None:
            return None
        factor = DEFAULT_LOWER_FACTOR if self.lower_factor is None else self.lower_factor
        return ValueRule(self.pattern, self.check, self.on_invalid or OnInvalid.LOWER, factor)


class ExampleSource(_Strict):
    """Where an example was learned: a dataset, and a document of it as ``digest_of`` names it."""

    dataset: Annotated[str, StringConstraints(pattern=r"^\P{Cc}{1,200}$")]
    document: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class Example(_Strict):
    """A text the model is shown with its right answer: one-key mappings in reading order.

    The model does not see ``source``.
    """

    text: Annotated[str, StringConstraints(pattern=r"\S")]
    spans: Annotated[tuple[MarkedQuote, ...], Field(max_length=MOST_EXAMPLE_SPANS)]
    source: ExampleSource | None = None


class LabelScheme(_Strict):
    """The labels of one Argilla question. ``overlaps`` says whether its spans may overlap."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    version: Annotated[int, Field(ge=1)]
    overlaps: bool = False
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=200)]
    examples: Annotated[tuple[Example, ...], Field(max_length=MOST_EXAMPLES)] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels, in the file's order."""
        return tuple(label.name for label in self.labels)

    @property
    def learned_from(self) -> frozenset[str]:
        """The documents that examples were learned from, as ``digest_of`` names them."""
        return frozenset(example.source.document for example in self.examples if example.source)

    @property
    def value_rules(self) -> dict[str, ValueRule]:
        """The rule of every label that has one, by the label's name."""
        return {label.name: label.rule for label in self.labels if label.rule}
