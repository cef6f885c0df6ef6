from typing import Any

import pytest
from read_settings import read

from preannotation_assets.errors import SettingsError
from preannotation_assets.settings import (
    AskingSettings,
    ChunkingSettings,
    GenerationSettings,
    OllamaSettings,
    StorageSettings,
    WarehouseSettings,
)


@pytest.mark.parametrize(
    "value", ["hunter2", "=hunter2", "a=1,hunter2", '{"a": "hunter2', '{"a": 1}', '{"a": {}}']
)
def test_malformed_properties_are_refused_without_repeating_them(value: str) -> None:
    with pytest.raises(
        SettingsError, match="PREANNOTATION_SPARK_CONFIG is malformed: set it to key=value"
    ) as raised:
        read(PREANNOTATION_SPARK_CONFIG=value)
    assert "hunter2" not in repr(raised.value)


def test_a_home_folder_that_nobody_knows_is_told() -> None:
    with pytest.raises(SettingsError, match="home folder in '~nobody-of-that-name/lake'"):
        read(PREANNOTATION_ROOT="~nobody-of-that-name/lake")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MAX_IN_FLIGHT", "0", "a whole number of at least 1"),
        ("MAX_IN_FLIGHT", "-1", "a whole number of at least 1"),
        ("MAX_IN_FLIGHT", "4.5", "a whole number of at least 1"),
        ("MAX_IN_FLIGHT", "4.0", "a whole number of at least 1"),
        ("MAX_IN_FLIGHT", "1_000", "a whole number of at least 1"),
        ("MAX_IN_FLIGHT", "9" * 5000, "a whole number of at least 1"),
        ("CHUNK_TOKENS", "63", "a whole number of at least 64"),
        ("OVERLAP_TOKENS", "many", "a whole number of at least 0"),
        ("NUM_CTX", "511", "a whole number of at least 512"),
        ("NUM_PREDICT", "15", "a whole number of at least 16"),
        ("PAGES_A_PART", "999", "a whole number from 1,000 to 5,000"),
        ("PAGES_A_PART", "5001", "a whole number from 1,000 to 5,000"),
        ("SECOND_PASS_BELOW", "0", "a number above 0, up to 1"),
        ("SECOND_PASS_BELOW", "1.1", "a number above 0, up to 1"),
        ("SECOND_PASS_BELOW", "-0.5", "a number above 0, up to 1"),
        ("SECOND_PASS_BELOW", "nan", "a number above 0, up to 1"),
        ("SECOND_PASS_BELOW", "0,5", "a number above 0, up to 1"),
        ("SECOND_PASS_BELOW", "50%", "a number above 0, up to 1"),
        ("READ_TIMEOUT", "inf", "a number above 0"),
        ("READ_TIMEOUT", "0.0", "a number above 0"),
        ("STREAM", "sometimes", "one of auto, always, never"),
        ("STREAM", "Always", "one of auto, always, never"),
        ("KEEP_ALIVE", "30", "a duration with its unit"),
        ("MEMORY_LIMIT", "lots", "a size"),
        ("DRIVER_MEMORY", "2 gigabytes", "a size as Spark writes it"),
        ("DATASET_PATTERN", "vessels_ocr_.*", "a regular expression whose first group is the dataset"),
        ("DATASET_PATTERN", "(?:vessels)", "a regular expression whose first group is the dataset"),
        ("DATASET_PATTERN", r"\(vessels\)", "a regular expression whose first group is the dataset"),
        ("DATASET_PATTERN", "(vessels", "a regular expression whose first group is the dataset"),
    ],
)
def test_a_malformed_value_is_named_with_what_is_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**{f"PREANNOTATION_{name}": value})
    assert (
        raised.value.problem == f"PREANNOTATION_{name} is {value if len(value) < 60 else value[:60] + '…'!r}"
    )
    assert raised.value.cure.startswith(f"set it to {expected}")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PREANNOTATION_MODLE", "PREANNOTATION_MODEL"),
        ("PREANNOTATION_NUMCTX", "PREANNOTATION_NUM_CTX"),
        ("PREANNOTATION_OLLAMA_ENDPOINT", "PREANNOTATION_OLLAMA_ENDPOINTS"),
        ("PREANNOTATION_MAX_INFLIGHT", "PREANNOTATION_MAX_IN_FLIGHT"),
        ("PREANNOTATION_PAGES_PER_PART", "PREANNOTATION_PAGES_A_PART"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_real_one(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**{name: "hunter2"})
    assert str(raised.value) == f"{name} is no setting: the nearest one is {nearest}"


def test_variables_of_others_are_no_mistakes() -> None:
    assert read(PREANNOTATION_LOGS_BUCKET="logs", PATH="/bin", AWS_PROFILE="x", OLLAMA_DEBUG="1") == read()


@pytest.mark.parametrize(
    "name",
    [
        "PREANNOTATION_SERVICE_HOST",
        "PREANNOTATION_SERVICE_PORT",
        "PREANNOTATION_SERVICE_PORT_HTTP",
        "PREANNOTATION_PORT",
        "PREANNOTATION_WEBSERVER_PORT_3000_TCP",
        "PREANNOTATION_WEBSERVER_PORT_3000_TCP_ADDR",
    ],
)
def test_a_service_in_kubernetes_may_have_our_name(name: str) -> None:
    assert read(**{name: "tcp://10.0.0.1:3000"}) == read()


def test_all_mistakes_are_told_at_once_in_one_line() -> None:
    with pytest.raises(SettingsError) as raised:
        read(
            PREANNOTATION_MODLE="x",
            PREANNOTATION_NUM_CTX="many",
            PREANNOTATION_OLLAMA_ENDPOINTS="ftp://gpu",
            PREANNOTATION_SPARK_CONFIG="hunter2",
            AWS_ENDPOINT_URL="http://user:hunter2@s3",
        )
    message = str(raised.value)
    assert message.startswith("5 settings are wrong: ")
    for part in (
        "MODLE",
        "NUM_CTX is 'many'",
        "not an http(s) address",
        "SPARK_CONFIG",
        "AWS_ENDPOINT_URL_S3 has a user name",
    ):
        assert part in message
    assert "hunter2" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("group", "values"),
    [
        (AskingSettings, {"max_in_flight": 0}),
        (AskingSettings, {"read_timeout": float("inf")}),
        (AskingSettings, {"stream": "sometimes"}),
        (OllamaSettings, {"endpoints": ["http://user:hunter2@gpu"]}),
        (StorageSettings, {"pages_a_part": 5001}),
        (ChunkingSettings, {"chunk_tokens": 400}),
        (GenerationSettings, {"number_of_tokens": 1}),
        (WarehouseSettings, {"database": "md:?token=hunter2"}),
    ],
)
def test_a_group_refuses_what_its_variable_does(group: type[Any], values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error") as raised:
        group(**values)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("chunk", "overlap", "is_good"), [("64", "31", True), ("64", "32", False), ("400", "", False)]
)
def test_the_overlap_is_less_than_half_of_a_chunk(chunk: str, overlap: str, is_good: bool) -> None:
    variables = {"PREANNOTATION_CHUNK_TOKENS": chunk, "PREANNOTATION_OVERLAP_TOKENS": overlap}
    if is_good:
        assert read(**variables).chunking.overlap_tokens == int(overlap)
        return
    with pytest.raises(SettingsError, match="CHUNK_TOKENS and PREANNOTATION_OVERLAP_TOKENS do not fit"):
        read(**variables)
