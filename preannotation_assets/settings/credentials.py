"""Secrets where they do not belong: settings are stored and shown. Pure."""

import re
from typing import Final
from urllib.parse import unquote

__all__ = ["holds_credentials", "is_name_of_secret"]

_USER: Final = re.compile(r"://[^/?#\s]*@")
_PARAMETER: Final = re.compile(r"[?&;]([^?&;=\s]{1,60})=")
_NAME_OF_SECRET: Final = re.compile(
    r"secret|passw|token|credential|signature|access[._-]?key|api[._-]?key", re.I
)


def holds_credentials(text: str) -> bool:
    """Whether a text is an address with a user name or password in it, or with a parameter for a secret.

    Also where it is percent-encoded.
    """
    plain = unquote(text)
    return bool(_USER.search(plain)) or any(map(is_name_of_secret, _PARAMETER.findall(plain)))


def is_name_of_secret(name: str) -> bool:
    """Whether a property or parameter is for a secret, by what Spark redacts and what others call them."""
    return bool(_NAME_OF_SECRET.search(name))
