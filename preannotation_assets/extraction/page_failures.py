"""Why a page whose text is good has no suggestions, where it is not that a question has no answer."""

from enum import StrEnum

__all__ = ["PageFailure"]


class PageFailure(StrEnum):
    """What a failed page is listed with, besides a ``TextFault`` and the ``Reason`` of a text of it.

    ``NOT_ASKED`` is a page of which no text has an answer or a failure, ``UNKNOWN`` one with a failure that
    does not say why, ``TOO_MANY_SPANS`` one with more spans than Argilla takes of a page.
    """

    NOT_ASKED = "not_asked"
    UNKNOWN = "unknown"
    TOO_MANY_SPANS = "too_many_spans"
