"""The page texts that are asked about."""

import gzip
import json
from importlib import resources
from pathlib import Path

__all__ = ["load_pages"]

_BATCH = Path(__file__).parents[2].parent / "shared" / "benchmarks" / "throughput.jsonl.gz"
_LONGEST = 12_000


def load_pages(count: int) -> tuple[list[str], str]:
    """Up to ``count`` texts and what they are; the demo pages, repeated with a number, where no other are."""
    if _BATCH.is_file():
        with gzip.open(_BATCH, "rt", encoding="utf-8") as lines:
            texts = [str(json.loads(line)["text"])[:_LONGEST] for line in lines]
        return texts[:count], f"{min(count, len(texts))} pages of throughput.jsonl.gz"
    folder = resources.files("preannotation_assets.demo") / "pages"
    pages = [text for page in folder.iterdir() if (text := page.read_text("utf-8")[:_LONGEST]).strip()]
    texts = [f"{pages[number % len(pages)]}\n{number}" for number in range(count)]
    return texts, f"{count} demo pages (throughput.jsonl.gz is not there)"
