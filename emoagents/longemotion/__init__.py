"""LongEmotion's files as typed records (Liu et al., arXiv 2509.07403). The data is its publisher's: bring it."""

from __future__ import annotations

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
    "ClassificationCase",
    "Conversation",
    "DetectionCase",
    "QuestionCase",
    "Questionnaire",
    "Situation",
    "Stage",
    "SummaryCase",
    "Utterance",
    "find_files",
    "read_classification",
    "read_conversations",
    "read_detection",
    "read_qa",
    "read_questionnaires",
    "read_situations",
    "read_summaries",
]
