"""Counts the tests' pages in other languages with tokenizers, and tells how far the estimate is off.

Two figures each: as Llama 3, and with what is presumed of the model NAME.

    python -m benchmarks.token_languages --tokenizers NAME=FILE ... [--write]

The pages are in ``preannotation_assets_tests/extraction/languages``. FILE is the tokenizer of a model:
``benchmarks.tokenizer_files`` says which packages bring some. With ``--write`` the counts are kept beside the
pages, so that the tests need no tokenizer.
"""

import argparse
import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.tokenizer_files import Count, read_tokenizer
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.extraction.token_kinds import LLAMA_3
from preannotation_assets.extraction.tokens import estimate_tokens

__all__ = ["main"]

Counts = Mapping[str, Mapping[str, list[int]]]

_LIST: Final = re.compile(r"\[[^\[\]]*\]")
_PAGES: Final = Path(__file__).parents[1] / "preannotation_assets_tests" / "extraction" / "languages"


def main() -> None:
    """Prints mean and lowest of estimate / true by language and tokenizer, as Llama 3 and as presumed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.token_languages", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--tokenizers", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--write", action="store_true", help="keep the counts for the tests")
    arguments = parser.parse_args()
    named = (tokenizer.partition("=") for tokenizer in arguments.tokenizers)
    tokenizers = {name: read_tokenizer(Path(file)) for name, _, file in named}
    counts = {
        f"{file.parent.name}/{file.stem}": _counts(file.read_text("utf-8"), tokenizers)
        for file in sorted(_PAGES.glob("*/*.txt"))
    }
    _tell(counts)
    if arguments.write:
        text = _LIST.sub(_on_one_line, json.dumps(counts, indent=1))
        (_PAGES / "counts.json").write_text(f"{text}\n", "utf-8")


def _on_one_line(numbers: re.Match[str]) -> str:
    return json.dumps(json.loads(numbers.group()))


def _counts(text: str, tokenizers: Mapping[str, Count]) -> dict[str, list[int]]:
    """By tokenizer: of the page, of it in capitals and with marks apart from letters, of each line."""
    writings = [text, text.upper(), unicodedata.normalize("NFD", text), *text.splitlines(keepends=True)]
    return {name: [count(writing) for writing in writings] for name, count in tokenizers.items()}


def _tell(counts: Counts) -> None:
    for language in sorted({page.partition("/")[0] for page in counts}):
        pages = [page for page in counts if page.startswith(f"{language}/")]
        cells = []
        for name in counts[pages[0]]:
            for factors in (LLAMA_3, presumed_factors(name)):
                ratios = [
                    estimate_tokens((_PAGES / f"{page}.txt").read_text("utf-8"), factors)
                    / counts[page][name][0]
                    for page in pages
                ]
                cells.append(f"{name} {sum(ratios) / len(ratios):.2f} ({min(ratios):.2f})")
        print(f"{language}: {', '.join(cells)}")


if __name__ == "__main__":
    main()
