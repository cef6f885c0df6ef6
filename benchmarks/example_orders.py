"""How often a model answers "nothing", by the place of the empty example among the others.

    python -m benchmarks.example_orders http://127.0.0.1:8080 MODEL [--labels FILE] [--pages 12]

Asks a server that speaks OpenAI's chat completions (llama.cpp's, vLLM, Ollama) about the shortest sample
pages of at least 400 characters, all of which have something to mark, with the packaged scheme's examples in
several orders. Answers are cut off after a few tokens: whether one is empty is decided by then.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import preannotation_assets
from benchmarks.chat import ask_about_page
from preannotation_assets.demo.sample import sample_pages
from preannotation_assets.extraction.labels import Example
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.label_file import load_label_scheme

__all__ = ["main"]

_PACKAGED: Final = Path(preannotation_assets.__file__).parent / "label_schemes" / "vessels.yaml"
_FEWEST_CHARACTERS: Final = 400
_ANSWER_TOKENS: Final = 10


def main() -> None:
    """Prints the empty answers of every order."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.example_orders", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("url", help="the server, without /v1")
    parser.add_argument("model")
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--labels", type=Path, default=_PACKAGED, help="another label scheme")
    arguments = parser.parse_args()
    texts = (page.text for page in sample_pages())
    pages = sorted((text for text in texts if len(text) >= _FEWEST_CHARACTERS), key=len)[: arguments.pages]
    scheme = load_label_scheme(str(arguments.labels))
    for name, examples in _orders(scheme.examples).items():
        prompt = build_prompt(scheme.model_copy(update={"examples": tuple(examples)}))
        empty = sum(
            _is_empty(ask_about_page(arguments.url, arguments.model, prompt, page, _ANSWER_TOKENS))
            for page in pages
        )
        print(f"{name:<24} {empty} of {len(pages)} empty", flush=True)


def _orders(examples: Sequence[Example]) -> dict[str, list[Example]]:
    empty = [example for example in examples if not example.spans]
    filled = [example for example in examples if example.spans]
    return {
        "empty example last": [*filled, *empty],
        "empty example first": [*empty, *filled],
        "empty example in between": [*filled[:1], *empty, *filled[1:]],
        "no empty example": filled,
        "no example": [],
    }


def _is_empty(answer: str) -> bool:
    return "".join(answer.split()) == '{"spans":[]}'


if __name__ == "__main__":
    main()
