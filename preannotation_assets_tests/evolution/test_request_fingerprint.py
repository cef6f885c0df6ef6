"""The names of questions, as literals: another name asks everything anew that was ever asked."""

from evolution.frozen_lake import (
    Message,
    ModelOptions,
    Prompt,
    RequestTemplate,
    build_prompt,
    default_prompt,
    default_scheme,
    request_key,
    text_sha256,
)

PROMPT = Prompt(
    version="spans-0-000000000000",
    fingerprint="0" * 64,
    constant_messages=(Message("system", "Mark the ports."),),
    answer_schema={"type": "object"},
    constant_tokens=10,
    labels=frozenset({"port"}),
)
TEMPLATE = RequestTemplate(
    "llama3.3:70b", "d" * 64, PROMPT, ModelOptions(context_tokens=4096, answer_tokens=512)
)


def test_a_hand_written_question_keeps_its_name() -> None:
    assert TEMPLATE.fingerprint == "4be2923d2743d3fec56e512a03ca3e91482f48d60bbfdc1bcaae6a9a3ad13e42"
    assert (
        text_sha256("Arrived at Göteborg.\r\n")
        == "c90f067d5df2c241e17aa8394af13406f0cf07d67d8238f3708215cbd3a36a1b"
    )
    assert (
        request_key(TEMPLATE.fingerprint, text_sha256("Arrived at Göteborg.\r\n"))
        == "6d96f30cf99d2bf55adb8601e27517ab4cc22f7bd514de006cbc8b3a6fafd3ab"
    )


def test_its_second_pass_keeps_its_name() -> None:
    assert (
        TEMPLATE.for_second_pass().fingerprint
        == "b857b6a5d81f980c4424638631b167c170ef3bda65a72d757636a40cf3d0e46d"
    )


def test_other_options_are_another_question_with_a_name_of_its_own() -> None:
    options = ModelOptions(context_tokens=12_288, answer_tokens=3_072, temperature=0.5, seed=42)
    assert (
        RequestTemplate("m", "e" * 64, PROMPT, options).fingerprint
        == "6959efb4c4f2e885615813dc4f2aa83fdff32cdc5dd8481b78ec6388ef4d5ea1"
    )


def test_the_label_scheme_in_the_package_keeps_its_name() -> None:
    """Changed on purpose, by a better prompt or another label? Then the literals change with it."""
    prompt = default_prompt()
    assert prompt.fingerprint == "0f1efb1462058f397e9c03734497334c341e32003690cfb6042fd22a0325d64e"
    options = ModelOptions(context_tokens=12_288, answer_tokens=3_072)
    assert (
        RequestTemplate("llama3.3:70b", "d" * 64, prompt, options).fingerprint
        == "cdb0191d5a196ebaaf54c8fae7f411b57bff6d25376ade3c67e4076e520ed6a3"
    )


def test_a_scheme_with_its_empty_example_last_keeps_its_name_and_its_order() -> None:
    """Users have copies of the scheme as it was; what was answered to them is not asked again."""
    scheme = default_scheme()
    empty, *marked = scheme.examples
    prompt = build_prompt(scheme.model_copy(update={"examples": (*marked, empty)}))
    assert prompt.constant_messages[-1].content == '{"spans":[]}'
    assert prompt.fingerprint == "8934c1fb3a384d8bb6a4e247ee24ca4e5d8d0b2e49d64291c4b4f53db099feb2"
    options = ModelOptions(context_tokens=12_288, answer_tokens=3_072)
    assert (
        RequestTemplate("llama3.3:70b", "d" * 64, prompt, options).fingerprint
        == "e43b8fdaaf377a1b968b38ea000f139f02d0d0c53e315b8ac0d8bd9c2ac8b55f"
    )
