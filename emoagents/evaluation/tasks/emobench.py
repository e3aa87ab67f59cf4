"""EmoBench: emotional application (EA) and understanding (EU), English and Chinese (Sabour et al., ACL 2024).

The prompts are ours, in the language of the item; the options keep the publisher's order and get capital letters.
`eu` asks for emotion and cause in one prompt, as the publisher does, and counts an item only where both are right.
`eu_emotion` and `eu_cause` ask for one of them; they are no part of the suite as a whole, which is `ea` and `eu`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from emoagents.errors import DataError
from emoagents.evaluation.metrics import choice
from emoagents.evaluation.task import Item, Score, Task
from emoagents.evaluation.tasks.choices import chosen, letter_of, lettered
from emoagents.evaluation.tasks.hub import HubSet, fetch
from emoagents.evaluation.tasks.measured import Measure, MeasuredTask
from emoagents.evaluation.tasks.rows import Ids, Row, find, json_rows, missing
from emoagents.evaluation.tasks.suite import Suite, Wanted

__all__ = ["SUITE"]

_SOURCE = "Sahandfer/EmoBench, MIT"
_REPO = "SahandSab/EmoBench"
_CONFIGS = {"EA": "emotional_application", "EU": "emotional_understanding"}
_FOLDERS = ("", "emobench/", "data/")
_LANGUAGES = ("en", "zh")
_PARTS = ("ea", "eu", "eu_emotion", "eu_cause")
_ASKED = {
    "en": {
        "frame": "{scenario}\n\n{questions}\n\n{form}",
        "one": "Answer with the letter of one option.",
        "both": "Answer in two lines, with the letter of one option each:\nEmotion: LETTER\nCause: LETTER",
        "ea": "What is the most effective {kind} for {subject} in this situation?",
        "emotion": "Which emotion does {subject} feel in the end?",
        "cause": "Why does {subject} feel that way in the end?",
    },
    "zh": {
        "frame": "{scenario}\n\n{questions}\n\n{form}",
        "one": "请只回答一个选项的字母。",
        "both": "请用两行作答，每行写一个选项的字母：\n情绪：字母\n原因：字母",
        "ea": "在这种情况下，对{subject}来说最有效的{kind}是什么？",
        "emotion": "{subject}最终的情绪是什么？",
        "cause": "{subject}最终为什么会有这样的情绪？",
    },
}
_KINDS = {"zh": {"Action": "行动", "Response": "回应"}, "en": {"Action": "action", "Response": "response"}}


def _load(wanted: Wanted) -> list[Task]:
    return [_task(part, wanted) for part in wanted.parts or ("ea", "eu")]


def _task(name: str, wanted: Wanted) -> Task:
    part, _, language = name.partition("/")
    language = language or wanted.options.get("language", "")
    allowed = (language,) if language else _LANGUAGES
    rows = [row for row in _rows("EA" if part == "ea" else "EU", wanted) if _language(row) in allowed]
    ids = Ids()
    items = tuple(_item(part, row, ids.new(row, f"{_language(row)}-{row.text('qid')}")) for row in rows)
    if not items:
        raise DataError(str(wanted.data or _REPO), 0, f"there are no items for emobench:{name}")
    title = f"emobench/{part}/{language}" if language else f"emobench/{part}"
    return MeasuredTask(title, _SOURCE, items, _BOTH if part == "eu" else _ONE)


def _rows(stem: str, wanted: Wanted) -> Iterable[Row]:
    if wanted.data is None:
        repo = wanted.options.get("hub", _REPO)
        return fetch(HubSet(repo=repo, config=_CONFIGS[stem], split="train"), wanted.announce)
    return json_rows(_file(wanted.data, stem))


def _file(data: Path, stem: str) -> Path:
    found = find(data, *(f"{folder}{stem}.jsonl" for folder in _FOLDERS))
    if found is None:
        raise missing(data, f"emobench:{stem.lower()}", f"{stem}.jsonl")
    return found


def _language(row: Row) -> str:
    language = row.text("language")
    if language not in _LANGUAGES:
        raise row.wrong(f"the language {language!r} is neither en nor zh")
    return language


def _item(part: str, row: Row, name: str) -> Item:
    asked = _ASKED[_language(row)]
    if part == "eu":
        return _both(row, name, asked)
    field = part.removeprefix("eu_") if part != "ea" else ""
    options, target = row.texts(f"{field}_choices" if field else "choices"), f"{field}_label" if field else "label"
    question = f"{_question(row, asked, field or 'ea')}\n{lettered(options)}"
    return Item(
        id=name,
        messages=_messages(row, asked, question, asked["one"]),
        targets=(letter_of(row, options, row.text(target)), row.text(target)),
        groups=_groups(row),
        data={"options": list(options)},
    )


def _both(row: Row, name: str, asked: Mapping[str, str]) -> Item:
    emotions, causes = row.texts("emotion_choices"), row.texts("cause_choices")
    emotion = letter_of(row, emotions, row.text("emotion_label"))
    cause = letter_of(row, causes, row.text("cause_label"))
    questions = (
        f"1. {_question(row, asked, 'emotion')}\n{lettered(emotions)}\n\n"
        f"2. {_question(row, asked, 'cause')}\n{lettered(causes)}"
    )
    return Item(
        id=name,
        messages=_messages(row, asked, questions, asked["both"]),
        targets=(f"Emotion: {emotion}\nCause: {cause}",),
        groups=_groups(row),
        data={"emotion": list(emotions), "cause": list(causes), "right": {"emotion": emotion, "cause": cause}},
    )


def _question(row: Row, asked: Mapping[str, str], what: str) -> str:
    kind = row.text("question type") if what == "ea" else ""
    shown = _KINDS[_language(row)].get(kind, kind)
    return asked[what].replace("{subject}", row.text("subject")).replace("{kind}", shown)


def _messages(row: Row, asked: Mapping[str, str], questions: str, form: str) -> tuple[dict[str, str], ...]:
    text = asked["frame"].format(scenario=row.text("scenario"), questions=questions, form=form)
    return ({"role": "user", "content": text},)


def _groups(row: Row) -> dict[str, str]:
    columns = {
        "category": "category",
        "question_type": "question type",
        "coarse_category": "coarse_category",
        "finegrained_category": "finegrained_category",
    }
    found = {name: row.text(column) for name, column in columns.items() if column in row.fields}
    return {"language": _language(row), **found}


_PLACES = {
    "emotion": re.compile(r"(?:\bemotion(?:s|\(s\))?|情绪)[\"'*_`\s]*(?:is|are|是|[:：])", re.IGNORECASE),
    "cause": re.compile(r"(?:\b(?:cause|reason)(?:s|\(s\))?|原因)[\"'*_`\s]*(?:is|are|是|[:：])", re.IGNORECASE),
}


def _last_place(pattern: re.Pattern[str], text: str) -> tuple[int, int] | None:
    return max((m.span() for m in pattern.finditer(text)), default=None)


def _split(answer: str) -> dict[str, str]:
    """Return what the reply says of each question: after its last mark, or each on one of two lines."""
    places = {what: _last_place(pattern, answer) for what, pattern in _PLACES.items()}
    lines = [re.sub(r"^\W*[12][.):]\s*", "", line) for line in answer.splitlines() if line.strip()]
    if not any(places.values()) and len(lines) == 2:
        return dict(zip(places, lines, strict=True))
    starts = [span[0] for span in places.values() if span]
    return {
        what: answer[span[1] : min((s for s in starts if s >= span[1]), default=len(answer))] if span else ""
        for what, span in places.items()
    }


def _part_score(item: Item, answer: str, what: str) -> Score:
    return choice(_split(answer)[what], item.data[what], item.data["right"][what])


def _emotion(item: Item, answer: str) -> Score:
    return _part_score(item, answer, "emotion")


def _cause(item: Item, answer: str) -> Score:
    return _part_score(item, answer, "cause")


def _both_right(item: Item, answer: str) -> Score:
    emotion, cause = _emotion(item, answer), _cause(item, answer)
    if emotion.parsed is None or cause.parsed is None:
        return Score(value=0.0, unparsed=True)
    return Score(value=emotion.value * cause.value, parsed=f"{emotion.parsed}, {cause.parsed}")


_ONE: dict[str, Measure] = {"accuracy": chosen}
_BOTH: dict[str, Measure] = {"both": _both_right, "emotion": _emotion, "cause": _cause}


def _all_parts() -> Iterator[str]:
    for part in _PARTS:
        yield from (part, *(f"{part}/{language}" for language in _LANGUAGES))


SUITE = Suite(name="emobench", load=_load, parts=tuple(_all_parts()), options={"language": _LANGUAGES, "hub": ()})
