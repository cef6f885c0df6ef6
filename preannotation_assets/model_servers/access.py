"""Who is told which secret, whichever kind of server it is. Pure.

A secret goes only to an endpoint that the environment itself names, so that nobody who can start a run or a
command with other addresses gets it. Who sends a request reads the secrets from its own environment.
"""

from collections.abc import Iterable, Mapping

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import ACCESS_VARIABLES, KEY_VARIABLE, OLLAMA, OPENAI
from preannotation_assets.model_servers.networks import Reach, reach_of, url_of

__all__ = ["access_headers", "key_headers"]


def access_headers(endpoint: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The service-token headers of Cloudflare Access, where both variables are set.

    They go over https to endpoints that the environment names, and in clear only within this machine.

    Raises:
        SettingsError: one of them has characters that no header can carry, or an address is malformed.
    """
    client_id, secret = (_read_secret(environment, variable) for variable in ACCESS_VARIABLES)
    if not (client_id and secret):
        return {}
    is_safe = _is_encrypted(endpoint) or reach_of(endpoint, environment) is Reach.LOOPBACK
    if not (is_safe and _is_one_of(endpoint, [*OLLAMA.named(environment), *OPENAI.named(environment)])):
        return {}
    return {"CF-Access-Client-Id": client_id, "CF-Access-Client-Secret": secret}


def key_headers(endpoint: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The key of OpenAI-compatible servers as a bearer token, where it is set.

    It goes to endpoints that the environment names as such servers, over https or within a private network.

    Raises:
        SettingsError: it has characters that no header can carry, or an address is malformed.
    """
    key = _read_secret(environment, KEY_VARIABLE)
    if not key:
        return {}
    is_safe = _is_encrypted(endpoint) or reach_of(endpoint, environment) is not Reach.PUBLIC
    if not (is_safe and _is_one_of(endpoint, OPENAI.named(environment))):
        return {}
    return {"Authorization": f"Bearer {key}"}


def _is_encrypted(endpoint: str) -> bool:
    return endpoint.startswith("https://")


def _is_one_of(endpoint: str, named: Iterable[str]) -> bool:
    """Whether an endpoint is named, with its scheme's port or without."""
    return url_of(endpoint) in map(url_of, named)


def _read_secret(environment: Mapping[str, str], variable: str) -> str:
    """What a header is to carry, without white space around it; "" where the variable is not set.

    Raises:
        SettingsError: it has characters that no header can carry. The message does not repeat it.
    """
    secret = environment.get(variable, "").strip()
    if not all("!" <= character <= "~" for character in secret):
        raise SettingsError(f"{variable} is malformed", "it may hold visible ASCII characters only")
    return secret
