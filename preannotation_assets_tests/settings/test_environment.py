from pathlib import Path
from typing import Any

import pytest

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.stream_choice import StreamChoice
from preannotation_assets.settings import (
    AskingSettings,
    ChunkingSettings,
    GenerationSettings,
    LabelSettings,
    OllamaSettings,
    OpenAISettings,
    PublishingSettings,
    ServerChoice,
    ServerKind,
    ServerSettings,
    Settings,
    SparkSettings,
    StorageSettings,
    WarehouseSettings,
    WatchingSettings,
)
from preannotation_assets.settings.evaluating import EvaluatingSettings
from preannotation_assets.settings.fields import settings_of


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


EVERY_VARIABLE = {
    "PREANNOTATION_DATABASE": "md:ocr",
    "PREANNOTATION_BATCH_CONDITION": "doc_id LIKE $dataset",
    "PREANNOTATION_DATASET_PATTERN": r"^(\p{L}+)_",
    "PREANNOTATION_MEMORY_LIMIT": "2.5GB",
    "PREANNOTATION_SENSOR_SECONDS": "300",
    "PREANNOTATION_SENSOR_LISTING_SECONDS": "7200",
    "PREANNOTATION_STILL_SECONDS": "0",
    "PREANNOTATION_SENSOR_MOST_RUNS": "3",
    "PREANNOTATION_ROOT": "s3://bucket/some/prefix",
    "AWS_ENDPOINT_URL": "http://all:1",
    "AWS_ENDPOINT_URL_S3": "http://s3:9000",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "not-used",
    "PREANNOTATION_PAGES_A_PART": "1000",
    "PREANNOTATION_LABELS": "/labels.yaml",
    "PREANNOTATION_SERVER": "openai",
    "PREANNOTATION_SERVER_URLS": "http://gpu1:8000/v1, https://gpu2/api/v1/,gpu1,http://gpu1:8000",
    "PREANNOTATION_SERVER_REVISION": "org/weights:4f2a",
    "PREANNOTATION_OLLAMA_ENDPOINTS": "gpu1, http://gpu2:80/ ,gpu1:11434,",
    "OLLAMA_HOST": "not-used",
    "PREANNOTATION_STREAM": "always",
    "PREANNOTATION_MODEL": "qwen3:32b",
    "PREANNOTATION_NUM_CTX": "16384",
    "PREANNOTATION_NUM_PREDICT": "1000",
    "PREANNOTATION_KEEP_ALIVE": "-1m",
    "PREANNOTATION_SECOND_PASS_BELOW": "0.55",
    "PREANNOTATION_SELF_REPORTED": "yes",
    "PREANNOTATION_CHUNK_TOKENS": "4000",
    "PREANNOTATION_OVERLAP_TOKENS": "0",
    "PREANNOTATION_MAX_IN_FLIGHT": "7",
    "PREANNOTATION_MIN_IN_FLIGHT": "2",
    "PREANNOTATION_ATTEMPTS": "9",
    "PREANNOTATION_FIRST_BACKOFF": ".5",
    "PREANNOTATION_MAX_FAILURE_RATE": "1",
    "PREANNOTATION_READ_TIMEOUT": "60",
    "PREANNOTATION_SHORTEST_TIMEOUT": "30.5",
    "PREANNOTATION_FLUSH_SECONDS": "0.2",
    "PREANNOTATION_MOST_ROWS_LOST": "0.25",
    "PREANNOTATION_GOLD": "majority",
    "PREANNOTATION_ACTION_COSTS": "add=3",
    "PREANNOTATION_BOOTSTRAP_SAMPLES": "200",
    "PREANNOTATION_SPARK_MASTER": "spark://m:7077",
    "PREANNOTATION_DRIVER_MEMORY": "900m",
    "PREANNOTATION_PERMIT_PORT": "7140",
    "PREANNOTATION_SPARK_CONFIG": "spark.a=1, spark.b = x=y",
}


def test_the_defaults_are_local() -> None:
    settings = read()
    assert settings == Settings()
    assert settings.ollama.endpoints == []
    assert settings.ollama.addresses() == ["http://127.0.0.1:11434"]
    assert settings.generation.model == "llama3.3:70b"
    assert (settings.asking.max_in_flight, settings.spark.master) == (None, "local[*]")
    assert settings.asking.stream is StreamChoice.auto
    assert Path(settings.storage.root).is_absolute()
    assert Path(settings.warehouse.database).is_absolute()
    assert Path(settings.labels.path).is_file()
    assert settings.storage.endpoint_url is None
    assert settings.chunking.chunk_tokens + settings.generation.num_predict < settings.generation.num_ctx
    assert settings.storage.pages_a_part == 2000


def test_every_variable_is_read() -> None:
    assert set(EVERY_VARIABLE) | {"AWS_DEFAULT_REGION"} == {
        variable for setting in settings_of(Settings) for variable in setting.variables
    }
    settings = read(**EVERY_VARIABLE)
    assert settings == Settings(
        warehouse=WarehouseSettings(
            database="md:ocr",
            batch_condition="doc_id LIKE $dataset",
            dataset_pattern=r"^(\p{L}+)_",
            memory_limit="2.5GB",
        ),
        watching=WatchingSettings(
            sensor_seconds=300, sensor_listing_seconds=7200, still_seconds=0, sensor_most_runs=3
        ),
        storage=StorageSettings(
            root="s3://bucket/some/prefix",
            endpoint_url="http://s3:9000",
            region="eu-central-1",
            pages_a_part=1000,
        ),
        labels=LabelSettings(path="/labels.yaml"),
        server_choice=ServerChoice(server=ServerKind.openai),
        ollama=OllamaSettings(endpoints=["http://gpu1:11434", "http://gpu2:80"], keep_alive="-1m"),
        openai=OpenAISettings(
            endpoints=["http://gpu1:8000", "https://gpu2/api"], revision="org/weights:4f2a"
        ),
        generation=GenerationSettings(
            model="qwen3:32b",
            num_ctx=16384,
            num_predict=1000,
            second_pass_below=0.55,
            self_reported=True,
        ),
        chunking=ChunkingSettings(chunk_tokens=4000, overlap_tokens=0),
        asking=AskingSettings(
            max_in_flight=7,
            stream=StreamChoice.always,
            min_in_flight=2,
            attempts=9,
            first_backoff=0.5,
            max_failure_rate=1.0,
            read_timeout=60.0,
            shortest_timeout=30.5,
            flush_seconds=0.2,
        ),
        publishing=PublishingSettings(most_rows_lost=0.25),
        evaluating=EvaluatingSettings(gold="majority", action_costs="add=3", bootstrap_samples=200),
        spark=SparkSettings(
            master="spark://m:7077",
            driver_memory="900m",
            permit_port=7140,
            spark_config={"spark.a": "1", "spark.b": "x=y"},
        ),
    )
    assert settings.storage.place() == ("s3://bucket/some/prefix", "http://s3:9000", "eu-central-1")
    for setting in settings_of(Settings):
        value = getattr(getattr(settings, setting.group), setting.name)
        assert value != setting.field.default, f"{setting.name} is tried with its default"


def test_the_second_name_of_a_setting_is_read_where_the_first_is_empty() -> None:
    settings = read(
        AWS_ENDPOINT_URL_S3=" ", AWS_ENDPOINT_URL="http://all:1", AWS_DEFAULT_REGION="eu-central-1"
    )
    assert settings.storage.endpoint_url == "http://all:1"
    assert settings.storage.region == "eu-central-1"


def test_the_process_s_own_environment_is_not_read_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREANNOTATION_MODEL", "other")
    monkeypatch.setenv("GENERATION", '{"model": "other"}')
    assert Settings().generation.model == read().generation.model == "llama3.3:70b"


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(**dict.fromkeys(EVERY_VARIABLE, " ")) == read()
    assert read(PREANNOTATION_MODLE="") == read()


@pytest.mark.parametrize("value", ["true", "1", "Yes", "y", "on"])
def test_the_model_s_own_word_is_asked_for_by_yes_and_by_nothing_else(value: str) -> None:
    assert not read().generation.self_reported
    assert not read(PREANNOTATION_SELF_REPORTED="no").generation.self_reported
    with pytest.raises(SettingsError, match=f"PREANNOTATION_SELF_REPORTED is '{value}': set it to yes or no"):
        read(PREANNOTATION_SELF_REPORTED=value)


def test_spark_s_properties_may_be_json() -> None:
    config = read(PREANNOTATION_SPARK_CONFIG='{"spark.a": "1,2", "spark.b": ""}').spark.spark_config
    assert config == {"spark.a": "1,2", "spark.b": ""}


@pytest.mark.parametrize(
    "value", ["hunter2", "=hunter2", "a=1,hunter2", '{"a": "hunter2', '{"a": 1}', '{"a": {}}']
)
def test_malformed_properties_are_refused_without_repeating_them(value: str) -> None:
    with pytest.raises(
        SettingsError, match="PREANNOTATION_SPARK_CONFIG is malformed: set it to key=value"
    ) as raised:
        read(PREANNOTATION_SPARK_CONFIG=value)
    assert "hunter2" not in repr(raised.value)


def test_paths_hold_in_another_folder_and_know_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of/somebody")
    settings = read(
        PREANNOTATION_DATABASE="ocr.duckdb", PREANNOTATION_ROOT="~/lake", PREANNOTATION_LABELS="labels.yaml"
    )
    monkeypatch.chdir("/")
    assert settings.warehouse.database == str(tmp_path / "ocr.duckdb")
    assert settings.labels.path == str(tmp_path / "labels.yaml")
    assert settings.storage.root == "/home/of/somebody/lake"
    assert read(PREANNOTATION_ROOT="file:///lake").storage.root == "file:///lake"


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
        {"AWS_ENDPOINT_URL": "https://h/?k=hunter2"},
        {"AWS_ENDPOINT_URL": "https://h/#hunter2"},
        {"PREANNOTATION_ROOT": "s3://key:hunter2@bucket"},
        {"PREANNOTATION_ROOT": "s3://key:hun/ter2@bucket/prefix"},
        {"PREANNOTATION_ROOT": "s3://key:hunter2"},
        {"PREANNOTATION_ROOT": "s3://bucket/prefix?secret=hunter2"},
        {"PREANNOTATION_ROOT": "https://key:hunter2@minio/bucket"},
        {"PREANNOTATION_SPARK_MASTER": "spark://u:hunter2@h:7077"},
        {"PREANNOTATION_SPARK_MASTER": "spark://u:hun/ter2@h:7077"},
        {"PREANNOTATION_SPARK_MASTER": "k8s://https://h:443?token=hunter2"},
        {"PREANNOTATION_SPARK_CONFIG": "spark.hadoop.fs.s3a.secret.key=hunter2"},
        {"PREANNOTATION_SPARK_CONFIG": '{"spark.ssl.keyPassword": "hunter2"}'},
        {"PREANNOTATION_SPARK_CONFIG": "spark.jars.repositories=https://u:hunter2@h/m2"},
        {"PREANNOTATION_DATABASE": "md:ocr?motherduck_token%3Dhunter2"},
        {"PREANNOTATION_DATABASE": "md:ocr?x=hunter2"},
        {"PREANNOTATION_DATABASE": "md:eyJhbGciOiJI.hunter2.x"},
        {"PREANNOTATION_DATABASE": "postgres://u:hunter2@h/db"},
        {"PREANNOTATION_DATABASE": "https://h/pages.duckdb?X-Amz-Signature=hunter2"},
        {"PREANNOTATION_LABELS": "https://u:hunter2@h/labels.yaml"},
        {"PREANNOTATION_LABELS": "https://h/labels.yaml?access_token=hunter2"},
        {"PREANNOTATION_MODEL": "https://u:hunter2@h/model"},
        {"AWS_REGION": "https://u:hunter2@h"},
    ],
)
def test_a_secret_in_an_address_is_refused_without_repeating_it(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**variables)
    assert "hunter2" not in repr(raised.value)
    assert raised.value.cure
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    "variables",
    [
        {"PREANNOTATION_ROOT": "s3://bucket/some/prefix"},
        {"PREANNOTATION_ROOT": "file:///data/a@b#c"},
        {"PREANNOTATION_ROOT": "/data/user@host?/lake"},
        {"PREANNOTATION_SPARK_MASTER": "k8s://https://h:443"},
        {"PREANNOTATION_SPARK_MASTER": "spark://h1:7077,h2:7077"},
        {"PREANNOTATION_SPARK_MASTER": "local-cluster[2,1,1024]"},
        {"PREANNOTATION_SPARK_CONFIG": "spark.kubernetes.authenticate.submission.oauthTokenFile=/run/t"},
        {"PREANNOTATION_DATABASE": "md:"},
        {"PREANNOTATION_DATABASE": "md:my_raw-ocr"},
        {"PREANNOTATION_DATABASE": "/data/a@b.duckdb"},
        {"AWS_ENDPOINT_URL": "https://minio:9000/path"},
        {"PREANNOTATION_MODEL": "hf.co/someone/model@main"},
    ],
)
def test_what_only_looks_a_little_like_a_secret_is_taken(variables: dict[str, str]) -> None:
    read(**variables)


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


@pytest.mark.parametrize("kind", ServerKind)
def test_every_kind_of_server_has_its_settings(kind: ServerKind) -> None:
    chosen = read(PREANNOTATION_SERVER=kind).model_servers
    assert isinstance(chosen, ServerSettings)
    assert chosen.addresses()
    assert chosen.server().kind


def test_other_servers_leave_the_rest_as_it_is() -> None:
    settings = read(PREANNOTATION_MODEL="m", PREANNOTATION_KEEP_ALIVE="5m")
    other = settings.with_servers(ServerKind.ollama, "gpu")
    assert other.ollama == OllamaSettings(endpoints=["http://gpu:11434"], keep_alive="5m")
    assert other.generation == settings.generation
    assert settings.ollama.endpoints == []


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
