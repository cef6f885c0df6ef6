"""What an expert would see go wrong: a text, what a model quotes from it, and where that stands."""

import json
from collections.abc import Callable, Sequence

import pytest

from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, GroundingResult, Match, Quote, Rejection
from preannotation_assets.extraction.spans import QuoteOutcome as Reason


def results(text: str, *quotes: str | tuple[str, str]) -> list[GroundingResult]:
    return ground(text, [Quote(*q) if isinstance(q, tuple) else Quote("VESSEL", q) for q in quotes])


def placed(text: str, *quotes: str | tuple[str, str]) -> list[str | None]:
    """The page's text at the place of every quote; None for a rejected one."""
    return [text[r.start : r.end] if isinstance(r, Grounding) else None for r in results(text, *quotes)]


def starts(text: str, *quotes: str | tuple[str, str]) -> list[int | None]:
    return [r.start if isinstance(r, Grounding) else None for r in results(text, *quotes)]


def reasons(text: str, *quotes: str) -> list[Reason | None]:
    return [r.reason if isinstance(r, Rejection) else None for r in results(text, *quotes)]


@pytest.mark.parametrize(
    ("text", "quote", "place"),
    [
        # letters that OCR takes for one another, and that the model has put right
        ("arrived in Arnsterdarn on Monday", "Amsterdam", "Arnsterdarn"),
        ("at the Port of Arnsterdarn today", "Port of Amsterdam", "Port of Arnsterdarn"),
        ("the M/V NORTHEKN STAR, built", "NORTHERN STAR", "NORTHEKN STAR"),
        ("IMO 93l2O76 flag", "9312076", "93l2O76"),
        ("the vvhaler Clcmentine sailed", "whaler Clementine", "vvhaler Clcmentine"),
        ("registered in G|asgow, 1911", "Glasgow", "G|asgow"),
        # line ends, soft hyphens, ligatures, forms of one letter
        ("a certifi-\ncate of registry", "certificate of registry", "certifi-\ncate of registry"),
        ("a certifi¬\ncate of registry", "certificate", "certifi¬\ncate"),
        ("the char\u00adterer paid", "charterer", "char\u00adterer"),
        ("the \ufb02agship's o\ufb03cer", "flagship's officer", "\ufb02agship's o\ufb03cer"),
        ("from Malmo\u0308 to", "Malmö", "Malmo\u0308"),
        ("from Malmö to", "Malmo\u0308", "Malmö"),
        ("number \uff11\uff12\uff13\uff14\uff15", "12345", "\uff11\uff12\uff13\uff14\uff15"),
        ("at \u221240 degrees", "-40 degrees", "\u221240 degrees"),
        ("Reederei Preußner KG", "REEDEREI PREUSSNER KG", "Reederei Preußner KG"),
        ("NORD\u200bSTERN", "NORDSTERN", "NORD\u200bSTERN"),
        ("an area of 25 m² in", "25 m2", "25 m²"),
        ("Schiff „Eliſabeth“ aus", "Elisabeth", "Eliſabeth"),
        ("Œuvre et Cie", "Oeuvre et Cie", "Œuvre et Cie"),
        # typographic marks
        ("the master's log", "master\u2019s log", "master's log"),
        ("voyage 118–E of", "118-E", "118–E"),
        ("the “Blue Heron” sank", '"Blue Heron"', "“Blue Heron”"),
        # spaces too many and too few
        ("in HAMBURGER waters", "HAMBURG", "HAMBURG"),
        ("the SEASPRAY left", "SEA SPRAY", "SEASPRAY"),
        ("the SEA SPRAY left", "SEASPRAY", "SEA SPRAY"),
        ("flag: M A L T A .", "MALTA", "M A L T A"),
        ("flag: MALTA.", "M A L T A", "MALTA"),
        ("Owner | Nordic Bulk\n | Carriers A/S", "Nordic Bulk Carriers A/S", "Nordic Bulk\n | Carriers A/S"),
        # numbers written in another way
        ("gross tonnage 318,452", "318452", "318,452"),
        ("gross tonnage 318,452", "318.452", "318,452"),
        ("gross tonnage 318452", "318,452", "318452"),
        # words of the model's own at the edges, and words it left out
        ("bound for Bergen.", "the Bergen", "Bergen"),
        ("bound for Bergen.", "Bergen (Norway)", "Bergen"),
        ("bound for Bergen.", "Bergen, Norway", "Bergen"),
        ("signed by Capt. Lund", "Captain Lund", "Capt. Lund"),
        ("signed by J. v. Holt", "J. von Holt", "J. v. Holt"),
        ("the Bank of the Orient", "Bank of Orient", "Bank of the Orient"),
        ("the Eastern Star Line", "Eastern Line", "Eastern Star Line"),
        ("by Brown & Sons of Leith", "Brown and Sons", "Brown & Sons"),
        ("Oscar Lund, master of the brig Anna, died", "Oscar Lund ... brig Anna", None),
        # languages without spaces
        ("本船は横浜港に入港した", "横浜港", "横浜港"),
        ("السفينة نور البحر غادرت", "نور البحر", "نور البحر"),
        ("שם האונייה כוכב הים", "כוכב הים", "כוכב הים"),
    ],
)
def test_finds_what_was_meant(text: str, quote: str, place: str | None) -> None:
    expected = "Oscar Lund, master of the brig Anna" if place is None else place

    assert placed(text, quote) == [expected]


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("the master is Greek", "The Silver Falcon"),
        ("an Annual report", "Ann"),
        ("please tell us more", "US"),
        ("bound for Bergen", "Bergen Atlantic"),
        ("Captain Elias Moe", "Elias Thornbury"),
        ("sold to Malta", "Malaga"),
        ("King Haakon VII", "King Haakon VI"),
        ("on 3 Jun 1911", "3 Jan 1911"),
        ("IMO 9312076", "Andersen"),
        ("signed by Mr. Olsen", "Mr. poinsett"),
        ("a Pro forma invoice", "Pro-\nvidence"),
        ("some text", "\u241f"),
        ("some text", "—"),
        ("", "Bergen"),
    ],
)
def test_rejects_what_is_not_there(text: str, quote: str) -> None:
    assert reasons(text, quote) == [Reason.NOT_FOUND]


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("USD 41,700 paid", "USD 41,300"),
        ("IMO 9312076", "9312067"),
        ("IMO 9312076", "IMO 931207"),
        ("on 14 March 1911", "14 March 1912"),
        ("total 12.5 tons", "125 tons"),
        ("gross tonnage 318,452", "318"),
        ("gross tonnage 318,452", "452"),
        ("paid € 500 in", "$ 500"),
        ("call sign LA7B2", "LA7B3"),
    ],
)
def test_a_changed_value_is_another_entity(text: str, quote: str) -> None:
    assert reasons(text, quote) == [Reason.VALUE_CHANGED]


@pytest.mark.parametrize("quote", ["", "   ", "\n\t"])
def test_an_empty_quote_is_rejected_and_spoils_nothing(quote: str) -> None:
    empty, found = results("the Blue Heron", quote, "Blue Heron")

    assert empty == Rejection(Reason.EMPTY)
    assert isinstance(found, Grounding)


def test_an_exact_match_is_told_from_a_repaired_one() -> None:
    exact, folded, fuzzy = results("Bergen. MALMÖ. Rotterdarn.", "Bergen", "Malmo", "Rotterdam")

    assert isinstance(exact, Grounding)
    assert isinstance(folded, Grounding)
    assert isinstance(fuzzy, Grounding)
    assert (exact.match, exact.similarity) == (Match.EXACT, 1.0)
    assert folded.match is Match.FOLDED
    assert fuzzy.match is Match.FUZZY
    assert 0.0 < fuzzy.similarity < folded.similarity < 1.0


def test_case_tells_two_mentions_apart() -> None:
    text = "We ask you to tell us soon. Flag: US. The Star sank; a star rose."

    assert starts(text, "US", "star", "Star") == [text.index("US"), text.index("star r"), text.index("Star")]


def test_digits_of_neighbouring_values_are_not_mixed_up() -> None:
    text = "hull 1071, hull 1072, hull 1073"

    assert placed(text, "1073", "1071", "1074") == ["1073", "1071", None]


def test_a_name_inside_a_longer_name_is_not_preferred() -> None:
    text = "Ownerr: Pacific Freight. Signed near Pacific pier."

    assert starts(text, ("PLACE", "Pacific pier"), ("OWNER", "Pacific Freight")) == [37, 8]


def test_nested_entities_of_different_labels_stay() -> None:
    text = "the Port of Bergen"

    assert starts(text, ("ORG", "Port of Bergen"), ("PLACE", "Bergen")) == [4, 12]


def test_two_labels_may_share_a_place_but_one_label_may_not() -> None:
    assert starts("the Bergen", ("SHIP", "Bergen"), ("PLACE", "Bergen"), ("SHIP", "Bergen")) == [4, 4, None]


def test_copies_beyond_the_mentions_are_rejected() -> None:
    found = results("BLUE HERON and BLUE HERON", *["BLUE HERON"] * 4)

    assert [r.start for r in found if isinstance(r, Grounding)] == [0, 15]
    assert found[2:] == [Rejection(Reason.ALREADY_TAKEN)] * 2


def test_a_copy_takes_the_damaged_mention() -> None:
    text = "the Blue Heron left. The B1ue Hcron came back."

    assert starts(text, "Blue Heron", "Blue Heron") == [text.index("Blue"), text.index("B1ue")]


Truth = list[tuple[Quote, int]]
FLEET = [f"{name} {number}" for number in range(1, 6) for name in ("Alma", "Berta", "Clara")]


def fleet_page() -> tuple[str, Truth]:
    """A page where each owner's name is repeated between unique names, with the true places."""
    text = ""
    truth: Truth = []
    for ship in FLEET:
        for label, written in (("SHIP", f"Vessel {ship.replace(' ', '')}"), ("OWNER", "Nordlys Rederi")):
            truth.append((Quote(label, written), len(text)))
            text += f"{written}; "
    return text, truth


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(lambda truth: truth, id="reading order"),
        pytest.param(lambda truth: sorted(truth, key=lambda pair: pair[0].label), id="grouped by label"),
        pytest.param(lambda truth: truth[::-1], id="backwards"),
        pytest.param(lambda truth: [*truth[1::2], *truth[::2]], id="every other one"),
    ],
)
def test_repeated_mentions_all_get_places_of_their_own(order: Callable[[Truth], Truth]) -> None:
    text, truth = fleet_page()
    answers = order(truth)

    found = ground(text, [quote for quote, _ in answers])

    places = sorted(
        (quote.label, r.start)
        for (quote, _), r in zip(answers, found, strict=True)
        if isinstance(r, Grounding)
    )
    assert places == sorted((quote.label, start) for quote, start in truth)


def test_the_order_of_the_answers_chooses_among_equal_places() -> None:
    text = "Alma met Lund. Berta met Lund. Clara met Lund. Dora met Lund."

    assert starts(text, "Berta", "Lund", "Clara") == [15, 25, 31]
    assert starts(text, "Clara", "Lund", "Dora") == [31, 41, 47]
    assert starts(text, "Alma", "Clara", "Lund") == [0, 31, 41]


def test_offsets_are_code_points_beyond_the_basic_plane() -> None:
    text = "🚢🚢 𝔅ergen 🚢 Malmö"

    assert starts(text, "Bergen", "Malmö") == [3, 12]


@pytest.mark.parametrize(
    "text",
    [
        "a\x00b Bergen",
        "\ud800 Bergen \udfff",
        "\u0301\u0301 Bergen",
        "\u202eBergen\u202c",
        "Bergen\u0000\ufeff" * 3,
    ],
)
def test_strange_characters_are_survived(text: str) -> None:
    assert placed(text, "Bergen")[0] == "Bergen"
    assert len(results(text, "\x00", "\ud800", "\u0301", "\u202e", text, text * 5)) == 6


def test_a_quote_longer_than_the_page_is_survived() -> None:
    assert reasons("Bergen", "Bergen and Malmö " * 5_000) == [Reason.NOT_FOUND]


def test_a_long_quote_with_damage_is_found_whole() -> None:
    clause = (
        "The master shall render customary assistance with the crew and be under the orders of the charterers"
    )
    text = f"Clause 8. {clause.replace('m', 'rn').replace('l', '1')}. Clause 9."

    assert placed(text, clause) == [text[10:-11]]


def test_ten_thousand_answers_are_survived() -> None:
    text = "the brig Anna sailed " * 200

    found = results(text, *["Anna"] * 10_000)

    assert len({r.start for r in found if isinstance(r, Grounding)}) == 200
    assert sum(r == Rejection(Reason.ALREADY_TAKEN) for r in found) == 9_800


def test_results_carry_no_page_text() -> None:
    secret = "Zanzibar"
    found: Sequence[GroundingResult] = results(f"to {secret} and back", secret, f"{secret}x{secret}")

    assert secret not in json.dumps([repr(result) for result in found])
