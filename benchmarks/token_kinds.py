"""Measures the token estimate before and after it has learned from counts, on pages not learned from.

    python -m benchmarks.token_kinds PAGES --tokenizers NAME=FILE ... [--texts FILE ...]

PAGES are JSON lines with a ``text`` (``.jsonl.gz``); TEXTS are plain text files in other languages, as Vim's
tutors (Debian's vim-runtime), cut in pieces. Registers, numbers, tables and leaders are made with the words
of the pages, always the same. NAME is the model's, by which something is presumed of it, FILE its tokenizer:
``benchmarks.tokenizer_files`` says which packages bring some. Every second page of a group is measured; the
others teach: of PAGES only, and of all. "as Llama 3" is without anything presumed or learned.
"""

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.token_costs import read_texts
from benchmarks.tokenizer_files import Count, read_tokenizer
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.extraction.token_kinds import LLAMA_3
from preannotation_assets.extraction.token_learning import CountedPrompt, LearnedTokens, learn_tokens
from preannotation_assets.extraction.tokens import calibrated_tokens, estimate_tokens, tokens_by_kind
from preannotation_assets.label_file import load_label_scheme

__all__ = ["main"]

Groups = Mapping[str, Sequence[str]]

_SCHEME: Final = Path(__file__).parents[1] / "preannotation_assets" / "label_schemes" / "vessels.yaml"
_MADE: Final = 40
_PIECES: Final = (800, 3000)
# What a chat template adds to a prompt.
_BESIDES: Final = 25


def main() -> None:
    """Prints one line a tokenizer and way of learning: mean and lowest of estimate / true, by group."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.token_kinds", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("pages", type=Path)
    parser.add_argument("--tokenizers", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--texts", nargs="+", type=Path, default=[])
    arguments = parser.parse_args()
    pages = read_texts(arguments.pages)
    groups = {"pages": pages, **_made(pages), **{path.name: _pieces(path) for path in arguments.texts}}
    for named in arguments.tokenizers:
        name, _, file = named.partition("=")
        _tell(name, read_tokenizer(Path(file)), groups)


def _made(pages: Sequence[str]) -> dict[str, list[str]]:
    chance = random.Random(7)
    found = {word.strip(".,;:()") for page in pages for word in page.split()}
    names = sorted(word for word in found if word.isalpha() and word[0].isupper() and 3 < len(word) < 14)

    def number(digits: int) -> int:
        return chance.randint(10 ** (digits - 1), 10**digits - 1)

    def lines(least: int, most: int) -> range:
        return range(chance.randint(least, most))

    def register() -> str:
        return "\n".join(
            f"{number(7)}  {chance.choice(names).upper():<20}{number(4):,}.{number(2)}  "
            f"{chance.choice(names):<16}18{number(2)}  {number(2)}.{number(1)} x {number(2)}.{number(1)}"
            for _ in lines(15, 45)
        )

    def numbers() -> str:
        return " ".join(str(number(6)) for _ in lines(100, 400))

    def table() -> str:
        return "\n".join("\t".join(f"{number(4)}.{number(2)}" for _ in range(6)) for _ in lines(20, 60))

    def leaders() -> str:
        return "\n".join(
            f"{chance.choice(names)} {'.' * chance.randint(5, 60)} {number(3)}" for _ in lines(20, 60)
        )

    def spaced_leaders() -> str:
        return "\n".join(
            f"{chance.choice(names)}{' .' * chance.randint(3, 30)} {number(3)}" for _ in lines(20, 60)
        )

    kinds = {
        "registers": register,
        "numbers": numbers,
        "tables": table,
        "leaders": leaders,
        "spaced leaders": spaced_leaders,
    }
    made = {kind: [make() for _ in range(_MADE)] for kind, make in kinds.items()}
    return {**made, **_numbers_among_signs(names), "capitals": [page.upper() for page in pages[::8]]}


# Each # is a digit, each @ a name of the pages.
_FORMS: Final = {
    "dates": ("18##-0#-1#", "2#.1#.18##", "#/1#/18## ##:##:##", "the 1#th of May, 18##"),
    "tables of signs": ("| @ | #### | ###.# | - | ## |", "|#####|##|#||####|", '"@";"######";"##,##";""'),
    "numbers of ships": ("IMO ####### D#AB#", "MSCU ######-# MMSI 636######", "#####M### ##l#O# @"),
    "money": ("£###. ##s. #d. $##,###.##", "#.###,## M. ##/- ###/##/#", "12'#\" #½ #¼ ##% ##°##\u2032"),
    "no-break spaces": ("##\u00a0###\u00a0### fr", "@\u00a0: ##\u00a0### t"),
    "punctuation": ("@: ..., -; (##); —; '#'; [?]; *; †##; §##", "##\u2014## ###\u2013### #.##.#"),
}


def _numbers_among_signs(names: Sequence[str]) -> dict[str, list[str]]:
    chance = random.Random(11)

    def line(form: str) -> str:
        marks = {"#": lambda: chance.choice("0123456789"), "@": lambda: chance.choice(names)}
        return "".join(marks[sign]() if sign in marks else sign for sign in form)

    def text(forms: Sequence[str]) -> str:
        return "\n".join(line(chance.choice(forms)) for _ in range(chance.randint(20, 60)))

    return {kind: [text(forms) for _ in range(_MADE)] for kind, forms in _FORMS.items()}


def _pieces(path: Path) -> list[str]:
    chance, text, pieces = random.Random(7), path.read_text("utf-8"), []
    while text:
        length = chance.randint(*_PIECES)
        pieces.append(text[:length])
        text = text[length:]
    return pieces


def _tell(name: str, count: Count, groups: Groups) -> None:
    prompt = build_prompt(load_label_scheme(str(_SCHEME)))
    constant = sum(count(message.content) for message in prompt.constant_messages) + _BESIDES
    held_out = {group: [(text, count(text)) for text in texts[::2]] for group, texts in groups.items()}
    taught = {
        group: [CountedPrompt(tokens_by_kind(text), constant + count(text)) for text in texts[1::2]]
        for group, texts in groups.items()
    }
    every = [prompt for prompts in taught.values() for prompt in prompts]
    presumed = LearnedTokens(presumed_factors(name), 1.0)
    _tell_ratios(f"{name}, as Llama 3", LearnedTokens(LLAMA_3, 1.0), held_out)
    for way, prompts in {"presumed": [], "pages teach": taught["pages"], "all teach": every}.items():
        learned = learn_tokens(prompts, prompt.constant_tokens_by_kind(), presumed.kind_factors)
        _tell_ratios(f"{name}, {way}", learned or presumed, held_out)


def _tell_ratios(
    title: str, learned: LearnedTokens, held_out: Mapping[str, Sequence[tuple[str, int]]]
) -> None:
    by_group = {
        group: np.array(
            [
                calibrated_tokens(estimate_tokens(text, learned.kind_factors), learned.calibration) / true
                for text, true in counted
            ]
        )
        for group, counted in held_out.items()
    }
    every = np.concatenate(list(by_group.values()))
    print(f"{title}: below 1: {(every < 1).sum()} of {len(every)}; factor {learned.calibration}")
    print(
        "   "
        + ", ".join(f"{group} {ratios.mean():.2f} ({ratios.min():.2f})" for group, ratios in by_group.items())
    )


if __name__ == "__main__":
    main()
