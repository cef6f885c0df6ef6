"""Names of models: compared as Ollama compares them, and listed as it lists them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.simulator import SimulatedModel, SimulatorSettings
from preannotation_assets.simulator.names import parse_name, parse_reference

PARTS = st.text("abzAZ019_-", min_size=1, max_size=10).filter(lambda part: part[0] != "-")


def test_every_spelling_is_the_same_model(start: Any) -> None:
    talk = start(SimulatorSettings(models=(SimulatedModel("smol-go"),)))
    spellings = (
        "smol-go",
        "SMOL-GO",
        "smol-go:latest",
        "Smol-Go:LATEST",
        "library/smol-go",
        "registry.ollama.ai/library/smol-go:latest",
        "https://Registry.Ollama.AI/library/smol-go",
        "smol-go:local",
    )
    for spelling in spellings:
        reply = talk.chat(model=spelling)
        assert (reply.status_code, reply.json()["model"]) == (200, spelling)
    assert [record.has_loaded for record in talk.simulator.requests()] == [True] + [False] * 7
    assert [model["name"] for model in talk.client.get("/api/ps").json()["models"]] == ["smol-go:latest"]
    assert talk.generate("", model="LIBRARY/SMOL-GO", keep_alive=0).json()["done_reason"] == "unload"
    assert talk.client.get("/api/ps").json() == {"models": []}


@pytest.mark.parametrize("name", ["smol-go:1b", "other/smol-go", "example.com/library/smol-go"])
def test_another_tag_or_place_is_another_model(start: Any, name: str) -> None:
    talk = start(SimulatorSettings(models=(SimulatedModel("smol-go"),)))
    response = talk.chat(model=name)
    assert (response.status_code, response.json()) == (404, {"error": f"model '{name}' not found"})


def test_lists_show_tag_lengths_and_capabilities(start: Any) -> None:
    models = (
        SimulatedModel("smol-go", context_length=8_192, embedding_length=576),
        SimulatedModel("registry.ollama.ai/library/qwq:32b", is_thinking=True),
        SimulatedModel("hf.co/someone/smol"),
    )
    listed = start(SimulatorSettings(models=models)).client.get("/api/tags").json()["models"]
    names = ["smol-go:latest", "qwq:32b", "hf.co/someone/smol:latest"]
    assert [(model["name"], model["model"]) for model in listed] == [(name, name) for name in names]
    assert listed[0]["details"]["context_length"] == 8_192
    assert listed[0]["details"]["embedding_length"] == 576
    assert listed[0]["capabilities"] == ["completion", "tools"]
    assert "thinking" in listed[1]["capabilities"]


def test_two_names_of_one_blob_share_a_runner(start: Any) -> None:
    models = (SimulatedModel("smol-go", weights="135M"), SimulatedModel("smol", weights="135M"))
    talk = start(SimulatorSettings(models=models))
    for name in ("smol", "smol-go", "smol"):
        assert talk.chat(model=name).json()["model"] == name
    assert [record.has_loaded for record in talk.simulator.requests()] == [True, False, False]
    assert [model["name"] for model in talk.client.get("/api/ps").json()["models"]] == ["smol:latest"]
    digests = {model["digest"] for model in talk.client.get("/api/tags").json()["models"]}
    assert len(digests) == 2


def test_models_that_cannot_be() -> None:
    for wrong in ({"name": "a b"}, {"name": "a", "preamble": "\n"}):
        with pytest.raises(SettingsError):
            SimulatedModel(**wrong)
    with pytest.raises(SettingsError):
        SimulatedModel("a", is_jinja=True, preamble="Here it is: ")


@given(PARTS, PARTS, PARTS, PARTS)
def test_a_name_in_full_is_read_part_by_part(host: str, namespace: str, model: str, tag: str) -> None:
    name = parse_name(f"{host}/{namespace}/{model}:{tag}")
    assert name is not None
    assert (name.host, name.namespace, name.model, name.tag) == (host, namespace, model, tag)
    again = parse_name(name.shortest.upper())
    assert again is not None
    assert again.key == name.key


@given(st.text("aB/:. -@", max_size=12) | st.text(max_size=12))
def test_what_is_read_as_a_name_can_be_shown_and_read_again(text: str) -> None:
    name = parse_name(text)
    shown = parse_name(name.shortest) if name else None
    assert (shown.key if shown else None) == (name.key if name else None)


@pytest.mark.parametrize("text", ["", "/a", "a/", "a:", ":a", "a//b", "-a", "a b", "é", "a.b/c", "x" * 81])
def test_what_is_no_name(text: str) -> None:
    assert parse_name(text) is None


@pytest.mark.parametrize(
    ("text", "shortest", "is_cloud"),
    [
        ("a:cloud", "a:latest", True),
        ("a:120b-cloud", "a:120b", True),
        (" a:CLOUD ", "a:latest", True),
        ("a-cloud", "a-cloud:latest", False),
        ("a:70b:local", "a:70b", False),
        ("a:70b", "a:70b", False),
    ],
)
def test_suffixes_of_a_request(text: str, shortest: str, is_cloud: bool) -> None:
    reference = parse_reference(text)
    assert reference is not None
    assert (reference.name.shortest, reference.is_cloud) == (shortest, is_cloud)
