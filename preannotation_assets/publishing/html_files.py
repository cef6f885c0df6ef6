"""What all HTML of ours has in common: everything escaped, and nothing asked of anybody."""

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from preannotation_assets.publishing.shown_ids import shown_id

__all__ = ["content_policy", "template_environment"]


def content_policy(style: str, script: str) -> str:
    """What a page may do: run its own script, in its own style, and ask nobody for anything."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_allowed(script)}",
            f"style-src {_allowed(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _allowed(source: str) -> str:
    digest = hashlib.sha256(source.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def template_environment(package: str) -> Environment:
    """The templates of a package, with the filter ``shown`` for ids and names from outside.

    One for the whole process, which keeps what it has compiled.
    """
    environment = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["shown"] = shown_id
    return environment
