"""LongEmotion's files, one record after the other. Columns that are not known are passed over.

The published set was not at hand for all files: detection and conversations were read, the others are loaded by the
columns that the publisher's documentation lists. A mistake is one `DataError` with file, line and column.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

from emoagents.errors import DataError
from emoagents.evaluation.tasks.rows import Ids, Row, json_rows, json_value
from emoagents.longemotion.parts import label_of, members, objects, optional, whole
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
    "read_classification",
    "read_conversations",
    "read_detection",
    "read_qa",
    "read_questionnaires",
    "read_situations",
    "read_summaries",
]

_SECTIONS = ("case_description", "consultation_process", "experience_and_reflection")
_ROLES = ("Client", "Counselor")
_FINANCE = frozenset({"positive", "neutral", "negative"})


# ---- one case a line


def read_classification(path: Path) -> Iterator[ClassificationCase]:
    """Yield the cases of `Emotion_Classification_*.jsonl`, or of EmoBench's EU.jsonl.

    Raises:
        DataError: the file can't be read, a row lacks a column, or its label is none of its choices.
    """
    ids = Ids()
    for row in json_rows(path):
        case = _eu_case(row) if "emotion_choices" in row.fields else _long_case(row)
        ids.new(row, case.id)
        yield case


def _long_case(row: Row) -> ClassificationCase:
    choices = row.texts("choices")
    finance = {choice.casefold() for choice in choices} <= _FINANCE
    kind: Literal["finentity", "emobench"] = "finentity" if finance else "emobench"
    return ClassificationCase(
        id=f"{kind}-{row.text('id')}",
        set=kind,
        content=row.text("content"),
        subject=row.text("subject"),
        choices=choices,
        label=label_of(row, "label", choices),
    )


def _eu_case(row: Row) -> ClassificationCase:
    choices, language = row.texts("emotion_choices"), optional(row, "language") or "en"
    if language not in ("en", "zh"):
        raise row.wrong(f"the language {language!r} is neither en nor zh")
    return ClassificationCase(
        id=f"{language}-{row.text('qid')}",
        set="eu",
        content=row.text("scenario"),
        subject=row.text("subject"),
        choices=choices,
        label=label_of(row, "emotion_label", choices),
        language=language,
        category=optional(row, "coarse_category"),
    )


def read_detection(path: Path) -> Iterator[DetectionCase]:
    """Yield the cases of `Emotion_Detection.jsonl`. They have no ids: their number in the file is theirs.

    Raises:
        DataError: the file can't be read, or a row lacks a column; `ground_truth` is no index of its texts; a text
            does not stand at its index.
    """
    for count, row in enumerate(json_rows(path), 1):
        segments = tuple(_segment(one, place) for place, one in enumerate(objects(row, "text")))
        odd = whole(row, "ground_truth")
        if not 0 <= odd < len(segments):
            raise row.wrong(f"'ground_truth' is {odd}; the texts have the indices 0 to {len(segments) - 1}")
        labels = row.texts("label") if "label" in row.fields else ()
        if labels and len(labels) != len(segments):
            raise row.wrong(f"'label' has {len(labels)} labels for {len(segments)} texts")
        yield DetectionCase(id=f"{count:04d}", segments=segments, odd=odd, labels=labels)


def _segment(row: Row, place: int) -> str:
    if (index := whole(row, "index")) != place:
        raise row.wrong(f"'index' is {index}, and it stands at {place}")
    return row.text("context")


def read_qa(path: Path) -> Iterator[QuestionCase]:
    """Yield the cases of `Emotion_QA.jsonl`; `answer` may be a list of references.

    Raises:
        DataError: the file can't be read, or a row lacks a column.
    """
    ids = Ids()
    for count, row in enumerate(json_rows(path), 1):
        name = row.text("number") if "number" in row.fields else ""
        yield QuestionCase(
            id=ids.new(row, name or f"row-{count:04d}"),
            context=row.text("context"),
            question=row.text("problem"),
            answers=row.texts("answer"),
            source=optional(row, "source"),
        )


def read_summaries(path: Path) -> Iterator[SummaryCase]:
    """Yield the cases of `Emotion_Summary.jsonl`.

    Raises:
        DataError: the file can't be read, a row lacks a column, or all its sections are empty.
    """
    ids = Ids()
    for row in json_rows(path):
        sections = {name: text for name in _SECTIONS if (text := _may_be_empty(row, name))}
        if not sections:
            raise row.wrong(f"{', '.join(map(repr, _SECTIONS))} are all empty")
        reference = {name: _may_be_empty(row, name) for name in REPORT_FIELDS}
        yield SummaryCase(id=ids.new(row, row.text("id")), sections=sections, reference=reference)


def _may_be_empty(row: Row, name: str) -> str:
    """Return a column that must be there and may say nothing. Lists of sentences are joined."""
    if row.fields.get(name, "missing") in (None, "", []):
        return ""
    return "\n".join(row.texts(name)).strip()


def read_conversations(path: Path) -> Iterator[Conversation]:
    """Yield the conversations of `Emotion_Conversations.jsonl`. A stage may be empty.

    Raises:
        DataError: the file can't be read, a row lacks a column, or a speaker is neither Client nor Counselor.
    """
    ids = Ids()
    for row in json_rows(path):
        stages = tuple(_stage(one) for one in objects(row, "stages"))
        description = "\n".join(row.texts("description")) if row.fields.get("description") else ""
        yield Conversation(id=ids.new(row, row.text("id")), stages=stages, description=description)


def _stage(row: Row) -> Stage:
    said = objects(row, "conversations", may_be_empty=True)
    return Stage(name=row.text("stage"), utterances=tuple(map(_utterance, said)))


def _utterance(row: Row) -> Utterance:
    role = row.text("role")
    if role not in _ROLES:
        raise row.wrong(f"'role' is {role[:80]!r}, neither Client nor Counselor")
    return Utterance(role=cast(Literal["Client", "Counselor"], role), text=row.text("context"))


# ---- one JSON value a file


def read_situations(path: Path) -> Iterator[Situation]:
    """Yield the situations of `Emotion_Expression_Situations.json`, numbered in each factor of an emotion.

    Raises:
        DataError: the file can't be read, or its shape is not emotions, factors, scenarios.
    """
    value = json_value(path)
    if not isinstance(value, dict):
        raise DataError(str(path), 0, "not a JSON object with 'emotions'")
    for emotion in objects(Row(value, str(path)), "emotions"):
        name = emotion.text("name")
        for place, factor in enumerate(objects(emotion, "factors"), 1):
            for count, text in enumerate(members(factor, "scenarios"), 1):
                yield Situation(
                    id=f"{name.lower()}-{place}-{count:02d}", emotion=name, factor=factor.text("name"), text=text
                )


def read_questionnaires(path: Path) -> Iterator[Questionnaire]:
    """Yield the questionnaires of `Emotion_Expression_Questionnaires.json`: an object, or a list of them.

    Raises:
        DataError: the file can't be read, or a questionnaire has no name or no items.
    """
    value = json_value(path)
    for place, one in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(one, dict):
            raise DataError(str(path), 0, f"questionnaire {place} is not a JSON object")
        row = Row(one, str(path), place=f"questionnaire {place}")
        yield Questionnaire(name=row.text("name"), items=members(row, "questions"), instruction=optional(row, "prompt"))
    if not value:
        raise DataError(str(path), 0, "there is no questionnaire")
