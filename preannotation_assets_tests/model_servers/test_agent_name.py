"""A model whose name Argilla refuses is told before anything is asked."""

import pytest

from preannotation_assets.errors import ModelError
from preannotation_assets.extraction.argilla_rules import agent_of, is_agent
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.model_servers.preflight import require_agent
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

PROMPT = build_prompt(
    parse_label_scheme(
        "name: test\nversion: 1\nlabels:\n  - name: port\n    definition: A port.\n", "test.yaml"
    )
)
DIGEST = "a6eb4748fd29" + 52 * "0"
LONGEST = 200 - len(f"/sha256:{DIGEST}/{PROMPT.version}")


def template(model: str, digest: str = DIGEST) -> RequestTemplate:
    return RequestTemplate(model, digest, PROMPT, ModelOptions(4096, 400))


@pytest.mark.parametrize("model", ["llama3.3:70b", "hf.co/a_b/c-d:Q4_K_M", "m" * LONGEST])
def test_a_name_that_argilla_takes_is_good(model: str) -> None:
    require_agent(template(model))
    assert is_agent(agent_of(model, template(model).model_version))


@pytest.mark.parametrize("model", ["m" * (LONGEST + 1), "m" * 300, "org/model@main", "a b", "modèle", "m\n"])
def test_another_name_is_refused_in_one_line_with_what_to_do(model: str) -> None:
    with pytest.raises(ModelError) as raised:
        require_agent(template(model))
    said = str(raised.value)
    assert f"at most {LONGEST} letters, digits and _:./-" in said
    assert "ollama cp" in said
    assert "PREANNOTATION_MODEL" in said
    assert "\n" not in said
    assert len(said) < 350


def test_a_longer_version_leaves_less_room_for_the_name() -> None:
    require_agent(template("m" * 90))
    with pytest.raises(ModelError, match=rf"at most {LONGEST - 36} letters"):
        require_agent(template("m" * 90, DIGEST + 36 * "0"))
