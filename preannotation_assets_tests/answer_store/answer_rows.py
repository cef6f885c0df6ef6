"""Rows of answers as the tests here write them."""

from typing import Any

from preannotation_assets.contracts import ANSWERS, AnswerStatus

FOLDER = "argilla/work/d/answers"


def row(key: str, status: str = AnswerStatus.ANSWERED, at: int = 1, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(ANSWERS.names)
    return {
        **empty,
        "request_key": key,
        "status": status,
        "answer": f"answer of {at}" if status == AnswerStatus.ANSWERED else None,
        "estimated_prompt_tokens": 10,
        "attempts": 1,
        "endpoint": "http://gpu",
        "answered_at": at,
        "run_id": "run",
        **more,
    }


def part(start: int, end: int, key: str) -> dict[str, Any]:
    return {"start": start, "end": end, "request_key": key}
