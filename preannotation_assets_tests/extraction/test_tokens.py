"""Tests of preannotation_assets.extraction.tokens."""

import math
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.token_kinds import (
    LLAMA_3,
    MAX_FACTOR,
    MIN_FACTOR,
    KindFactors,
    TokenKind,
)
from preannotation_assets.extraction.tokens import (
    SliceEstimates,
    calibrated_tokens,
    estimate_tokens,
    tokens_by_kind,
)

ENGLISH = (
    "The vessel sailed from the port of Hull on the twelfth of March bound for Rotterdam with a\n"
    "cargo of cement and machinery. The master reported to the owners that owing to strong winds in\n"
    "the North Sea the speed had been reduced to eight knots, and that arrival was expected on the\n"
    "twen-\ntieth. The 0wners confirmed tliat hull and machinery insurance is valid until the end of\n"
    "the year and that the classification society will survey the vessel at the next port of call.\n\n"
)
GERMAN = (
    "Das Motorschiff ist am zwölften März aus dem Hafen von Hamburg mit einer Ladung Zement und\n"
    "Maschinen-\nteilen ausgelaufen. Der Kapitän meldete der Reederei, daſs die Geſchwindigkeit wegen\n"
    "ftarken Windes in der Nordsee auf acht Knoten verringert wurde. Die Kaskoversicherung ift bis\n"
    "zum Jahresende gültig; die Klassifikationsgesellschaft wird das Schiff im nächften Anlaufhafen\n"
    "besichtigen. Die Befatzung befteht aus zweiundzwanzig Mann.\n\n"
)
FRENCH = (
    "Le navire a quitté le port du Havre le douze mars avec une cargaison de ciment et de machines.\n"
    "Le capitaine a signalé aux arma-\nteurs que la vitesse avait été réduite à huit nœuds en raison\n"
    "de vents violents en mer du Nord, et que l'arrivée n'était pas attendue avant le vingt. L'assu-\n"
    "rance du corps est valable jusqu'à la fin de 1'année et la société de classification visitera\n"
    "le bâtiment au prochain port d'escale.\n\n"
)
FORM = (
    "M/V OCEAN EXAMPLE\nIMO NUMBER: 9074729\nFLAG: LIBERIA\nPORT OF REGISTRY: MONROVIA\n"
    "GROSS TONNAGE: 38,729\nDEADWEIGHT: 71,345 MT\nBUILT: 1998, ULSAN\nOWNERS: BLUE HORIZON SHIPPING S.A.\n"
    "CALL SIGN: A8BC5\nMMSI: 636012345\nLOA/BEAM/DRAFT: 224.9 M / 32.2 M / 14.1 M\n"
    "LAST DRYDOCK: 14.06.2021 SHANGHAI\nNEXT SPECIAL SURVEY DUE: 30.09.2025\n"
)
FINNISH = (
    "Alus lähti Helsingin satamasta kahdentenatoista maaliskuuta kohti Rotterdamia lastinaan sementtiä\n"
    "ja koneita. Päällikkö ilmoitti varustamolle, että kovan tuulen vuoksi nopeus on laskettu\n"
    "kahdeksaan solmuun ja saapuminen on odotettavissa kahdeskymmenes päivä. Rungon vakuutus on\n"
    "voimassa vuoden loppuun, ja luokituslaitos suorittaa katsastuksen seuraavassa satamassa.\n"
)
GREEK = "Το πλοίο απέπλευσε από τον Πειραιά με προορισμό τη Μασσαλία, μεταφέροντας φορτίο τσιμέντου. "
RUSSIAN = "Судно вышло из порта Мурманск двенадцатого марта и направилось в Роттердам с грузом. "
ARABIC = "غادرت السفينة ميناء الإسكندرية في الثاني عشر من شهر مارس متجهة إلى ميناء روتردام. "
CHINESE = "该轮于三月十二日从上海港启航前往鹿特丹，载有水泥和机械设备。船东确认保险有效期至年底。"


def _random_text(alphabet: str, length: int) -> str:
    chosen = random.Random(length)
    return "".join(chosen.choice(alphabet) for _ in range(length))


SMALL_LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = {
    "english": ENGLISH,
    "german": GERMAN,
    "french": FRENCH,
    "finnish": FINNISH * 2,
    "form": FORM * 2,
    "english capitals": ENGLISH.upper(),
    "german capitals": GERMAN.upper(),
    "greek": GREEK * 6,
    "russian": RUSSIAN * 6,
    "arabic": ARABIC * 6,
    "chinese": CHINESE * 12,
    "number table": "\n".join(f"{n} | {n * 7919 % 9973} | {n * 1.37:.2f} | {n * n}" for n in range(60)),
    "dot leaders": "\n".join(f"Section {n} {'.' * (3 + n)} {n * 3}" for n in range(30)),
    "spaced letters": "V E S S E L " * 60,
    "dashes": "-" * 1000,
    "spaces": " " * 1000,
    "digits": "0123456789" * 60,
    "random letters": _random_text(SMALL_LETTERS, 1000),
    "random words": _random_text(SMALL_LETTERS + "     ", 1001),
    "random base64": _random_text(SMALL_LETTERS + SMALL_LETTERS.upper() + "0123456789+/", 1002),
    "random latin-1": _random_text("".join(map(chr, range(256))), 1003),
    "random signs": _random_text("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 1004),
    "one long word": "schifffahrtsgesellschaft" * 40,
    "emoji": "\U0001f6a2\u2693\U0001f468\u200d\u2708\ufe0f\U0001f1e9\U0001f1ea" * 80,
    "accents apart": _random_text("aeiou\u0301\u0308", 1005),
}
# Counted once with the llama-3 vocabulary, without the tokens that open and close a prompt.
TRUE_TOKENS = {
    "english": 103,
    "german": 134,
    "french": 123,
    "finnish": 270,
    "form": 306,
    "english capitals": 151,
    "german capitals": 199,
    "greek": 241,
    "russian": 182,
    "arabic": 187,
    "chinese": 420,
    "number table": 861,
    "dot leaders": 237,
    "spaced letters": 361,
    "dashes": 16,
    "spaces": 9,
    "digits": 200,
    "random letters": 529,
    "random words": 496,
    "random base64": 712,
    "random latin-1": 962,
    "random signs": 653,
    "one long word": 320,
    "emoji": 1520,
    "accents apart": 716,
}
TIGHT = ("german", "french", "form", "german capitals", "number table", "digits", "random words")

any_text = st.text(
    st.sampled_from("ab éßÀ12.-\n\r\t漢\u0301\U0001f6a2\ud800жا") | st.characters(), max_size=80
)


@pytest.mark.parametrize("name", TEXTS)
def test_the_estimate_is_not_below_the_true_count(name: str) -> None:
    assert estimate_tokens(TEXTS[name]) >= 0.98 * TRUE_TOKENS[name]


@pytest.mark.parametrize("name", TIGHT)
def test_the_estimate_is_at_most_a_third_above_the_true_count(name: str) -> None:
    assert estimate_tokens(TEXTS[name]) <= 1.33 * TRUE_TOKENS[name]


def test_no_text_is_no_token() -> None:
    assert estimate_tokens("") == 0


def test_garbled_words_cost_more_than_clean_ones() -> None:
    assert estimate_tokens("tlie veflel iii tlic liarbour " * 20) > 1.2 * estimate_tokens(
        "the vessel in the harbour " * 20
    )


@given(st.integers(1, 200))
def test_digits_come_in_groups_of_three(length: int) -> None:
    assert estimate_tokens("7" * length) >= math.ceil(length / 3)


@given(any_text, any_text)
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert estimate_tokens(text + more) >= estimate_tokens(text)


@given(any_text)
def test_a_code_point_costs_at_most_four_tokens(text: str) -> None:
    assert estimate_tokens(text) <= 4.3 * len(text) + 1


ONE_TOKEN_A_DIGIT = KindFactors.by_name({TokenKind.DIGITS: 3.0})
DEAREST_RUNS = KindFactors.by_name({TokenKind.RUNS: MAX_FACTOR, TokenKind.PUNCTUATION: MIN_FACTOR})
any_factors = st.builds(
    KindFactors, st.tuples(*[st.one_of(st.just(1.0), st.floats(MIN_FACTOR, MAX_FACTOR)) for _ in TokenKind])
)


@given(st.data(), any_text, any_factors)
@example(None, "....", LLAMA_3).via("a run cut in the middle")
@example(None, ".." + "$" * 4, DEAREST_RUNS).via("a run that costs more than its first two")
@example(None, "a" * 60 + " b", LLAMA_3).via("a fused word cut in the middle")
@settings(max_examples=150)
def test_pieces_are_estimated_as_if_alone(
    data: st.DataObject | None, text: str, factors: KindFactors
) -> None:
    estimates = SliceEstimates(text, factors)
    if data is None:
        slices = [(start, end) for start in range(len(text) + 1) for end in range(start, len(text) + 1)]
    else:
        start = data.draw(st.integers(0, len(text)))
        slices = [(start, data.draw(st.integers(start, len(text))))]
    for start, end in slices:
        assert estimates.estimate(start, end) == estimate_tokens(text[start:end], factors)


@given(any_text)
def test_the_kinds_of_a_text_add_up_to_its_estimate(text: str) -> None:
    assert math.ceil(sum(tokens_by_kind(text))) == estimate_tokens(text)


def test_each_character_is_of_its_kind() -> None:
    text = "Hull  HULL 1234 .... \n漢字 かな\u3000 한 Судно Έλλη “ غ ש क ท ệ ა ٣ ३ ๓"
    found = dict(zip(TokenKind, tokens_by_kind(text), strict=True))
    assert all(found[kind] > 0 for kind in TokenKind)
    assert found[TokenKind.DIGITS] == pytest.approx(3 / 3, abs=0.01)
    assert found[TokenKind.FIRST_DIGITS] == 2


def test_a_factor_is_of_its_kind_alone() -> None:
    assert estimate_tokens("1" * 300, ONE_TOKEN_A_DIGIT) == pytest.approx(300, abs=2)
    assert estimate_tokens(ENGLISH.replace("0", "o"), ONE_TOKEN_A_DIGIT) == estimate_tokens(
        ENGLISH.replace("0", "o")
    )


@given(any_factors)
def test_factors_are_the_same_again_from_a_manifest(factors: KindFactors) -> None:
    assert KindFactors.by_name({**factors.named(), "a_kind_of_newer_code": 9.0}) == factors


@pytest.mark.parametrize("factor", [0.0, MIN_FACTOR - 0.01, MAX_FACTOR + 0.01, float("nan")])
def test_a_factor_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="digits"):
        KindFactors.by_name({"digits": factor})


@given(st.data(), any_text.filter(bool), any_factors, st.integers(0, 40))
@settings(max_examples=150)
def test_the_furthest_end_is_the_last_that_fits(
    data: st.DataObject, text: str, factors: KindFactors, tokens: int
) -> None:
    estimates = SliceEstimates(text, factors)
    start = data.draw(st.integers(0, len(text) - 1))
    fitting = [end for end in range(start, len(text) + 1) if estimates.estimate(start, end) <= tokens]
    assert estimates.furthest_end(start, tokens) == fitting[-1]


@given(st.data(), any_text.filter(bool), st.integers(0, 40))
def test_the_latest_start_leaves_enough_before_the_end(data: st.DataObject, text: str, tokens: int) -> None:
    estimates = SliceEstimates(text)
    end = data.draw(st.integers(0, len(text)))
    start = estimates.latest_start(end, tokens)
    assert 0 <= start <= end
    # The first code point of a slice costs up to three tokens more than within the text.
    assert start == 0 or estimates.estimate(start, end) >= tokens - 3


def test_a_megabyte_takes_less_than_a_second() -> None:
    text = GERMAN * (1_000_000 // len(GERMAN))
    before = time.perf_counter()
    estimate_tokens(text)
    assert time.perf_counter() - before < 1


def test_a_calibrated_estimate_is_rounded_up() -> None:
    assert calibrated_tokens(10, 1.0) == 10
    assert calibrated_tokens(10, 1.01) == 11
