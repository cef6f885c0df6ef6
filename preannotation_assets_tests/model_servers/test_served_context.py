import pytest

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.preflight import ModelIdentity, require_served_context
from preannotation_assets.model_servers.template import ModelOptions

OPTIONS = ModelOptions(context_tokens=4096, answer_tokens=400)


@pytest.mark.parametrize("served", [None, 4096, 32768])
def test_a_context_that_the_servers_allow_is_good(served: int | None) -> None:
    require_served_context(ModelIdentity("m", "digest", (), served), OPTIONS)


def test_a_context_that_is_longer_than_the_servers_allow_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"num_ctx is 4096.* 4095 tokens.*PREANNOTATION_NUM_CTX=4095 "):
        require_served_context(ModelIdentity("m", "digest", (), 4095), OPTIONS)
