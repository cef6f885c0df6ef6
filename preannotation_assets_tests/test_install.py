"""Set-up takes packages from where the user told pip to take them, and from nowhere else."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "requirements" / "install.py"


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_locked", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_settings_only_the_strategy_is_told(install: ModuleType) -> None:
    assert install.uv_environment("") == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_every_setting_reaches_uv_under_its_own_name(install: ModuleType) -> None:
    translated = install.uv_environment(
        "global.index-url='https://packages.example/simple'\n"
        "global.extra-index-url='https://a.example https://b.example'\n"
        ":env:.find-links='/opt/wheels /mnt/wheels'\n"
        "install.trusted-host='packages.example'\n"
        "global.cert='/etc/ca.pem'\n"
        "global.timeout='30'\n"
    )
    assert translated == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://packages.example/simple",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_FIND_LINKS": "/opt/wheels,/mnt/wheels",
        "UV_INSECURE_HOST": "packages.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_HTTP_TIMEOUT": "30",
    }


def test_the_environment_wins_over_the_files_as_in_pip(install: ModuleType) -> None:
    printed = ":env:.index-url='https://env.example'\nglobal.index-url='https://file.example'\n"
    assert install.uv_environment(printed)["UV_DEFAULT_INDEX"] == "https://env.example"


def test_settings_that_change_nothing_about_the_source_are_passed_over(install: ModuleType) -> None:
    printed = "global.disable-pip-version-check='1'\nglobal.no-input='true'\nfreeze.timeout='10'\n"
    assert install.uv_environment(printed) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


@pytest.mark.parametrize(
    "setting", ["proxy='http://proxy.example'", "no-index='true'", "client-cert='/c.pem'"]
)
def test_a_setting_uv_has_no_word_for_leaves_the_work_to_pip(install: ModuleType, setting: str) -> None:
    assert install.uv_environment(f"global.{setting}\n") is None
