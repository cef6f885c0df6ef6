"""Log-probabilities: they join to the answer, and wrong values score lower."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.simulator import HabitRates, SimulatorSettings
from preannotation_assets.simulator.answer_text import AnswerToken
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


def test_entries_can_be_fewer_than_tokens() -> None:
    tokens = [AnswerToken("é", 1.0), AnswerToken("t", 1.0), AnswerToken("é", 1.0)]
    entries: list[Any] = list(logprob_entries(tokens, 0, 0, LogprobScale(0, True)))
    assert [entry["token"] for entry in entries] == ["ét", "é"]


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
