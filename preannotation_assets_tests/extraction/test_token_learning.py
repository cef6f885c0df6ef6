"""What is learned of a tokenizer from counts: tried on toy tokenizers, of which all is known."""

import random
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors, TokenKind
from preannotation_assets.extraction.token_learning import (
    FEWEST_PROMPTS,
    CountedPrompt,
    LearnedTokens,
    learn_tokens,
)
from preannotation_assets.extraction.tokens import (
    MAX_CALIBRATION,
    calibrated_tokens,
    estimate_tokens,
    tokens_by_kind,
)

CONSTANT = "Mark every vessel, port and IMO number (7 digits) as JSON. Answer in reading order.\n" * 20
# What a chat template adds.
BESIDES = 23
WORDS = (
    *("the", "of", "in", "and", "vessel", "master", "port", "sailed", "arrived", "Hamburg", "Rotterdam"),
    *("cargo", "cement", "Reederei", "Kapitän", "owners", "insurance", "classification", "société"),
    *("navire", "veflel", "liarbour", "tbe", "Befatzung", "zwölften", "survey"),
)

Count = Callable[[str], int]


def _tokenizer(digits: int, letters: int) -> Count:
    """A token for so many digits, a space before digits, so many letters, a sign, a leader, a line break."""
    piece = re.compile(rf"[ ](?=[0-9])|[0-9]{{1,{digits}}}|[^\W\d_]{{1,{letters}}}|[.]{{3,}}|[^\w\s]|\n")
    return lambda text: len(piece.findall(text))


ONE_A_DIGIT, THREE_DIGITS = _tokenizer(1, 6), _tokenizer(3, 4)


def _prose(chance: random.Random) -> str:
    words = [chance.choice(WORDS) for _ in range(chance.randint(100, 500))]
    for place in range(0, len(words), 25):
        words[place] = str(chance.randint(1, 9999)) + chance.choice([",", ".\n", ""])
    return " ".join(words)


def _register(chance: random.Random) -> str:
    return "\n".join(
        f"{chance.randint(10**6, 10**7)} {chance.choice(WORDS).upper()} ..... {chance.randint(9, 999)}.5 1898"
        for _ in range(chance.randint(10, 40))
    )


def _numbers(chance: random.Random) -> str:
    return " ".join(str(chance.randint(10**5, 10**6)) for _ in range(chance.randint(50, 300)))


def _counted(texts: Sequence[str], count: Count) -> list[CountedPrompt]:
    return [CountedPrompt(tokens_by_kind(text), count(CONSTANT) + BESIDES + count(text)) for text in texts]


def _pages(make: Callable[[random.Random], str], number: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [make(chance) for _ in range(number)]


def _learn(texts: Sequence[str], count: Count, before: KindFactors = LLAMA_3) -> LearnedTokens:
    learned = learn_tokens(_counted(texts, count), tokens_by_kind(CONSTANT), before)
    assert learned is not None
    return learned


def _ratios(texts: Sequence[str], count: Count, learned: LearnedTokens) -> list[float]:
    return [
        calibrated_tokens(estimate_tokens(text, learned.kind_factors), learned.calibration) / count(text)
        for text in texts
    ]


@pytest.mark.parametrize("count", [ONE_A_DIGIT, THREE_DIGITS], ids=["one digit", "three digits"])
@pytest.mark.parametrize("make", [_prose, _register, _numbers])
def test_pages_that_were_not_learned_from_are_estimated_from_above_and_not_far(
    make: Callable[[random.Random], str], count: Count
) -> None:
    batch = [*_pages(_prose, 60, 1), *_pages(_register, 60, 1), *_pages(_numbers, 6, 1)]
    learned = _learn(batch, count)
    ratios = _ratios(_pages(make, 40, 2), count, learned)
    assert min(ratios) >= 1
    assert sum(ratios) / len(ratios) <= 1.45


def test_the_digits_of_prose_and_registers_teach_most_of_what_pages_of_numbers_cost() -> None:
    numbers = _pages(_numbers, 40, 2)
    learned = _learn([*_pages(_prose, 60, 1), *_pages(_register, 60, 1)], ONE_A_DIGIT)
    assert max(_ratios(numbers, ONE_A_DIGIT, LearnedTokens(LLAMA_3, 1.0))) < 0.6
    assert min(_ratios(numbers, ONE_A_DIGIT, learned)) > 0.8


def test_of_a_model_with_a_token_a_digit_no_page_is_below_once_it_was_presumed() -> None:
    learned = _learn(_pages(_prose, 60, 1), ONE_A_DIGIT, presumed_factors("qwen3:32b"))
    assert min(_ratios(_pages(_numbers, 40, 2), ONE_A_DIGIT, learned)) >= 1


def test_what_was_presumed_in_vain_is_unlearned_where_there_are_digits() -> None:
    batch = [*_pages(_prose, 60, 1), *_pages(_numbers, 6, 1)]
    learned = _learn(batch, THREE_DIGITS, presumed_factors("ours"))
    ratios = _ratios(_pages(_numbers, 40, 2), THREE_DIGITS, learned)
    assert min(ratios) >= 1
    assert max(ratios) <= 1.6


def test_a_kind_that_was_not_seen_keeps_what_was_learned_of_it_before() -> None:
    prose = [re.sub(r"\d+", "vessel", page) for page in _pages(_prose, 60, 1)]
    digits = list(TokenKind).index(TokenKind.DIGITS)
    greek = list(TokenKind).index(TokenKind.GREEK)
    before = KindFactors.by_name({TokenKind.DIGITS: 3.0, TokenKind.GREEK: 0.5})
    learned = _learn(prose, ONE_A_DIGIT, before)
    assert learned.kind_factors.factors[digits] == pytest.approx(3.0, abs=0.05)
    # What was cheap must show again that it is.
    assert learned.kind_factors.factors[greek] == 1.0


def test_counts_that_leave_out_what_is_cached_do_not_lower_the_estimate_of_pages() -> None:
    # As Ollama counted before 0.30.1: of all but the first prompts only what follows the constant part.
    pages = [*_pages(_prose, 60, 1), *_pages(_register, 60, 1)]
    counted = [CountedPrompt(tokens_by_kind(text), BESIDES + ONE_A_DIGIT(text)) for text in pages]
    learned = learn_tokens(
        [*_counted(pages[:2], ONE_A_DIGIT), *counted[2:]], tokens_by_kind(CONSTANT), LLAMA_3
    )
    assert learned is not None
    assert min(_ratios([*_pages(_prose, 40, 2), *_pages(_register, 40, 2)], ONE_A_DIGIT, learned)) >= 1


def test_few_answers_teach_nothing() -> None:
    counted = _counted(_pages(_prose, FEWEST_PROMPTS, 1), ONE_A_DIGIT)
    assert learn_tokens(counted[1:], tokens_by_kind(CONSTANT), LLAMA_3) is None
    assert learn_tokens(counted, tokens_by_kind(CONSTANT), LLAMA_3) is not None


def test_answers_without_a_count_and_blank_texts_teach_nothing() -> None:
    counted = _counted(_pages(_prose, FEWEST_PROMPTS, 1), ONE_A_DIGIT)
    empty = [CountedPrompt(counted[0].by_kind, 0), CountedPrompt(tokens_by_kind(""), 900)]
    constant = tokens_by_kind(CONSTANT)
    assert learn_tokens([*counted, *empty], constant, LLAMA_3) == learn_tokens(counted, constant, LLAMA_3)
    assert learn_tokens(empty * FEWEST_PROMPTS, constant, LLAMA_3) is None


def test_the_same_answers_in_another_order_teach_the_same() -> None:
    pages = _pages(_prose, 40, 1)
    assert _learn(pages, ONE_A_DIGIT) == _learn(pages[::-1], ONE_A_DIGIT)


any_prompts = st.lists(
    st.builds(
        CountedPrompt,
        st.tuples(*[st.one_of(st.just(0.0), st.floats(0, 1e6)) for _ in TokenKind]),
        st.integers(-5, 10**7),
    ),
    min_size=FEWEST_PROMPTS,
    max_size=40,
)


@given(any_prompts, st.tuples(*[st.floats(0, 1e5) for _ in TokenKind]))
@settings(max_examples=20)
def test_whatever_a_server_counts_the_factors_stay_in_their_ranges(
    prompts: list[CountedPrompt], constant: tuple[float, ...]
) -> None:
    learned = learn_tokens(prompts, constant, LLAMA_3)
    # KindFactors refuses others.
    assert learned is None or 1.0 <= learned.calibration <= MAX_CALIBRATION
