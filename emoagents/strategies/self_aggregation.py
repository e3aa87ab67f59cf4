"""Generative Self-Aggregation: several samples, one synthesis (Li et al., arXiv 2503.04104)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from emoagents.asked import ASK
from emoagents.card import Card
from emoagents.errors import ParameterError
from emoagents.model.request import Message
from emoagents.nodes.aggregate import Method, aggregate, best_so_far, evolve, shuffled
from emoagents.nodes.extract import Extract
from emoagents.nodes.respond import conclude, prompt_of
from emoagents.nodes.solve import Solved, gather_solved, solve
from emoagents.state import AnswerState, Update, question_of, with_question
from emoagents.step import Run
from emoagents.strategies.base import Answering, CardSource, Strategy, Wiring, parameters, require_solver

__all__ = ["SelfAggregation"]


@parameters
class SelfAggregation(Answering):
    """Sample several answers, then make one of them.

    Args:
        samples: how many first answers (RSA: the population).
        method: "synthesize" (GSA: a new answer written with all samples in view), or one of the paper's
            baselines: "vote" (self-consistency), "choose" (universal self-consistency), "judge" (best of n).
        diversity: what makes samples differ: "temperature" (one prompt), "templates" or "languages" (the card's
            variations of it, in turn).
        temperature: of the samples, where the context gives none. The paper's values are not public.
        order: candidates are shown to the model "shuffled" (by the context's seed) or as "sampled".
        loops: aggregations in a row (RSA): all but the last make a new population, each of `k` candidates.
        k: candidates in each aggregation of a population; only with `loops` > 1.
        extract: how "vote" reads an answer: "auto", "number", "choice", "last_line" or a function.
        solver: a strategy that gives the samples, instead of the model itself.
        card: a card or file that overrides part of the shipped one.

    One failed sample does not fail the run. Candidates that do not fit the model's context are trimmed (nodes/fit.py).

    Raises:
        ParameterError: a parameter's value is wrong. CompositionError: `solver` is no strategy.
    """

    name: ClassVar[str] = "self_aggregation"
    primary: ClassVar[str | None] = "samples"

    samples: Annotated[int, Field(ge=1, le=1000)] = 3
    method: Method = "synthesize"
    diversity: Literal["temperature", "templates", "languages"] = "temperature"
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.7
    order: Literal["shuffled", "sampled"] = "shuffled"
    loops: Annotated[int, Field(ge=1, le=100)] = 1
    k: Annotated[int, Field(ge=1)] | None = None
    extract: Extract = "auto"
    solver: Any = None
    card: CardSource = None

    def __post_init__(self) -> None:
        require_solver("SelfAggregation", self.solver)
        if self.loops > 1 and self.method != "synthesize":
            raise ParameterError("SelfAggregation: loops > 1 works with method 'synthesize' only")
        if self.k is not None and self.loops == 1:
            raise ParameterError("SelfAggregation: k works with loops > 1 only; one loop aggregates all samples")

    @property
    def asks(self) -> tuple[str, ...]:
        ending = {"synthesize": ("synthesize",), "choose": ("choose",), "judge": ("judge",)}.get(self.method, ())
        alone = ("refine",) if ending == ("synthesize",) and (self.samples == 1 or self.k == 1) else ()
        return (*(() if self.solver is not None else (ASK,)), *ending, *alone)

    def wire(self, wiring: Wiring) -> None:
        wiring.then("sample", self._sample)
        if self.loops > 1:
            wiring.then("evolve", self._evolve)
        wiring.then("aggregate", self._aggregate)
        wiring.end()

    def expected_calls(self) -> str:
        first = f"{self.samples} samples" if self.solver is None else f"{self.samples} x ({self.solver.title})"
        if self.loops > 1:
            made = self.samples * (self.loops - 1)
            return f"{self.samples + made + 1} ({first} + {made} aggregations + 1 synthesis)"
        if self.method == "vote":
            return f"{self.samples} ({first})"
        if self.method == "judge":
            return f"{2 * self.samples} ({first} + {self.samples} judgements)"
        return f"{self.samples + 1} ({first} + 1 {'synthesis' if self.method == 'synthesize' else 'choice'})"

    @property
    def _card(self) -> Card:
        assert isinstance(self.card, Card)
        return self.card

    async def _sample(self, state: AnswerState, run: Run) -> Update:
        prompt = prompt_of(state)
        solved = await self._solve(run, prompt)
        return {
            "prompt": prompt,
            "candidates": solved.require(),
            "stopped_by": "budget" if solved.out_of_budget else None,
        }

    async def _solve(self, run: Run, prompt: list[Message]) -> Solved:
        solver: Strategy | None = self.solver
        if self.diversity == "temperature":
            return await solve(
                run, prompt, range(self.samples), card=self._card, solver=solver, temperature=self.temperature
            )
        ways = self._card.variations_of("template" if self.diversity == "templates" else "language")
        varied = (with_question(prompt, ways[i % len(ways)].render(question_of(prompt))) for i in range(self.samples))
        return await gather_solved(
            solve(run, p, [i], card=self._card, solver=solver, temperature=self.temperature)
            for i, p in enumerate(varied)
        )

    async def _evolve(self, state: AnswerState, run: Run) -> Update:
        candidates = state.get("candidates") or []
        for loop in range(self.loops - 1):
            candidates = await evolve(
                run,
                self._card,
                prompt_of(state),
                candidates,
                k=self.k or self.samples,
                loop=loop,
                temperature=self.temperature,
            )
        return {"candidates": candidates}

    async def _aggregate(self, state: AnswerState, run: Run) -> Update:
        candidates = state.get("candidates") or []
        if state.get("stopped_by") == "budget":
            return conclude(run, best_so_far(candidates), stopped_by="budget")
        if self.order == "shuffled" and self.method in ("synthesize", "choose"):
            candidates = shuffled(candidates, run.context.seed)
        return await aggregate(run, self._card, prompt_of(state), candidates, self.method, extract=self.extract)
