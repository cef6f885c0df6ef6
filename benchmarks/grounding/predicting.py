"""What the benchmarks of grounding share: the real pages, their scorer, and our predictor.

Real pages are no part of the repository. The environment variable ``GROUNDING_PAGES`` names a folder with
pages, their true spans and ``score.py``, which has ``load``, ``score``, ``summary`` and ``score_page``.
"""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, Quote

__all__ = ["Answers", "Predictor", "Spans", "predict", "real_pages", "scorer"]

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


def real_pages() -> Path | None:
    """The folder of the real pages; says how to name it, and is None, where there is none."""
    folder = os.environ.get("GROUNDING_PAGES")
    if folder and (Path(folder) / "score.py").is_file():
        return Path(folder)
    print("no real pages: set GROUNDING_PAGES to a folder with pages, their true spans and score.py")
    return None


def scorer(folder: Path) -> ModuleType:
    """The scorer that comes with the real pages."""
    spec = importlib.util.spec_from_file_location("grounding_score", folder / "score.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
