"""What the benchmarks of grounding share: the real pages, their scorer, and our predictor."""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, Quote

__all__ = ["DATA", "Answers", "Predictor", "Spans", "has_real_pages", "predict", "scorer"]

DATA = Path(
    os.environ.get("GROUNDING_PAGES")
    or Path(__file__).resolve().parents[3] / "shared" / "benchmarks" / "grounding"
)

Answers = Sequence[Mapping[str, Any]]
Spans = list[tuple[int, int] | None]
Predictor = Callable[[str, Answers], Spans]


def predict(page_text: str, answers: Answers) -> Spans:
    """Grounds a page's answers: one span of code points, or None, an answer."""
    quotes = [Quote(label=str(answer["label"]), text=str(answer["text"])) for answer in answers]
    return [
        (result.start, result.end) if isinstance(result, Grounding) else None
        for result in ground(page_text, quotes)
    ]


def has_real_pages() -> bool:
    """Whether the real pages are there; says so if they are not."""
    if (DATA / "score.py").is_file():
        return True
    print("no pages with true spans beside the repository: left out")
    return False


def scorer() -> ModuleType:
    """The scorer that comes with the real pages."""
    spec = importlib.util.spec_from_file_location("grounding_score", DATA / "score.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(DATA / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
