"""Which addresses of an S3-compatible server are usable: the settings and the lake ask alike."""

from urllib.parse import urlsplit

from preannotation_assets.errors import SettingsError

__all__ = ["check_endpoint"]


def check_endpoint(endpoint_url: str | None) -> None:
    """Refuses an endpoint that is no http(s) address, or that carries a user name, a password or parameters.

    Raises:
        SettingsError: the endpoint is not usable; the message does not repeat it.
    """
    if endpoint_url is None:
        return
    try:
        parts = urlsplit(endpoint_url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        # Half a bracket.
        good = False
    if not good:
        raise SettingsError("the S3 endpoint is not an http(s) address", "check AWS_ENDPOINT_URL")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("the S3 endpoint carries credentials", "use boto3's standard credential chain")
    if "?" in endpoint_url or "#" in endpoint_url:
        raise SettingsError("the S3 endpoint carries parameters", "use boto3's standard credential chain")
