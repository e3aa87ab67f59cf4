"""What an analysis finds out about the support strategies that arms choose. Plain data, as support.json holds it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from emoagents.evaluation.metrics.generation import TextScores

__all__ = ["METRICS", "Estimate", "ReferenceRow", "SupportArm", "SupportDifference", "SupportFindings"]

METRICS = ("q", "b", "accuracy", "exploration", "comforting", "action")
"""What is estimated and compared: Q, B, accuracy, and the weighted F1 on the instances of each stage."""

_DATA = ConfigDict(frozen=True, extra="ignore")


class Estimate(BaseModel):
    """A number with its interval; None where there is nothing to count.

    There is no interval of fewer than 2 dialogues, nor where all resamples are alike.
    """

    model_config = _DATA

    value: float | None = None
    low: float | None = None
    high: float | None = None


class SupportArm(BaseModel):
    """What one arm chose.

    Attributes:
        n: attempts that were answered; repetitions are attempts of their own. dialogues: from how many dialogues.
        q: macro-F1 over all strategies, 0 to 1. b: preference bias, 0 (none) to sqrt(7) = 2.65. accuracy: 0 to 1.
        stages: weighted F1 on the instances of each stage that has any.
        label_f1: F1 of each strategy. preferences: of each strategy, mean 1; empty where no answer names one.
        unparsed, failed: numbers of attempts; unparsed ones count as misses, failed ones nowhere.
        unparsed_share, failed_share: of all attempts.
        answers, tokens, usd, seconds: means for each answered attempt. usd is None where a price is unknown.
        text: metrics of the replies against the human ones; None where no answer is more than a strategy's name.
        confusion: counts by true strategy (rows) and predicted one (columns; the last: unparsed).
        mix: share of each strategy among the choices, by progress of the conversation.
    """

    model_config = _DATA

    arm: str
    n: int
    dialogues: int
    q: Estimate
    b: Estimate
    accuracy: Estimate
    stages: dict[str, Estimate]
    label_f1: dict[str, float]
    preferences: dict[str, float]
    unparsed: int
    failed: int
    unparsed_share: float
    failed_share: float
    answers: float
    tokens: float
    usd: float | None
    seconds: float
    text: TextScores | None = None
    confusion: tuple[tuple[int, ...], ...]
    mix: dict[str, dict[str, float]]

    def estimate(self, metric: str) -> Estimate:
        """Return what was estimated of one of `METRICS`; an empty estimate for a stage without instances."""
        if metric in self.stages:
            return self.stages[metric]
        found = getattr(self, metric, None)
        return found if isinstance(found, Estimate) else Estimate()


class SupportDifference(BaseModel):
    """A paired difference of one metric between an arm and its baseline, on the instances that both answered.

    Attributes:
        metric: one of `METRICS`. n, dialogues: the pairs, and from how many dialogues.
        difference: arm minus reference, with its interval. A lower B is the better one.
        p: two-sided, by swapping the two arms within whole dialogues. p_holm: Holm's, over all arms with this metric.
        significant: p_holm is below alpha.
    """

    model_config = _DATA

    arm: str
    reference: str
    metric: str
    n: int
    dialogues: int
    difference: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    significant: bool


class ReferenceRow(BaseModel):
    """What choosing without any look at the conversation would get; it needs no model, only the true labels."""

    model_config = _DATA

    name: str
    how: str
    q: float
    b: float
    accuracy: float
    stages: dict[str, float]


class SupportFindings(BaseModel):
    """All that was found about support strategies.

    Attributes:
        labels: the strategies, in the order of rows and columns. bins: parts of a conversation, in their order.
        instances, dialogues: what the arms were asked, and from how many dialogues that comes.
        stage_n: instances of each stage. truth: how often each strategy is the human one.
        human_mix: share of each strategy among the human choices, by progress of the conversation.
        notes: what a reader must know, one sentence each.
    """

    model_config = _DATA

    labels: tuple[str, ...]
    bins: tuple[str, ...] = ()
    instances: int = 0
    dialogues: int = 0
    stage_n: dict[str, int] = {}
    truth: dict[str, int] = {}
    arms: tuple[SupportArm, ...] = ()
    differences: tuple[SupportDifference, ...] = ()
    references: tuple[ReferenceRow, ...] = ()
    human_mix: dict[str, dict[str, float]] = {}
    alpha: float = 0.05
    resamples: int = 0
    notes: tuple[str, ...] = ()

    def difference(self, arm: str, metric: str) -> SupportDifference | None:
        """Return an arm's difference to its baseline, None where there is none."""
        return next((d for d in self.differences if (d.arm, d.metric) == (arm, metric)), None)
