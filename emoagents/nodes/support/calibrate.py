"""Calibrated choice (ours): the model's distribution over the strategies, with its own preference divided out.

The distribution comes from the log-probabilities of one letter where the provider tells them, else from samples. The
preference is the mean distribution over example dialogues, or where there is nothing to choose by (contextual
calibration, Zhao et al. 2021), or given; it is measured in the same way as the choice, and once: what a thread has
measured stands in the notes of its replies, and the embedded model's comes with emoagents.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from emoagents.errors import BudgetExceeded, ModelCallError, ModelConfigError, RunError
from emoagents.nodes.support.prompter import Prompter
from emoagents.nodes.support.schemas import Choice
from emoagents.nodes.support.selection import Selection
from emoagents.nodes.support.settings import Settings
from emoagents.step import Run
from emoagents.support.conversation import Conversation
from emoagents.support.debias import (
    Distribution,
    debiased,
    distribution_of,
    from_counts,
    from_letters,
    mean,
    staged,
)
from emoagents.support.dialogue import Turn
from emoagents.support.known import shipped_preference
from emoagents.support.labels import STRATEGIES
from emoagents.support.planner import choice
from emoagents.together import together

__all__ = ["calibrated"]

_LEAST_MASS = 0.05
"""Where all letters together are less likely, the model does not answer by a letter at all, and samples are drawn."""

_CONTENT_FREE = ("N/A", "...", "This is a sentence.")
_LENGTHS = (1, 5)
"""Turns of a dialogue that says nothing. Letters' preferences change with length; these two are averaged."""

_DRAWS = 24
"""Samples that a preference is measured with, all its prompts together, where there are no log-probabilities."""

_Reader: TypeAlias = Callable[[Prompter, Run, int], Coroutine[Any, Any, Distribution | None]]
"""Reads a distribution off the model, from so many samples where it needs samples; None where it can't be read."""


async def calibrated(prompter: Prompter, run: Run, settings: Settings) -> Selection:
    """Choose the strategy that is likeliest once the model's own preference is taken out.

    Raises:
        RunError: the model did not answer. ModelConfigError: log-probabilities are insisted on, and it has none.
    """
    read, reader = await _choice(prompter, run, settings)
    if read is None:
        return Selection(strategy=None, method="calibrated", unparsed="none of the samples names a strategy")
    prompters = [replace(prompter, conversation=each) for each in _neutral(prompter.conversation, settings)]
    key = _key(run, prompters, reader)
    own = await _preference(prompter, run, settings, prompters, reader, key)
    stage = (prompter.assessment or {}).get("stage")
    final = staged(debiased(read, own, settings.strength) if own else read, stage, settings.stage_strength)
    return Selection(
        strategy=choice(final),
        method="calibrated",
        reason=_reason(read, own, final),
        distribution=final,
        facts={"before": read, "preference": own, "preference_of": key if own else None},
    )


# -- the choice -------------------------------------------------------------------------------------------------------


async def _choice(prompter: Prompter, run: Run, settings: Settings) -> tuple[Distribution | None, _Reader]:
    """Return the model's own distribution, and how it was read."""
    if settings.probabilities != "samples":
        has = getattr(await run.context.door.backend(), "logprobs", 0) > 0
        if settings.probabilities == "logprobs" and not has:
            raise _without_logprobs(run)
        if has and (read := await _tried(prompter, run)) is not None:
            return read, _by_letter
        if settings.probabilities == "logprobs":
            raise _without_logprobs(run)
    return await _by_samples(prompter, run, settings.samples), _by_samples


async def _tried(prompter: Prompter, run: Run) -> Distribution | None:
    """Read by a letter; None where the provider refuses to tell log-probabilities after all."""
    try:
        return await _by_letter(prompter, run)
    except ModelCallError as error:
        if error.status is None or not 400 <= error.status < 500 or error.retryable:
            raise
        run.emit("failure", error=str(error))
        return None


def _without_logprobs(run: Run) -> ModelConfigError:
    name = run.context.door.name
    return ModelConfigError(f"{name} tells no log-probabilities of letters: use probabilities=samples", model=name)


async def _by_letter(prompter: Prompter, run: Run, samples: int = 1) -> Distribution | None:
    prompt = prompter.prompt("letter", lettered=True)
    most = (await run.context.door.backend()).logprobs  # type: ignore[attr-defined]  # not every backend has it
    reply = await run.ask_one(prompt, own_temperature=1.0, max_tokens=1, top_logprobs=most)
    if not reply.logprobs:
        return None
    read, mass = from_letters(reply.logprobs[0].get("top_logprobs") or ())
    return read if mass >= _LEAST_MASS else None


async def _by_samples(prompter: Prompter, run: Run, samples: int) -> Distribution | None:
    prompt = replace(prompter, reply=False).prompt("vanilla_choice")
    drawn = await run.ask(prompt, range(samples), own_temperature=1.0, response_format=Choice)
    parsed = [c.parsed for c in drawn.require()]
    named = Counter(p.strategy for p in parsed if isinstance(p, Choice))
    if len(parsed) > named.total():
        run.emit("unparsed", what="strategy", count=len(parsed) - named.total(), of=len(parsed))
    return from_counts(named) if named else None


# -- the preference ---------------------------------------------------------------------------------------------------


async def _preference(
    prompter: Prompter, run: Run, settings: Settings, prompters: Sequence[Prompter], reader: _Reader, key: str
) -> Distribution | None:
    """Return the model's own preference; None where it could not be read at all, which the trace says."""
    if not isinstance(settings.prior, str):
        return distribution_of(settings.prior)
    if settings.prior == "none":
        return distribution_of(dict.fromkeys(STRATEGIES, 1.0))
    known = _remembered(prompter, key) or shipped_preference(key)
    if known and settings.prior != "measure":
        return known
    each = math.ceil(_DRAWS / len(prompters))
    found = [d for d in await together(_spared(one, run, reader, each) for one in prompters) if d is not None]
    if not found:
        run.emit("unparsed", what="preference", reason="no answer could be read")
    return mean(found) if found else None


async def _spared(prompter: Prompter, run: Run, reader: _Reader, samples: int) -> Distribution | None:
    """Read one of many; that it failed does not cost the reply."""
    try:
        return await reader(prompter, run, samples)
    except RunError as error:
        out_of_budget = {"budget": True} if isinstance(error, BudgetExceeded) else {}
        run.emit("failure", error=str(error), **out_of_budget)
        return None


def _neutral(real: Conversation, settings: Settings) -> Iterable[Conversation]:
    """Yield what the preference is measured on."""
    if settings.prior in ("dialogues", "measure"):
        for one in settings.references():
            yield Conversation(background="", turns=one.context)
    elif settings.prior == "content_free":
        background = "N/A" if real.background else ""
        for text in _CONTENT_FREE:
            for length in _LENGTHS:
                yield Conversation(background=background, turns=tuple(_empty(text, length)))


def _empty(text: str, length: int) -> Iterable[Turn]:
    for number in range(length):  # the seeker speaks last
        yield Turn(role="seeker" if (length - number) % 2 else "supporter", text=text, number=number)


def _key(run: Run, prompters: Sequence[Prompter], reader: _Reader) -> str:
    """Name what a measured preference belongs to: the model, all prompts, and how they are read."""
    ask = "letter" if reader is _by_letter else "vanilla_choice"
    prompts = [prompter.prompt(ask, lettered=reader is _by_letter) for prompter in prompters]
    whole = json.dumps([run.context.door.name, prompts])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _remembered(prompter: Prompter, key: str) -> Distribution | None:
    for note in reversed(prompter.conversation.notes):
        if note.get("preference_of") == key and isinstance(note.get("preference"), dict):
            return distribution_of(note["preference"])
    return None


def _reason(read: Distribution, own: Distribution | None, final: Distribution) -> str:
    chosen, before = choice(final), choice(read)
    if own is None:
        return f"the model gives it {read[chosen]:.0%}; its own preference could not be measured"
    text = f"the model gives it {read[chosen]:.0%} here and {own[chosen]:.0%} where there is nothing to choose by"
    if before == chosen:
        return f"{text}; it is the likeliest before and after calibration"
    return f"{text}; without calibration it would be {before} ({read[before]:.0%}, otherwise {own[before]:.0%})"
