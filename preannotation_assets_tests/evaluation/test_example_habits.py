import pytest

from preannotation_assets.evaluation.examples.habits import OcrHabit, habits_of, habits_of_lines


@pytest.mark.parametrize(
    ("written", "habits"),
    [
        ("Port Glasgow", set()),
        ("Port\nGlasgow", {"line_break"}),
        ("Stab-\neisen", {"broken_word"}),
        ("Stab\u00ac\r\n  eisen", {"broken_word"}),
        ("Stab-\neisen aus\nLeith", {"broken_word", "line_break"}),
        ("Stab-eisen", set()),
    ],
)
def test_line_ends_are_seen_without_any_quote(written: str, habits: set[str]) -> None:
    assert set(habits_of_lines(written)) == habits


@pytest.mark.parametrize(
    ("quote", "written", "habits"),
    [
        ("Port Glasgow", "Port\nGlasgow", set()),
        ("Stabeisen", "Stab-\neisen", set()),
        ("Hull", "Hull", set()),
        ("Hull", "HULL", {"marks"}),
        ("Malmö", "Malmo", {"marks"}),
        ("M. Ode", "M Ode", {"marks"}),
        ("1981", "l981", {"lookalike"}),
        ("HARLEQUIN", "HARLEQUlN", {"lookalike"}),
        ("Bremen", "Brernen", {"lookalike"}),
        ("Rotterdam", "Rottrdam", {"lost_letter"}),
        ("Rotterdam", "Rott\ufffdrdam", {"lost_letter"}),
        ("Hull", "Hulxl", {"other_letters"}),
        ("l981 Rotterdam", "1981 Rottrdam", {"lookalike", "lost_letter"}),
    ],
)
def test_what_grounding_looked_past_has_a_name(quote: str, written: str, habits: set[str]) -> None:
    assert set(habits_of(quote, written)) == habits
    assert habits <= set(OcrHabit)
