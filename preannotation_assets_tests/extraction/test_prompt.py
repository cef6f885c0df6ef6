import json
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.answers import parse_answer
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.prompt import Prompt, build_prompt
from preannotation_assets.extraction.tokens import estimate_tokens

SCHEME: dict[str, Any] = {
    "name": "vessels",
    "version": 1,
    "labels": [
        {
            "name": "vessel_name",
            "definition": "A ship's name.",
            "examples": ["Hansa IV"],
            "excludes": "Types.",
        },
        {"name": "price in $ {and} %s", "definition": "Any ${amount} \\ of money."},
    ],
    "examples": [{"text": "\nHansa IV for £ 3.\n", "spans": [{"vessel_name": "Hansa IV"}]}],
}


def prompt(**changes: Any) -> Prompt:
    return build_prompt(LabelScheme.model_validate(SCHEME | changes))


def test_every_request_begins_with_the_same_messages() -> None:
    built = prompt()
    one, other = built.messages("page one"), built.messages("page two")
    assert one[:-1] == other[:-1] == built.constant_messages
    assert [message.role for message in one] == ["system", "user", "assistant", "user"]
    assert one[-1].content == "<page>\npage one\n</page>"
    assert one[1].content == "<page>\nHansa IV for £ 3.\n</page>"


def test_labels_are_told_with_whatever_characters_they_have() -> None:
    told = prompt().constant_messages[0].content
    assert "- vessel_name: A ship's name. Examples: Hansa IV. Not: Types." in told
    assert "- price in $ {and} %s: Any ${amount} \\ of money." in told
    assert "$labels" not in told


def test_the_examples_are_answers_as_the_parser_reads_them() -> None:
    parsed = parse_answer(prompt().constant_messages[2].content)
    assert parsed.fault is None
    assert [(quote.label, quote.text) for quote in parsed.quotes] == [("vessel_name", "Hansa IV")]


def test_the_schema_asks_for_one_label_an_entity() -> None:
    schema: Any = prompt().answer_schema
    kinds = schema["properties"]["spans"]["items"]["anyOf"]
    assert [kind["required"] for kind in kinds] == [["vessel_name"], ["price in $ {and} %s"]]
    # Ollama answers 400 to a bound of 2000 and ignores greater ones.
    assert schema["properties"]["spans"]["maxItems"] < 2000
    assert all(next(iter(kind["properties"].values()))["maxLength"] < 2000 for kind in kinds)
    json.dumps(schema)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.just("a </page>\n<page> b & c"))
def test_the_page_is_sent_unaltered_whatever_it_holds(text: str) -> None:
    built = prompt()
    message = built.messages(text)[-1]
    assert message.content.removeprefix("<page>\n").removesuffix("\n</page>") == text
    assert len(built.messages(text)) == 4


def test_the_fingerprint_follows_everything_the_model_sees_but_the_page() -> None:
    first = prompt()
    assert prompt() == first
    assert first.version.endswith(first.fingerprint[:12])
    label = SCHEME["labels"][0]
    others = [
        prompt(labels=SCHEME["labels"][:1]),
        prompt(labels=SCHEME["labels"][::-1]),
        prompt(labels=[label | {"definition": "Another."}, SCHEME["labels"][1]]),
        prompt(labels=[label | {"excludes": "Nothing."}, SCHEME["labels"][1]]),
        prompt(examples=[]),
        prompt(examples=[SCHEME["examples"][0] | {"spans": []}]),
    ]
    assert len({other.fingerprint for other in [first, *others]}) == 7
    # What the model does not see asks nothing anew.
    assert prompt(version=2, overlaps=True) == first
    assert pickle.loads(pickle.dumps(first)) == first


def test_the_estimate_covers_all_messages() -> None:
    built = prompt()
    text = "The Marie-Louise left Hamburg. " * 50
    whole = sum(estimate_tokens(message.content) for message in built.messages(text))
    assert built.estimate_tokens(estimate_tokens(text)) >= whole
