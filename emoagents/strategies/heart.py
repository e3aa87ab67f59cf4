"""HEART-style self-correction: verify, emotional feedback, retry (after Pinto et al., arXiv 2509.22876).

The paper's phrases, schedule and templates are not public: all of ours are ours, in `strategies/heart.toml`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from langgraph.graph import END
from pydantic import Field

from emoagents.asked import ASK, Asked, ask_in
from emoagents.card import Card, Tone
from emoagents.errors import ParameterError, VerifierError
from emoagents.model.request import Message
from emoagents.nodes.aggregate import aggregate
from emoagents.nodes.bandit import EmotionBandit, default_memory
from emoagents.nodes.encourage import Schedule, scheduled_emotions, scheduled_phrase
from emoagents.nodes.respond import conclude, prompt_of
from emoagents.nodes.solve import Solved, solve
from emoagents.nodes.verify import Judge, judged, make_verifier
from emoagents.state import AnswerState, Candidate, Update, question_of
from emoagents.step import Run
from emoagents.strategies.base import Answering, CardSource, Wiring, parameters, require_solver
from emoagents.together import together

__all__ = ["Heart"]


@parameters
class Heart(Answering):
    """Ask; while the answer is not right, give feedback with an emotional phrase and ask again.

    With a verifier it stops at the first answer that is verified and cancels what runs beside it; if none is, the
    best one is returned with `verified=False`. Without one all rounds run, the answer is a synthesis of all
    candidates, and `verified` is None: nobody knows.

    Args:
        rounds: feedback rounds at most, after the first attempt.
        verifier: a function, a pydantic model, "judge", "exact:TEXT", "contains:TEXT", "numeric:NUMBER",
            "regex:PATTERN", or None.
        schedule: which emotion when: "alternate", "cycle", "fixed", "parallel" or "adaptive".
        emotion: the emotion of "fixed".
        tone: "emotional", or "neutral" for the control arm: the same calls with the phrases' neutral twins.
        history: "keep" the conversation of attempts and feedback, or start "fresh" with the last attempt only.
        samples: candidates of each attempt.
        memory: where "adaptive" keeps what it learned; None: the user's state folder.
        solver: a strategy that makes the attempts, instead of the model itself.
        card: a card or file that overrides part of the shipped one.

    Raises:
        ParameterError, UnknownNameError: a parameter's value is wrong. CompositionError: `solver` is no strategy.
    """

    name: ClassVar[str] = "heart"
    primary: ClassVar[str | None] = "rounds"

    rounds: Annotated[int, Field(ge=0, le=1000)] = 3
    verifier: Any = None
    schedule: Schedule = "alternate"
    emotion: str | None = None
    tone: Tone = "emotional"
    history: Literal["keep", "fresh"] = "keep"
    samples: Annotated[int, Field(ge=1, le=100)] = 1
    memory: Path | None = None
    solver: Any = None
    card: CardSource = None

    def __post_init__(self) -> None:
        require_solver("Heart", self.solver)
        object.__setattr__(self, "verifier", make_verifier(self.verifier))
        if self.schedule == "adaptive" and self.verifier is None:
            raise ParameterError("Heart: the adaptive schedule learns from a verifier, so it needs one")
        if (self.schedule == "fixed") != (self.emotion is not None):
            raise ParameterError("Heart: emotion and schedule 'fixed' go together, as schedule='fixed', emotion='fear'")
        scheduled_emotions(self._card, self.schedule, 1, emotion=self.emotion, bandit=None, seed=None)

    @property
    def asks(self) -> tuple[str, ...]:
        feedback = "fresh" if self.history == "fresh" else self._feedback_prompt
        return (
            *((ASK, *((feedback,) if self.rounds else ())) if self.solver is None else ()),
            *(("judge",) if isinstance(self.verifier, Judge) else ()),
            *(("synthesize",) if self.verifier is None and (self.rounds or self.samples > 1) else ()),
        )

    # -- the graph: attempt -> (encourage -> retry)* -> conclude -------------------------------------------------

    def wire(self, wiring: Wiring) -> None:
        attempt = wiring.then("attempt", self._attempt)
        encourage = wiring.beside("encourage", self._encourage)
        retry = wiring.beside("retry", self._attempt)
        conclude_ = wiring.beside("conclude", self._conclude)
        for tried in (attempt, retry):
            wiring.builder.add_conditional_edges(tried, self._next, [encourage, conclude_])
        wiring.builder.add_edge(encourage, retry)
        wiring.builder.add_edge(conclude_, END)

    def expected_calls(self) -> str:
        each = self.samples * (len(self._card.emotions()) if self.schedule == "parallel" else 1)
        most = self.samples + self.rounds * each
        unit = "calls" if self.solver is None else f"x ({self.solver.title})"
        if self.verifier is None:
            return (
                f"{most + 1} ({most} attempts + 1 synthesis)" if self.solver is None else f"{most} {unit} + 1 synthesis"
            )
        return f"{self.samples} to {most} {unit}" + (
            ", each judged by one call more" if isinstance(self.verifier, Judge) else ""
        )

    @property
    def _card(self) -> Card:
        assert isinstance(self.card, Card)
        return self.card

    @property
    def bandit(self) -> EmotionBandit | None:
        """What the adaptive schedule has learned; None for the others."""
        return EmotionBandit(self.memory or default_memory()) if self.schedule == "adaptive" else None

    # -- attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self, state: AnswerState, run: Run) -> Update:
        prompt = prompt_of(state)
        round_ = state.get("round") or 0
        earlier = state.get("candidates") or []
        branches = state.get("plan") or [{}]
        solved = await self._first_verified(run, prompt, earlier, branches, round_)
        candidates = [*earlier, *(solved.candidates if earlier else solved.require())]
        self._check_verifier(solved.candidates)
        await self._learn(run, solved.candidates)
        stop = "budget" if solved.out_of_budget else None if solved.candidates else "failed"
        return {"prompt": prompt, "candidates": candidates, "round": round_, "stopped_by": stop}

    async def _first_verified(
        self,
        run: Run,
        prompt: Sequence[Message],
        earlier: Sequence[Candidate],
        branches: Sequence[dict[str, Any]],
        round_: int,
    ) -> Solved:
        """Try all branches side by side until one is verified; cancel the rest."""
        whole = Solved()
        pending = {
            asyncio.ensure_future(self._branch(run, prompt, earlier, branch, round_, i))
            for i, branch in enumerate(branches)
        }
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for part in (task.result() for task in done):
                    whole.candidates += part.candidates
                    whole.errors += part.errors
                if any(c["verdict"]["ok"] for c in whole.candidates):
                    break
        finally:
            await _cancelled(pending)
        if pending:
            run.emit("cancelled", branches=len(pending))
        whole.candidates.sort(key=lambda c: c["index"])
        return whole

    async def _branch(
        self,
        run: Run,
        prompt: Sequence[Message],
        earlier: Sequence[Candidate],
        branch: dict[str, Any],
        round_: int,
        position: int,
    ) -> Solved:
        asked = self._asked(prompt, earlier, branch)
        first = round_ * self.samples
        solved = await solve(run, asked, range(first, first + self.samples), card=self._card, solver=self.solver)
        question = question_of(prompt)
        verdicts = await together(
            judged(run, self._card, self.verifier, question, c["text"]) for c in solved.candidates
        )
        for i, (candidate, verdict) in enumerate(zip(solved.candidates, verdicts, strict=True)):
            numbered = {"index": position * self.samples + i, "round": round_, "verdict": asdict(verdict)}
            told = {name: branch[name] for name in ("emotion", "stimulus", "feedback") if name in branch}
            candidate.update(cast(Candidate, {**numbered, **told}))
            run.emit(
                "verdict",
                round=round_,
                emotion=branch.get("emotion"),
                text=candidate["text"],
                **asdict(verdict),
            )
        return solved

    def _asked(self, prompt: Sequence[Message], earlier: Sequence[Candidate], branch: dict[str, Any]) -> list[Message]:
        """Return what a branch sends: the prompt, and after a first attempt the attempts and the feedback."""
        if not branch:
            return list(prompt)
        if self.history == "fresh":
            last = _best_of_round(earlier)["text"]
            return ask_in(prompt, self._card, "fresh", answer=last, feedback=branch["feedback"])
        said = [_best_of_round([c for c in earlier if c["round"] == r]) for r in range(earlier[-1]["round"] + 1)]
        replies = [*({"role": "user", "content": c["feedback"]} for c in said[1:]), self._feedback(branch)]
        turns = [
            turn
            for candidate, reply in zip(said, replies, strict=True)
            for turn in ({"role": "assistant", "content": candidate["text"]}, reply)
        ]
        return [*(prompt if self.solver is not None else ask_in(prompt, self._card)), *turns]

    def _feedback(self, branch: dict[str, Any]) -> Message:
        values = {name: branch[name] for name in ("phrase", "reason")}
        return Asked.of(self._card, self._feedback_prompt, values)

    @property
    def _feedback_prompt(self) -> str:
        return "feedback" if self.verifier is not None else "feedback_unverified"

    def _check_verifier(self, candidates: Sequence[Candidate]) -> None:
        if candidates and all(c["verdict"].get("error") for c in candidates) and candidates[0]["round"] >= self.rounds:
            raise VerifierError(f"the verifier failed on every candidate: {candidates[-1]['verdict']['reason']}")

    async def _learn(self, run: Run, candidates: Sequence[Candidate]) -> None:
        tried = [(c["emotion"], c["verdict"]["ok"]) for c in candidates if c.get("emotion")]
        lessons = [(str(emotion), bool(ok)) for emotion, ok in tried if ok is not None]
        if self.bandit is None or not lessons:
            return
        await asyncio.to_thread(self.bandit.learn, lessons)
        arms = await asyncio.to_thread(self.bandit.arms)
        run.emit("learned", emotions={e: arm.model_dump() for e, arm in arms.items()})

    # -- what comes next -----------------------------------------------------------------------------------------

    def _next(self, state: AnswerState) -> Literal["encourage", "conclude"]:
        candidates = state.get("candidates") or []
        verified = any(c["verdict"]["ok"] for c in candidates)
        over = (state.get("round") or 0) >= self.rounds or state.get("stopped_by") is not None
        return "conclude" if verified or over else "encourage"

    async def _encourage(self, state: AnswerState, run: Run) -> Update:
        round_ = (state.get("round") or 0) + 1
        reason = _best_of_round(state.get("candidates") or [])["verdict"].get("reason") or ""
        emotions = await asyncio.to_thread(
            scheduled_emotions,
            self._card,
            self.schedule,
            round_,
            emotion=self.emotion,
            bandit=self.bandit,
            seed=run.context.seed,
        )
        plan = [self._planned(run, emotion, round_, reason) for emotion in emotions]
        return {"plan": plan, "round": round_}

    def _planned(self, run: Run, emotion: str, round_: int, reason: str) -> dict[str, Any]:
        phrase = scheduled_phrase(self._card, emotion, round_, run.context.seed)
        said = phrase.in_tone(self.tone)
        text = self._card.render(self._feedback_prompt, phrase=said, reason=reason)
        run.emit("feedback", round=round_, emotion=emotion, stimulus=phrase.id, tone=self.tone, text=text)
        return {"emotion": emotion, "stimulus": phrase.id, "phrase": said, "reason": reason, "feedback": text}

    # -- conclude ------------------------------------------------------------------------------------------------

    async def _conclude(self, state: AnswerState, run: Run) -> Update:
        candidates = state.get("candidates") or []
        for candidate in candidates:
            if candidate["verdict"]["ok"]:
                return conclude(run, candidate["text"], stopped_by="verified", verified=True)
        stopped = state.get("stopped_by")
        if self.verifier is not None or stopped is not None or len(candidates) == 1:
            best = max(candidates, key=_rank)
            return conclude(run, best["text"], stopped_by=stopped or "rounds", verified=best["verdict"]["ok"])
        run.emit("unverified", candidates=len(candidates))
        return await aggregate(run, self._card, prompt_of(state), candidates, stopped_by="rounds")


def _best_of_round(candidates: Sequence[Candidate]) -> Candidate:
    """Return the best candidate of the last round there is; the first of equals."""
    last = candidates[-1]["round"]
    return max((c for c in candidates if c["round"] == last), key=lambda c: _rank(c)[:2])


def _rank(candidate: Candidate) -> tuple[int, float, int]:
    """Order candidates none of which is verified: unjudged before wrong, then by score, then the later round."""
    verdict = candidate["verdict"]
    return (0 if verdict["ok"] is False else 1, verdict.get("score") or 0.0, candidate["round"])


async def _cancelled(tasks: Iterable[asyncio.Future[Solved]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
