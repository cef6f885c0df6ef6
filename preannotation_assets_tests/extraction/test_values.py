import pickle
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from preannotation_assets.extraction.line_ends import LINE_BREAKS, LINE_END_SIGNS
from preannotation_assets.extraction.values import (
    LONGEST_PATTERN,
    OnInvalid,
    ValueCheck,
    ValueRule,
    Verdict,
    has_imo_check_digit,
    has_imo_company_check_digit,
    judge,
    match_seconds,
    pattern_doubt,
    pattern_fault,
)

IMO = ValueRule(None, ValueCheck.IMO_CHECK_DIGIT, OnInvalid.LOWER, 0.5)
COMPANY = ValueRule(None, ValueCheck.IMO_COMPANY_CHECK_DIGIT, OnInvalid.LOWER, 0.5)


def by(pattern: str) -> ValueRule:
    return ValueRule(pattern, None, OnInvalid.LOWER, 0.5)


@pytest.mark.parametrize(
    "number",
    [
        "9074729", "7654329", "9 074 729", "\u200b9074729", "9O747Z9", "٩٠٧٤٧٢٩", "９０７４７２９",
        *(f"90{sign}\n74729" for sign in LINE_END_SIGNS), *(f"90{sign} \r\n 74729" for sign in "-¬⸗="),
        *(f"90-{end}74729" for end in LINE_BREAKS), "9О74729", "9Ο74729", "&#57;074729", "90&shy;74729",
        "90\u206974729", "90\u034f74729",
    ],
)  # fmt: skip
def test_an_imo_number_is_valid_however_it_is_printed(number: str) -> None:
    assert judge(IMO, number) is Verdict.VALID


@pytest.mark.parametrize(
    "number",
    ["9074728", "9074279", "907472", "90747290", "IMO9074729", "", "9.074.729", "0000000", "OOO OOOO"],
)
def test_what_is_no_imo_number_is_invalid(number: str) -> None:
    assert judge(IMO, number) is Verdict.INVALID


@pytest.mark.parametrize("number", ["2041999", "204 1999", "٢٠٤١٩٩٩", "2O41999"])
def test_the_number_of_a_company_is_told_from_that_of_a_ship(number: str) -> None:
    assert judge(COMPANY, number) is Verdict.VALID
    assert judge(IMO, number) is Verdict.INVALID
    assert judge(COMPANY, "9074729") is Verdict.INVALID


@pytest.mark.parametrize("number", ["2041998", "0000000", "204199", "20419990", "IMO2041999", ""])
def test_what_is_no_number_of_a_company_is_invalid(number: str) -> None:
    assert judge(COMPANY, number) is Verdict.INVALID


@given(st.integers(1, 999_999))
def test_sum_and_last_digit_of_a_company_number_are_a_multiple_of_eleven(stem: int) -> None:
    digits = f"{stem:06d}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, (8, 6, 4, 2, 9, 7), strict=True))
    last = 0
    while (total + last) % 11:
        last += 1
    assert [d for d in range(10) if has_imo_company_check_digit(f"{digits}{d}")] == [last % 10]


@given(st.integers(1, 9_999_999))
def test_the_check_digit_agrees_with_a_plain_count(number: int) -> None:
    digits = f"{number:07d}"
    total = (
        7 * int(digits[0]) + 6 * int(digits[1]) + 5 * int(digits[2])
        + 4 * int(digits[3]) + 3 * int(digits[4]) + 2 * int(digits[5])
    )  # fmt: skip
    assert has_imo_check_digit(digits) is (str(total)[-1] == digits[6])


@given(st.integers(1, 999_999))
def test_one_of_ten_last_digits_is_right(stem: int) -> None:
    assert sum(has_imo_check_digit(f"{stem:06d}{last}") for last in range(10)) == 1


@given(st.integers(1, 999_999), st.integers(0, 5), st.integers(1, 9))
def test_a_digit_that_is_misread_is_noticed_unless_its_weight_hides_it(stem: int, at: int, off: int) -> None:
    digits = f"{stem:06d}"
    number = next(digits + str(last) for last in range(10) if has_imo_check_digit(digits + str(last)))
    changed = number[:at] + str((int(number[at]) + off) % 10) + number[at + 1 :]
    assume(int(changed) > 0)
    weight = 7 - at
    hidden = (int(changed[at]) - int(number[at])) * weight % 10 == 0
    assert has_imo_check_digit(changed) is hidden


@pytest.mark.parametrize(
    ("pattern", "value", "verdict"),
    [
        (r"\d{4}", "1974", Verdict.VALID),
        (r"\d{4}", "1 974", Verdict.VALID),
        (r"\d{4}", "19-\r\n  74", Verdict.VALID),
        (r"\d{4}", "19¬\n74", Verdict.VALID),
        (r"[0-9]{4}", "١٩٧٤", Verdict.VALID),
        (r"[٠-٩]{4}", "١٩٧٤", Verdict.VALID),
        (r"\p{Lu}\p{Ll}+-\p{Lu}\p{Ll}+", "Ribnitz-\nDamgarten", Verdict.VALID),
        (r"\p{Lu}\p{Ll}+", "Dam⸗\ngarten", Verdict.VALID),
        (r"\d{4}", "in 1974", Verdict.INVALID),
        (r"\d{4}", "1974.", Verdict.INVALID),
        (r"\d{1,2} \p{Lu}\p{Ll}+ \d{4}", "3  March\n1974", Verdict.VALID),
        (r"[\p{L}]+", "Gö\u00adteborg", Verdict.VALID),
        (r"[\p{L}]+", "G&ouml;teborg", Verdict.VALID),
        (r"جدة", "جـــدة", Verdict.VALID),
        (r"(?i)a|b", "B", Verdict.VALID),
        (r"a|bc", "abc", Verdict.INVALID),
    ],
)
def test_a_pattern_matches_from_end_to_end_with_blanks_or_without(
    pattern: str, value: str, verdict: Verdict
) -> None:
    assert judge(by(pattern), value) is verdict


def test_both_pattern_and_check_must_hold() -> None:
    rule = ValueRule("9.*", ValueCheck.IMO_CHECK_DIGIT, OnInvalid.REJECT, 0.5)
    assert judge(rule, "9074729") is Verdict.VALID
    assert judge(rule, "7654329") is Verdict.INVALID
    assert judge(rule, "9074728") is Verdict.INVALID


def test_no_rule_and_no_time_are_unknown() -> None:
    assert judge(None, "anything") is None
    assert judge(by("(a|aa)+$"), "a" * 250 + "!") is None


def test_confidence_is_lowered_for_an_invalid_value_only() -> None:
    rule = ValueRule("a", None, OnInvalid.LOWER, 0.25)
    assert rule.adjusted(0.8, Verdict.INVALID) == pytest.approx(0.2)
    assert rule.adjusted(0.8, Verdict.VALID) == 0.8
    assert rule.adjusted(0.8, None) == 0.8
    assert rule.adjusted(None, Verdict.INVALID) is None
    assert ValueRule("a", None, OnInvalid.REJECT, 0.25).adjusted(0.8, Verdict.INVALID) == 0.8
    assert pickle.loads(pickle.dumps(rule)) == rule


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("[", "regular expression"),
        (r"\L<x>", "regular expression"),
        ("(?P<a>x)(?P<a", "regular expression"),
        ("a{99999999999999999999}", "10000 times"),
        ("a{1000000000}", "10000 times"),
        ("(?:(?:a{99}){99}){99}", "10000 times"),
        ("((a{0,1000}){0,1000}){,1000}", "10000 times"),
        ("(a|aa)+$", "too long"),
        (r"(\w+\s?)*$", None),
        ("(?R)", "too long"),
        ("(?:[A-Z0-9] ?){3,8}", None),
        (r"\{\d{3}\}", None),
    ],
)
def test_a_pattern_that_cannot_be_used_is_found_beforehand(pattern: str, fault: str | None) -> None:
    found = pattern_fault(pattern)
    assert found is None if fault is None else found is not None and fault in found


@given(st.text(st.sampled_from("ab1()[]{}*+?|\\.^$-,:<>=!PRLpN<e&~é"), max_size=30), st.text(max_size=30))
def test_any_pattern_is_refused_or_judges_any_value(pattern: str, value: str) -> None:
    fault = pattern_fault(pattern)
    if fault is None:
        assert judge(by(pattern), value) in (Verdict.VALID, Verdict.INVALID, None)
    else:
        assert pattern not in fault or len(pattern) < 3


@given(st.text(st.sampled_from("0123456789OolISB -\n"), max_size=12))
def test_a_valid_number_is_seven_digits_or_what_looks_like_them(value: str) -> None:
    if judge(IMO, value) is Verdict.VALID:
        assert len(re.sub(r"[\s-]", "", value)) == 7


def test_the_longest_pattern_is_quick_to_refuse_or_compile() -> None:
    assert pattern_fault("(" * (LONGEST_PATTERN // 2) + ")" * (LONGEST_PATTERN // 2)) is None


def test_the_values_of_a_page_share_what_their_patterns_may_take() -> None:
    assert match_seconds(0) == match_seconds(1) == match_seconds(5) == 0.05
    assert match_seconds(250) == match_seconds(100_000) == 0.001
    for values in (1, 5, 20, 100, 250):
        assert 8 * values * match_seconds(values) <= 2.0


@pytest.mark.parametrize(
    "pattern", [r"(q|qq)+$", r"(?:q|qz|z)*!", r"(?:[a-z]+){e<=8}", r"(?:abc){1i + 1d < 3}"]
)
def test_a_pattern_that_ordinary_texts_do_not_show_to_be_slow_is_doubted(pattern: str) -> None:
    assert pattern_fault(pattern) is None
    assert pattern_doubt(pattern) is not None


@pytest.mark.parametrize(
    "pattern", [r"\d{4}", r"[A-Z]{2}-\d{1,7}", r"(?i)(?:m/v|s\.s\.) .{1,40}", r"[^\p{Cc}]+", r"(a|b)+"]
)
def test_ordinary_patterns_are_not_doubted(pattern: str) -> None:
    assert pattern_doubt(pattern) is None


def test_a_slow_pattern_leaves_a_value_unjudged_whatever_its_limit() -> None:
    rule = ValueRule(r"(q|qq)+$", None, OnInvalid.REJECT, 0.5)
    assert judge(rule, "q" * 200 + "!", match_seconds(1000)) is None
    assert judge(rule, "qqq", match_seconds(1000)) is Verdict.VALID
