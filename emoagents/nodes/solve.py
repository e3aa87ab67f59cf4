"""Solve: get candidates for a prompt, from the model itself or from a nested strategy."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emoagents.asked import ask_in, asked_in
from emoagents.card import Card
from emoagents.errors import BudgetExceeded, NoAnswerError, RunError
from emoagents.model.request import Message
from emoagents.state import Candidate
from emoagents.step import Run
from emoagents.together import together

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy

__all__ = ["Solved", "gather_solved", "solve"]


@dataclass(slots=True)
class Solved:
    """Candidates that came, in order of index, and the errors of those that did not."""

    candidates: list[Candidate] = field(default_factory=list)
    errors: list[RunError] = field(default_factory=list)

    def require(self) -> list[Candidate]:
        """Return the candidates.

        Raises:
            BudgetExceeded: there is none because the budget ended.
            NoAnswerError: every one failed.
        """
        if self.candidates:
            return self.candidates
        for error in self.errors:
            if isinstance(error, BudgetExceeded):
                raise error
        raise NoAnswerError(f"every candidate failed; the last: {self.errors[-1]}", self.errors)

    @property
    def out_of_budget(self) -> bool:
        """Whether the budget stopped some of the candidates."""
        return any(isinstance(error, BudgetExceeded) for error in self.errors)


async def solve(
    run: Run,
    prompt: Sequence[Message],
    indices: Sequence[int],
    *,
    card: Card,
    solver: Strategy | None = None,
    temperature: float | None = None,
) -> Solved:
    """Return candidates of these indices for one prompt; each is told of (`candidate`, `failure`) as it comes.

    The model is asked by the card's `ask`, unless another prompt of the card is in the messages; a nested strategy has
    a card of its own.
    """
    if solver is not None:
        return await gather_solved(_nest(run, prompt, index, solver) for index in indices)
    if asked_in(prompt) is None:
        prompt = ask_in(prompt, card)
    if not run.context.stream:
        return await _ask(run, prompt, list(indices), temperature)
    groups = await run.context.door.groups(indices)  # somebody watches: tell of each as it comes
    return await gather_solved(_ask(run, prompt, group, temperature) for group in groups)


async def gather_solved(works: Iterable[Coroutine[Any, Any, Solved]]) -> Solved:
    """Await several solvings side by side and put them in order of index."""
    parts = await together(works)
    candidates = sorted((c for p in parts for c in p.candidates), key=lambda c: c["index"])
    return Solved(candidates, [e for p in parts for e in p.errors])


async def _ask(run: Run, prompt: Sequence[Message], indices: list[int], temperature: float | None) -> Solved:
    samples = await run.ask(prompt, indices, temperature=temperature)
    found: list[Candidate] = [
        {"index": c.index, "text": c.text, "finish_reason": c.finish_reason} for c in samples.completions
    ]
    return _told(run, Solved(found, list(samples.errors)))


async def _nest(run: Run, prompt: Sequence[Message], index: int, solver: Strategy) -> Solved:
    try:
        state = await run.nest(solver.graph, prompt, index)
    except RunError as error:
        return _told(run, Solved(errors=[error]))
    run.trace.extend(state["trace"])
    return _told(run, Solved([{"index": index, "text": state["answer"], "finish_reason": state["stopped_by"]}]))


def _told(run: Run, solved: Solved) -> Solved:
    for candidate in solved.candidates:
        run.emit("candidate", index=candidate["index"], text=candidate["text"])
    for error in solved.errors:
        run.emit("failure", error=str(error))
    return solved
