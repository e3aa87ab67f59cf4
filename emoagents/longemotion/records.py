"""What LongEmotion's files hold, as typed records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "REPORT_FIELDS",
    "ClassificationCase",
    "Conversation",
    "DetectionCase",
    "QuestionCase",
    "Questionnaire",
    "Situation",
    "Stage",
    "SummaryCase",
    "Utterance",
]

REPORT_FIELDS = ("causes", "symptoms", "treatment_process", "characteristics_of_illness", "treatment_effect")
"""What a summary of a counselling report has, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationCase:
    """Which emotion somebody in a long text feels, or which tone a text has towards a company.

    Attributes:
        id: unique among the cases of its set. set: "emobench", "finentity", or "eu" for EmoBench's own rows.
        content: the text. subject: whom it is about. choices: labels to choose from; label: the right one.
        language: "en" or "zh". category: EmoBench's coarse category; "" where the row has none.
    """

    id: str
    set: Literal["emobench", "finentity", "eu"]
    content: str
    subject: str
    choices: tuple[str, ...]
    label: str
    language: str = "en"
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionCase:
    """Texts of one emotion, and one text of another.

    Attributes:
        segments: the texts; a text's place is its index. odd: index of the one that differs.
        labels: the publisher's label of each text; () where the row has none.
    """

    id: str
    segments: tuple[str, ...]
    odd: int
    labels: tuple[str, ...] = ()

    @property
    def odd_label(self) -> str:
        """Return the label of the text that differs; "" where there are none."""
        return self.labels[self.odd] if self.labels else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionCase:
    """A question on a paper. `answers` are references, of which the best counts; `source` names the paper."""

    id: str
    context: str
    question: str
    answers: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryCase:
    """A report of a counselling case in three sections, and its summary.

    Attributes:
        sections: from a section's name, as "case_description", to its text; empty ones are left out.
        reference: a text for each of `REPORT_FIELDS`; "" where the publisher has none.
    """

    id: str
    sections: dict[str, str]
    reference: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What somebody says in a counselling session."""

    role: Literal["Client", "Counselor"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a counselling: its name, and what is said."""

    name: str
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A counselling in stages, four in the published data. `description` tells the case, as the publisher has it."""

    id: str
    stages: tuple[Stage, ...]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A situation that brings up an emotion; `factor` is the kind of situation."""

    id: str
    emotion: str
    factor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Questionnaire:
    """A questionnaire: its items in their order, as PANAS has 20. `instruction` is the publisher's own."""

    name: str
    items: tuple[str, ...]
    instruction: str = ""
    scale: dict[str, str] = field(default_factory=dict)
