"""What a run's events say to one who looks for a better prompt: a table from kinds of events to functions.

A new kind of event needs one function and its line in `TELLING`; one that is not there is told as its plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from emoagents.state import Event
from emoagents.tuning.quotes import Quotes

__all__ = ["TELLING", "Tell", "told"]

Tell: TypeAlias = Callable[[Event, Quotes], str | None]
"""From an event to a sentence; None where it says nothing that a prompt could be improved by."""

_PASSAGES = 8
_ITEMS = 6


def told(event: Event, quote: Quotes) -> str | None:
    """Return what an event says, in one line. What models, people and checkers wrote is quoted."""
    try:
        return TELLING.get(event["event"], _plainly)(event, quote)
    except (AttributeError, KeyError, TypeError, ValueError):  # somebody else's event of the same name
        return _plainly(event, quote)


def _plainly(event: Event, quote: Quotes) -> str:
    return f"{quote(event['event'])}: {quote({k: v for k, v in event.items() if k not in ('event', 'node')})}."


# -- asking -----------------------------------------------------------------------------------------------------------


def _stimulus(event: Event, quote: Quotes) -> str:
    return f"The stimulus {quote(', '.join(event['ids']))} ({event['tone']}) was added: {quote(event['text'])}."


def _call(event: Event, quote: Quotes) -> str | None:
    """Tell of a call of another prompt."""
    asked = event.get("asked") or event.get("role")
    who = f"The prompt {quote(asked)}" if asked else "A call"
    answers = [f"{who} was answered with {quote(a['text'])}." for a in event["answers"][:_ITEMS]]
    return " ".join([*answers, *(f"{who} got no answer: {quote(e)}." for e in event["errors"][:_ITEMS])]) or None


def _candidate(event: Event, quote: Quotes) -> str:
    return f"Candidate {event['index'] + 1}: {quote(event['text'])}."


def _failure(event: Event, quote: Quotes) -> str:
    cause = "The budget ended" if event.get("budget") else "Something failed"
    return f"{cause}: {quote(event['error'])}."


def _trimmed(event: Event, quote: Quotes) -> str:
    if "turns" in event:
        return f"The {event['turns']} oldest turns were left out, since they did not fit into the model's context."
    what = next((name for name in ("candidates", "sources", "passages") if name in event), "texts")
    count = len(event.get(what, ()))
    return f"{count} {what} were cut to {event['characters']} characters, to fit into the model's context."


# -- judging and choosing ---------------------------------------------------------------------------------------------


def _verdict(event: Event, quote: Quotes) -> str | None:
    after = f" (after feedback with {event['emotion']})" if event.get("emotion") else ""
    place = f"Round {event['round']}{after}: {quote(event['text'])}"
    reason = f": {quote(event['reason'])}" if event["reason"] else ""
    if event.get("error"):
        return f"{place} could not be checked, as the checker failed{reason}."
    if event["ok"] is None:
        return f"{place} could not be judged{reason}." if reason else None
    score = "" if event["score"] in (None, float(event["ok"])) else f", score {event['score']:g}"
    return f"{place} was verified and is {'right' if event['ok'] else 'not right'}{score}{reason}."


def _feedback(event: Event, quote: Quotes) -> str:
    way = f"emotion {event['emotion']}, phrase {event['stimulus']}, {event['tone']}"
    return f"Feedback before round {event['round']} ({way}): {quote(event['text'])}."


def _vote(event: Event, quote: Quotes) -> str:
    counts = list(event["counts"].items())
    named = [f"{quote(answer)} has {count}" for answer, count in counts[:_ITEMS]]
    more = [f"{len(counts) - _ITEMS} other answers have fewer"] if len(counts) > _ITEMS else []
    unread = [f"{event['unparsed']} could not be read and did not count"] if event["unparsed"] else []
    return f"Votes: {', '.join([*named, *more, *unread])}."


def _choice(event: Event, quote: Quotes) -> str:
    if event["unparsed"]:
        return "The choice among the candidates could not be read as the number of one of them."
    return f"The model chose number {event['number']} of the candidates that it was shown."


def _scores(event: Event, quote: Quotes) -> str:
    scores = ["unread" if score is None else f"{score:g}" for score in event["scores"]]
    unread = " The unread ones were not of the form that was asked for." if event["unparsed"] else ""
    return f"The judge's scores of the candidates, 0 to 10: {', '.join(scores)}.{unread}"


def _unparsed(event: Event, quote: Quotes) -> str:
    count = f" ({event['count']} of {event['of']})" if "of" in event else ""
    reason = f": {quote(event['reason'])}" if event.get("reason") else ""
    return f"The {event['what']}{count} could not be read as what was asked for{reason}."


# -- stages, retrieval, support ---------------------------------------------------------------------------------------


def _stage(event: Event, quote: Quotes) -> str:
    name = f"Stage {quote(event['id'])}"
    if event.get("skipped"):
        return f"{name} was skipped: its condition did not hold, or its list was empty."
    if event.get("unparsed"):
        return f"{name} was answered in a form that does not fit: {quote(event['unparsed'])}."
    if event.get("error"):
        return f"{name} failed: {quote(event['error'])}."
    failed = f" Number {', '.join(map(str, event['failed']))} of its list failed." if event.get("failed") else ""
    return f"{name} gave {_fields(event['fields'], quote)}.{failed}"


def _fields(fields: Mapping[str, Any], quote: Quotes) -> str:
    return ", ".join(f"{name} = {_value(value, quote)}" for name, value in fields.items()) or "no fields"


def _value(value: Any, quote: Quotes) -> str:
    if value in ("", [], None):
        return "nothing (it is empty)"
    return quote(value) if isinstance(value, str | list | dict) else str(value).lower()


def _chunks(event: Event, quote: Quotes) -> str:
    texts = "1 text" if event["sources"] == 1 else f"{event['sources']} texts"
    return f"{texts} of {event['characters']} characters became {event['count']} chunks."


def _ranked(event: Event, quote: Quotes) -> str:
    again = "again " if event["event"] == "reranked" else ""
    passages = event["passages"]
    kept = "; ".join(_passage(p, quote) for p in passages[:_PASSAGES])
    more = f"; and {len(passages) - _PASSAGES} more" if len(passages) > _PASSAGES else ""
    if not passages:
        return f"Ranked {again}by {event['ranker']}, no passage was kept."
    return f"Ranked {again}by {event['ranker']}, {len(passages)} passages were kept: {kept}{more}."


def _passage(passage: Mapping[str, Any], quote: Quotes) -> str:
    query = f"for {quote(passage['query'])} " if passage["query"] else ""
    score = "" if passage["score"] is None else f" (score {passage['score']:g})"
    source = quote(passage["source"]) if isinstance(passage["source"], str) else str(passage["source"])
    return f"{query}source {source}, characters {passage['start']} to {passage['end']}{score}"


def _assessment(event: Event, quote: Quotes) -> str:
    return f"The assessment: {_fields(_rest(event), quote)}."


def _commonsense(event: Event, quote: Quotes) -> str:
    return f"Commonsense knowledge: {_fields(_rest(event), quote)}."


def _selection(event: Event, quote: Quotes) -> str:
    if event["strategy"] is None:
        reason = f": {quote(event['unparsed'])}" if event.get("unparsed") else ""
        return f"No support strategy could be read from what the model said ({event['method']}){reason}."
    reason = f" since {quote(event['reason'])}" if event.get("reason") else ""
    likely = sorted((event.get("distribution") or {}).items(), key=lambda one: -one[1])[:3]
    shares = f"; the likeliest are {', '.join(f'{n} ({s:.0%})' for n, s in likely)}" if len(likely) > 1 else ""
    return f"The support strategy {event['strategy']} was chosen ({event['method']}){reason}{shares}."


def _crisis(event: Event, quote: Quotes) -> str:
    return f"The crisis guard found a sign of {event['category']} and gave its fixed reply: no prompt had a part in it."


def _rest(event: Event) -> dict[str, Any]:
    return {k: v for k, v in event.items() if k not in ("event", "node")}


# -- the table --------------------------------------------------------------------------------------------------------


def _silent(kinds: Iterable[str]) -> dict[str, Tell]:
    return dict.fromkeys(kinds, lambda event, quote: None)


TELLING: dict[str, Tell] = {
    **_silent(("token", "restart", "retry", "result", "embed", "learned")),
    "stimulus": _stimulus,
    "call": _call,
    "candidate": _candidate,
    "failure": _failure,
    "trimmed": _trimmed,
    "verdict": _verdict,
    "feedback": _feedback,
    "vote": _vote,
    "choice": _choice,
    "scores": _scores,
    "unparsed": _unparsed,
    "stage": _stage,
    "chunks": _chunks,
    "ranked": _ranked,
    "reranked": _ranked,
    "assessment": _assessment,
    "commonsense": _commonsense,
    "selection": _selection,
    "crisis": _crisis,
    "cancelled": lambda e, quote: f"{e['branches']} other attempts were stopped, since one was right.",
    "unverified": lambda e, quote: f"Nothing checked the {e['candidates']} attempts: one answer is made of them all.",
    "answer": lambda e, quote: f"The answer of this part: {quote(e['text'])}.",
}
