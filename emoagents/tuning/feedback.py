"""Feedback: what an optimiser's reflection can read about one prompt's part in a run (for GEPA, arXiv 2507.19457).

First what the prompt itself was answered with, then what that led to, then how the run ended. All of it is read from
the trace; docs/events.md says what is in one. The wording is ours.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from emoagents.errors import BudgetExceeded, EmoagentsError, NoAnswerError
from emoagents.nodes.extract import extract_answer
from emoagents.result import Result
from emoagents.state import Event
from emoagents.tuning.quotes import Quotes, quoted
from emoagents.tuning.told import told

__all__ = ["calls_of", "feedback", "feedback_of_error"]

_ROOM = {"own": 4000, "rest": 5000}
"""Characters that the lines of a part have at most."""
_LONGEST_READ = 20_000
"""Characters at a text's end that its short answer is looked for in."""
_LONGEST_SOUGHT = 500
"""Characters of an expected text that is looked for in answers; nobody writes a longer one word for word."""

_STOPPED = {
    "complete": "The run went to its end.",
    "verified": "The run stopped because a verifier accepted the answer.",
    "rounds": "The run stopped because no rounds were left; no answer was verified.",
    "budget": "The run stopped because its budget was used up: the answer is the best there was by then.",
    "failed": "A later request failed: the answer is the best there was by then.",
    "unparsed": "What the model wrote could not be read as what was asked for.",
    "crisis": "The crisis guard ended the run with its fixed reply.",
}


def feedback(result: Result, predictor: str, *, expected: str | None, score: float | None) -> str:
    """Return what can be said to improve one prompt, from what happened in a run.

    Args:
        result: of the run, with its trace.
        predictor: the prompt's name, with its path where it is a nested strategy's: "ask", "solver.synthesize".
        expected: the right answer, as far as there is one.
        score: the metric's, 0 to 1; None where there is none.

    Returns:
        A text of at most some 12,000 characters. What models, people and checkers wrote stands in double quotes as
        JSON writes it, without its middle where it is long; a text that comes again is named by its number, as [1].
    """
    quote, trace = Quotes(), _by_depth(result.trace)
    depth, own = predictor.count("."), calls_of(result, predictor)
    parts = [
        _own(predictor, own, quote),
        _titled("What happened in the run, in order:", _rest(trace, own, depth, expected, quote), _ROOM["rest"]),
        _titled("How it ended:", list(_ending(result, expected, score, quote)), _ROOM["rest"]),
    ]
    return "\n\n".join(part for part in parts if part)


def feedback_of_error(error: BaseException, predictor: str, *, expected: str | None = None) -> str:
    """Return what can be said of a run that failed, so that there is neither an answer nor a trace.

    Args:
        error: what was raised. predictor: the prompt's name. expected: the right answer, as far as there is one.
    """
    causes = Counter(str(c) for c in error.causes) if isinstance(error, NoAnswerError) else Counter[str]()
    lines = [
        f"The run failed and gave no answer, which counts as not right: {quoted(_said(error))}.",
        *(f"{count} times the cause was {quoted(cause)}." for cause, count in causes.most_common(5)),
        *(["The budget was used up: this says nothing about the prompts."] if _is_budget(error) else []),
        *([] if expected is None else [f"The expected answer: {quoted(expected)}."]),
        f"What the prompt {quoted(predictor)} was answered with is not known.",
    ]
    return "\n".join(lines)


def calls_of(result: Result, predictor: str) -> list[Event]:
    """Return the calls of a run that one prompt made, in order: events "call" of its trace (docs/events.md)."""
    *path, name = predictor.split(".")
    calls = [(depth, event) for depth, event in _by_depth(result.trace) if event["event"] == "call"]
    says = any("asked" in event for _, event in calls)  # a trace of an older version does not say which prompt asked
    return [e for depth, e in calls if depth == len(path) and (e.get("asked") == name or not says)]


def _by_depth(trace: Iterable[Event]) -> list[tuple[int, Event]]:
    """Return the events with how deep they are nested: 0 for those of the outermost strategy."""
    events = list(trace)
    outermost = min((str(e.get("node", "")).count("/") for e in events), default=0)
    return [(str(e.get("node", "")).count("/") - outermost, e) for e in events]


# -- the prompt's own calls -------------------------------------------------------------------------------------------


def _own(predictor: str, calls: Sequence[Event], quote: Quotes) -> str:
    name = quoted(predictor)
    if not calls:
        return f"The prompt {name} was not used in this run."
    answers = Counter(str(answer["text"]) for call in calls for answer in call["answers"])
    errors = Counter(str(error) for call in calls for error in call["errors"])
    lines = [
        *(f"{_times(count)}answered with {_nothing_or(text, quote)}." for text, count in answers.items()),
        *(f"{_times(count)}not answered: {quote(error)}." for error, count in errors.items()),
    ]
    total = answers.total() + errors.total()
    return _titled(f"The prompt {name} was sent for {total} answer{'s'[: total != 1]}:", lines, _ROOM["own"])


def _times(count: int) -> str:
    return f"{count} times " if count > 1 else ""


def _nothing_or(text: str, quote: Quotes) -> str:
    return quote(text) if text.strip() else f"{quote(text)} (nothing)"


# -- what it led to ---------------------------------------------------------------------------------------------------


def _rest(
    trace: Sequence[tuple[int, Event]], own: Sequence[Event], depth: int, expected: str | None, quote: Quotes
) -> list[str]:
    """Return what else happened where the prompt's strategy works, and outside of it; what it nests is left out."""
    mine = {id(call) for call in own}
    seen = [(at, event) for at, event in trace if at <= depth and id(event) not in mine]
    told_anyway = _texts(seen)
    groups: dict[int, list[Event]] = {}
    lines: list[tuple[int, str | None]] = []
    for at, event in seen:
        groups.setdefault(at, []).append(event)
        if not _is_told_again(at, event, told_anyway):
            lines.append((at, told(event, quote)))
        if event["event"] == "answer":
            lines += [(at, line) for line in _compared(groups.pop(at), event["text"], expected, quote)]
    return [f"within the solver: {line}" if at else line for at, line in lines if line]


def _texts(seen: Sequence[tuple[int, Event]]) -> dict[str, set[tuple[int, object]]]:
    """Return which texts which kinds of events tell of, and how deep."""
    kinds = ("candidate", "answer", "verdict")
    return {kind: {(at, e.get("text")) for at, e in seen if e["event"] == kind} for kind in kinds}


def _is_told_again(at: int, event: Event, texts: dict[str, set[tuple[int, object]]]) -> bool:
    """Whether another event, or the end, tells of it: a candidate is judged, a call's answers are candidates."""
    if event["event"] == "call" and not event["errors"]:
        return all((at, answer["text"]) in texts["candidate"] | texts["answer"] for answer in event["answers"])
    if event["event"] == "candidate":
        return (at, event["text"]) in texts["verdict"]
    return event["event"] == "answer" and at == 0


def _compared(events: Sequence[Event], answer: str, expected: str | None, quote: Quotes) -> Iterator[str]:
    """Tell how an answer that was made of several candidates differs from them."""
    candidates = [str(e["text"]) for e in events if e["event"] == "candidate"]
    kinds = {e["event"] for e in events if e["event"] != "verdict" or e.get("ok") is not None}
    if len(candidates) < 2 or "verdict" in kinds:  # what was judged, and which was right, is told already
        return
    if answer in candidates:
        same = [str(i) for i, text in enumerate(candidates, 1) if text == answer]
        yield f"Of the {len(candidates)} candidates, counted as they are told here, the answer is {_numbered(same)}."
    else:
        yield f"The answer is a new text, none of the {len(candidates)} candidates: {quote(answer)}."
    short = Counter(extract_answer(text[-_LONGEST_READ:]) for text in candidates)
    if len(short) > 1 and "vote" not in kinds:
        said = ", ".join(f"{'nothing' if s is None else quote(s)} ({n})" for s, n in short.most_common(6))
        yield f"Read as short answers, the candidates say {said}."
    if expected and expected.strip() and len(expected) <= _LONGEST_SOUGHT:
        having = [str(i) for i, text in enumerate(candidates, 1) if _stands_in(expected, text)]
        where = _numbered(having) if having else "none of the candidates"
        final = "is" if _stands_in(expected, answer) else "is not"
        yield f"The expected text is in {where}, and {final} in the answer."


def _numbered(numbers: Sequence[str], most: int = 20) -> str:
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"candidate {', '.join(numbers[:most])}{more}"


def _stands_in(expected: str, text: str) -> bool:
    """Whether a text has the expected words in it, apart from case and spaces, and not as a part of other words."""
    wanted = r"\s+".join(re.escape(word) for word in expected.split())
    return re.search(rf"(?<!\w){wanted}(?!\w)", text, re.IGNORECASE) is not None


# -- how it ended -----------------------------------------------------------------------------------------------------


def _ending(result: Result, expected: str | None, score: float | None, quote: Quotes) -> Iterator[str]:
    yield f"The answer: {_nothing_or(result.answer, quote)}."
    if score is not None:
        worth = "right" if score >= 1 else "not right" if score <= 0 else "partly right"
        yield f"The answer is {worth} (score {score:g} of 1)."
    if expected is not None:
        yield f"The expected answer: {quote(expected)}."
    if result.verified and score is not None and score < 1:
        yield "The verifier accepted the answer all the same."
    if result.verified is False and score is not None and score >= 1:
        yield "The verifier did not accept it all the same."
    yield _STOPPED.get(result.stopped_by, f"The run stopped: {quoted(result.stopped_by)}.")


# -- small helpers ----------------------------------------------------------------------------------------------------


def _titled(title: str, lines: Sequence[str], room: int) -> str:
    """Return the lines as a list under a title, without those in the middle where they have no room."""
    if not lines:
        return ""
    return "\n".join([title, *(f"- {line}" for line in _fitting(lines, room))])


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    """Return the first and the last lines that have room together; each of them is short."""
    if sum(map(len, lines)) <= room:
        return list(lines)
    first, last = _leading(lines, room // 2), _leading(lines[::-1], room // 2)[::-1]
    gone = len(lines) - len(first) - len(last)
    return [*first, f"(... {gone} lines are left out ...)", *last] if gone > 0 else list(lines)


def _leading(lines: Sequence[str], room: int) -> list[str]:
    """Return as many of the first lines as have room; one at least."""
    taken, used = 0, 0
    while taken < len(lines) and (not taken or used + len(lines[taken]) <= room):
        used += len(lines[taken])
        taken += 1
    return list(lines[:taken])


def _is_budget(error: BaseException) -> bool:
    return isinstance(error, BudgetExceeded)


def _said(error: BaseException) -> str:
    """Return an error in words; one that is not ours with its kind, as its words alone often say little."""
    return str(error) if isinstance(error, EmoagentsError) else f"{type(error).__name__}: {error}"
