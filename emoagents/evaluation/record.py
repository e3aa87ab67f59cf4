"""What a comparison writes down: its plan, and one record for each attempt of an arm at an item. Plain JSON."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError

__all__ = ["Arm", "Plan", "Record", "Spent", "TaskInfo"]

_DATA = ConfigDict(frozen=True, extra="ignore")


class Arm(BaseModel):
    """One way of asking that is compared.

    Attributes:
        label: its name in tables, unique in a comparison. spec: how it is made, as "heart:3[verifier=oracle]".
        title: the strategy's own name, as "emotion_prompt | self_aggregation".
        tone: "emotional" or "neutral" where the strategy has a tone.
        twin: label of the arm that differs from this one in nothing but the tone, if it is in the comparison.
        family: arms of one family differ in one choice only, as EmotionPrompt's stimuli in one tone.
        stream: which samples it draws; arms of one stream share those of equal prompts. "plain#2" is the plain prompt
            with samples of its own, for a look at what chance alone does.
        digest: of what the spec does not tell: the cards' text, and the files that parameters name.
    """

    model_config = _DATA

    label: str
    spec: str
    title: str
    tone: Literal["emotional", "neutral"] | None = None
    twin: str | None = None
    family: str | None = None
    stream: int = 1
    digest: str = ""


class TaskInfo(BaseModel):
    """A task as it was run."""

    model_config = _DATA

    name: str
    metrics: tuple[str, ...]
    items: int
    source: str = ""
    digest: str = ""
    """Of all that the task asks; the same task with other data is another one."""


class Plan(BaseModel):
    """What a comparison sets out to do. Two runs of one plan ask the model for the very same."""

    model_config = _DATA

    version: int = 1
    tasks: tuple[TaskInfo, ...]
    arms: tuple[Arm, ...]
    baseline: str
    """Label of the arm that all are compared with."""
    baselines: dict[str, str] = Field(default_factory=dict)
    """Baselines by arm, for arms that have another one, as those of a second model in a merged report."""
    model: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """Sampling settings, shots, the task's options."""
    digests: dict[str, str] = Field(default_factory=dict)
    """Of other parameters of the "model" and of each "role NAME", and of the role's address; no keys enter them."""
    seed: int = 0
    replicas: int = 1
    """Repetitions of each attempt with other samples."""
    limit: int | None = None
    """Items of each task at most; they are drawn by the seed, and a larger limit only adds some."""
    command: str = ""
    """The command line that runs it again."""
    emoagents: str = ""
    """The library's version."""

    @property
    def attempts(self) -> int:
        """Return how many attempts there are to make."""
        return sum(task.items for task in self.tasks) * len(self.arms) * self.replicas

    def baseline_of(self, arm: str) -> str:
        """Return the label of the arm that this one is compared with."""
        return self.baselines.get(arm, self.baseline)


class Spent(BaseModel):
    """What one attempt cost, whether it was paid now or its answers came from an earlier or a parallel attempt.

    `answers` counts samples drawn from the model: calls at one sample each. `bought` of them were paid in this attempt,
    with `paid_tokens` and `paid_usd`; the others are shared with other arms, or were bought before a crash. US dollars
    are None where a price is unknown.
    """

    model_config = _DATA

    answers: int = 0
    bought: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    paid_tokens: int = 0
    paid_usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Return prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


class Record(BaseModel):
    """One attempt of an arm at an item.

    Attributes:
        status: "scored"; "unparsed" (it answered, and nothing could be read from it: scores are 0); "failed" (the
            model did not answer: no scores, never counted as wrong, tried again on resume); "unjudged" (it answered,
            and the judge's verdict can't be read: no scores, never counted as wrong).
        scores: value of each metric, 0 to 1.
        question: the last user message of the item, for people to read. messages: all that was asked.
        answer: the last answer. parsed: what the metric read from it.
        cluster: items of one cluster are no independent evidence: they are resampled together. "": stands for itself.
        trace: everything that was sent, answered and decided; docs/events.md.
    """

    model_config = _DATA

    task: str
    item: str
    arm: str
    replica: int = 0
    status: Literal["scored", "unparsed", "failed", "unjudged"]
    scores: dict[str, float] = Field(default_factory=dict)
    question: str = ""
    answer: str | None = None
    parsed: str | None = None
    targets: tuple[str, ...] = ()
    groups: dict[str, str] = Field(default_factory=dict)
    cluster: str = ""
    stopped_by: str | None = None
    verified: bool | None = None
    spent: Spent = Spent()
    judge: Spent = Spent()
    error: str | None = None
    trace: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Return what names this attempt within a comparison."""
        return self.task, self.item, self.arm, self.replica

    def as_json(self) -> bytes:
        """Return one line of JSON. Half characters, which models do send, are kept as escapes."""
        try:
            return self.__pydantic_serializer__.to_json(self)
        except PydanticSerializationError:
            return json.dumps(self.model_dump(mode="python"), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, line: bytes) -> Record:
        """Return the record of a line.

        Raises:
            ValueError: it is none.
        """
        try:
            return cls.model_validate_json(line)
        except ValidationError:  # half characters again, or no record at all
            return cls.model_validate(json.loads(line))
