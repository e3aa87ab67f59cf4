"""LongEmotion's parts with exact metrics: classification, detection and question answering. The prompts are ours.

Items are read anew at each pass, so that a file of long texts need not fit into memory.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emoagents.evaluation.metrics import index, qa_f1, read_choice, read_field
from emoagents.evaluation.task import Item, Score, Task
from emoagents.evaluation.tasks.choices import lettered
from emoagents.evaluation.tasks.longemotion_items import HALVES, SOURCE, STAND_IN, field, user_message
from emoagents.evaluation.tasks.measured import MeasuredTask

if TYPE_CHECKING:
    from emoagents.longemotion import ClassificationCase, DetectionCase, QuestionCase

__all__ = ["classification", "detection", "qa"]


# ---- classification

_ASKED = {
    "emobench": "Read the text above. Which emotion does {subject} feel?",
    "finentity": "Read the text above. Which tone does it have towards {subject}?",
    "eu": "Which emotion does {subject} feel in the end?",
    "zh": "{subject}最终的情绪是什么？",
}
_FORM = {
    "en": "Choose one of these:\n{choices}\n\n"
    'Answer with one JSON object and nothing else: {{"emotion": "YOUR CHOICE"}}',
    "zh": '请选择以下选项之一：\n{choices}\n\n请只回答一个 JSON 对象：{{"emotion": "你的选择"}}',
}
_SOURCES = {
    frozenset({"emobench", "finentity"}): SOURCE,
    frozenset({"emobench"}): f"{SOURCE} ({HALVES['emobench']})",
    frozenset({"finentity"}): f"{SOURCE} ({HALVES['finentity']})",
    frozenset({"eu"}): STAND_IN,
    frozenset[str](): SOURCE,
}


def classification(files: Sequence[Path]) -> Task:
    """Return the task of which emotion, or tone, a choice names; accuracy. Its source says what the files hold.

    Raises:
        DataError: a file is wrong.
    """

    def items() -> Iterator[Item]:
        from emoagents.longemotion import read_classification

        for file in files:
            yield from map(_classified, read_classification(file))

    sets = frozenset(item.groups["set"] for item in items())
    source = _SOURCES.get(sets, f"{SOURCE}, with {STAND_IN}")
    return MeasuredTask("longemotion/classification", source, items, {"accuracy": _right_label})


def _classified(case: ClassificationCase) -> Item:
    asked = _ASKED["zh" if case.language == "zh" else case.set].replace("{subject}", case.subject)
    form = _FORM[case.language].format(choices=lettered(case.choices))
    message = user_message(
        [case.content],
        f"{asked}\n{form}",
        preset="financial" if case.set == "finentity" else "classification",
        query=case.subject,
        answer=[field("emotion", "the choice, word for word", choices=list(case.choices))],
    )
    groups = {"set": case.set, "language": case.language, "category": case.category}
    return Item(
        id=case.id,
        messages=(message,),
        targets=(case.label,),
        groups={name: value for name, value in groups.items() if value},
        data={"choices": list(case.choices)},
    )


def _right_label(item: Item, answer: str) -> Score:
    said = _label(answer, item.data["choices"])
    return Score(value=float(said == item.targets[0]), parsed=said, unparsed=said is None)


def _label(answer: str, choices: Sequence[str]) -> str | None:
    """Return the choice in the answer's JSON, given by its text or its letter; else what can be read of its words."""
    given = read_field(answer, "emotion")
    text = given if isinstance(given, str) else answer
    exact = next((choice for choice in choices if _folded(choice) == _folded(text)), None)
    letter = None if exact else read_choice(text, choices)
    return choices[string.ascii_uppercase.index(letter)] if letter else exact


def _folded(text: str) -> str:
    return " ".join(text.split()).strip("\"'`.").casefold()


# ---- detection

_ODD = (
    "Above are {count} texts, numbered from 0 to {last}. All but one of them express the same emotion. Which text "
    'expresses another one?\nAnswer with one JSON object and nothing else: {{"index": NUMBER OF THE TEXT}}'
)


def detection(file: Path) -> Task:
    """Return the task of finding the text whose emotion differs; accuracy of its index.

    Each item has two labels only, and the odd one is nearly always one of two: whoever knows that needs no emotion.
    So results can be broken down by the odd one's label.
    """

    def items() -> Iterator[Item]:
        from emoagents.longemotion import read_detection

        return map(_detected, read_detection(file))

    return MeasuredTask("longemotion/detection", SOURCE, items, {"accuracy": _right_index})


def _detected(case: DetectionCase) -> Item:
    count = len(case.segments)
    message = user_message(
        [f"[{place}] {text}" for place, text in enumerate(case.segments)],
        _ODD.format(count=count, last=count - 1),
        preset="detection",
        answer=[field("index", "number of the text that differs", type="integer", minimum=0, maximum=count - 1)],
    )
    groups: Mapping[str, str] = {"odd label (a shortcut)": case.odd_label} if case.odd_label else {}
    return Item(id=case.id, messages=(message,), targets=(str(case.odd),), groups=groups, data={"count": count})


def _right_index(item: Item, answer: str) -> Score:
    return index(answer, item.data["count"], int(item.targets[0]))


# ---- question answering

_QUESTION = (
    "Answer the question from the text above. Stay close to its words and be brief: no explanation, and yes or no "
    "where that is the answer.\n\nQuestion: {question}"
)


def qa(file: Path) -> Task:
    """Return the task of answering a question on a paper; F1 of the words, the best over the references."""

    def items() -> Iterator[Item]:
        from emoagents.longemotion import read_qa

        return map(_asked, read_qa(file))

    return MeasuredTask("longemotion/qa", SOURCE, items, {"f1": lambda item, answer: qa_f1(answer, item.targets)})


def _asked(case: QuestionCase) -> Item:
    question = _QUESTION.replace("{question}", case.question)
    message = user_message([case.context], question, preset="qa", query=case.question)
    groups = {"source": case.source} if case.source else {}
    paper = hashlib.sha256(case.context.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Item(id=case.id, messages=(message,), targets=case.answers, groups=groups, cluster=paper)
