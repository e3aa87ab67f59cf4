"""LongEmotion's parts that a judge model scores: summary, conversation and expression. The prompts are ours.

Scores are shares of a rubric's highest number, 0 to 1; the report shows the paper's scales.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from emoagents.card import Value
from emoagents.errors import DataError
from emoagents.evaluation.judging import judged, metrics_of, unparsed
from emoagents.evaluation.metrics import read_field
from emoagents.evaluation.rubric import Rubric
from emoagents.evaluation.task import Item, Judge, Score, Solve, Task
from emoagents.evaluation.tasks.longemotion_items import SOURCE, field, user_message
from emoagents.model.request import Message
from emoagents.model.structured import without_thoughts
from emoagents.result import Result

if TYPE_CHECKING:
    from emoagents.longemotion import Checkpoint, Situation, SummaryCase, Utterance

__all__ = ["ExpressionTask", "JudgedTask", "conversation", "expression", "summary"]

Shown: TypeAlias = Callable[[Item, Sequence[Result]], "Mapping[str, Value] | None"]
"""From an attempt to what fills the judge's prompt; None where nothing can be read of the answer."""


class JudgedTask(Task):
    """Items that a judge scores by a rubric.

    Args:
        name: of the task. rubric: how it is judged; each item's data holds its digest, so that no comparison mixes two.
        items: reads the items anew at each call. shown: what the judge is shown.
    """

    judged = True
    source = SOURCE

    def __init__(self, name: str, rubric: Rubric, items: Callable[[], Iterable[Item]], shown: Shown) -> None:
        self.name, self.metrics = name, metrics_of(rubric)
        self._rubric, self._items, self._shown = rubric, items, shown

    def items(self) -> Iterable[Item]:
        return self._items()

    def check(self, item: Item, answer: str) -> Score:
        """Return that it takes a judge."""
        return Score(value=0.0, parsed=answer.strip() or None, unjudged=True)

    async def score(self, item: Item, results: Sequence[Result], judge: Judge | None) -> dict[str, Score]:
        """Return the judge's scores; all are unjudged where there is no judge."""
        values = self._shown(item, results)
        if values is None:
            return unparsed(self._rubric)
        if judge is None:
            return {metric: Score(value=0.0, unjudged=True) for metric in self.metrics}
        return await judged(judge, self._rubric, values)


def _answer(results: Sequence[Result]) -> str:
    return without_thoughts(results[-1].answer)


# ---- summary

_SUMMARISE = (
    "Above are the sections of a report on a case of psychological counselling. Summarise the case in five fields: its "
    "causes, the symptoms, the process of treatment, what is characteristic of the illness, and the effect of the "
    "treatment. Use only what the report says; a field of which it says nothing stays empty.\n"
    "Answer with one JSON object and nothing else: {form}"
)
_FIELDS = {
    "causes": "what brought the difficulties about",
    "symptoms": "what the client suffers from",
    "treatment_process": "how the treatment proceeded",
    "characteristics_of_illness": "what is characteristic of the illness",
    "treatment_effect": "what the treatment achieved",
}


def summary(file: Path, rubric: Rubric) -> Task:
    """Return the task of summarising a counselling report in five fields."""

    def items() -> Iterator[Item]:
        from emoagents.longemotion import read_summaries

        return (_summarised(case, rubric) for case in read_summaries(file))

    return JudgedTask("longemotion/summary", rubric, items, _shown_summary)


def _summarised(case: SummaryCase, rubric: Rubric) -> Item:
    message = user_message(
        [f"{name.replace('_', ' ').capitalize()}:\n{text}" for name, text in case.sections.items()],
        _SUMMARISE.replace("{form}", json.dumps(dict.fromkeys(_FIELDS, "TEXT"))),
        preset="summary",
        answer=[field(name, description, min_words=0) for name, description in _FIELDS.items()],
    )
    return Item(id=case.id, messages=(message,), targets=(_listed(case.reference),), data={"rubric": rubric.digest})


def _shown_summary(item: Item, results: Sequence[Result]) -> Mapping[str, Value] | None:
    said = {name: read_field(_answer(results), name) for name in _FIELDS}
    if all(value is None for value in said.values()):
        return None
    told = {name: "(missing)" if value is None else _as_text(value) for name, value in said.items()}
    return {"reference": item.targets[0], "answer": _listed(told)}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _listed(fields: Mapping[str, str]) -> str:
    return "\n\n".join(f"{name}: {text or '(empty)'}" for name, text in fields.items())


# ---- conversation

_COUNSEL = (
    "You are a professional counsellor. The conversation below has come to this stage of a counselling: {stage}. Say "
    "what the counsellor says next: one reply to the client's last words, warm, professional and helpful."
)
_ROLES = {"Client": "user", "Counselor": "assistant"}
_SPEAKERS = {"user": "Client", "assistant": "Counselor"}


def conversation(file: Path, rubric: Rubric, number: int, *, last: bool = False) -> Task:
    """Return the task of replying at the checkpoints of a stage.

    Args:
        number: of the stage, from 1; the fourth is the paper's MC-4. last: the client's last turn is a checkpoint, too.
    """

    def items() -> Iterator[Item]:
        from emoagents.longemotion import checkpoints, read_conversations

        for one in read_conversations(file):
            for place in checkpoints(one, number, last=last):
                yield _replied(one.id, number, place, rubric)

    name = "longemotion/conversation" if number == 4 else f"longemotion/conversation_{number}"
    return JudgedTask(name, rubric, items, _shown_reply)


def _replied(conversation: str, number: int, place: Checkpoint, rubric: Rubric) -> Item:
    *before, asked = _turns(place.said)
    system: Message = {"role": "system", "content": _COUNSEL.replace("{stage}", place.stage)}
    return Item(
        id=f"{conversation}-{number}-{place.turn:02d}",
        messages=(system, *before, user_message([], asked["content"], preset="conversation")),
        groups={"place": place.part},
        cluster=conversation,
        data={"stage": place.stage, "rubric": rubric.digest},
    )


def _turns(said: Sequence[Utterance]) -> list[Message]:
    """Return messages of alternating roles: what one speaker says in a row is one."""
    turns: list[Message] = []
    for one in said:
        role = _ROLES[one.role]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n{one.text}"
        else:
            turns.append({"role": role, "content": one.text})
    return turns


def _shown_reply(item: Item, results: Sequence[Result]) -> Mapping[str, Value] | None:
    answer = _answer(results)
    history = "\n".join(f"{_SPEAKERS[m['role']]}: {m['content']}" for m in item.messages[1:])
    return {"history": history, "answer": answer, "stage": item.data["stage"]} if answer else None


# ---- expression

_RATE = (
    "Put yourself into this situation:\n{situation}\n\n"
    "How strongly do you feel each of the following in it? Rate each from 1 (very slightly or not at all) to 5 "
    "(extremely), and give the reason in one sentence.\n{statements}"
)
_TELL = (
    'Now tell of your feelings in this situation. This is stage {number} of five, "{title}": {asked}\n'
    "Write it as yourself, in more than {length} tokens, in full sentences."
)
_STAGES = {
    "Immediate emotional reaction": "Which feelings come up at once, what happens in your body, which thoughts and "
    "images flash up, and what in your own history makes them so strong?",
    "Cognitive appraisal": "How do you make sense of what happened, which beliefs and earlier experiences colour that, "
    "and do your thoughts make the feelings stronger or calmer?",
    "Emotional expression and the body": "How do the feelings show in your face, voice, posture and body, and what of "
    "them do you hide or let out, and why?",
    "Regulating the emotion": "What do you do with the feelings, deliberately or by itself, whose support do you seek, "
    "and how well does it work?",
    "Reflective integration": "What does the experience tell you of your values and weak places, and what will you do "
    "differently in situations like it?",
}
_PRESETS = {1: "nothing", 2: "expression_2"}
"""CoEM retrieves from stage 2 on, there less than later (paper, Table 8)."""
LENGTH = 3000
"""Tokens that each stage is asked to exceed (paper)."""


class ExpressionTask(JudgedTask):
    """Six turns in one conversation: ratings of a questionnaire's items, then five stages of an account."""

    async def attempt(self, item: Item, solve: Solve) -> list[Result]:
        """Ask for one after the other; each reply, less what was thought aloud, is the assistant's for the next."""
        said, results = list(item.messages), [await solve(item.messages)]
        for turn in item.data["turns"]:
            said += [{"role": "assistant", "content": _answer(results)}, _turn(**turn)]
            results.append(await solve(said))
        return results


def expression(files: Sequence[Path], rubric: Rubric, length: int = LENGTH) -> Task:
    """Return the task of a long account of one's feelings in a situation.

    Args:
        files: the situations, and the questionnaires, of which the first is asked.
        length: tokens that each stage is asked to exceed.

    Raises:
        DataError: a file is missing or wrong.
    """
    from emoagents.longemotion import FILES, read_questionnaires, read_situations

    if len(files) < 2:
        names = " and ".join(FILES["expression"][0])
        raise DataError(str(files[0].parent), 0, f"longemotion:expression needs both {names}")
    statements = next(read_questionnaires(files[1])).items
    turns = [
        {
            "text": _TELL.format(number=number, title=title, asked=asked, length=length),
            "preset": _PRESETS.get(number, "expression"),
            "query": asked,
        }
        for number, (title, asked) in enumerate(_STAGES.items(), 1)
    ]

    def items() -> Iterator[Item]:
        return (_expressed(one, statements, turns, rubric) for one in read_situations(files[0]))

    return ExpressionTask("longemotion/expression", rubric, items, _shown_account)


def _expressed(one: Situation, statements: Sequence[str], turns: Sequence[dict[str, str]], rubric: Rubric) -> Item:
    listed = "\n".join(f"{number}. {statement}" for number, statement in enumerate(statements, 1))
    return Item(
        id=one.id,
        messages=(_turn(_RATE.replace("{statements}", listed).replace("{situation}", one.text), "nothing"),),
        groups={"emotion": one.emotion, "factor": one.factor},
        data={"situation": one.text, "statements": listed, "turns": [*turns], "rubric": rubric.digest},
    )


def _turn(text: str, preset: str, query: str | None = None) -> Message:
    return user_message([], text, preset=preset, query=query)


def _shown_account(item: Item, results: Sequence[Result]) -> Mapping[str, Value] | None:
    told = [_answer([result]) for result in results]
    if not all(told):
        return None
    titles = ["Ratings", *_STAGES]
    account = "\n\n".join(f"[{title}]\n{text}" for title, text in zip(titles, told, strict=True))
    return {"situation": item.data["situation"], "statements": item.data["statements"], "answer": account}
