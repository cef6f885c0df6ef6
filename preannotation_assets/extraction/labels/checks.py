"""What the parts of a label scheme must be to one another, few-shot examples and the grounder included.

The checks take what is well formed by itself, by its index in the file, so that one mistake does not
hide the others.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from preannotation_assets.extraction.delimiting import break_control_tokens
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, GroundingResult, Match, Quote
from preannotation_assets.extraction.values import (
    OnInvalid,
    Verdict,
    judge,
    match_seconds,
    pattern_doubt,
)

from .models import Label, LabelScheme
from .source import Location

__all__ = ["ReadExample", "SchemeFault", "doubts_about", "faults_of_examples", "faults_of_labels"]


@dataclass(frozen=True, slots=True)
class SchemeFault:
    """What is wrong at a place of the scheme, and what to do; never with words of an example's text."""

    location: Location
    problem: str
    cure: str


@dataclass(frozen=True, slots=True)
class ReadExample:
    """An example: its text, and its well-formed quotes by their index among its spans."""

    text: str
    quotes: Mapping[int, Quote]


def faults_of_labels(labels: Mapping[int, Label], names: Mapping[int, str]) -> Iterator[SchemeFault]:
    """What labels contradict in one another and in themselves; ``names`` are those of all labels."""
    seconds = match_seconds(sum(len(label.examples) for label in labels.values()))
    uses: Counter[str] = Counter()
    for index, name in names.items():
        uses[name] += 1
        if uses[name] > 1:
            yield SchemeFault(("labels", index, "name"), "another label has the same name", "rename one")
        if break_control_tokens(name) != name:
            yield SchemeFault(
                ("labels", index, "name"),
                "a model may read the name as a control token",
                "name it without <...> and [...]",
            )
    titles: Counter[str] = Counter()
    for index, label in labels.items():
        title = label.title or label.name
        titles[title] += 1
        if titles[title] > 1 and uses[label.name] == 1:
            yield SchemeFault(
                ("labels", index, "title"),
                "another label is shown by the same words",
                "give titles that experts can tell apart",
            )
        yield from _faults_of_rule(("labels", index), label, seconds)


def doubts_about(scheme: LabelScheme) -> Iterator[SchemeFault]:
    """What a valid scheme is likely to suffer from: slow patterns, no example, or those that teach nothing.

    A small model marked nothing where an example without marks stood behind one with marks (docs/labels.md).
    """
    for index, label in enumerate(scheme.labels):
        if label.pattern and (doubt := pattern_doubt(label.pattern)):
            yield SchemeFault(
                ("labels", index, "pattern"),
                doubt,
                "values that are cut off are not judged; write it simpler",
            )
    yield from _doubts_about_examples(scheme)


def _doubts_about_examples(scheme: LabelScheme) -> Iterator[SchemeFault]:
    marked = [index for index, example in enumerate(scheme.examples) if example.spans]
    first_marked = marked[0] if marked else len(scheme.examples)
    behind = [index for index in range(first_marked, len(scheme.examples)) if index not in marked]
    if not scheme.examples:
        yield SchemeFault(
            ("examples",), "the scheme has no example", "add a page with its marks, to show what an answer is"
        )
    elif not marked:
        yield SchemeFault(
            ("examples",),
            "every example is without marks, so small models mark nothing",
            "add one with marks, and put it last",
        )
    elif behind:
        yield SchemeFault(
            ("examples", behind[-1]),
            "an example without marks behind one with marks, so small models mark nothing",
            "put it first; every page is then asked again",
        )


def _faults_of_rule(at: Location, label: Label, seconds: float) -> Iterator[SchemeFault]:
    if label.rule is None:
        for field, value in (("on_invalid", label.on_invalid), ("lower_factor", label.lower_factor)):
            if value is not None:
                yield SchemeFault((*at, field), "there is no rule", "add a pattern or a check, or remove it")
        return
    if label.on_invalid is OnInvalid.REJECT and label.lower_factor is not None:
        yield SchemeFault((*at, "lower_factor"), "on_invalid is reject", "remove one of the two")
    for index, example in enumerate(label.examples):
        if judge(label.rule, example, seconds) is Verdict.INVALID:
            yield SchemeFault(
                (*at, "examples", index),
                "invalid by the label's own pattern or check",
                "change that, or the example",
            )


def faults_of_examples(
    examples: Mapping[int, ReadExample],
    labels: Mapping[int, Label],
    known_names: Collection[str],
    *,
    overlaps_allowed: bool,
) -> Iterator[SchemeFault]:
    """What few-shot examples do wrong: unknown labels, and spans that grounding would not find.

    The spans of an example are grounded together, as a model's answer is. Every one must be found
    exactly, in reading order, apart from the others where overlaps are forbidden, and with a value that
    satisfies the label's rule: otherwise the model is shown an answer that would be thrown away.
    """
    by_name = {label.name: label for label in labels.values()}
    seconds = match_seconds(sum(len(example.quotes) for example in examples.values()))
    seen: list[ReadExample] = []
    for index, example in examples.items():
        # An alias of YAML repeats an example for nothing; grounding it again is not for nothing.
        if example in seen:
            continue
        seen.append(example)
        at: Location = ("examples", index, "spans")
        for number, quote in example.quotes.items():
            if quote.label not in known_names:
                yield SchemeFault((*at, number), "no label has that name", "write a label's name")
        yield from _faults_of_places(at, example, by_name, seconds, overlaps_allowed=overlaps_allowed)


def _faults_of_places(
    at: Location, example: ReadExample, labels: Mapping[str, Label], seconds: float, *, overlaps_allowed: bool
) -> Iterator[SchemeFault]:
    """At most one fault a span."""
    results = ground(example.text, list(example.quotes.values()))
    reached, covered = 0, 0
    for (number, quote), result in zip(example.quotes.items(), results, strict=True):
        here = (*at, number)
        if not isinstance(result, Grounding) or result.match is not Match.EXACT:
            yield _not_exact(here, example.text, quote, result)
            continue
        label = labels.get(quote.label)
        if result.start < reached:
            yield SchemeFault(here, "not in reading order", "list the spans in the order of the text")
        elif result.start < covered and not overlaps_allowed:
            yield SchemeFault(
                here, "overlaps a span before it", "mark one of the two, or set overlaps to true"
            )
        elif label and judge(label.rule, _value(example, result), seconds) is Verdict.INVALID:
            yield SchemeFault(
                here,
                f"invalid by the pattern or check of the label {label.name}",
                "change that, or the example",
            )
        reached, covered = max(reached, result.start), max(covered, result.end)


def _value(example: ReadExample, place: Grounding) -> str:
    return example.text[place.start : place.end]


def _not_exact(at: Location, text: str, quote: Quote, result: GroundingResult) -> SchemeFault:
    if quote.text not in text:
        return SchemeFault(
            at, "the quote is not in the example's text", "copy it as it is printed, line ends included"
        )
    reason = f" ({result.match.value})" if isinstance(result, Grounding) else f" ({result.reason.value})"
    return SchemeFault(
        at,
        f"grounding does not find the quote at a place of its own{reason}",
        "quote whole words, each mention once",
    )
