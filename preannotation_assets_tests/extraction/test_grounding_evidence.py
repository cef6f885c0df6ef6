"""What speaks for a place and what against it: endings, order, what a quote loses, whose digits."""

import pytest

from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, Quote

PORTS = ["Hull", "Emden", "Narvik", "Odense", "Gdynia", "Kotka", "Visby", "Larvik"]


def placed(text: str, *quotes: str) -> list[str | None]:
    results = ground(text, [Quote("NAME", quote) for quote in quotes])
    return [text[r.start : r.end] if isinstance(r, Grounding) else None for r in results]


def starts(text: str, *quotes: str) -> list[int | None]:
    return [
        r.start if isinstance(r, Grounding) else None
        for r in ground(text, [Quote("NAME", quote) for quote in quotes])
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Stralsund", "Stralsunds"),
        ("Hanseatische Werft", "Hanseatischen Werft"),
        ("Rotes Kreuz", "Roten Kreuzes"),
        ("Weißes Meer", "Weißen Meeres"),
        ("Norges Bank", "Norges Banks"),
        ("Dansk Rederi", "Dansk Rederiets"),
        ("Fritz", "Fritzens"),
        ("Самара", "Самарой"),
        ("Петров", "Петровым"),
        ("Белое море", "Белого моря"),
        ("Szczecin", "Szczecinie"),
        ("Nowakowski", "Nowakowskiego"),
        ("Novotný", "Novotného"),
        ("Klaipėda", "Klaipėdos"),
        ("Dorpatum", "Dorpati"),
        ("Dorpatum", "Dorpatorum"),
        ("Lubeca", "Lubecae"),
        ("Kokkola", "Kokkolassa"),
        ("Viipuri", "Viipurista"),
        ("Zaandam", "Zaandamse"),
        ("Ярославль", "Ярославлем"),
    ],
)
@pytest.mark.parametrize("is_quoted", ["one", "other"])
def test_a_name_is_found_in_another_case(one: str, other: str, is_quoted: str) -> None:
    quoted, written = (one, other) if is_quoted == "one" else (other, one)
    text = f"1911 before the court, {written} and others"

    found = placed(text, quoted)[0]

    assert found in {written, quoted}
    assert text.index(found) == text.index(written)


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("the annals of it", "Anna"),
        ("Petersen came", "Petri"),
        ("in the hallen", "Halle"),
        ("the Har landed", "Harland"),
        ("Ann Ualing came", "Annual"),
        ("Bar Noel came", "Barno"),
        ("to J. Alfsen of Hull", "F. Alfsen"),
        ("to J. Alfsen of Hull", "Mr. F. Alfsen"),
    ],
)
def test_another_name_is_no_other_case(text: str, quote: str) -> None:
    assert placed(text, quote) == [None]


def page_of_ports() -> tuple[str, list[str]]:
    """A page on which each port is called at once, and the quotes of it in its order."""
    text = "".join(f"The ship lay at {port} for a week, and took in coal and water. " for port in PORTS)
    return text, list(PORTS)


@pytest.mark.parametrize("damaged", ["MALTA", "Mal-\nta", "Maltas", "Mal ta"])
def test_the_order_outweighs_another_mention_spelled_as_quoted(damaged: str) -> None:
    text, quotes = page_of_ports()
    text = f"{text[:100]} Malta {text[100:]} {damaged} was next, then Faro. Then Kiel."

    found = starts(text, *quotes, "Malta", "Faro", "Kiel")

    assert found[-3] == text.index(damaged)


@pytest.mark.parametrize("damaged", ["MALTA", "Maltas"])
def test_without_an_order_the_mention_spelled_as_quoted_is_meant(damaged: str) -> None:
    text, quotes = page_of_ports()
    text = f"{text[:100]} Malta {text[100:]} {damaged} was next."

    assert starts(text, *quotes[::-1], "Malta")[-1] == text.index("Malta ")


def test_a_doubtful_place_against_the_order_is_none() -> None:
    text, quotes = page_of_ports()
    text = f"The Horner left. {text}"

    assert starts(text, "Porner", *quotes)[0] == 4
    assert starts(text, *quotes, "Porner")[-1] is None


def test_a_repaired_quote_does_not_stand_where_another_is_quoted_as_it_is_written() -> None:
    text = "letters from France arrived"
    beside = ground(text, [Quote("PLACE", "France"), Quote("PERSON", "Frauce")])
    alone = ground(text, [Quote("PERSON", "Frauce")])

    assert [isinstance(result, Grounding) for result in beside] == [True, False]
    assert [isinstance(result, Grounding) for result in alone] == [True]


def test_two_repaired_quotes_of_two_labels_may_stand_at_one_place() -> None:
    results = ground("letters from France arrived", [Quote("PLACE", "Frauce"), Quote("PERSON", "Frauce")])

    assert all(isinstance(result, Grounding) for result in results)


def test_a_place_that_is_much_like_the_quote_needs_no_order() -> None:
    text, quotes = page_of_ports()

    assert starts(f"At Stralsund and Rostock. {text}", *quotes, "Stralsnnd and Rostock")[-1] == 3


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        # what is left does not stand for the quote
        ("on the 21 of them", "21 avril"),
        ("the police came", "police russe"),
        ("le Conseil fut", "Conseil national"),
        ("of 1862 and", "1862 Nem."),
        ("at the Hôtel Ritz", "Hôtel-de-Ville"),
        ("in the ans of", "ans, Autriche"),
        # several letters of a short word
        ("at the Ports of", "Paris"),
        ("a Barter of", "Borden"),
        ("die Neffen kamen", "Waffen"),
        # a name is no word in small letters
        ("en franca lingua", "France"),
        ("il électro", "Electra"),
        # another number
        ("for 700 francs", "70 francs"),
        ("for 100. 000 Mark", "100 Mark"),
        ("for 70\nmille francs", "70 francs"),
        ("LONDRES. 15 (Havas)", "Londres 1852"),
        ("from 3 au 9 août", "3 août"),
        ("zu Berlin iſt der", "Berlin II"),
        ("the Orion II and", "Orion III"),
        ("au XVIIe siècle", "XVIIIe siècle"),
        ("in Brescia, Italien", "Brescia II"),
        ("département de\nl'Aisne, il n'eft qu'un", "l'Aisne II"),
        # a title stands before a name, a legal form and a kind of place behind it
        ("in Oberon there", "Oberon Captain"),
        ("in Oberon there", "Oberon M."),
        ("in Bergen there", "City Bergen"),
        ("in Bergen there", "Bergen The"),
        ("in Bergen there", "and Bergen"),
        # another entity
        ("in Louis there", "St. Louis"),
        ("in Orange there", "Orange County"),
        ("by M. Dupont there", "Mme Dupont"),
        ("the school there", "Captain school"),
        # what the page says between, or a word that only begins so
        ("in London, Friday Morning", "London Morning"),
        ("at Jean Roule. Il nous dit", "Jean Nous"),
        ("a Boot he had", "Boot House"),
        ("of their own", "the Iris"),
    ],
)
def test_a_hallucinated_quote_is_not_found(text: str, quote: str) -> None:
    assert placed(text, quote) == [None]


@pytest.mark.parametrize(
    ("text", "quote", "place"),
    [
        ("for 4,290 Fr. paid", "4,290 Franken", "4,290 Fr."),
        ("Möhring & Koehn of", "Moehring", "Möhring"),
        ("of Koehn, master", "Köhn", "Koehn"),
        ("by Luther in", "Luter", "Luther"),
        ("the Theater of", "Teater", "Theater"),
        ("by Karl Il. in", "Karl II.", "Karl Il."),
        ("by Dupont in", "Mme Dupont", "Dupont"),
        ("in Halle in", "Halle a. S.", "Halle"),
        ("by Petersen in", "Petersen & Co.", "Petersen"),
        ("of Bergen in", "the city of Bergen", "Bergen"),
    ],
)
def test_spelling_and_units_may_differ(text: str, quote: str, place: str) -> None:
    found = placed(text, quote)[0]

    assert found is not None
    assert found.rstrip(".") == place.rstrip(".")
