"""Any environment is read or refused in a line that repeats no secret and no more than it must."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing.mutations import fuzz, refusal
from preannotation_assets.errors import BatchError, SettingsError
from preannotation_assets.lake.layout import validate_dataset
from preannotation_assets.lake.objects import parse_root
from preannotation_assets.settings import ServerKind, Settings
from preannotation_assets.settings.fields import settings_of

SECRET: Final = "qzxwvqzxwvqzxwv"
VARIABLES: Final = sorted({name for setting in settings_of(Settings) for name in setting.variables})
ODD: Final = st.one_of(
    st.sampled_from(
        [
            "0", "-1", "1e9", "1e999", "nan", "inf", "9" * 5000, "1_000", "yes", "[]", "{}", "null", "a,b",
            ",", " ", "http://", "http://[", "http://[::1", "http://a:99999999999", "s3://", "s3:///",
            "file://", "md:", "md:?a=b", "local[*", "[" * 3000, '{"a":' * 3000, "%00", "\ud800", "é",
            "0" * 100_000, "1GB", "1 XB", "(", "(a", "\\p{",
        ]
    ),
    st.text(st.characters(exclude_characters="\0"), max_size=20),
)  # fmt: skip


@pytest.mark.parametrize("kind", ["", *(kind.value for kind in ServerKind)])
@given(changes=st.dictionaries(st.sampled_from(VARIABLES), ODD, min_size=1, max_size=3))
@fuzz(120)
def test_any_environment_gives_settings_or_one_line(kind: str, changes: dict[str, str]) -> None:
    environment = {"PREANNOTATION_SERVER": kind, **changes}

    def read() -> None:
        settings = Settings.from_environment(environment)
        settings.storage.place()
        assert settings.asking.attempts >= 1

    assert len(str(refusal(read, SettingsError))) < 6000


@pytest.mark.parametrize(
    "address", ["https://u:{}@h", "https://h/?k={}", "https://h/#{}", "http://{}@[::1]:1"]
)
@pytest.mark.parametrize(
    "variable", ["OLLAMA_HOST", "PREANNOTATION_OLLAMA_ENDPOINTS", "PREANNOTATION_SERVER_URLS"]
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(variable: str, address: str) -> None:
    kind = "openai" if variable == "PREANNOTATION_SERVER_URLS" else "ollama"
    environment = {"PREANNOTATION_SERVER": kind, variable: address.format(SECRET)}
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(environment)
    assert SECRET not in str(raised.value)


@given(root=ODD)
@fuzz(100)
def test_any_root_is_a_place_or_refused(root: str) -> None:
    refusal(lambda: parse_root(root).uri, SettingsError)


@given(ODD)
@fuzz(100)
def test_any_dataset_name_is_plain_or_refused(name: str) -> None:
    if refusal(lambda: validate_dataset(name), BatchError) is None:
        assert name.isascii()
        assert "/" not in name
