"""From the text of a YAML file to a label scheme, or to everything that is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.spans import Quote
from preannotation_assets.extraction.values import LONGEST_PATTERN, OnInvalid, ValueCheck

from .checks import ReadExample, SchemeFault, doubts_about, faults_of_examples, faults_of_labels
from .models import (
    MOST_EXAMPLE_SPANS,
    MOST_EXAMPLES,
    MOST_LABEL_EXAMPLES,
    MOST_QUOTE_CHARACTERS,
    Example,
    ExampleSource,
    Label,
    LabelScheme,
    MarkedQuote,
)
from .source import Location, Source, SourceError, read_source, repeated_keys

__all__ = ["CheckedScheme", "check_label_scheme", "parse_label_scheme"]

Part = TypeVar("Part", bound=BaseModel)

_FIELDS: Final[Mapping[str, type[BaseModel]]] = {
    "": LabelScheme,
    "labels": Label,
    "examples": Example,
    "source": ExampleSource,
}
_MARKED_QUOTE: Final[TypeAdapter[dict[str, str]]] = TypeAdapter(MarkedQuote)
_LISTS: Final = ("labels", "examples", "spans")
# What a value must be, by its field: said instead of pydantic's own words.
_WANTED: Final[Mapping[tuple[str, ...], str]] = {
    (): "name, version, labels and, if you like, overlaps and examples",
    ("name",): "1 to 40 letters, digits, - or _",
    ("version",): "a whole number from 1",
    ("overlaps",): "true or false",
    ("labels",): "a list of 1 to 200 labels, each with name and definition",
    ("examples",): f"a list of at most {MOST_EXAMPLES} examples, each with text and spans",
    ("labels", "name"): "1 to 100 characters without colon or line break, no blank at either end",
    ("labels", "definition"): "1 to 2,000 characters",
    ("labels", "examples"): f"a list of at most {MOST_LABEL_EXAMPLES} texts",
    ("labels", "excludes"): "1 to 2,000 characters",
    ("labels", "title"): "1 to 500 characters in one line",
    ("labels", "color"): "# and six hexadecimal digits, in quotation marks",
    ("labels", "pattern"): f"a regular expression of at most {LONGEST_PATTERN} characters",
    ("labels", "check"): f"one of: {', '.join(ValueCheck)}",
    ("labels", "on_invalid"): f"one of: {', '.join(OnInvalid)}",
    ("labels", "lower_factor"): "a number from 0 to 1",
    ("examples", "text"): "a text that is not blank",
    ("examples", "spans"): (
        f"a list of at most {MOST_EXAMPLE_SPANS}, each item a label and its quote of at most "
        f"{MOST_QUOTE_CHARACTERS} characters; [] for none"
    ),
    ("examples", "source"): "dataset and document as preannotate labels learn wrote them, or leave it out",
}


@dataclass(frozen=True, slots=True)
class CheckedScheme:
    """A scheme and no errors, or no scheme and all errors, in the order of the lines.

    ``warnings`` are what a scheme without errors is likely to suffer from, told in the same way.
    """

    scheme: LabelScheme | None
    errors: tuple[LabelSchemeError, ...]
    warnings: tuple[str, ...] = ()


def parse_label_scheme(source: str, name: str) -> LabelScheme:
    """Reads a label scheme from YAML text; ``name`` (a path) is for the error message.

    Raises:
        LabelSchemeError: not YAML, or not a valid scheme: the first mistake in the file, with its line.
    """
    checked = check_label_scheme(source, name)
    if checked.scheme is None:
        raise checked.errors[0]
    return checked.scheme


def check_label_scheme(source: str, name: str) -> CheckedScheme:
    """Reads a label scheme and tells everything that is wrong with it, each as ``name:line: what: cure``.

    Few-shot examples are grounded as answers are. Never raises, whatever the text is.
    """
    try:
        read = read_source(source)
    except SourceError as error:
        told = LabelSchemeError(f"{name}:{error.line}: {error.problem}", error.cure)
        return CheckedScheme(None, (told,))
    faults = [SchemeFault(location, "a key a second time", "keep one") for location in repeated_keys(read)]
    scheme = _valid(LabelScheme, read.data, faults)
    faults += _inconsistencies(read, scheme)
    if faults or scheme is None:
        return CheckedScheme(None, _errors(name, read, faults))
    return CheckedScheme(scheme, (), _warnings(name, read, scheme))


def _valid(model: type[Part], data: object, faults: list[SchemeFault]) -> Part | None:
    """The part, or None and what is wrong added to ``faults``."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        faults += [_fault(detail) for detail in details if not _follows(detail, details)]
        return None


def _follows(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether a list is too short only because pydantic does not count its items with a mistake."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in details
    )


def _inconsistencies(read: Source, scheme: LabelScheme | None) -> Iterator[SchemeFault]:
    """What does not fit together among the parts that are well formed by themselves."""
    labels = {
        index: label
        for index, item in enumerate(_items(read.data, "labels"))
        if (label := _valid(Label, item, []))
    }
    names = dict(_names(read.data))
    examples = {
        index: ReadExample(text, dict(_quotes(item)))
        for index, item in enumerate(_items(read.data, "examples")[:MOST_EXAMPLES])
        if isinstance(text := _get(item, "text"), str) and text.strip()
    }
    yield from faults_of_labels(labels, names)
    # Of a scheme that is not valid it is not known whether spans may overlap.
    allowed = scheme is None or scheme.overlaps
    yield from faults_of_examples(examples, labels, set(names.values()), overlaps_allowed=allowed)


def _get(item: object, field: str) -> object:
    return item.get(field) if isinstance(item, dict) else None


def _items(item: object, field: str) -> list[object]:
    found = _get(item, field)
    return found if isinstance(found, list) else []


def _names(data: object) -> Iterator[tuple[int, str]]:
    """The names of all labels, those with another mistake included."""
    for index, item in enumerate(_items(data, "labels")):
        name = _get(item, "name")
        if isinstance(name, str):
            yield index, name


def _quotes(example: object) -> Iterator[tuple[int, Quote]]:
    """The well-formed quotes of an example, by their index among its spans."""
    for index, span in enumerate(_items(example, "spans")[:MOST_EXAMPLE_SPANS]):
        try:
            label, text = next(iter(_MARKED_QUOTE.validate_python(span).items()))
        except ValidationError:
            continue
        yield index, Quote(label, text)


def _errors(name: str, read: Source, faults: list[SchemeFault]) -> tuple[LabelSchemeError, ...]:
    numbered = sorted(((read.line_of(fault.location), fault) for fault in faults), key=lambda pair: pair[0])
    told = dict.fromkeys(
        (f"{name}:{line}: {_where(fault.location)}{fault.problem}", fault.cure) for line, fault in numbered
    )
    return tuple(LabelSchemeError(problem, cure) for problem, cure in told)


def _warnings(name: str, read: Source, scheme: LabelScheme) -> tuple[str, ...]:
    return tuple(
        f"{name}:{read.line_of(doubt.location)}: warning: "
        f"{_where(doubt.location)}{doubt.problem}: {doubt.cure}"
        for doubt in doubts_about(scheme)
    )


def _where(location: Location) -> str:
    """A place as an expert would count it; keys that are not the scheme's own are not repeated."""
    words = []
    for outer, step in zip(("", *location), location, strict=False):
        if isinstance(step, int):
            words.append(f"{str(outer).removesuffix('s')} {step + 1}")
        elif step in _known_keys() and (step not in _LISTS or step is location[-1]):
            words.append(step)
    return f"{', '.join(words)}: " if words else ""


def _known_keys() -> set[str]:
    return {key for model in _FIELDS.values() for key in model.model_fields}


def _fault(detail: ErrorDetails) -> SchemeFault:
    location = detail["loc"]
    keys = tuple(step for step in location if isinstance(step, str))[:2]
    if detail["type"] == "extra_forbidden":
        return SchemeFault(location, "unknown field", _known_fields(location))
    if detail["type"] == "value_error":
        # What this package says itself, which quotes nothing.
        return SchemeFault(location, detail["msg"].removeprefix("Value error, "), "correct or simplify it")
    problem = "missing" if detail["type"] == "missing" else "not valid"
    return SchemeFault(location, problem, f"write {_WANTED.get(keys, _WANTED[()])}")


def _known_fields(location: Location) -> str:
    outer = next((step for step in reversed(location[:-1]) if step in _FIELDS), "")
    known = list(_FIELDS[str(outer)].model_fields)
    close = get_close_matches(str(location[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"the fields here are {', '.join(known)}"
