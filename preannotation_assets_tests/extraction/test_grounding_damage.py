"""Damage that engines, fonts and encodings leave on a page, and where a quote stands all the same."""

import pytest

from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.line_ends import LINE_END_SIGNS
from preannotation_assets.extraction.spans import Grounding, Quote


def placed(text: str, *quotes: str) -> list[str | None]:
    results = ground(text, [Quote("VALUE", quote) for quote in quotes])
    return [text[r.start : r.end] if isinstance(r, Grounding) else None for r in results]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("M/V NORDLYS IMO9312076 GT31845 built", "9312076"),
        ("M/V NORDLYS IMO9312076 GT31,845 built", "31,845"),
        ("launched1911 at", "1911"),
        ("paid RM3.40 for", "3.40"),
        ("paid USD275 for", "275"),
        ("суднo ИМО9312076 порт", "9312076"),
        ("ΙΜΟ9312076", "9312076"),
        ("on03.11.1911at noon", "03.11.1911"),
        ("from1911to", "1911"),
        ("of 31,845GRT and", "31,845"),
        ("of 845t and", "845"),
        ("of 31.845BRT, built", "31.845"),
        ("1911built", "1911"),
        ("on the 12th of", "12"),
        ("IMO٩٣١٢٠٧٦", "9312076"),
        ("on12 March 1911at noon", "12 March 1911"),
        ("nach20.Juni1911verkauft", "20"),
        ("IMO9312076GT31845NT9021kW4100", "9312076"),
        ("IMO9312076GT31845NT9021kW4100", "31845"),
        ("IMO9312076GT31845NT9021kW4100", "4100"),
        ("31.845BRT9.021NRT", "31.845"),
        ("31.845BRT9.021NRT", "9.021"),
        ("from1911to1914", "1911"),
        ("from1911to1914", "1914"),
        ("1911built1938sold", "1938"),
        ("paid USD275EUR80", "80"),
        ("of 96.5x14.2x7.8m and", "96.5"),
        ("of 96.5x14.2x7.8m and", "14.2"),
        ("of 96.5x14.2x7.8m and", "7.8"),
        ("L96.5 B14.2 D7.8m", "14.2"),
        ("L96.5 B14.2 D7.8m", "7.8"),
        ("at N54°, E10°", "54"),
        ("on12June1911at", "12June1911"),
    ],
)
def test_a_number_glued_to_letters_is_found_alone(text: str, number: str) -> None:
    found = placed(text, number)[0]

    assert found is not None
    assert [letter.isdigit() for letter in found] == [letter.isdigit() for letter in number]


def test_a_number_glued_to_letters_keeps_its_look_alikes() -> None:
    assert placed("IMO93l2O76 built", "9312076") == ["93l2O76"]


@pytest.mark.parametrize("text", ["M/V NORDLYS9312076", "M/V 9312076NORDLYS", "from NORDLYS1911"])
def test_a_word_glued_to_a_number_is_found_alone(text: str) -> None:
    assert placed(text, "NORDLYS") == ["NORDLYS"]


def test_a_number_that_stands_alone_is_sooner_meant() -> None:
    assert [r.start for r in ground("GT845 and 845", [Quote("GT", "845")]) if isinstance(r, Grounding)] == [
        10
    ]


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("hull 31845K207", "31845"),
        ("call sign 7X4521", "4521"),
        ("call sign LA7B2", "7"),
        ("code B2C3D4", "2"),
        ("the airship R34", "34"),
        ("size A4", "4"),
        ("of 31,845GRT", "845"),
        ("of GT31,845", "31"),
        ("IMO9312076", "931207"),
        ("IMO9312076", "312076"),
        ("part 12AB34", "12"),
        ("account GB29NWBK60161331926819", "29"),
        ("call sign 7X4521", "7"),
        ("LOA96.5m", "96"),
        ("LOA96.5m", "5"),
        ("paid RM3.40", "3"),
        ("of 31'845 t", "845"),
        ("of 31\u202f845 t", "845"),
        ("hull K219A", "K219"),
        ("hull K219", "K219A"),
        ("hull 31845K207", "31845M207"),
        ("call sign LA7B2", "LA7C2"),
        ("GT 31845", "NT 31845"),
    ],
)
def test_a_part_of_a_code_or_number_is_not_found(text: str, quote: str) -> None:
    assert placed(text, quote) == [None]


@pytest.mark.parametrize(
    "lost",
    ["\ufffd", "\ufffd\ufffd", "?", "\ue0a1", "\u25a1", "\u25af", "\ufffc", "\x0f", "\u00ef\u00bf\u00bd"],
)
@pytest.mark.parametrize(
    ("written", "quote"),
    [
        ("G*teborg", "Göteborg"),
        ("Kristians* Maritime", "Kristiansø Maritime"),
        ("Tor*, 1911", "Torø"),
        ("Lübecker Schi*ahrt", "Lübecker Schiffahrt"),
        ("Sher*eld Line", "Sherfield Line"),
        ("*lesund Rederi", "Ålesund Rederi"),
        ("H*vard S*ther", "Håvard Sæther"),
        ("M*ler, master", "Müller"),
    ],
)
def test_a_lost_letter_may_have_been_one_or_two(lost: str, written: str, quote: str) -> None:
    text = f"of the port {written.replace('*', lost)} and others"
    name = written.replace("*", lost).split(",")[0]

    assert placed(text, quote) == [name]


def test_letters_of_one_type_are_lost_together() -> None:
    assert placed("the Harbour O\ufffdce of", "Harbour Office") == ["Harbour O\ufffdce"]
    assert placed("the o\ufffdcer of", "officer") == ["o\ufffdcer"]


@pytest.mark.parametrize(
    ("text", "quote", "place"),
    [
        ("Was it the Nordlys? Nobody knew.", "Nordlys", "Nordlys"),
        ("Was it the Nordlys? Nobody knew.", "Nordlys?", "Nordlys?"),
        ("Was it the Nordlys? nobody knew.", "Nordlys", "Nordlys"),
        ("in 19\ufffd1 built", "1911", None),
        ("port G?teborg,", "G?teborg", "G?teborg"),
        ("port G\ufffdteborg,", "Gteborg", "G\ufffdteborg"),
        ("??? Bergen ???", "Bergen", "Bergen"),
        ("\ufffd \ufffd Bergen \ufffd", "Bergen", "Bergen"),
        ("the Nordlys\ufffdBergen line", "Nordlys", "Nordlys"),
        ("the Nordlys\ufffdBergen line", "Bergen", "Bergen"),
        ("an X?Y", "Malmö", None),
        ("the port of ?LESUND, 1911", "ÅLESUND", "?LESUND"),
        ("?Was it the Nordlys?", "Was", "Was"),
        ("the master Jos? Mar?a Alvarez", "José María Alvarez", "Jos? Mar?a Alvarez"),
        ("the master Jos? Mar?a. Nordlys? Bergen", "Nordlys", "Nordlys"),
        ("port G¿teborg,", "Göteborg", "G¿teborg"),
        ("¿Bergen?", "Bergen", "Bergen"),
        ("port \ufffden\ufffdk,", "Čeněk", "\ufffden\ufffdk"),
        ("port \x8aibenik,", "Šibenik", "\x8aibenik"),
    ],
)
def test_a_lost_letter_is_nothing_else(text: str, quote: str, place: str | None) -> None:
    assert placed(text, quote) == [place]


@pytest.mark.parametrize(
    ("written", "quote"),
    [
        ("G&ouml;teborg", "Göteborg"),
        ("G&#246;teborg", "Göteborg"),
        ("G&#xF6;teborg", "Göteborg"),
        ("G&amp;ouml;teborg", "Göteborg"),
        ("Gamleby&shy;hamn", "Gamlebyhamn"),
        ("Troms&oslash;", "Tromsø"),
        ("&Aring;lesund", "Ålesund"),
        ("Preu&szlig;ner &amp; S&ouml;hne", "Preußner & Söhne"),
        ("Blue&nbsp;Heron", "Blue Heron"),
        ("Malm&#111;&#776;", "Malmö"),
        ("9312&#48;76", "9312076"),
        ("&lt;Nordlys&gt;", "<Nordlys>"),
        ("G&oumlteborg", "Göteborg"),
        ("Troms&oslash", "Tromsø"),
        ("Gamleby&shyhamn", "Gamlebyhamn"),
        ("Nor &amp Sons", "Nor & Sons"),
        ("G&#246teborg", "Göteborg"),
        ("G&#38;ouml;teborg", "Göteborg"),
        ("G&#x26;#246;teborg", "Göteborg"),
        ("G&OUML;TEBORG", "GÖTEBORG"),
    ],
)
def test_a_character_reference_is_read_and_covered_whole(written: str, quote: str) -> None:
    text = f"the port & {written} of"

    assert placed(text, quote, "port") == [written, "port"]


def test_places_behind_a_character_reference_are_those_of_the_page() -> None:
    text = "G&ouml;teborg, Bergen &copy; G\ufffd\ufffdteborg &amp; Nordlys"

    assert placed(text, "Bergen", "Nordlys", "Göteborg", "Göteborg") == [
        "Bergen", "Nordlys", "G&ouml;teborg", "G\ufffd\ufffdteborg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["AT&T; Ltd", "&c; and", "a & b;", "&#x; Nordlys", "&bergen;", "&ethnic", "&thornton"]
)
def test_what_is_no_character_reference_is_left_alone(text: str) -> None:
    assert placed(f"{text} Bergen", text, "Bergen") == [text, "Bergen"]


@pytest.mark.parametrize(
    ("written", "quote"),
    [
        ("ВЕRТА", "BERTA"),
        ("ΝΟRDΗΑΒ", "NORDHAB"),
        ("Вergen", "Bergen"),
        ("Ноrаtio", "Horatio"),
        ("МАТ", "MAT"),
        ("ΑΝΝΑ", "ANNA"),
        ("Ηανana", "Havana"),
        ("Zапzibar", "Zanzibar"),
        ("Мocквa", "Москва"),
        ("ВОСТОК", "Восток"),
        ("Восток", "ВОСТОК"),
        ("Cαηορυs", "Canopus"),
        ("Cορeηhαgeη", "Copenhagen"),
        ("Pигa", "Рига"),
        ("Aθήνaς", "Αθήνας"),
        ("№ 45", "No. 45"),
        ("Ⓗⓐⓝⓢⓐ", "Hansa"),
    ],
)
def test_letters_of_another_script_are_taken_for_what_they_look_like(written: str, quote: str) -> None:
    assert placed(f"the ship {written} sailed", quote) == [written]


def test_other_letters_of_another_script_are_other_letters() -> None:
    assert placed("корабль Дельта вышел", "Альта") == [None]
    assert placed("a film of 5 µm", "5 mm") == [None]


@pytest.mark.parametrize(
    ("written", "quote"),
    [("جـــدة", "جدة"), ("نـور البـحر", "نور البحر"), ("ߓߊ߲ߺߞߐ", "ߓߊ߲ߞߐ")],
)
def test_what_stretches_a_word_is_layout(written: str, quote: str) -> None:
    assert placed(f"وصلت {written} امس", quote) == [written]


@pytest.mark.parametrize("unseen", "\u00ad\u200b\u200d\u2060\ufeff\u200f\u034f\u115f\u3164\u180b\ufe0f")
def test_what_a_reader_does_not_see_is_nowhere(unseen: str) -> None:
    text = f"of {unseen}Fred{unseen}rikstad{unseen} at"

    assert placed(text, "Fredrikstad", "at") == [f"Fred{unseen}rikstad", "at"]


@pytest.mark.parametrize("sign", LINE_END_SIGNS)
def test_every_sign_at_a_line_end_joins_a_word(sign: str) -> None:
    text = f"the port of Fred{sign}\nrikstad, Norway"

    (found,) = ground(text, [Quote("PORT", "Fredrikstad")])

    assert isinstance(found, Grounding)
    assert text[found.start : found.end] == f"Fred{sign}\nrikstad"
    assert found.similarity > 0.98
