"""Whose entry is whose in Ollama's lists of models."""

import pytest

from preannotation_assets.model_servers.ollama.model_lists import find_model, loaded_context, read_digest


@pytest.mark.parametrize(
    "name",
    ["smol-go", "SMOL-GO", "smol-go:latest", "Smol-Go:Latest", "library/smol-go",
     "registry.ollama.ai/library/smol-go", "https://Registry.Ollama.AI/library/smol-go:latest"],
)  # fmt: skip
def test_a_model_is_found_by_every_name_ollama_takes_for_it(name: str) -> None:
    for listed in ("smol-go:latest", "smol-go", "registry.ollama.ai/library/smol-go:latest"):
        tags = {
            "models": [7, {"name": 1}, {"name": "other:7b"}, {"name": listed, "digest": "sha256:" + "a" * 64}]
        }
        entry = find_model(tags, name)
        assert entry is not None
        assert read_digest(entry) == "a" * 64


@pytest.mark.parametrize(
    "name",
    ["smol-go:1b", "user/smol-go", "hf.co/library/smol-go", "smol-go2", "localhost:5000/library/smol-go", ""],
)
def test_another_model_is_not_taken_for_it(name: str) -> None:
    assert find_model({"models": [{"name": "smol-go:latest"}]}, name) is None
    assert find_model({"models": "nonsense"}, name) is None


def test_a_port_is_no_tag() -> None:
    tags = {"models": [{"name": "localhost:5000/library/smol-go:latest"}]}
    assert find_model(tags, "localhost:5000/library/smol-go") is not None
    assert read_digest({"name": "smol-go"}) == ""


@pytest.mark.parametrize(
    "digest", ["the words of a page", "a" * 64 + "\n", "a" * 129, "abc", "sha256:", 7, None]
)
def test_what_is_no_digest_is_not_shown_as_one(digest: object) -> None:
    assert read_digest({"digest": digest}) == ""


def test_the_loaded_context_is_found_by_name_or_by_manifest() -> None:
    loaded = {"models": [{"name": "smol:latest", "digest": "a" * 64, "context_length": 8192}, {"name": "x"}]}
    assert loaded_context(loaded, "SMOL", "b" * 64) == 8192
    assert loaded_context(loaded, "copy-of-smol", "a" * 64) == 8192
    for unknown in (loaded, {}, {"models": [3]}, {"models": [{"name": "other", "context_length": "x"}]}):
        assert loaded_context(unknown, "other", "c" * 64) is None
