"""What one exchange with a server means, whatever is in it."""

import logging
from typing import Final

from preannotation_assets.extraction.answers import fits_labels, parse_answer
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.outcomes import Answered, Outcome, Reason, TooLong, Unusable
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["judge_exchange"]

_LOG: Final = logging.getLogger(__name__)


def judge_exchange(server: ModelServer, exchange: Exchange, template: RequestTemplate) -> Outcome:
    """What an exchange means to whoever asked with a template. Never raises.

    An answer of which no object has labels of the scheme is none, however whole its JSON is: a server that
    ignores the schema looks like that, and it must not be taken for one that found nothing.
    """
    if exchange.unreadable and exchange.is_reply:
        return Unusable(Reason.INVALID_ANSWER)
    try:
        return _for_scheme(server.read(exchange, template.model), template)
    except Exception as error:  # noqa: BLE001
        # What a server sends is its own choice. If a member of the package does not foresee it, the text that
        # was asked about bears it, and not the task with the answers to all others.
        _LOG.warning("a reply of %s could not be judged (%s)", exchange.endpoint, type(error).__name__)
        return Unusable(Reason.INVALID_ANSWER)


def _for_scheme(outcome: Outcome, template: RequestTemplate) -> Outcome:
    if isinstance(outcome, Answered):
        reply, quotes = outcome.reply, outcome.quotes
    elif isinstance(outcome, TooLong) and outcome.reason is Reason.ANSWER_TOO_LONG and outcome.reply:
        reply, quotes = outcome.reply, None
    else:
        return outcome
    if quotes is None:
        quotes = parse_answer(reply.content).quotes
    if fits_labels(quotes, template.prompt.labels):
        return outcome
    return Unusable(Reason.INVALID_ANSWER, reply)
