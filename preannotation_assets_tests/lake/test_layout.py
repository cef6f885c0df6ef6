import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import BatchError
from preannotation_assets.lake.layout import DatasetLayout, calibration_key, part_key, validate_dataset
from preannotation_assets.lake.objects import WORK_AREA, check_key
from preannotation_assets.lake.probes import PROBE_AREA

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True).filter(
    lambda name: ".." not in name
)


@pytest.mark.parametrize("name", ["vessels_ocr_1", "a", "2024-01.b", "x" * 199, "vessels_ocr_demo"])
def test_good_names_pass(name: str) -> None:
    assert validate_dataset(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "a..b", "a...b", "a/b", "../a", "/a", "a\\b", "a b", "a\n", "a\0", "é", "_probes",
        "_calibration", "-x", ".x", "x" * 200, "a:b", "a*", "a%2fb", "ａ",
    ],
)  # fmt: skip
def test_bad_names_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(BatchError) as raised:
        DatasetLayout(name)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def keys(layout: DatasetLayout) -> list[str]:
    return [
        layout.published_suggestions,
        layout.published_manifest,
        layout.preview,
        f"{layout.answers}/x.parquet",
        layout.stage_manifest("pages"),
        part_key(layout.stage("pages", "v"), 3),
    ]


@given(NAMES, NAMES)
def test_two_datasets_share_no_key(one: str, other: str) -> None:
    mine, others = keys(DatasetLayout(one)), keys(DatasetLayout(other))
    assert all(check_key(key) == key for key in mine)
    assert one == other or not any(
        key.startswith((f"{DatasetLayout(other).work}/", f"{DatasetLayout(other).published}/"))
        for key in mine
    )
    assert one == other or not set(mine) & set(others)


@given(NAMES)
def test_the_loader_sees_the_suggestions_and_nothing_else(name: str) -> None:
    layout = DatasetLayout(name)
    seen = [key for key in keys(layout) if key.startswith(f"argilla/in/{name}/suggestions/")]
    assert seen == [layout.published_suggestions, layout.published_manifest]
    assert re.search(r"/_[^/]*$", layout.published_manifest)
    assert all(key in seen or key.startswith(f"{WORK_AREA}/{name}/") for key in keys(layout))
    assert not layout.work.startswith(PROBE_AREA.rstrip("/"))


@given(st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_model_has_a_key(model: str) -> None:
    assert check_key(calibration_key(model)).startswith(f"{WORK_AREA}/_calibration/")


def test_parts_sort_as_they_are_numbered() -> None:
    names = [part_key("x", index) for index in (0, 1, 9, 10, 99_999)]
    assert names == sorted(names)
