"""LongEmotion's files as typed records (Liu et al., arXiv 2509.07403). The data is its publisher's: bring it."""

from __future__ import annotations

from emoagents.longemotion.checkpoints import Checkpoint, checkpoints, client_turns
from emoagents.longemotion.files import FILES, find_files
from emoagents.longemotion.load import (
    read_classification,
    read_conversations,
    read_detection,
    read_qa,
    read_questionnaires,
    read_situations,
    read_summaries,
)
from emoagents.longemotion.records import (
    REPORT_FIELDS,
    ClassificationCase,
    Conversation,
    DetectionCase,
    QuestionCase,
    Questionnaire,
    Situation,
    Stage,
    SummaryCase,
    Utterance,
)

__all__ = [
    "FILES",
    "REPORT_FIELDS",
    "Checkpoint",
    "ClassificationCase",
    "Conversation",
    "DetectionCase",
    "QuestionCase",
    "Questionnaire",
    "Situation",
    "Stage",
    "SummaryCase",
    "Utterance",
    "checkpoints",
    "client_turns",
    "find_files",
    "read_classification",
    "read_conversations",
    "read_detection",
    "read_qa",
    "read_questionnaires",
    "read_situations",
    "read_summaries",
]
