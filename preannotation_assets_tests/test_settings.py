from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.settings import Settings, parse_endpoint


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def test_the_defaults_are_local() -> None:
    settings = read()
    assert settings.endpoints == ()
    assert settings.model == "llama3.3:70b"
    assert (settings.max_in_flight, settings.spark_master, settings.stream) == (4, "local[*]", "auto")
    assert Path(settings.root).is_absolute()
    assert Path(settings.database).is_absolute()
    assert Path(settings.labels).is_file()
    assert settings.location().endpoint_url is None
    assert settings.chunk_tokens + settings.num_predict < settings.num_ctx


def test_every_variable_is_read() -> None:
    settings = read(
        PREANNOTATION_DATABASE="md:ocr",
        PREANNOTATION_ROOT="s3://bucket/some/prefix",
        PREANNOTATION_LABELS="/labels.yaml",
        PREANNOTATION_OLLAMA_ENDPOINTS="gpu1, http://gpu2:80/ ,gpu1:11434,",
        OLLAMA_HOST="not-used",
        PREANNOTATION_MODEL="qwen3:32b",
        PREANNOTATION_MAX_IN_FLIGHT="7",
        PREANNOTATION_SPARK_MASTER="spark://m:7077",
        PREANNOTATION_BATCH_CONDITION="doc_id LIKE $dataset",
        PREANNOTATION_DATASET_PATTERN=r"^(\p{L}+)_",
        PREANNOTATION_CHUNK_TOKENS="4000",
        PREANNOTATION_OVERLAP_TOKENS="0",
        PREANNOTATION_NUM_CTX="16384",
        PREANNOTATION_NUM_PREDICT="1000",
        PREANNOTATION_SECOND_PASS_BELOW="0.55",
        PREANNOTATION_SELF_REPORTED="yes",
        PREANNOTATION_STREAM="always",
        AWS_ENDPOINT_URL="http://all:1",
        AWS_ENDPOINT_URL_S3="http://s3:9000",
        AWS_DEFAULT_REGION="eu-central-1",
    )
    assert settings == Settings(
        database="md:ocr",
        root="s3://bucket/some/prefix",
        labels="/labels.yaml",
        endpoints=("http://gpu1:11434", "http://gpu2:80"),
        model="qwen3:32b",
        max_in_flight=7,
        spark_master="spark://m:7077",
        batch_condition="doc_id LIKE $dataset",
        dataset_pattern=r"^(\p{L}+)_",
        chunk_tokens=4000,
        overlap_tokens=0,
        num_ctx=16384,
        num_predict=1000,
        second_pass_below=0.55,
        self_reported=True,
        stream="always",
        aws_endpoint_url="http://s3:9000",
        aws_region="eu-central-1",
    )
    location = settings.location()
    assert (location.root, location.endpoint_url, location.region) == (
        "s3://bucket/some/prefix",
        "http://s3:9000",
        "eu-central-1",
    )


@pytest.mark.parametrize("value", ["true", "1", "Yes", "y", "on"])
def test_the_model_s_own_word_is_asked_for_by_yes_and_by_nothing_else(value: str) -> None:
    assert not Settings.from_environment({}).self_reported
    assert not Settings.from_environment({"PREANNOTATION_SELF_REPORTED": " "}).self_reported
    assert not Settings.from_environment({"PREANNOTATION_SELF_REPORTED": "no"}).self_reported
    with pytest.raises(SettingsError, match=f"PREANNOTATION_SELF_REPORTED is '{value}'"):
        Settings.from_environment({"PREANNOTATION_SELF_REPORTED": value})


@pytest.mark.parametrize("value", ["0", "1.1", "-0.5", "half", "nan", "0,5", "50%"])
def test_a_second_pass_takes_a_probability(value: str) -> None:
    with pytest.raises(SettingsError, match="PREANNOTATION_SECOND_PASS_BELOW"):
        Settings.from_environment({"PREANNOTATION_SECOND_PASS_BELOW": value})


def test_an_empty_variable_counts_as_unset() -> None:
    names = [
        "PREANNOTATION_DATABASE",
        "PREANNOTATION_ROOT",
        "PREANNOTATION_LABELS",
        "PREANNOTATION_OLLAMA_ENDPOINTS",
        "OLLAMA_HOST",
        "PREANNOTATION_MODEL",
        "PREANNOTATION_MAX_IN_FLIGHT",
        "PREANNOTATION_SPARK_MASTER",
        "PREANNOTATION_BATCH_CONDITION",
        "PREANNOTATION_DATASET_PATTERN",
        "PREANNOTATION_CHUNK_TOKENS",
        "PREANNOTATION_OVERLAP_TOKENS",
        "PREANNOTATION_NUM_CTX",
        "PREANNOTATION_NUM_PREDICT",
        "PREANNOTATION_STREAM",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ]
    assert read(**dict.fromkeys(names, " ")) == read()


def test_paths_hold_in_another_folder_and_know_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of/somebody")
    settings = read(
        PREANNOTATION_DATABASE="ocr.duckdb", PREANNOTATION_ROOT="~/lake", PREANNOTATION_LABELS="labels.yaml"
    )
    monkeypatch.chdir("/")
    assert settings.database == str(tmp_path / "ocr.duckdb")
    assert settings.labels == str(tmp_path / "labels.yaml")
    assert settings.root == "/home/of/somebody/lake"
    assert read(PREANNOTATION_ROOT="file:///lake").root == "file:///lake"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREANNOTATION_MAX_IN_FLIGHT", "0"),
        ("PREANNOTATION_MAX_IN_FLIGHT", "-1"),
        ("PREANNOTATION_MAX_IN_FLIGHT", "4.5"),
        ("PREANNOTATION_MAX_IN_FLIGHT", "1_000"),
        ("PREANNOTATION_MAX_IN_FLIGHT", "9" * 5000),
        ("PREANNOTATION_CHUNK_TOKENS", "63"),
        ("PREANNOTATION_OVERLAP_TOKENS", "many"),
        ("PREANNOTATION_NUM_CTX", "511"),
        ("PREANNOTATION_NUM_PREDICT", "15"),
        ("PREANNOTATION_STREAM", "yes"),
        ("PREANNOTATION_DATASET_PATTERN", "vessels_ocr_.*"),
        ("PREANNOTATION_DATASET_PATTERN", "(?:vessels)"),
        ("PREANNOTATION_DATASET_PATTERN", r"\(vessels\)"),
        ("PREANNOTATION_DATASET_PATTERN", "(vessels"),
        ("PREANNOTATION_DATABASE", "md:ocr?motherduck_token=abc"),
    ],
)
def test_a_malformed_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**{name: value})
    assert name in str(raised.value)
    assert raised.value.cure
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("gpu", "http://gpu:11434"),
        ("gpu:8080", "http://gpu:8080"),
        ("http://gpu", "http://gpu"),
        ("http://gpu:11434/", "http://gpu:11434"),
        ("https://gpu.example.org", "https://gpu.example.org"),
        ("HTTPS://GPU.Example.org/ollama/", "https://gpu.example.org/ollama"),
        ("gpu/ollama", "http://gpu:11434/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::1]:11434", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::]:8080", "http://[::1]:8080"),
        ("192.168.7.9", "http://192.168.7.9:11434"),
    ],
)
def test_the_forms_of_ollama_host(address: str, url: str) -> None:
    assert parse_endpoint(address) == url
    assert read(OLLAMA_HOST=address).endpoints == (url,)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://gpu", "http://", "://gpu", "gpu:port", "gpu:0", "gpu:99999", "http://gpu:99999999", "[::1",
        "http://[::1", "gpu gpu", "http://gpu/a b", "http:gpu", "::1]:1", "http://[fe80::1%eth0]x:1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="http"):
        parse_endpoint(address)


@pytest.mark.parametrize(
    "variables",
    [
        {"OLLAMA_HOST": "http://user:hunter2@gpu:11434"},
        {"OLLAMA_HOST": "user:hunter2@gpu"},
        {"OLLAMA_HOST": "http://hunter2@gpu"},
        {"OLLAMA_HOST": "http://user:hunter2@[gpu"},
        {"OLLAMA_HOST": "https://gpu/?key=hunter2"},
        {"OLLAMA_HOST": "https://gpu/#hunter2"},
        {"PREANNOTATION_OLLAMA_ENDPOINTS": "gpu1,hunter2:x@gpu2"},
        {"PREANNOTATION_DATABASE": "md:ocr?MotherDuck_Token=hunter2"},
        {"AWS_ENDPOINT_URL": "http://user:hunter2@s3:9000"},
        {"AWS_ENDPOINT_URL_S3": "http://user:hunter2@[s3"},
    ],
)
def test_a_secret_in_an_address_is_refused_without_repeating_it(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**variables)
    assert "hunter2" not in repr(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_secrets_are_no_settings() -> None:
    secrets = {
        name: f"hunter2-{name}"
        for name in (
            "motherduck_token", "CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET", "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        )
    }  # fmt: skip
    assert read(**secrets) == read()
    assert "hunter2" not in repr(read(**secrets))


@given(st.text(max_size=40))
def test_any_address_is_a_base_url_or_refused(address: str) -> None:
    try:
        url = parse_endpoint(address)
    except SettingsError:
        return
    else:
        assert url.startswith(("http://", "https://"))
        assert not url.endswith("/")
        assert parse_endpoint(url) == url
