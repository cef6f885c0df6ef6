"""Tests of preannotation_assets.extraction.tokens."""

import math
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.tokens import (
    MAX_CALIBRATION,
    MIN_CALIBRATION,
    SliceEstimates,
    calibrated_tokens,
    calibration_factor,
    estimate_tokens,
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


@given(st.data(), any_text)
@example(None, "....").via("a run cut in the middle")
@example(None, "a" * 60 + " b").via("a fused word cut in the middle")
@settings(deadline=None, max_examples=300)
def test_pieces_are_estimated_as_if_alone(data: st.DataObject | None, text: str) -> None:
    estimates = SliceEstimates(text)
    if data is None:
        slices = [(start, end) for start in range(len(text) + 1) for end in range(start, len(text) + 1)]
    else:
        start = data.draw(st.integers(0, len(text)))
        slices = [(start, data.draw(st.integers(start, len(text))))]
    for start, end in slices:
        assert estimates.estimate(start, end) == estimate_tokens(text[start:end])


@given(st.data(), any_text.filter(bool), st.integers(0, 40))
@settings(deadline=None, max_examples=300)
def test_the_furthest_end_is_the_last_that_fits(data: st.DataObject, text: str, tokens: int) -> None:
    estimates = SliceEstimates(text)
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


def test_the_factor_covers_all_but_one_in_twenty() -> None:
    pairs = [(1000, 900 + count) for count in range(100)]
    factor = calibration_factor(pairs)
    assert factor is not None
    assert sum(calibrated_tokens(estimated, factor) >= reported for estimated, reported in pairs) == 95


def test_few_answers_teach_nothing() -> None:
    assert calibration_factor([(1000, 900)] * 19) is None
    assert calibration_factor([(1000, 900)] * 20) == 0.9


def test_answers_without_a_count_teach_nothing() -> None:
    assert calibration_factor([(1000, 0), (0, 1000)] * 20) is None


@given(st.lists(st.tuples(st.integers(-5, 10**6), st.integers(-5, 10**6)), max_size=60))
def test_the_factor_stays_in_its_range(pairs: list[tuple[int, int]]) -> None:
    factor = calibration_factor(pairs)
    assert factor is None or MIN_CALIBRATION <= factor <= MAX_CALIBRATION


def test_a_calibrated_estimate_is_rounded_up() -> None:
    assert calibrated_tokens(10, 1.0) == 10
    assert calibrated_tokens(10, 1.01) == 11
