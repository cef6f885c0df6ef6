"""The file of variants: settings as the environment has them, and every mistake with its line."""

from pathlib import Path

import pytest

from preannotation_assets.comparing.variants import Variant, read_variants
from preannotation_assets.errors import SettingsError
from preannotation_assets.settings import ServerKind

ENVIRONMENT = {"PREANNOTATION_MODEL": "large:70b", "PREANNOTATION_OVERLAP_TOKENS": "100"}


def read(tmp_path: Path, text: str) -> list[Variant]:
    (tmp_path / "variants.yaml").write_text(text, "utf-8")
    return read_variants(str(tmp_path / "variants.yaml"), ENVIRONMENT)


def test_a_variant_changes_what_it_names_and_the_batch_comes_first(tmp_path: Path) -> None:
    batch, small = read(
        tmp_path,
        "variants:\n  small:\n    model: small:3b\n    server: openai\n"
        "    server_urls: [http://127.0.0.1:1, http://127.0.0.1:2]\n    num_ctx: 4096\n"
        "    self_reported: yes\n    second_pass_below: 0.5\n    temperature: 0.3\n    seed: 4\n",
    )
    assert (batch.name, batch.changes, batch.settings.generation.model) == ("batch", {}, "large:70b")
    assert (small.name, small.settings.generation.model) == ("small", "small:3b")
    assert small.settings.server_choice.server is ServerKind.openai
    assert small.settings.model_servers.endpoints == ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    assert small.settings.generation.num_ctx == 4096
    assert small.settings.generation.self_reported is True
    assert small.settings.generation.second_pass_below == 0.5
    assert (small.settings.generation.temperature, small.settings.generation.seed) == (0.3, 4)
    assert small.settings.chunking.overlap_tokens == 100
    assert small.changes["server_urls"] == "http://127.0.0.1:1,http://127.0.0.1:2"


def test_the_file_may_name_its_own_baseline_and_set_things_back(tmp_path: Path) -> None:
    first, second = read(
        tmp_path,
        "baseline: b\nvariants:\n  a:\n  b: {model: }\n",
    )
    assert (first.name, second.name) == ("b", "a")
    assert first.settings.generation.model == "llama3.3:70b"
    assert second.settings.generation.model == "large:70b"


def test_a_cascade_is_compared_where_the_file_has_one_and_not_as_the_environment_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("CASCADE_MODEL", "tiny:1b"), ("CASCADE_THRESHOLD", "0.5")):
        monkeypatch.setitem(ENVIRONMENT, f"PREANNOTATION_{name}", text)
    batch, small, first = read(
        tmp_path,
        "variants:\n  small: {model: tiny:1b}\n"
        "  small first: {cascade_model: tiny:1b, cascade_threshold: 0.8, cascade_doubts: [empty]}\n",
    )
    assert (batch.settings.cascade.model, small.settings.cascade.model) == ("", "")
    assert (first.settings.generation.model, first.settings.cascade.model) == ("large:70b", "tiny:1b")
    assert (first.settings.cascade.threshold, first.settings.cascade.doubts) == (0.8, ["empty"])


def test_settings_that_only_fit_together_are_taken_together(tmp_path: Path) -> None:
    _, cut = read(tmp_path, "variants:\n  cut:\n    chunk_tokens: 150\n    overlap_tokens: 20\n")
    assert (cut.settings.chunking.chunk_tokens, cut.settings.chunking.overlap_tokens) == (150, 20)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("variants:\n  a:\n    modell: x\n", 3, "the nearest of those that may differ is model"),
        ("variants:\n  a:\n    root: /elsewhere\n", 3, "`root` is no setting that a variant may change"),
        ("variants:\n  a:\n    gold: majority\n", 3, "`gold` is no setting"),
        ("variants:\n  a:\n    model: x\n    num_ctx: 12\n", 4, "at least 512"),
        ("variants:\n  a:\n    num_ctx: many\n", 3, "a whole number"),
        ("variants:\n  a:\n    model: x\n    chunk_tokens: 150\n", 4, "do not fit"),
        ("variants:\n  a:\n    server: ollamma\n", 3, "one of ollama, openai"),
        ("variants:\n  a:\n    labels: {a: b}\n", 3, "more than a value"),
        ("variants:\n  a:\n    cascade_model: tiny:1b\n", 3, "has no threshold"),
        ("variants:\n  a: [model]\n", 2, "variant a is no list of settings"),
        ("variants:\n  batch:\n    model: x\n", 2, "not batch"),
        ("variants:\n  a:\n    model: x\n  a:\n    model: y\n", 4, "a name stands twice"),
        ("baseline: c\nvariants:\n  a:\n    model: x\n", 1, "name one of a"),
        ("variants:\n  a:\nprices: 3\n", 3, "`prices` is no part of it"),
        ("variants:\n", 1, "there are no variants"),
        ("variants: {}\n", 1, "there are no variants"),
        ("- a\n", 1, "there are no variants"),
        ("", 1, "there are no variants"),
        ("variants:\n  a:\n    model: 'x\n", 3, "not YAML"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, text)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'variants.yaml'}:{line}: ")
    assert said in message
    assert "\n" not in message


def test_an_address_with_a_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, "variants:\n  a:\n    ollama_endpoints: http://me:hunter2@host:1\n")
    assert "variants.yaml:3: " in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give a YAML file in UTF-8"):
        read_variants(str(tmp_path / "none.yaml"), ENVIRONMENT)
