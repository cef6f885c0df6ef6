"""Records what a real server answers, one file an exchange (README.md beside this says how to start one).

    record.py ollama http://127.0.0.1:11434 smollm2 --into ollama_go
    record.py openai http://127.0.0.1:8000 smollm2 --into vllm --key KEY

With ``--kill PID`` that process is killed in the middle of the last answer.
"""

import argparse
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from recorded.cases import MID_STREAM, Case, ollama_cases, openai_cases  # noqa: E402

_CASES = {"ollama": ollama_cases, "openai": openai_cases}
_HEADERS = ("content-type", "transfer-encoding", "retry-after", "www-authenticate")
# Where weights lie on the machine of the recording is nobody's concern.
_PLACE = re.compile(r"(?:/[\w.+-]+)+/(smollm2[\w.-]*|SmolLM2[\w.-]*|sha256-\w+)", re.IGNORECASE)
# Most of vLLM's and llama.cpp's metrics are of no use to a client.
_METRIC = re.compile(
    r"^(vllm:(num_requests|prefix_cache|num_preemptions|kv_cache_usage|cache_config)|llamacpp:)"
)
_LONGEST_TEXT = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", choices=_CASES)
    parser.add_argument("url")
    parser.add_argument("model")
    parser.add_argument("--into", required=True, help="the folder below this one")
    parser.add_argument("--key", default="", help="the server's key")
    parser.add_argument("--kill", type=int, default=0, metavar="PID")
    parser.add_argument("--only", help="this case")
    given = parser.parse_args()
    folder = HERE / given.into
    folder.mkdir(exist_ok=True)
    with httpx.Client(base_url=given.url, timeout=600) as client:
        for case in _CASES[given.protocol](given.model):
            if given.only not in {None, case.name} or (case.name == MID_STREAM and not given.kill):
                continue
            recording = _record(client, case, given.key, given.kill)
            text = _PLACE.sub(r"/models/\1", json.dumps(recording, ensure_ascii=False, indent=1))
            (folder / f"{case.name}.json").write_text(f"{text}\n", "utf-8")
            sys.stdout.write(f"{case.name}: {recording['response']['status']}\n")


def _record(client: httpx.Client, case: Case, key: str, victim: int) -> dict[str, Any]:
    content = (case.text or "").encode() if case.body is None else json.dumps(case.body).encode()
    headers = {"Content-Type": "application/json"} if content else {}
    if key and case.key != "none":
        headers["Authorization"] = f"Bearer {key if case.key == 'right' else 'wrong'}"
    received: list[bytes] = []
    lost = False
    with client.stream(case.method, case.path, content=content or None, headers=headers) as response:
        try:
            for part in response.iter_bytes():
                received.append(part)
                if case.name == MID_STREAM and len(received) == 1:
                    os.kill(victim, signal.SIGKILL)
        except httpx.TransportError:
            lost = True
    request = {
        "method": case.method,
        "path": case.path,
        "key": case.key,
        "body": case.body,
        "text": case.text,
    }
    return {
        "request": {name: value for name, value in request.items() if value is not None},
        "response": {
            "status": response.status_code,
            "headers": {name: response.headers[name] for name in _HEADERS if name in response.headers},
            "lost": lost,
            **_body(case, b"".join(received)),
        },
    }


def _body(case: Case, content: bytes) -> dict[str, Any]:
    """Objects as they are, so that a reader sees them; everything else as text."""
    text = content.decode()
    if case.path == "/metrics":
        lines = [line for line in text.splitlines() if _METRIC.match(line)]
        return {"text": "".join(f"{line}\n" for line in lines)}
    try:
        return {"json": json.loads(text)}
    except json.JSONDecodeError:
        return {"text": text[:_LONGEST_TEXT]}


if __name__ == "__main__":
    main()
