"""Every setting, read from the environment in one place.

Secrets (``CF_ACCESS_CLIENT_SECRET``, ``motherduck_token``, ``AWS_*``) are not settings: whoever needs
one reads it from the environment at the moment of use, so that it cannot reach a configuration that
Dagster stores and shows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import regex

from preannotation_assets.errors import SettingsError
from preannotation_assets.lake import StoreLocation
from preannotation_assets.lake.objects import check_endpoint

__all__ = ["DEFAULT_ENDPOINT", "Settings", "parse_endpoint"]

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:11434"
_OLLAMA_PORT: Final = 11434
# A server binds to a wildcard address; a client cannot connect to one everywhere.
_LOOPBACK_FOR: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_DEFAULT_LABELS: Final = Path(__file__).parent / "label_schemes" / "vessels.yaml"
_STREAM_CHOICES: Final = ("auto", "always", "never")
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]\\]*)(:\d{1,5})?")
_SPACE: Final = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one deployment; the defaults are local.

    ``endpoints`` is empty where none is configured. ``max_in_flight`` is requests an endpoint;
    ``chunk_tokens``, ``overlap_tokens``, ``num_ctx`` and ``num_predict`` are tokens;
    ``second_pass_below`` is a probability, None for no second pass; ``self_reported`` asks the model for a
    digit behind every quote.
    """

    database: str
    root: str
    labels: str
    endpoints: tuple[str, ...]
    model: str
    max_in_flight: int
    spark_master: str
    batch_condition: str
    dataset_pattern: str
    chunk_tokens: int
    overlap_tokens: int
    num_ctx: int
    num_predict: int
    second_pass_below: float | None
    self_reported: bool
    stream: str
    aws_endpoint_url: str | None
    aws_region: str | None

    def location(self) -> StoreLocation:
        """Where the lake is."""
        return StoreLocation(self.root, self.aws_endpoint_url, self.aws_region)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads the settings; an empty variable counts as unset.

        Raises:
            SettingsError: a value is malformed; the message names the variable.
        """

        def text(name: str, default: str) -> str:
            return environment.get(name, "").strip() or default

        def number(name: str, default: int, minimum: int) -> int:
            return _parse_number(name, text(name, str(default)), minimum)

        return cls(
            database=_parse_database(text("PREANNOTATION_DATABASE", "data/md_raw_ocr.duckdb")),
            root=_parse_root(text("PREANNOTATION_ROOT", "data/lake")),
            labels=_absolute(text("PREANNOTATION_LABELS", str(_DEFAULT_LABELS))),
            endpoints=_parse_endpoints(environment),
            model=text("PREANNOTATION_MODEL", "llama3.3:70b"),
            max_in_flight=number("PREANNOTATION_MAX_IN_FLIGHT", 4, 1),
            spark_master=text("PREANNOTATION_SPARK_MASTER", "local[*]"),
            batch_condition=text("PREANNOTATION_BATCH_CONDITION", ""),
            dataset_pattern=_parse_pattern(
                text("PREANNOTATION_DATASET_PATTERN", r"^(vessels_ocr_[\p{L}\p{N}]+)")
            ),
            chunk_tokens=number("PREANNOTATION_CHUNK_TOKENS", 6000, 64),
            overlap_tokens=number("PREANNOTATION_OVERLAP_TOKENS", 200, 0),
            num_ctx=number("PREANNOTATION_NUM_CTX", 12288, 512),
            num_predict=number("PREANNOTATION_NUM_PREDICT", 3072, 16),
            second_pass_below=_parse_share(
                "PREANNOTATION_SECOND_PASS_BELOW", text("PREANNOTATION_SECOND_PASS_BELOW", "")
            ),
            self_reported=_parse_yes(
                "PREANNOTATION_SELF_REPORTED", text("PREANNOTATION_SELF_REPORTED", "no")
            ),
            stream=_one_of("PREANNOTATION_STREAM", text("PREANNOTATION_STREAM", "auto"), _STREAM_CHOICES),
            aws_endpoint_url=_parse_s3_endpoint(text("AWS_ENDPOINT_URL_S3", text("AWS_ENDPOINT_URL", ""))),
            aws_region=text("AWS_REGION", text("AWS_DEFAULT_REGION", "")) or None,
        )


def parse_endpoint(address: str) -> str:
    """An Ollama address as its users write it, as a base URL without a trailing slash.

    As in Ollama's own client: without a scheme the port is 11434, with ``http`` it is 80 and with
    ``https`` 443; the wildcard addresses a server binds to mean this machine.

    Raises:
        SettingsError: not an http(s) address, or it carries a user name, a password or parameters. The
            message does not repeat the address, which may hold a secret.
    """
    has_scheme = "://" in address
    shown = f"[{address}]" if _is_ipv6(address) else address
    parts = _split_address(shown if has_scheme else f"http://{shown}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "an Ollama endpoint has a user name, a password or parameters in it",
            "keep secrets out of OLLAMA_HOST and PREANNOTATION_OLLAMA_ENDPOINTS",
        )
    host = _LOOPBACK_FOR.get(parts.hostname or "", parts.hostname)
    shown_host = f"[{host}]" if host and ":" in host else host
    port = parts.port if has_scheme else parts.port or _OLLAMA_PORT
    shown_port = "" if port is None else f":{port}"
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True


def _split_address(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        place = parts.netloc.rpartition("@")[2]
        good = place != "" and _HOST_AND_PORT.fullmatch(place) is not None and parts.port != 0
    except ValueError:
        # Half a bracket, or a port above 65535.
        good = False
    if not good or parts.scheme not in {"http", "https"} or _SPACE.search(parts.path):
        raise SettingsError(
            "an Ollama endpoint is not an http(s) address",
            "write HOST, HOST:PORT or http(s)://HOST:PORT in OLLAMA_HOST or PREANNOTATION_OLLAMA_ENDPOINTS",
        )
    return parts


def _parse_endpoints(environment: Mapping[str, str]) -> tuple[str, ...]:
    listed = environment.get("PREANNOTATION_OLLAMA_ENDPOINTS", "").split(",")
    addresses = [address.strip() for address in listed if address.strip()]
    if not addresses and environment.get("OLLAMA_HOST", "").strip():
        addresses = [environment["OLLAMA_HOST"].strip()]
    return tuple(dict.fromkeys(parse_endpoint(address) for address in addresses))


def _parse_number(name: str, value: str, minimum: int) -> int:
    if not re.fullmatch(r"\d{1,9}", value) or int(value) < minimum:
        raise SettingsError(f"{name} is {value!r}", f"set it to a whole number of at least {minimum}")
    return int(value)


def _parse_share(name: str, value: str) -> float | None:
    """A number above 0 and up to 1; None where nothing is said."""
    if not value:
        return None
    if not re.fullmatch(r"[01]|[01]?\.\d{1,9}", value) or not 0.0 < float(value) <= 1.0:
        raise SettingsError(f"{name} is {value!r}", "set it to a number above 0, up to 1, such as 0.5")
    return float(value)


def _parse_yes(name: str, value: str) -> bool:
    return _one_of(name, value, ("yes", "no")) == "yes"


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}", f"set it to one of {', '.join(choices)}")
    return value


def _parse_database(value: str) -> str:
    if "token=" in value.lower():
        raise SettingsError(
            "PREANNOTATION_DATABASE has a token in it", "put the token into the variable motherduck_token"
        )
    return value if value.startswith("md:") else _absolute(value)


def _parse_root(value: str) -> str:
    return value if "://" in value else _absolute(value)


def _absolute(path: str) -> str:
    """From the present folder or the user's home: who reads the settings may run in another folder."""
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        raise SettingsError(f"nobody knows the home folder in {path!r}", "write the whole path") from None


def _parse_s3_endpoint(value: str) -> str | None:
    try:
        check_endpoint(value or None)
    except ValueError:
        raise SettingsError("the S3 endpoint is not an http(s) address", "check AWS_ENDPOINT_URL") from None
    return value or None


def _parse_pattern(value: str) -> str:
    try:
        groups = regex.compile(value).groups
    except regex.error:
        groups = 0
    if not groups:
        raise SettingsError(
            f"PREANNOTATION_DATASET_PATTERN is {value!r}",
            "give a regular expression whose first group is the dataset",
        )
    return value
