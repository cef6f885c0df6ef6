"""What ``preannotate try`` says, as lines for a terminal of 100 columns. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from preannotation_assets.extraction.confidence import ConfidenceSource
from preannotation_assets.extraction.empty_answers import FEWEST_TRIED, PageAnswer, page_doubts
from preannotation_assets.extraction.prompt import Message, Prompt
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.extraction.suggesting import JudgedQuote, PageSuggestions
from preannotation_assets.model_servers.outcomes import Reason
from preannotation_assets.trying.page_asker import AskedChunk, TriedPage, measures_of
from preannotation_assets.trying.projection import Projection, Rates, project, rates, together
from preannotation_assets.trying.survey import BatchSize
from preannotation_assets.trying.terminal import Line, View, faint, fit, heading, padded
from preannotation_assets.trying.words import WIDTH, count_words, duration_words, rule
from preannotation_assets.visible_text import visible

__all__ = ["Capacity", "doubt_lines", "page_lines", "projection_lines", "prompt_lines", "short_prompt_lines"]

_LABEL_WIDTH: Final = 20
_QUOTE_WIDTH: Final = 40
_REJECTED_QUOTE_WIDTH: Final = 30
_HEAD_LINES: Final = 3
_ASKED_AGAIN: Final = "a run would ask again"
_LATER: Final = {
    Reason.CONTEXT_EXCEEDED: "a run would ask about its parts",
    Reason.ANSWER_TOO_LONG: "a run would ask about its parts",
    Reason.REFUSED: "a run would list the page as failed",
}
_REASONS: Final[Mapping[QuoteOutcome, str]] = {
    QuoteOutcome.EMPTY: "the quote is empty",
    QuoteOutcome.NOT_FOUND: "not on the page",
    QuoteOutcome.VALUE_CHANGED: "the page has other characters there",
    QuoteOutcome.ALREADY_TAKEN: "every place of it is taken",
    QuoteOutcome.SEARCH_CUT_OFF: "looking for it took too much work",
    QuoteOutcome.UNKNOWN_LABEL: "no label of the scheme",
    QuoteOutcome.INVALID_VALUE: "not what a value of the label is",
    QuoteOutcome.EXACT_DUPLICATE: "the same place was marked twice",
    QuoteOutcome.SEEN_BY_TWO_CHUNKS: "the neighbouring chunk marked it as well",
    QuoteOutcome.CUT_BY_BORDER: "the neighbouring chunk saw it whole",
    QuoteOutcome.OVERLAP: "overlaps a mark that weighs more",
}


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a run would have: servers, and requests in flight at each."""

    endpoints: int
    max_in_flight: int


def short_prompt_lines(prompt: Prompt) -> Iterator[Line]:
    """The head of the prompt, and how long the rest is."""
    yield heading(rule("prompt"))
    messages = prompt.constant_messages
    first = [line for line in visible(messages[0].content).split("\n") if line.strip()]
    yield from (fit(line, WIDTH) for line in first[:_HEAD_LINES])
    yield faint(
        f"… {prompt.constant_tokens:,} tokens (estimated) in {len(messages)} messages before each page;"
        " --prompt shows all"
    )


def prompt_lines(prompt: Prompt) -> Iterator[Line]:
    """Everything that every request begins with, and the schema that the answer must obey."""
    yield heading(rule("prompt"))
    for message in prompt.constant_messages:
        yield from _message_lines(message)
    yield faint("answer schema:")
    yield json.dumps(prompt.answer_schema, ensure_ascii=False)
    yield faint(f"{prompt.constant_tokens:,} tokens (estimated) before each page")


def page_lines(
    tried: TriedPage, title: str, view: View, prompt: Prompt, *, with_prompt: bool
) -> Iterator[Line]:
    """One page: its text with the marks, the raw answers, what became of every quote, tokens and time.

    ``with_prompt`` adds each request's own message.
    """
    yield ""
    yield heading(rule(title))
    text = tried.page.text
    if with_prompt:
        for item in tried.asked:
            message = prompt.messages(text[item.chunk.start : item.chunk.end])[-1]
            yield from _message_lines(message)
    found = tried.suggestions
    spans = found.spans if found else ()
    yield view.page(text, [Mark(span.start, span.end, span.label) for span in spans])
    for number, item in enumerate(tried.asked, start=1):
        yield ""
        yield from _request_lines(item, number, len(tried.asked))
    yield ""
    if found is None:
        yield "no suggestions, because not every request of the page has a usable answer"
    else:
        yield from _outcome_lines(found, view)


def doubt_lines(tried: Sequence[TriedPage]) -> Iterator[Line]:
    """Warnings where nearly no page got a mark."""
    answers = Counter(
        PageAnswer.of(page.suggestions, was_asked=bool(page.asked)).value
        for page in tried
        if page.suggestions
    )
    for doubt in page_doubts(answers, FEWEST_TRIED):
        yield ""
        yield f"warning: {doubt}"


def projection_lines(size: BatchSize, tried: Sequence[TriedPage], capacity: Capacity) -> Iterator[Line]:
    """What the whole batch would take, and how sure that is."""
    yield ""
    yield heading(rule("the whole batch"))
    about = "" if size.is_exact else "about "
    answered = size.all_requests - size.requests
    yield f"{count_words(size.pages, 'page')}, {about}{count_words(size.all_requests, 'request')}"
    yield (
        f"{about}{answered:,} answered already, {about}{size.requests:,} to ask"
        f" with {size.tokens:,} tokens of text (estimated)"
    )
    asked = [item for page in tried for item in page.asked]
    measures = [together(found) for page in tried if (found := measures_of(page.asked))]
    yield f"measured on {count_words(len(measures), 'page')}, one request in flight:"
    yield f"  {_rate_words(rates(measures))}"
    failed = sum(item.reason is not None for item in asked)
    if failed:
        yield f"{count_words(failed, 'request')} of {len(asked)} failed; their time is not counted"
    projection = project(measures, size.tokens)
    if projection is None:
        yield "no projection: nothing was measured"
        return
    yield from _time_lines(projection, len(measures), size, capacity)


def _time_lines(projection: Projection, pages: int, size: BatchSize, capacity: Capacity) -> Iterator[str]:
    """Servers slow down when requests run side by side, and nobody knows by how much: both ends are told."""
    seconds = projection.seconds
    slots = max(1, min(size.requests, capacity.endpoints * capacity.max_in_flight))
    servers = min(slots, capacity.endpoints)
    where = f"{count_words(servers, 'server')} with {count_words(slots, 'request')} in flight"
    yield f"slot time  {duration_words(seconds)}{_range_words(projection, pages)}"
    if slots == servers:
        yield f"wall time  {duration_words(seconds / servers)} on {where}"
        yield f"GPU time   {duration_words(seconds)}, if a server is one GPU"
        return
    yield f"wall time  {duration_words(seconds / slots)} to {duration_words(seconds / servers)} on {where}"
    shortest, longest = duration_words(seconds * servers / slots), duration_words(seconds)
    yield f"GPU time   {shortest} to {longest}, if a server is one GPU"
    yield "           shorter: requests side by side are as fast as one alone; longer: nothing is gained"


def _range_words(projection: Projection, pages: int) -> str:
    if projection.lowest is None or projection.highest is None:
        return " (one page says nothing about the range)"
    low, high = duration_words(projection.lowest), duration_words(projection.highest)
    return f" ({low} to {high}, 90 % interval of {count_words(pages, 'page')})"


def _rate_words(speeds: Rates) -> str:
    words = [
        None if speeds.reading is None else f"reading {speeds.reading:,.0f} tokens/s",
        None if speeds.writing is None else f"writing {speeds.writing:,.1f} tokens/s",
        None if speeds.answer_share is None else f"{speeds.answer_share:.2f} tokens out for each of text",
    ]
    return ", ".join(word for word in words if word) or "the server gives no counts"


def _message_lines(message: Message) -> Iterator[Line]:
    yield faint(f"{message.role}:")
    yield visible(message.content)


def _request_lines(item: AskedChunk, number: int, count: int) -> Iterator[Line]:
    reply = item.reply
    which = f" {number} of {count}, characters {item.chunk.start}-{item.chunk.end}" if count > 1 else ""
    tokens_in = f"{item.chunk.estimated_tokens + item.constant_tokens:,} (estimated)"
    if reply and reply.prompt_tokens is not None:
        tokens_in = f"{reply.prompt_tokens:,}"
    parts = [f"answer{which}", f"{tokens_in} tokens in"]
    if reply and reply.answer_tokens is not None:
        parts.append(f"{reply.answer_tokens:,} out")
    parts.append(f"{item.seconds:.1f} s")
    if reply and reply.prompt_seconds is not None:
        parts.append(f"reading {reply.prompt_seconds:.1f} s")
    if reply and reply.answer_seconds:
        speed = f", {reply.answer_tokens / reply.answer_seconds:.1f} tokens/s" if reply.answer_tokens else ""
        parts.append(f"writing {reply.answer_seconds:.1f} s{speed}")
    yield faint(" · ".join(parts))
    if item.reason:
        yield f"no usable answer: {item.reason.value}; {_LATER.get(item.reason, _ASKED_AGAIN)}"
    if reply:
        yield visible(reply.content)


def _outcome_lines(found: PageSuggestions, view: View) -> Iterator[Line]:
    kept = [quote for quote in found.quotes if quote.outcome == QuoteOutcome.KEPT]
    rejected = [quote for quote in found.quotes if quote.outcome != QuoteOutcome.KEPT]
    yield faint(
        f"{count_words(len(kept), 'suggestion')} · confidence, offsets, label, quote, how it was found"
    )
    yield from (_kept_line(quote, view) for quote in kept)
    if rejected:
        yield faint(f"{len(rejected)} rejected · label, quote, why")
        yield from (_rejected_line(quote) for quote in rejected)


def _kept_line(quote: JudgedQuote, view: View) -> Text:
    place = quote.grounding
    confidence = "   ?" if quote.confidence is None else f"{quote.confidence:.2f}"
    offsets = f"{place.start}-{place.end}" if place else ""
    how = "" if place is None else place.match.value
    if quote.confidence_source is ConfidenceSource.SELF_REPORTED:
        how = f"{how}, self-reported {quote.self_reported}"
    return Text.assemble(
        f"  {confidence}  {offsets:>13}  ",
        padded(view.label(quote.label), _LABEL_WIDTH),
        "  ",
        padded(_quote(quote.quote, _QUOTE_WIDTH), _QUOTE_WIDTH + 2),
        "  ",
        faint(how),
    )


def _rejected_line(quote: JudgedQuote) -> Text:
    label = padded(fit(visible(quote.label), _LABEL_WIDTH), _LABEL_WIDTH)
    why = _REASONS[quote.outcome]
    text = padded(_quote(quote.quote, _REJECTED_QUOTE_WIDTH), _REJECTED_QUOTE_WIDTH + 2)
    return Text.assemble("  ", label, "  ", text, "  ", why)


def _quote(quote: str, width: int) -> str:
    return f"\u201c{fit(visible(quote.replace(chr(10), ' ')), width)}\u201d"
