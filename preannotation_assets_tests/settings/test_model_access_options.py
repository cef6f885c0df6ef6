"""What the settings make of the options of a request."""

from preannotation_assets.model_servers.template import ModelOptions
from preannotation_assets.settings import Settings
from preannotation_assets.settings.model_access import model_access


def options(**variables: str) -> ModelOptions:
    settings = Settings.from_environment({f"PREANNOTATION_{name}": text for name, text in variables.items()})
    return model_access(settings.model_servers, settings.generation, settings.asking).options


def test_options_are_as_the_settings_say() -> None:
    assert options(NUM_CTX="8192", NUM_PREDICT="512", TEMPERATURE="0.5", SEED="9") == ModelOptions(
        context_tokens=8192, answer_tokens=512, temperature=0.5, seed=9
    )


def test_without_settings_they_are_those_that_answers_were_kept_under() -> None:
    assert options() == ModelOptions(context_tokens=12288, answer_tokens=3072)
    assert (options().temperature, options().seed) == (0.0, 1)
