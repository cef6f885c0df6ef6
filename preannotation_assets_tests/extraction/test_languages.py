"""Pages in nine languages of other scripts or many accents: counted, cut and grounded."""

import itertools
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page, split_chunk
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.extraction.spans import Chunk, Grounding, Quote, Rejection
from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors, TokenKind
from preannotation_assets.extraction.token_learning import CountedPrompt, LearnedTokens, learn_tokens
from preannotation_assets.extraction.tokens import calibrated_tokens, estimate_tokens, tokens_by_kind

FOLDER = Path(__file__).parent / "languages"
PAGES = {
    f"{file.parent.name}/{file.stem}": file.read_text("utf-8") for file in sorted(FOLDER.glob("*/*.txt"))
}
LANGUAGES = sorted({page.partition("/")[0] for page in PAGES})
TOKENIZERS = ("llama_3", "qwen", "gemma_3")
COUNTS: dict[str, dict[str, list[int]]] = json.loads((FOLDER / "counts.json").read_text("utf-8"))
# What ``counts.json`` has before the lines.
WRITINGS: dict[str, Callable[[str], str]] = {
    "as written": str,
    "capitals": str.upper,
    "marks apart": lambda text: unicodedata.normalize("NFD", text),
}
QUOTES = [
    (page, quote, place.replace("\\n", "\n"))
    for page, quote, place in (
        line.split("\t") for line in (FOLDER / "quotes.tsv").read_text("utf-8").splitlines()
    )
]
LOWEST = 0.95


def _of(language: str) -> list[str]:
    return [page for page in PAGES if page.startswith(f"{language}/")]


def test_every_language_has_pages_counts_and_quotes() -> None:
    assert len(LANGUAGES) == 9
    assert all(len(_of(language)) >= 3 for language in LANGUAGES)
    assert set(COUNTS) == set(PAGES) == {page for page, _, _ in QUOTES}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("page", PAGES)
def test_the_estimate_is_not_below_what_real_tokenizers_count(
    page: str, writing: str, tokenizer: str
) -> None:
    true = COUNTS[page][tokenizer][list(WRITINGS).index(writing)]
    assert estimate_tokens(WRITINGS[writing](PAGES[page])) >= LOWEST * true


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("page", PAGES)
def test_the_estimate_is_at_most_three_times_what_real_tokenizers_count(page: str, tokenizer: str) -> None:
    assert estimate_tokens(PAGES[page]) <= 3 * COUNTS[page][tokenizer][0]


def _learned_from(language: str, tokenizer: str) -> LearnedTokens:
    """From all of six lines in a row, with a constant part that is estimated as it is counted."""
    constant = [200.0 * (kind == TokenKind.FIRST_DIGITS) for kind in TokenKind]
    prompts = []
    for page in _of(language):
        lines = PAGES[page].splitlines(keepends=True)
        counts = COUNTS[page][tokenizer][len(WRITINGS) :]
        for place in range(len(lines) - 5):
            by_kind = tokens_by_kind("".join(lines[place : place + 6]))
            prompts.append(CountedPrompt(by_kind, 200 + sum(counts[place : place + 6])))
    learned = learn_tokens(prompts, constant, presumed_factors(tokenizer))
    assert learned is not None
    return learned


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_one_language_taught_is_not_too_low_for_another(language: str, tokenizer: str) -> None:
    learned = _learned_from(language, tokenizer)
    for page, text in PAGES.items():
        estimate = calibrated_tokens(estimate_tokens(text, learned.kind_factors), learned.calibration)
        assert estimate >= LOWEST * COUNTS[page][tokenizer][0], page


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("language", sorted({*LANGUAGES} - {"vietnamese"}))
def test_what_a_language_taught_brings_its_estimate_near(language: str, tokenizer: str) -> None:
    learned = _learned_from(language, tokenizer)
    estimate = sum(
        calibrated_tokens(estimate_tokens(PAGES[page], learned.kind_factors), learned.calibration)
        for page in _of(language)
    )
    assert estimate <= 1.75 * sum(COUNTS[page][tokenizer][0] for page in _of(language))


def test_factors_of_a_manifest_that_knew_fewer_kinds_cost_the_same() -> None:
    factors = KindFactors.by_name({"other_scripts": 0.5, "ideographs": 0.6})
    found = dict(zip(TokenKind, factors.factors, strict=True))
    digits = {"arabic_digits", "devanagari_digits", "thai_digits"}
    once_other = {"widths", "arabic", "hebrew", "devanagari", "thai", "accents", "other_scripts", *digits}
    assert {kind for kind, factor in found.items() if factor == 0.5} == once_other
    assert {kind for kind, factor in found.items() if factor == 0.6} == {"ideographs", "kana"}
    assert factors.named() == {"other_scripts": 0.5, "ideographs": 0.6}


def test_digits_cost_what_their_script_did_where_a_manifest_does_not_tell_them_apart() -> None:
    factors = KindFactors.by_name({"other_scripts": 0.5, "arabic": 0.7, "thai": 1.0, "thai_digits": 1.5})
    found = dict(zip(TokenKind, factors.factors, strict=True))
    assert (found[TokenKind.ARABIC_DIGITS], found[TokenKind.DEVANAGARI_DIGITS]) == (0.7, 0.5)
    assert (found[TokenKind.THAI], found[TokenKind.THAI_DIGITS]) == (1.0, 1.5)
    assert factors.named() == {"other_scripts": 0.5, "arabic": 0.7, "thai": 1.0, "thai_digits": 1.5}


@pytest.mark.parametrize(("language", "digits"), [("arabic", "٣٤٥٦٧٨ ٧٢"), ("thai", "๓๔๕๖๗๘ ๗๒")])
def test_the_letters_of_a_script_do_not_lower_its_digits_below_what_they_cost(
    language: str, digits: str
) -> None:
    """Qwen has two tokens for each of these digits, and less than one for a letter."""
    learned = _learned_from(language, "qwen")
    text = f"{digits}\n" * 40
    estimate = calibrated_tokens(estimate_tokens(text, learned.kind_factors), learned.calibration)
    assert estimate >= LOWEST * 40 * (2 * 8 + 2)


def test_scripts_that_are_not_told_apart_are_never_lowered() -> None:
    georgian = tokens_by_kind("გემი ბათუმის პორტიდან გავიდა " * 20)
    prompts = [CountedPrompt(georgian, round(0.5 * sum(georgian)))] * 40
    learned = learn_tokens(prompts, [0.0] * len(TokenKind), LLAMA_3)
    assert learned is not None
    assert dict(zip(TokenKind, learned.kind_factors.factors, strict=True))[TokenKind.OTHER_SCRIPTS] == 1.0


@pytest.mark.parametrize(("page", "quote", "place"), QUOTES)
def test_a_quote_is_found_at_its_code_points(page: str, quote: str, place: str) -> None:
    text = PAGES[page]
    place = place if place in text else unicodedata.normalize("NFD", place)
    assert place in text
    (found,) = ground(text, [Quote("x", quote)])
    assert isinstance(found, Grounding)
    assert text[found.start : found.end] == place


@pytest.mark.parametrize(
    ("page", "quote", "place"),
    [
        ("greek/crew_list", "Σταυρόπονλος Ιωάννης", "Σταυρόπουλος Ιωάννης"),
        ("russian/crew_list", "Щербакоз Юрий Михайлович", "Щербаков Юрий Михайлович"),
        ("ukrainian/register", "Українське Дупайське пароплавство", "Українське Дунайське пароплав-\nство"),
        ("arabic/bill_of_lading", "بنك ببروت والبلاد العربية", "بنك بيروت والبلاد العربية"),
        ("hebrew/crew_list", "יעקכ סולומונוב", "יעקב סולומונוב"),
        ("chinese/bill_of_lading", "臺灣氷泥股份有限公司高雄廠", "臺灣水泥股份有限公司高雄廠"),
        ("chinese/register", "中国远洋运输总公司上海分公同", "中国远洋运输总公司上海分公司"),
        ("japanese/bill_of_lading", "タソジュンプリオク", "タンジュンプリオク"),
        ("japanese/bill_of_lading", "タンジュンプリオワ", "タンジュンプリオク"),
        ("thai/bill_of_lading", "ธนาศารกรุงไทย", "ธนาคารกรุงไทย"),
        ("thai/register", "สมุทรปราถาร", "สมุทร\nปราการ"),
        (
            "vietnamese/register",
            "Công ty cổ phân Vận tài biển Đông Đô",
            "Công ty cổ phần Vận tải biển Đông Đô",
        ),
    ],
)
def test_a_quote_with_a_misread_letter_is_found(page: str, quote: str, place: str) -> None:
    (found,) = ground(PAGES[page], [Quote("x", quote)])
    assert isinstance(found, Grounding)
    assert PAGES[page][found.start : found.end] == place


@pytest.mark.parametrize(
    ("word", "quote", "latin_word", "latin_quote"),
    [
        pytest.param("ბათუმიდან", "ბათუმდან", "Gorpimaln", "Gorpialn", id="georgian"),
        pytest.param("ብርሃንመዳብሶ", "ብርሃንመዳሶ", "Gorpimal", "Gorpiml", id="ethiopic"),
        # Its syllables are taken apart into letters.
        pytest.param("부산항에서", "부산하에서", "Gorpimalnuse", "Gorpimanuse", id="korean"),
    ],
)
def test_a_letter_that_is_left_out_costs_the_same_in_every_script_with_spaces(
    word: str, quote: str, latin_word: str, latin_quote: str
) -> None:
    (found,) = ground(f"- {word} -", [Quote("x", quote)])
    (latin,) = ground(f"- {latin_word} -", [Quote("x", latin_quote)])
    assert isinstance(found, Grounding)
    assert isinstance(latin, Grounding)
    assert (found.start, found.end) == (2, 2 + len(word))
    assert found.similarity == latin.similarity


@pytest.mark.parametrize(
    ("page", "quote"),
    [
        pytest.param("arabic/register", "387", id="a part of a number with an Arabic mark"),
        pytest.param("arabic/register", "٨٧", id="the same in Arabic digits"),
        pytest.param("arabic/register", "987", id="without its decimal mark"),
        pytest.param("japanese/register", "247", id="a part of a number with a wide mark"),
        pytest.param("thai/register", "417.33", id="a part of a Thai number"),
        pytest.param("arabic/register", "٨٧٤١٢٠٦", id="another digit"),
        pytest.param("chinese/register", "振华十七号", id="another Chinese number in a name"),
        pytest.param("chinese/bill_of_lading", "民國六十三年十一月八日", id="another day in ideographs"),
        pytest.param("chinese/port_book", "耶松船廠", id="another word in a short name"),
        pytest.param("chinese/register", "中国近海运输总公司广州分公司", id="another company"),
        pytest.param("japanese/register", "近海汽船株式会社", id="another company in Japanese"),
    ],
)
def test_another_value_is_refused(page: str, quote: str) -> None:
    (found,) = ground(PAGES[page], [Quote("x", quote)])
    assert isinstance(found, Rejection)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_quote_is_found_in_a_chunk_and_its_offsets_are_the_pages(language: str) -> None:
    text = "\n\n".join(PAGES[page] for page in _of(language))
    chunks = chunk_page(text, ChunkLimits(260, 60))
    assert len(chunks) > 3
    for page, quote, place in QUOTES:
        if page in _of(language):
            found = [
                (chunk, ground(text[chunk.start : chunk.end], [Quote("x", quote)])[0]) for chunk in chunks
            ]
            places = {
                unicodedata.normalize("NFC", text[chunk.start + at.start : chunk.start + at.end])
                for chunk, at in found
                if isinstance(at, Grounding)
            }
            assert unicodedata.normalize("NFC", place) in places, quote


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("max_tokens", [64, 100, 260, 700])
def test_pages_are_cut_at_sensible_places(language: str, max_tokens: int) -> None:
    text = "\n".join(PAGES[page] for page in _of(language)) * 3
    borders = _borders(chunk_page(text, ChunkLimits(max_tokens, max_tokens // 8)), text)
    assert borders
    for border in borders:
        around = text[max(0, border - 6) : border] + "|" + text[border : border + 6]
        assert not regex.search(r"\p{Ps}\|", around), around
        assert not regex.search(r"\|[\p{Pe}、。，．：々ーっゃゅょッャュョ]", around), around
        if max_tokens > 100:
            assert not regex.search(r"\d[.,:／，．]?\|[.,:／，．]?\d", around), around
        assert not regex.search(r"[เแโใไ]\||\|[ะาๅ]", around), around
        assert not regex.search(r"\p{L}\p{M}*-\n\|", around), around
        if language not in ("chinese", "japanese", "thai"):
            assert not regex.search(r"\w\|\w", around), around


SENTENCES = {
    "chinese": ("该轮由上海启航，船上载\n有水泥和机械设备。" * 9, "船长报告海上大风，航速\n降低到八节。" * 9),
    "japanese": (
        "本船は横浜を出港し、セメ\nントを積んでいた。" * 9,
        "船長は風が強いと報告し、速\n度を落とした。" * 9,
    ),
}


@pytest.mark.parametrize("language", SENTENCES)
def test_the_end_of_a_sentence_is_better_than_a_line_end_inside_a_word(language: str) -> None:
    text = "".join(SENTENCES[language])
    borders = _borders(chunk_page(text, ChunkLimits(400, 0)), text)
    assert borders
    assert all(text[border - 1] == "。" for border in borders)


def test_a_sentence_goes_on_to_its_closing_bracket() -> None:
    text = "船長は「風が強い、本船は入港できない。」と報告した（昭和三年。）。" * 12
    borders = _borders(chunk_page(text, ChunkLimits(150, 20)), text)
    assert borders
    assert all(text[border] not in "。」）" for border in borders)


def test_a_line_end_between_letters_without_blanks_is_better_than_a_blank() -> None:
    text = "船名　海光輪　航次　四十二航次\n裝貨港　高雄　卸貨港　香港\n" * 12
    borders = _borders(chunk_page(text, ChunkLimits(200, 0)), text)
    assert borders
    assert all(text[border - 1] == "\n" for border in borders)


def test_thai_is_cut_at_blanks_also_those_that_do_not_show() -> None:
    text = "เรือออกจากท่าสงขลา บรรทุกข้าวหอมมะลิ\u200bจำนวนมาก " * 12
    borders = _borders(chunk_page(text, ChunkLimits(120, 12)), text)
    assert borders
    assert all(text[border - 1] in " \u200b" for border in borders)


def _borders(chunks: list[Chunk], text: str) -> list[int]:
    return sorted({place for chunk in chunks for place in (chunk.start, chunk.end)} - {0, len(text)})


MIXED = st.lists(
    st.one_of(
        st.sampled_from([line for text in PAGES.values() for line in text.splitlines(keepends=True)]),
        st.sampled_from(
            [
                "เ",
                "า",
                "ー",
                "ッ",
                "「",
                "。",
                "٬",
                "ـ",
                "\u05b8",
                "\u200f",
                "क्षि",
                "กำ",
                "각",
                "ệ",
                "e\u0302\u0323",
            ]
        ),
        st.text(max_size=12),
    ),
    max_size=40,
).map("".join)


@given(MIXED, st.integers(100, 400), st.integers(0, 49))
@settings(max_examples=200, deadline=None)
def test_any_mix_of_scripts_is_covered_within_the_limit_and_no_grapheme_is_cut(
    text: str, max_tokens: int, overlap: int
) -> None:
    chunks = chunk_page(text, ChunkLimits(max_tokens, overlap))
    assert bool(chunks) == bool(text.strip())
    if not chunks:
        return
    assert (chunks[0].start, chunks[-1].end) == (0, len(text))
    assert all(after.start <= chunk.end for chunk, after in itertools.pairwise(chunks))
    assert all(chunk.estimated_tokens <= max_tokens or chunk.end - chunk.start == 1 for chunk in chunks)
    graphemes = [match.span() for match in regex.finditer(r"\X", text)]
    if all(end - start < 8 for start, end in graphemes):
        assert set(_borders(chunks, text)) <= {end for _, end in graphemes}


@given(MIXED)
@settings(max_examples=200, deadline=None)
def test_the_parts_of_a_split_cut_no_grapheme(text: str) -> None:
    parts = split_chunk(text, Chunk(0, len(text), estimate_tokens(text)), 40)
    graphemes = [match.span() for match in regex.finditer(r"\X", text)]
    if parts and all(end - start < 8 for start, end in graphemes):
        assert set(_borders(list(parts), text)) <= {end for _, end in graphemes}


@given(MIXED, MIXED)
@settings(deadline=None)
def test_joining_texts_never_lowers_the_estimate_and_adds_little(text: str, more: str) -> None:
    joined = estimate_tokens(text + more)
    assert joined >= estimate_tokens(text)
    # A blank before a digit, and letters of a word that goes on, cost more than alone.
    assert joined <= estimate_tokens(text) + estimate_tokens(more) + 5
