"""What a run is doing right now: drawn from its events, said in a few words."""

from __future__ import annotations

import time

from emoagents.cli.events import Event
from emoagents.cli.loading import is_loading
from emoagents.cli.text import one_line

__all__ = ["Progress"]


class Progress:
    """Follows a run's events.

    Attributes:
        answer: the final answer as far as it has come.
    """

    def __init__(self) -> None:
        self.answer = ""
        self._began = time.monotonic()
        self._doing = "starting"
        self._model: str | None = None
        self._round = ""
        self._emotions: list[str] = []
        self._calls = self._tokens = 0
        self._waits_until = 0.0

    def asks(self, model: str) -> None:
        """From now on a model is asked."""
        self._model, self._doing = model, f"asking {one_line(model)}"

    def follow(self, event: Event) -> None:
        """Take one event in."""
        follow = getattr(self, f"_on_{event['event']}", None)
        if follow is not None:
            follow(event)

    def status(self) -> str:
        """Return what is going on now, with the seconds that have passed."""
        passed = f"{time.monotonic() - self._began:.0f} s"
        calls = f"{_count(self._calls, 'call')} done" if self._calls else ""
        tokens = _count(self._tokens, "token") if self._tokens else ""
        return " · ".join(filter(None, [self._now(), passed, self._round, calls, tokens]))

    def _now(self) -> str:
        left = self._waits_until - time.monotonic()
        if left > 0:
            return f"asking again in {left:.0f} s"
        if self._model is not None and is_loading(self._model):
            return f"loading {self._model} ..."
        return "writing the answer" if self.answer else self._doing

    def _on_token(self, event: Event) -> None:
        self._waits_until = 0.0
        self._tokens += 1
        if event["final"]:
            self.answer += event["text"]

    def _on_retry(self, event: Event) -> None:
        self.answer, self._tokens = "", 0  # what came of the broken call is asked for anew
        self._waits_until = time.monotonic() + event["seconds"]

    def _on_feedback(self, event: Event) -> None:
        same = self._round.startswith(f"round {event['round']},")
        self._emotions = [*(self._emotions if same else []), event["emotion"]]
        shown = self._emotions[0] if len(self._emotions) == 1 else f"{len(self._emotions)} emotions"
        self._round = f"round {event['round']}, {shown}"

    def _on_call(self, _: Event) -> None:
        self._waits_until, self._tokens = 0.0, 0
        self._calls += 1


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
