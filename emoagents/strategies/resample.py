"""Resample: ask again, saying nothing, until a verifier accepts. The control arm of every feedback strategy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, ClassVar, cast

from pydantic import Field

from emoagents.asked import ASK
from emoagents.card import Card
from emoagents.errors import ParameterError
from emoagents.nodes.respond import conclude, prompt_of
from emoagents.nodes.solve import solve
from emoagents.nodes.verify import Judge, judged, make_verifier
from emoagents.state import AnswerState, Candidate, Update, question_of
from emoagents.step import Run
from emoagents.strategies.base import Answering, CardSource, Wiring, parameters, require_solver

__all__ = ["Resample"]


@parameters
class Resample(Answering):
    """Ask the same prompt one time after another until an answer is verified; else return the best-scored one.

    Args:
        samples: answers at most.
        verifier: as HEART's: a function, a pydantic model, "judge", "exact:TEXT", "numeric:NUMBER" ...
        temperature: of the samples, where the context gives none.
        solver: a strategy that gives the samples, instead of the model itself.
        card: a card or file that overrides part of the shipped one.

    Raises:
        ParameterError: a parameter's value is wrong, or the verifier is none.
        CompositionError: `solver` is no strategy.
    """

    name: ClassVar[str] = "resample"
    primary: ClassVar[str | None] = "samples"

    samples: Annotated[int, Field(ge=1, le=1000)] = 4
    verifier: Any = "judge"
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.7
    solver: Any = None
    card: CardSource = None

    def __post_init__(self) -> None:
        require_solver("Resample", self.solver)
        object.__setattr__(self, "verifier", make_verifier(self.verifier))
        if self.verifier is None:
            raise ParameterError("Resample: it stops where a verifier accepts, so it needs one, as verifier='judge'")

    @property
    def asks(self) -> tuple[str, ...]:
        return (*(() if self.solver is not None else (ASK,)), *(("judge",) if isinstance(self.verifier, Judge) else ()))

    def wire(self, wiring: Wiring) -> None:
        wiring.then("resample", self._resample)
        wiring.end()

    def expected_calls(self) -> str:
        unit = "calls" if self.solver is None else f"x ({self.solver.title})"
        return f"1 to {self.samples} {unit}"

    @property
    def _card(self) -> Card:
        assert isinstance(self.card, Card)
        return self.card

    async def _resample(self, state: AnswerState, run: Run) -> Update:
        prompt, candidates = prompt_of(state), list[Candidate]()
        for index in range(self.samples):
            solved = await solve(
                run, prompt, [index], card=self._card, solver=self.solver, temperature=self.temperature
            )
            candidates += [await self._judged(run, question_of(prompt), c) for c in solved.candidates]
            if solved.out_of_budget:
                break
            if candidates and candidates[-1]["verdict"]["ok"]:
                return conclude(run, candidates[-1]["text"], stopped_by="verified", verified=True)
        if not candidates:
            solved.require()
        best = max(candidates, key=_rank)
        reason = "budget" if solved.out_of_budget else "rounds"
        return conclude(run, best["text"], stopped_by=reason, verified=best["verdict"]["ok"])

    async def _judged(self, run: Run, question: str, candidate: Candidate) -> Candidate:
        verdict = asdict(await judged(run, self._card, self.verifier, question, candidate["text"]))
        run.emit("verdict", round=candidate["index"], emotion=None, text=candidate["text"], **verdict)
        return cast(Candidate, {**candidate, "verdict": verdict})


def _rank(candidate: Candidate) -> tuple[bool, float]:
    """Order candidates none of which is verified: unjudged before wrong, then by score."""
    verdict = candidate["verdict"]
    return verdict["ok"] is not False, verdict.get("score") or 0.0
