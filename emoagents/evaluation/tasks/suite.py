"""What a suite is: a published set of tasks, its parts and options, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emoagents.errors import ParameterError, UnknownNameError
from emoagents.evaluation.task import Task

__all__ = ["Suite", "Wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller wants of a suite.

    Attributes:
        parts: names of the wanted parts; () for all there are.
        data: file or folder to read; None fetches from the publisher.
        shots: demonstrations before each item. seed: decides which.
        options: the suite's own. announce: told before anything is downloaded.
    """

    parts: tuple[str, ...]
    data: Path | None
    shots: int
    seed: int
    options: Mapping[str, str]
    announce: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A published set of tasks.

    Attributes:
        parts: all that may be asked for by name.
        options: names of its options, with the values that each may have; () for any.
        load: returns the tasks; raises DataError or ParameterError.
        shots: whether it has demonstrations.
    """

    name: str
    load: Callable[[Wanted], list[Task]]
    parts: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shots: bool = False

    def check(self, wanted: Wanted) -> None:
        """Refuse what this suite does not have.

        Raises:
            UnknownNameError: no such part or option. ParameterError: a value that an option can't have, or shots.
        """
        self._check_parts(wanted.parts)
        for name, value in wanted.options.items():
            if name not in self.options:
                raise UnknownNameError(f"option of {self.name}", name, self.options)
            if self.options[name] and value not in self.options[name]:
                raise ParameterError(f"{name} of {self.name} is {' or '.join(self.options[name])}, not {value!r}")
        if wanted.shots and not self.shots:
            raise ParameterError(f"{self.name} has no demonstrations: use shots=0")

    def _check_parts(self, parts: tuple[str, ...]) -> None:
        if parts and not self.parts:
            raise ParameterError(f"{self.name} has no parts: ask for {self.name!r}, without a colon")
        for part in parts:
            if part not in self.parts:
                raise UnknownNameError(f"part of {self.name}", part, self.parts)
