"""Log-probabilities: they join to the answer, and wrong values score lower."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.simulator import CharacterParts, HabitRates, SimulatorSettings
from preannotation_assets.simulator.answer_text import AnswerToken
from preannotation_assets.simulator.layout import bytewise
from preannotation_assets.simulator.logprobs import LogprobScale, logprob_entries


@given(st.lists(st.text(min_size=1)), st.integers(0, 20))
def test_entries_join_to_the_text(texts: list[str], top: int) -> None:
    tokens = [AnswerToken(text, None) for text in texts]
    entries: list[Any] = list(logprob_entries(tokens, 0, top, LogprobScale(0, True)))
    assert "".join(entry["token"] for entry in entries) == "".join(texts)
    for entry in entries:
        assert entry["logprob"] < 0
        assert bytes(entry["bytes"]) == entry["token"].encode("utf-8", "surrogatepass")
        assert len(entry.get("top_logprobs", [])) == top
        assert len({other["token"] for other in entry.get("top_logprobs", [])}) == top


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_character_over_several_tokens_only_the_last_has_an_entry(talk: Any, stream: bool) -> None:
    schema = {"type": "string", "enum": ["漢字"]}
    lines = [
        json.loads(line) for line in talk.chat(format=schema, logprobs=True, stream=stream).text.splitlines()
    ]
    entries = [entry for line in lines for entry in line.get("logprobs", [])]
    assert [entry["token"] for entry in entries] == ['"', "漢", "字", '"']
    assert bytes(entries[1]["bytes"]) == "漢".encode()
    assert lines[-1]["eval_count"] == 7
    assert "".join(line["message"]["content"] for line in lines) == '"漢字"'


@given(st.text())
def test_tokens_of_bytes_join_to_the_text(text: str) -> None:
    pieces = list(bytewise(text))
    assert "".join(pieces) == text
    assert len(pieces) <= max(len(text.encode("utf-8", "surrogatepass")), 1)


def test_a_cut_in_a_character_loses_it(talk: Any) -> None:
    schema = {"type": "string", "enum": ["🚢"]}
    options = {"num_ctx": 4096, "num_predict": 3}
    reply = talk.chat(format=schema, logprobs=True, options=options).json()
    assert (reply["message"]["content"], reply["eval_count"], len(reply["logprobs"])) == ('"', 3, 1)


def _value_scores(talk: Any) -> list[float]:
    page = "\n".join(f"M/V ROTTERDARN {name}" for name in ("ALPHA", "BRAVO", "DELTA", "KILO", "MIKE"))
    reply = talk.chat(page, logprobs=True).json()
    text = reply["message"]["content"]
    starts = [
        text.index(json.dumps(value)[1:-1]) for span in json.loads(text)["spans"] for value in span.values()
    ]
    scores, position = [], 0
    for entry in reply["logprobs"]:
        position += len(entry["token"])
        if any(start < position <= start + 8 for start in starts):
            scores.append(entry["logprob"])
    return scores


def test_repaired_values_score_lower_only_with_the_signal(start: Any) -> None:
    repairing = HabitRates(repair=1, omit=0, repeat=0, shorten=0, mislabel=0, invent=0)
    right = _value_scores(start(SimulatorSettings(habits=HabitRates.NONE)))
    wrong = _value_scores(start(SimulatorSettings(habits=repairing)))
    silent = _value_scores(start(SimulatorSettings(habits=repairing, has_confidence_signal=False)))
    assert max(wrong) < min(right)
    assert min(silent) > max(wrong)


def test_forced_tokens_score_very_low(talk: Any) -> None:
    entries = talk.chat(logprobs=True, top_logprobs=2).json()["logprobs"]
    assert entries[0]["token"].startswith("{")
    assert entries[0]["logprob"] < -2.5
    assert [len(entry["top_logprobs"]) for entry in entries] == [2] * len(entries)


@pytest.mark.parametrize(
    ("parts", "shown"),
    [(CharacterParts.REPLACED, "\N{REPLACEMENT CHARACTER}"), (CharacterParts.LEFT_OUT, "")],
)
def test_the_parts_of_a_character_may_be_listed_one_by_one(parts: CharacterParts, shown: str) -> None:
    tokens = [AnswerToken(text, None) for text in ("x", *bytewise("é漢"), "y")]
    entries: list[Any] = list(logprob_entries(tokens, 0, 0, LogprobScale(0, True, parts)))
    assert [entry["token"] for entry in entries] == ["x", "é", shown, shown, "y"]
