"""Whoever adds a dependency says why it is there and when it can go."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_dependency_has_its_reason_and_its_end() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    names = [re.split(r"[\[<>=~!]", wanted)[0] for wanted in tomllib.loads(text)["project"]["dependencies"]]
    lines = [line.strip() for line in text.splitlines()]
    ends = (ROOT / "docs" / "dependencies.md").read_text("utf-8").split("## When one can go")[1]
    for name in names:
        place = next(index for index, line in enumerate(lines) if line.startswith(f'"{name}'))
        above = lines[place - 1]
        # A reason may be that of several which stand together.
        assert above.startswith(("#", '"')), name
        if not name.startswith("opentelemetry-exporter"):
            assert re.search(rf"[|,] {name}\b", ends), name
