"""One question to a real model behind an OpenAI-compatible server, as benchmarks of examples ask it."""

import json
import urllib.request
from typing import Final

from preannotation_assets.extraction.prompt import Prompt

__all__ = ["ask_about_page"]

_REQUEST_SECONDS: Final = 600


def ask_about_page(url: str, model: str, prompt: Prompt, page: str, most_tokens: int) -> str:
    """What the model answers about a page at temperature 0, in the schema of the prompt."""
    schema = {"name": "answer", "schema": prompt.answer_schema, "strict": True}
    body = {
        "model": model,
        "messages": [{"role": each.role, "content": each.content} for each in prompt.messages(page)],
        "response_format": {"type": "json_schema", "json_schema": schema},
        "temperature": 0,
        "max_tokens": most_tokens,
    }
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as reply:
        content: str = json.load(reply)["choices"][0]["message"]["content"]
    return content
