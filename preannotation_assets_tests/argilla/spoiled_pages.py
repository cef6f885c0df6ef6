"""Pages with faults that Argilla refuses, and whether our own verification refuses them too."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from preannotation_assets.contracts import span_id
from preannotation_assets.extraction.argilla_rules import agent_of, is_agent
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.publishing.page_walk import walk_pages
from preannotation_assets.publishing.verification import verify_rows

Span = dict[str, Any]
PAGE = {"doc_id": "d", "page_num": 1, "text_sha256": "h"}


@dataclass(frozen=True)
class Case:
    """A page with its spans: start, end, label and confidence."""

    text: str
    spans: Sequence[Span]
    model: str = "llama3.3:70b"
    model_version: str = "sha256:ab/spans-1"

    @property
    def agent(self) -> str:
        return agent_of(self.model, self.model_version)

    def as_json(self) -> Mapping[str, Any]:
        """As acceptance.py reads it: rows that have what the recipe looks at."""
        made_by = {"model": self.model, "model_version": self.model_version}
        return {"text": self.text, "agent": self.agent, "rows": [span | made_by for span in self.spans]}


def we_take(case: Case, scheme: LabelScheme) -> bool:
    """Our verdict. Text, hash and id are made to fit, so that they hide no fault that counts for Argilla."""
    rows = [
        PAGE
        | span
        | {"span_id": span_id("d", 1, span["start"], span["end"], span["label"])}
        | {"text": case.text[max(0, span["start"]) : span["end"]]}
        | {"model": case.model, "model_version": case.model_version}
        for span in sorted(case.spans, key=lambda span: (span["start"], span["end"], span["label"]))
    ]
    page = PAGE | {"text": case.text}
    report = verify_rows(walk_pages([page], rows), scheme.label_names, overlaps_allowed=scheme.overlaps)
    return report.passed and is_agent(case.agent)


def _span(start: int, end: int, label: str = "port", confidence: float | None = 0.5) -> Span:
    return {"start": start, "end": end, "label": label, "confidence": confidence}


HULL = "🚢 From Hull to Kiel"
GOOD = Case(HULL, [_span(7, 11), _span(15, 19)])
PLANTED = {
    "overlap": replace(GOOD, spans=[_span(7, 16), _span(15, 19)]),
    "duplicate": replace(GOOD, spans=[_span(7, 11), _span(7, 11)]),
    "two labels on one place": replace(GOOD, spans=[_span(7, 11), _span(7, 11, "vessel_name")]),
    "behind the end": replace(GOOD, spans=[_span(15, 20)]),
    "empty span": replace(GOOD, spans=[_span(7, 7)]),
    "end before start": replace(GOOD, spans=[_span(11, 7)]),
    "negative start": replace(GOOD, spans=[_span(-1, 3)]),
    "empty page": Case("", [_span(0, 1)]),
    "unknown label": replace(GOOD, spans=[_span(7, 11, "harbour")]),
    "label in another case": replace(GOOD, spans=[_span(7, 11, "Port")]),
    "bad agent": replace(GOOD, model="modèle@home"),
    "agent without a letter": replace(GOOD, model="-", model_version="-", spans=[]),
    "long agent": replace(GOOD, model="m" * 183),
    "score above 1": replace(GOOD, spans=[_span(7, 11, confidence=1.001)]),
    "score below 0": replace(GOOD, spans=[_span(7, 11, confidence=-0.001)]),
    "score is no number": replace(GOOD, spans=[_span(7, 11, confidence=float("nan"))]),
    "score without end": replace(GOOD, spans=[_span(7, 11, confidence=float("inf"))]),
    "too many spans": Case("x " * 10_001, [_span(2 * index, 2 * index + 1) for index in range(10_001)]),
}
FINE = {
    "good": GOOD,
    "no spans": replace(GOOD, spans=[]),
    "one score unknown": replace(GOOD, spans=[_span(7, 11), _span(15, 19, confidence=None)]),
    "touching": replace(GOOD, spans=[_span(0, 7), _span(7, 19)]),
    "from 0 to 1": replace(GOOD, spans=[_span(7, 11, confidence=0.0), _span(15, 19, confidence=1.0)]),
    "longest agent": replace(GOOD, model="m" * 182),
    # Not 10,000: the server compares every span with every other.
    "many spans": Case("x " * 1000, [_span(2 * index, 2 * index + 1) for index in range(1000)]),
}

Fault = Callable[[random.Random, Case], Case]


def _changed(name: str, values: Callable[[random.Random, Case, Span], Any]) -> Fault:
    """Gives one span another value."""

    def change(chance: random.Random, case: Case) -> Case:
        spans = [dict(span) for span in case.spans]
        if spans:
            span = chance.choice(spans)
            span[name] = values(chance, case, span)
        return replace(case, spans=spans)

    return change


def _another_place(chance: random.Random, case: Case, span: Span) -> int:
    return chance.choice([-1, 0, span["start"], span["end"], len(case.text), len(case.text) + 1, *range(40)])


def _nearby(name: str) -> Fault:
    return _changed(name, lambda chance, case, span: span[name] + chance.randint(-2, 2))


def _without_one(chance: random.Random, case: Case) -> Case:
    return replace(case, spans=[span for span in case.spans if chance.random() < 0.7])


def _one_more(chance: random.Random, case: Case) -> Case:
    start = chance.randint(0, max(1, len(case.text)))
    return replace(case, spans=[*case.spans, _span(start, start + chance.randint(0, 5))])


def _another_agent(chance: random.Random, case: Case) -> Case:
    place = chance.randint(0, len(case.model))
    strange = chance.choice(["@", "+", "(", "=", "é", "٣", " ", "\n", "\u2003", "_", "-", ":", "m" * 180])
    return replace(case, model=case.model[:place] + strange + case.model[place:])


FAULTS: Sequence[Fault] = (
    _nearby("start"),
    _nearby("end"),
    _changed("start", _another_place),
    _changed("end", _another_place),
    _changed("label", lambda chance, case, span: chance.choice(["port", "PORT", "", "owner", "Eigner"])),
    _changed(
        "confidence",
        lambda chance, case, span: chance.choice([None, 0.0, 1.0, 0.3, 1.0000001, -1e-9, float("nan")]),
    ),
    _without_one,
    _one_more,
    _another_agent,
)


def random_cases(bases: Sequence[Case], count: int) -> list[Case]:
    """Cases of one to three faults, of which some do no harm; the same ones every time."""
    chance = random.Random(20)
    cases = []
    for _ in range(count):
        case = chance.choice(bases)
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            case = chance.choice(FAULTS)(chance, case)
        cases.append(case)
    return cases
