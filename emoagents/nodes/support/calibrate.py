"""Calibrated choice (ours): the model's distribution over the strategies, with its own preference divided out.

The distribution comes from the log-probabilities of one letter where the provider tells them, else from samples. The
preference is the mean distribution where there is nothing to choose by (contextual calibration, Zhao et al. 2021), over
example dialogues, or given. It is measured once: what a thread has measured stands in the notes of its replies.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from emoagents.errors import ModelConfigError
from emoagents.nodes.support.desk import Desk, Selection
from emoagents.nodes.support.schemas import Choice
from emoagents.nodes.support.ways import Ways
from emoagents.step import Run
from emoagents.support.conversation import Conversation
from emoagents.support.debias import (
    Distribution,
    best,
    debiased,
    distribution_of,
    from_counts,
    from_letters,
    mean,
    staged,
)
from emoagents.support.dialogue import Turn
from emoagents.support.labels import STRATEGIES, SupportStrategy
from emoagents.together import together

__all__ = ["calibrated", "preference"]

_ALTERNATIVES = 20
"""Tokens whose log-probabilities are asked for: the most that OpenAI tells."""

_LEAST_MASS = 0.05
"""Where all letters together are less likely, the model does not answer by a letter at all, and samples are drawn."""

_CONTENT_FREE = ("N/A", "...", "This is a sentence.")
_LENGTHS = (1, 5)
"""Turns of a dialogue that says nothing. Letters' preferences change with length; these two are averaged."""


async def calibrated(desk: Desk, run: Run, ways: Ways) -> Selection:
    """Choose the strategy that is likeliest once the model's own preference is taken out.

    Raises:
        RunError: the model did not answer. ModelConfigError: log-probabilities are insisted on, and it has none.
    """
    own, read = await together([preference(desk, run, ways), _distribution(desk, run, ways)])
    if read is None or own is None:
        return Selection(strategy=None, method="calibrated", unparsed="none of the samples names a strategy")
    stage = (desk.assessment or {}).get("stage")
    final = staged(debiased(read, own, ways.strength), stage, ways.stage_strength)
    chosen = best(final)
    return Selection(
        strategy=chosen,
        method="calibrated",
        reason=_reason(chosen, read, own, final),
        distribution=final,
        facts={"before": read, "preference": own, "preference_of": _key(desk, run, ways)},
    )


async def preference(desk: Desk, run: Run, ways: Ways) -> Distribution | None:
    """Return the model's own preference; None where none of its samples names a strategy."""
    if not isinstance(ways.prior, str):
        return distribution_of(ways.prior)
    if ways.prior == "none":
        return distribution_of(dict.fromkeys(STRATEGIES, 1.0))
    if known := _remembered(desk, _key(desk, run, ways)):
        return known
    desks = [replace(desk, conversation=c) for c in _neutral(desk.conversation, ways)]
    read = [d for d in await together(_distribution(d, run, ways) for d in desks) if d is not None]
    return mean(read) if read else None


def _neutral(real: Conversation, ways: Ways) -> Iterable[Conversation]:
    """Yield what the preference is measured on."""
    if ways.prior == "dialogues":
        for one in ways.references():
            yield Conversation(background="", turns=one.context)
        return
    background = "N/A" if real.background else ""
    for text in _CONTENT_FREE:
        for length in _LENGTHS:
            yield Conversation(background=background, turns=tuple(_empty(text, length)))


def _empty(text: str, length: int) -> Iterable[Turn]:
    for number in range(length):  # the seeker speaks last
        yield Turn(role="seeker" if (length - number) % 2 else "supporter", text=text, number=number)


async def _distribution(desk: Desk, run: Run, ways: Ways) -> Distribution | None:
    if ways.probabilities != "samples":
        has = getattr(await run.context.door.backend(), "logprobs", False)
        if ways.probabilities == "logprobs" and not has:
            raise ModelConfigError(
                f"{run.context.door.name} tells no log-probabilities: use probabilities=samples",
                model=run.context.door.name,
            )
        if has and (read := await _by_letter(desk, run)) is not None:
            return read
    return await _by_samples(desk, run, ways.samples)


async def _by_letter(desk: Desk, run: Run) -> Distribution | None:
    prompt = desk.prompt(desk.card.render("letter"), lettered=True)
    reply = await run.ask_one(prompt, temperature=0.0, max_tokens=1, top_logprobs=_ALTERNATIVES)
    if not reply.logprobs:
        return None
    read, mass = from_letters(reply.logprobs[0].get("top_logprobs") or ())
    return read if mass >= _LEAST_MASS else None


async def _by_samples(desk: Desk, run: Run, count: int) -> Distribution | None:
    prompt = replace(desk, reply=False).prompt(desk.card.render("vanilla_choice"))
    samples = await run.ask(prompt, range(count), temperature=1.0, response_format=Choice)
    parsed = [c.parsed for c in samples.require()]
    named = Counter(p.strategy for p in parsed if isinstance(p, Choice))
    if len(parsed) > named.total():
        run.emit("unparsed", what="strategy", count=len(parsed) - named.total(), of=len(parsed))
    return from_counts(named) if named else None


def _reason(chosen: SupportStrategy, read: Distribution, own: Distribution, final: Distribution) -> str:
    before = best(read)
    text = f"the model gives it {read[chosen]:.0%} here and {own[chosen]:.0%} where there is nothing to choose by"
    if before == chosen:
        return f"{text}; it is the likeliest before and after calibration"
    return f"{text}; without calibration it would be {before} ({read[before]:.0%}, otherwise {own[before]:.0%})"


def _key(desk: Desk, run: Run, ways: Ways) -> str:
    """Name what a measured preference belongs to: model, prompts and way of measuring."""
    prompts = [desk.prompt(lettered=True)[0], desk.card.render("letter"), desk.card.render("vanilla_choice")]
    whole = [run.context.door.name, prompts, str(ways.prior), ways.probabilities, ways.samples, desk.turns]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def _remembered(desk: Desk, key: str) -> Distribution | None:
    for note in reversed(desk.conversation.notes):
        if note.get("preference_of") == key and note.get("preference"):
            return distribution_of(note["preference"])
    return None
