"""The authors' TSV: each line a window of up to five utterances that slides over a dialogue.

An utterance is "FLAG ROLE NUMBER text", with "[Strategy] " before a supporter's text; utterances are joined by " EOS ".
The last one is the supporter's labelled response. FLAG is a float that says nothing about the dialogue; ROLE is 0 for
the seeker, 1 for the supporter.

What the file does not quote is read like this:

- " EOS " parts utterances where a float, a word and a whole number follow it, and is text anywhere else.
- Numbers in a window go up by one, and there are five at most. So where a text looks like an utterance of its own, the
  line is refused, unless number and place fit perfectly: then nothing could tell the two apart.
- A bracket at the beginning of a supporter's text holds a strategy; one with anything else is refused.
- A dialogue goes on while the number of the response goes up. Windows that overlap must say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path

from emoagents.errors import DataError
from emoagents.support.dialogue import Dialogue, Role, Turn
from emoagents.support.load.fields import Wrong, strategy_of
from emoagents.support.load.lines import named, numbered

__all__ = ["from_windows"]

_LONGEST = 5

_BETWEEN = re.compile(r" EOS (?=[0-9]+\.[0-9]+ \S+ [0-9]+(?: |\Z))")
_UTTERANCE = re.compile(r"[0-9]+\.[0-9]+ (\S+) ([0-9]{1,9})(?: (.*))?", re.DOTALL)
_LABELLED = re.compile(r"\[([^\[\]]*)\](.*)", re.DOTALL)

_ROLES: Mapping[str, Role] = {"0": "seeker", "1": "supporter"}

_Said = tuple[str, str]
"""Role and text of an utterance as they are written."""


def from_windows(file: BufferedReader, path: Path, skipped: int) -> Iterator[Dialogue]:
    """Yield each dialogue as the union of its windows; turns that no window holds are missing.

    Raises:
        DataError: a line is not UTF-8 or not a window, or says something else than the windows before it.
    """
    count, open_ = 0, _Open()
    for line, text in numbered(file, path, skipped):
        try:
            window = _window(text)
            if open_.ends_before(window):
                yield open_.dialogue(named(count))
                count, open_ = count + 1, _Open()
            open_.add(window)
        except Wrong as wrong:
            raise DataError(str(path), line, wrong.reason) from None
    if open_.turns:
        yield open_.dialogue(named(count))


class _Open:
    """A dialogue of which more windows may come."""

    def __init__(self) -> None:
        self.turns: dict[int, Turn] = {}
        self._said: dict[int, _Said] = {}
        self._response = -1

    def ends_before(self, window: Mapping[int, _Said]) -> bool:
        """Return whether this window is the first one of another dialogue."""
        return max(window) <= self._response

    def add(self, window: Mapping[int, _Said]) -> None:
        """Take the turns of a window that are not there yet.

        Raises:
            Wrong: one of them is there, and says something else; or a new one is wrong.
        """
        for number, said in window.items():
            known = self._said.setdefault(number, said)
            if known != said:
                raise Wrong(f"turn {number} differs from the one in a line before")
            if number not in self.turns:
                self.turns[number] = _turn(number, *said)
        self._response = max(window)
        if self.turns[self._response].strategy is None:
            raise Wrong(f"turn {self._response}: the response that ends the line is not a supporter's with a strategy")

    def dialogue(self, name: str) -> Dialogue:
        return Dialogue(id=name, turns=tuple(self.turns[number] for number in sorted(self.turns)))


def _window(line: str) -> dict[int, _Said]:
    """Return what is said at which number, in their order."""
    window: dict[int, _Said] = {}
    before = None
    for part in _BETWEEN.split(line):
        number, said = _utterance(part)
        if before is not None and number != before + 1:
            raise Wrong(f"turn {number} follows turn {before}; is it a text that looks like an utterance?")
        window[number], before = said, number
    if len(window) > _LONGEST:
        raise Wrong(f"{len(window)} utterances, and a window has {_LONGEST} at most; does a text look like one?")
    return window


def _utterance(part: str) -> tuple[int, _Said]:
    found = _UTTERANCE.fullmatch(part)
    if found is None:
        raise Wrong(f"{part[:40]!r} is not an utterance, which is FLAG ROLE NUMBER text, as 1.0 0 3 Hello")
    return int(found[2]), (found[1], (found[3] or "").strip())


def _turn(number: int, role: str, text: str) -> Turn:
    if role not in _ROLES:
        raise Wrong(f"turn {number}: unknown role {role[:40]!r}; 0 is the seeker, 1 the supporter")
    found = _LABELLED.fullmatch(text) if role == "1" else None
    if found is None:
        return Turn(role=_ROLES[role], text=text, number=number)
    try:
        return Turn(role="supporter", text=found[2].strip(), number=number, strategy=strategy_of(found[1]))
    except Wrong as wrong:
        raise Wrong(f"turn {number}: {wrong.reason}") from None
