"""What only the stand-in has: ``/simulator`` tells what it was asked and takes faults at run time."""

from collections.abc import Callable
from dataclasses import asdict

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from preannotation_assets.simulator.edge import json_response
from preannotation_assets.simulator.faults import FaultRule, FaultSchedule
from preannotation_assets.simulator.journal import Journal, RequestRecord, Summary
from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.replies import encode
from preannotation_assets.simulator.requests import parse_body
from preannotation_assets.simulator.values import JsonValue

__all__ = ["OWN_PATH", "Introspection", "parse_rules"]

OWN_PATH = "/simulator"
_NOTICE = (
    "This is a stand-in for {0}. It speaks its protocol; its answers come from rules and word "
    "lists, with mistakes on purpose, and not from a language model. No claim about the quality of any "
    "model can be made from them. /simulator/requests and /simulator/summary tell what it was asked.\n"
)
_RULES = TypeAdapter(tuple[FaultRule, ...])


def parse_rules(rules: JsonValue) -> tuple[FaultRule, ...]:
    """Fault rules from JSON: a list of objects with the fields of ``FaultRule``.

    Raises ``RefusedError`` (400) for an unknown fault or a field of the wrong type.
    """
    try:
        return _RULES.validate_python(rules)
    except ValidationError as invalid:
        places = ", ".join(".".join(map(str, error["loc"])) for error in invalid.errors())
        raise RefusedError(400, f"invalid fault rules at: {places}") from None


class Introspection:
    """The server's own routes, and the same for callers in its process."""

    def __init__(
        self,
        stands_for: str,
        journal: Journal,
        faults: FaultSchedule,
        first_faults: tuple[FaultRule, ...],
        forget: Callable[[], None],
    ) -> None:
        """Speak for one server, a stand-in for ``stands_for``.

        A reset puts ``first_faults`` in force again and calls ``forget``.
        """
        self._stands_for = stands_for
        self._journal = journal
        self._schedule = faults
        self._first_faults = first_faults
        self._forget = forget

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes under ``/simulator``."""
        router.add_get(OWN_PATH, self._notice)
        router.add_get(f"{OWN_PATH}/requests", self._requests)
        router.add_get(f"{OWN_PATH}/summary", self._summary)
        router.add_post(f"{OWN_PATH}/faults", self._faults)
        router.add_post(f"{OWN_PATH}/reset", self._reset)

    def records(self) -> tuple[RequestRecord, ...]:
        """What happened to every request, in order of arrival."""
        return self._journal.records

    def summary(self) -> Summary:
        """Counts and peaks."""
        return self._journal.summary()

    def set_faults(self, rules: tuple[FaultRule, ...]) -> None:
        """Put fault rules in force; requests are counted from 1 again."""
        self._schedule.set_rules(rules)

    def reset(self) -> None:
        """Forget records and changes of the model, and put the faults of the settings in force again."""
        self._journal.reset()
        self._schedule.set_rules(self._first_faults)
        self._forget()

    async def _notice(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=_NOTICE.format(self._stands_for))

    async def _requests(self, _: web.Request) -> web.StreamResponse:
        requests: list[JsonValue] = [asdict(record) for record in self.records()]
        return json_response(encode({"requests": requests}))

    async def _summary(self, _: web.Request) -> web.StreamResponse:
        return json_response(encode(asdict(self.summary())))

    async def _faults(self, request: web.Request) -> web.StreamResponse:
        rules = parse_rules(parse_body(await request.read()).get("rules"))
        self.set_faults(rules)
        return json_response(encode({"rules": len(rules)}))

    async def _reset(self, _: web.Request) -> web.StreamResponse:
        self.reset()
        return json_response(encode({"reset": True}))
