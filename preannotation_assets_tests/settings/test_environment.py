from pathlib import Path

import pytest
from read_settings import EVERY_SETTING, EVERY_VARIABLE, read

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.stream_choice import StreamChoice
from preannotation_assets.settings import (
    OllamaSettings,
    ServerKind,
    ServerSettings,
    Settings,
)
from preannotation_assets.settings.fields import settings_of


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
    assert read(PREANNOTATION_CALIBRATION="here.json").publishing.calibration == str(
        Path("here.json").absolute()
    )
    assert Path(settings.labels.path).is_file()
    assert settings.storage.endpoint_url is None
    assert settings.chunking.chunk_tokens + settings.generation.num_predict < settings.generation.num_ctx
    assert settings.storage.pages_a_part == 2000


def test_every_variable_is_read() -> None:
    assert set(EVERY_VARIABLE) == {
        variable for setting in settings_of(Settings) for variable in setting.variables
    }
    settings = read(**EVERY_VARIABLE)
    assert settings == EVERY_SETTING
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
