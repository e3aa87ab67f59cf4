"""Aggregate: make one answer of several candidates, by synthesis, vote, choice or judgement."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

from pydantic import BaseModel, Field

from emoagents.asked import ask_in
from emoagents.card import Card
from emoagents.errors import BudgetExceeded, RunError
from emoagents.model.request import Completion, Message
from emoagents.nodes.extract import Extract, extract_answer
from emoagents.nodes.fit import fit_texts
from emoagents.nodes.respond import conclude, new_message_id
from emoagents.nodes.solve import gather_solved, solve
from emoagents.state import Candidate, StopReason, Update
from emoagents.step import Run
from emoagents.together import together

__all__ = [
    "Method",
    "aggregate",
    "best_so_far",
    "choose",
    "evolve",
    "judge_best",
    "shuffled",
    "synthesize",
    "vote",
]

Method: TypeAlias = Literal["synthesize", "vote", "choose", "judge"]
"""synthesize: GSA. vote: self-consistency. choose: universal self-consistency. judge: best of n by a judge."""


class Choice(BaseModel):
    """The model's pick, by number."""

    choice: int


class Score(BaseModel):
    """A judge's rating of one candidate, 0 to 10."""

    score: float = Field(ge=0, le=10)
    reason: str = ""


def shuffled(candidates: Sequence[Candidate], seed: int | None) -> list[Candidate]:
    """Return the candidates in an order drawn with the seed (0 where there is none)."""
    order = list(candidates)
    random.Random(seed or 0).shuffle(order)
    return order


def best_so_far(candidates: Sequence[Candidate]) -> str:
    """Return the best text that is known without another call: a verified one, the majority's, else the first."""
    for candidate in candidates:
        if candidate.get("verdict", {}).get("ok"):
            return candidate["text"]
    return _winner(candidates, "auto")[0] or candidates[0]["text"]


async def aggregate(
    run: Run,
    card: Card,
    prompt: Sequence[Message],
    candidates: Sequence[Candidate],
    method: Method = "synthesize",
    *,
    extract: Extract = "auto",
    stopped_by: StopReason = "complete",
) -> Update:
    """End a strategy with one answer made of candidates.

    If the budget ends or the last call fails, the answer is the best there is and `stopped_by` says so.
    """
    try:
        if method == "synthesize":
            return await synthesize(run, card, prompt, candidates, stopped_by)
        if method == "vote":
            return vote(run, candidates, extract)
        if method == "choose":
            return await choose(run, card, prompt, candidates)
        return await judge_best(run, card, prompt, candidates)
    except RunError as error:
        run.emit("failure", error=str(error))
        reason = "budget" if isinstance(error, BudgetExceeded) else "failed"
        return conclude(run, best_so_far(candidates), stopped_by=reason)


async def synthesize(
    run: Run,
    card: Card,
    prompt: Sequence[Message],
    candidates: Sequence[Candidate],
    stopped_by: StopReason = "complete",
) -> Update:
    """Let the model write a new answer with all candidates before it (GSA step 2, arXiv 2503.04104)."""
    message_id = new_message_id()
    asked = await _synthesis_prompt(run, card, prompt, candidates)
    completion = await run.ask_one(asked, message_id=message_id)
    return conclude(run, completion, stopped_by=stopped_by, message_id=message_id)


async def _synthesis_prompt(
    run: Run, card: Card, prompt: Sequence[Message], candidates: Sequence[Candidate]
) -> list[Message]:
    def build(texts: Sequence[str]) -> list[Message]:
        if len(texts) == 1 and "refine" in card.prompts:
            return ask_in(prompt, card, "refine", candidate=texts[0])
        return ask_in(prompt, card, "synthesize", candidates=_blocks(card, texts), count=len(texts))

    return build(await fit_texts(run, [c["text"] for c in candidates], build))


async def evolve(
    run: Run,
    card: Card,
    prompt: Sequence[Message],
    population: Sequence[Candidate],
    *,
    k: int,
    loop: int,
    temperature: float | None,
) -> list[Candidate]:
    """Return a new population, each made of k candidates drawn from the old one (RSA, arXiv 2509.26626).

    Where all fail, the old population is returned: nothing is lost.
    """
    works = []
    for index in range(len(population)):
        draw = random.Random(f"{run.context.seed or 0} {loop} {index}")
        parents = draw.sample(list(population), min(k, len(population)))
        asked = await _synthesis_prompt(run, card, prompt, parents)
        works.append(solve(run, asked, [index], card=card, temperature=temperature))
    return (await gather_solved(works)).candidates or list(population)


def vote(run: Run, candidates: Sequence[Candidate], extract: Extract) -> Update:
    """Take the answer that most candidates agree on (self-consistency); the first of them where votes are equal.

    Candidates whose answer can't be read have no vote; if that is all, `stopped_by` is "unparsed".
    """
    text, counts, unparsed = _winner(candidates, extract)
    run.emit("vote", counts=dict(counts.most_common()), unparsed=unparsed)
    if text is None:
        return conclude(run, candidates[0]["text"], stopped_by="unparsed")
    return conclude(run, text, stopped_by="complete")


def _winner(candidates: Sequence[Candidate], extract: Extract) -> tuple[str | None, Counter[str], int]:
    read = [(extract_answer(c["text"], extract), c["text"]) for c in candidates]
    counts = Counter(answer for answer, _ in read if answer is not None)
    unparsed = sum(answer is None for answer, _ in read)
    if not counts:
        return None, counts, unparsed
    top = max(counts, key=lambda answer: counts[answer])  # the first of equals: Counter keeps the order
    return next(text for answer, text in read if answer == top), counts, unparsed


async def choose(run: Run, card: Card, prompt: Sequence[Message], candidates: Sequence[Candidate]) -> Update:
    """Let the model pick the most consistent candidate by number (universal self-consistency, arXiv 2311.17311)."""

    def build(texts: Sequence[str]) -> list[Message]:
        return ask_in(prompt, card, "choose", candidates=_blocks(card, texts), count=len(texts))

    asked = build(await fit_texts(run, [c["text"] for c in candidates], build))
    reply = await run.ask_one(asked, temperature=0.0, response_format=Choice)
    picked = reply.parsed.choice if isinstance(reply.parsed, Choice) else 0
    run.emit("choice", number=picked, unparsed=not 1 <= picked <= len(candidates))
    if not 1 <= picked <= len(candidates):
        return conclude(run, best_so_far(candidates), stopped_by="unparsed")
    return conclude(run, candidates[picked - 1]["text"], stopped_by="complete")


async def judge_best(run: Run, card: Card, prompt: Sequence[Message], candidates: Sequence[Candidate]) -> Update:
    """Let a judge rate each candidate and take the best (best-of-n); the first where ratings are equal."""
    scores = await _scores(run, card, prompt, candidates)
    run.emit("scores", scores=scores, unparsed=sum(s is None for s in scores))
    known = [i for i, s in enumerate(scores) if s is not None]
    if not known:
        return conclude(run, best_so_far(candidates), stopped_by="unparsed")
    return conclude(run, candidates[max(known, key=lambda i: scores[i] or 0.0)]["text"], stopped_by="complete")


async def _scores(
    run: Run, card: Card, prompt: Sequence[Message], candidates: Sequence[Candidate]
) -> list[float | None]:
    prompts = [ask_in(prompt, card, "judge", candidate=c["text"]) for c in candidates]
    asked = await together(run.ask(p, temperature=0.0, response_format=Score) for p in prompts)
    errors = [e for samples in asked for e in samples.errors]
    if len(errors) == len(candidates):
        raise errors[0]
    return [_score(samples.completions) for samples in asked]


def _score(completions: Sequence[Completion]) -> float | None:
    parsed = completions[0].parsed if completions else None
    return parsed.score if isinstance(parsed, Score) else None


def _blocks(card: Card, texts: Sequence[str]) -> str:
    return "\n\n".join(card.render("candidate", number=i, text=t) for i, t in enumerate(texts, 1))
