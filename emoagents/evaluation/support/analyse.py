"""From the records of support dialogues to findings: proficiency, preference bias, intervals, differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from emoagents.errors import ParameterError
from emoagents.evaluation.analysis.resampling import generator
from emoagents.evaluation.metrics.classification import Array
from emoagents.evaluation.record import Plan, Record
from emoagents.evaluation.report.words import plural
from emoagents.evaluation.support.blind import blind_rows
from emoagents.evaluation.support.choices import Choices, read_choices
from emoagents.evaluation.support.differences import support_differences
from emoagents.evaluation.support.findings import ReferenceRow, SupportArm, SupportFindings
from emoagents.evaluation.support.resampling import draws
from emoagents.evaluation.support.rows import arm_row, mix
from emoagents.support.labels import STAGES, STRATEGIES

__all__ = ["FEW", "analyse_support"]

FEW = 20
"""Intervals of fewer dialogues than this get a note."""

_MUCH = 0.1
"""A uniform draw's B from which its size gets a note."""

_RANDOM = 20  # this part's own random numbers


def analyse_support(
    plan: Plan, records: Iterable[Record], *, resamples: int = 2000, alpha: float = 0.05
) -> SupportFindings:
    """Return what the records of a plan's support tasks show.

    The records are read once, as a stream; of two records of one attempt the later counts. What is held is a few
    numbers for each attempt, and the text of replies where there are any. The same records in another order, with the
    same seed in the plan, give the same findings.

    Intervals are percentiles of a bootstrap that draws whole dialogues, the same ones for all arms. Tests swap two
    arms within whole dialogues. In simulations of dependent choices the tests reject between 3 and 7 times of 100
    where nothing differs, and intervals of differences cover 91 to 99 of 100, with 20 dialogues as with 150.

    B itself is another matter: few choices make preferences look stronger than they are, so it is too large where
    there are few, and so is its whole interval: 93 to 95 of 100 cover with 950 dialogues and 1,900 choices, 81 to 92
    with 150 and 450, 49 to 89 with 40 and 160. Arms on the same instances share that, and the row of uniform draws
    shows how much chance alone makes.

    Args:
        resamples: bootstrap samples, and the least number of swaps of a test.
        alpha: 1 minus the intervals' coverage, and the level of the tests after Holm's correction.

    Raises:
        ParameterError: alpha is not between 0 and 1, or there are fewer than 100 resamples.
    """
    if not 0 < alpha < 1:
        raise ParameterError(f"alpha must be between 0 and 1, not {alpha!r}")
    if resamples < 100:
        raise ParameterError(f"resamples must be at least 100, not {resamples!r}")
    choices = read_choices(plan, records)
    times = _times(choices, resamples, plan.seed)
    arms = tuple(arm_row(choices, arm, times, alpha) for arm in range(len(choices.arms)))
    references = blind_rows(choices, plan.seed)
    return SupportFindings(
        labels=STRATEGIES,
        bins=tuple(name for name in choices.bins if name),
        instances=len(choices.truth),
        dialogues=choices.dialogues,
        stage_n=_counted((*STAGES, "none"), choices.stage),
        truth=_counted(STRATEGIES, choices.truth),
        arms=arms,
        differences=tuple(support_differences(plan, choices, times, alpha, resamples)),
        references=references,
        human_mix=mix(choices, choices.truth, np.ones(len(choices.truth), dtype=np.bool_)),
        alpha=alpha,
        resamples=resamples,
        notes=(*_notes(choices, arms), *_note_chance(references)),
    )


def _times(choices: Choices, resamples: int, seed: int) -> Array | None:
    return draws(choices.dialogues, resamples, generator(seed, _RANDOM)) if choices.dialogues > 1 else None


def _counted(names: Iterable[str], codes: Iterable[int]) -> dict[str, int]:
    found = list(codes)
    return {name: found.count(code) for code, name in enumerate(names)}


# -- notes ------------------------------------------------------------------------------------------------------------


def _notes(choices: Choices, arms: Iterable[SupportArm]) -> Iterator[str]:
    arms = tuple(arms)
    if not len(choices.truth):
        yield "There is no record of a support dialogue."
        return
    if choices.tasks > 1:
        yield f"{plural(choices.tasks, 'task')} are counted together; an instance that several hold counts in each."
    if choices.dialogues < FEW:
        yield f"Only {plural(choices.dialogues, 'dialogue')}: intervals are rough, and often too short."
    if unparsed := sum(arm.unparsed for arm in arms):
        count = plural(unparsed, "answer without a strategy", "answers without a strategy")
        yield f"{count}: a miss for Q, F1 and accuracy, left out of preferences and B."
    if failed := sum(arm.failed for arm in arms):
        yield f"{plural(failed, 'attempt')} failed: in no number here."
    if choices.strangers:
        yield f"{plural(choices.strangers, 'record')} of other tasks, arms or strategies than the plan's left out."
    if silent := [arm.arm for arm in arms if not arm.n]:
        yield f"No answers of {', '.join(silent)}."
    yield from _note_texts(choices, arms)


def _note_chance(references: Sequence[ReferenceRow]) -> Iterator[str]:
    for row in references[:1]:
        if row.b > _MUCH:
            yield (
                f"Few choices make B larger than it is: uniform draws, which prefer nothing, have {row.b:.2f} here. "
                "Compare B between arms of this table, not with tables of other sizes."
            )


def _note_texts(choices: Choices, arms: Iterable[SupportArm]) -> Iterator[str]:
    scored = {arm.arm: arm.text for arm in arms if arm.text is not None}
    replies = {
        arm
        for arm, own in zip(choices.arms, choices.attempts, strict=True)
        if any(one.reply and choices.references[place] for place, one in own.items())
    }
    if replies - set(scored):
        yield "Replies are not scored: that needs the extra 'support' (pip install 'emoagents[support]')."
    yield from sorted({f"{text.meteor_reason}." for text in scored.values() if text.meteor_reason})
