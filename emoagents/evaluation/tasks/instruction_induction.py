"""Instruction Induction: 24 small tasks, asked for in words (Honovich et al., arXiv 2205.10782).

The instruction is one that a person wrote: the first of the task's annotations that begins with a capital letter (the
others are often notes, as "output the opposite of"), or the first where none does; `instruction=N` takes another, from
0. Inputs and answers follow the authors' `prepare_for_execution.py` (commit 0aa7ba0), read for this: cause_and_effect
asks each pair in both orders, common_concept shows all items, and some tasks have several right answers.

`format=turns` (the default, ours) puts the instruction in a system message and shows demonstrations as turns;
`format=text` is one user message, at no shots the authors' "Instruction: ...\\nInput: ...\\nOutput:" to the letter.
Demonstrations come from the split `induce`, drawn anew for each item.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from emoagents.errors import DataError, ParameterError
from emoagents.evaluation.metrics import Metric, induction_metric
from emoagents.evaluation.task import Item, Score, Task
from emoagents.evaluation.tasks.demonstrations import Pair, draw
from emoagents.evaluation.tasks.measured import MeasuredTask
from emoagents.evaluation.tasks.rows import Row, json_file, missing
from emoagents.evaluation.tasks.suite import Suite, Wanted
from emoagents.model.request import Message

__all__ = ["SUITE"]

_SOURCE = "orhonovich/instruction-induction, Apache-2.0"
_ROOTS = ("", "raw/", "data/raw/", "instruction_induction/", "instruction_induction/raw/")
_PARTS = (
    "active_to_passive",
    "antonyms",
    "cause_and_effect",
    "common_concept",
    "diff",
    "first_word_letter",
    "informal_to_formal",
    "larger_animal",
    "letters_list",
    "negation",
    "num_to_verbal",
    "orthography_starts_with",
    "rhymes",
    "second_word_letter",
    "sentence_similarity",
    "sentiment",
    "singular_to_plural",
    "sum",
    "synonyms",
    "taxonomy_animal",
    "translation_en-de",
    "translation_en-es",
    "translation_en-fr",
    "word_in_context",
)
_ANSWERS = {
    "common_concept": "all_common_concepts",
    "rhymes": "other_rhymes",
    "sentence_similarity": "possible_outputs",
    "translation_en-de": "possible_translations",
    "translation_en-es": "possible_translations",
    "translation_en-fr": "possible_translations",
    "word_in_context": "possible_outputs",
}


def _load(wanted: Wanted) -> list[Task]:
    if wanted.data is None:
        raise ParameterError(
            "instruction_induction has no data set on a hub by its authors: clone "
            "https://github.com/orhonovich/instruction-induction and give its folder as data (--data)"
        )
    found = {part: _file(wanted.data, "execute", part) for part in wanted.parts or _PARTS}
    if not any(found.values()) or (wanted.parts and not all(found.values())):
        part = next(part for part, path in found.items() if path is None)
        raise missing(wanted.data, f"instruction_induction:{part}", f"execute/{part}.json")
    return [_task(part, path, wanted) for part, path in found.items() if path is not None]


def _file(data: Path, split: str, part: str) -> Path | None:
    if not data.is_dir():
        raise DataError(
            str(data), 0, "this is no folder; instruction_induction takes the folder with execute and induce"
        )
    names = (data / root / split / f"{part}.json" for root in (*_ROOTS, *(r.replace("raw/", "") for r in _ROOTS)))
    return next((path for path in names if path.is_file()), None)


def _needed(data: Path, split: str, part: str) -> Path:
    path = _file(data, split, part)
    if path is None:
        raise missing(data, f"instruction_induction:{part}", f"{split}/{part}.json")
    return path


def _task(part: str, path: Path, wanted: Wanted) -> Task:
    assert wanted.data is not None
    instruction = _instruction(_needed(wanted.data, "annotations", part), wanted.options.get("instruction"))
    pool = _pool(part, _needed(wanted.data, "induce", part)) if wanted.shots else []
    name = f"instruction_induction/{part}"
    items = []
    for id_, asked, answers in _questions(part, path):
        shown = draw(pool, wanted.shots, task=name, item=id_, asked=asked, seed=wanted.seed)
        form = _as_text if wanted.options.get("format") == "text" else _as_turns
        items.append(Item(id=id_, messages=form(instruction, shown, asked), targets=answers))
    metric, rule = induction_metric(part)
    return MeasuredTask(name, _SOURCE, tuple(items), {metric: partial(_measure, rule)})


def _measure(rule: Metric, item: Item, answer: str) -> Score:
    return rule(answer, item.targets)


def _instruction(path: Path, chosen: str | None) -> str:
    annotations = Row(json_file(path), str(path)).texts("annotations")
    if chosen is None:
        return next((a.strip() for a in annotations if a.strip()[0].isupper()), annotations[0].strip())
    if not chosen.isdecimal() or int(chosen) >= len(annotations):
        raise ParameterError(f"instruction is 0 to {len(annotations) - 1} for {path.stem}, not {chosen!r}")
    return annotations[int(chosen)].strip()


def _questions(part: str, path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield id, input and answers of each question of a split."""
    for name, row in _examples(path):
        if part == "cause_and_effect":
            cause, effect = row.text("cause"), row.text("effect")
            yield f"{name}-cause-first", f"Sentence 1: {cause} Sentence 2: {effect}", (cause,)
            yield f"{name}-effect-first", f"Sentence 1: {effect} Sentence 2: {cause}", (cause,)
        elif part == "common_concept":
            yield name, ", ".join(row.texts("items")), row.texts(_ANSWERS[part])
        else:
            yield name, row.text("input"), row.texts(_ANSWERS.get(part, "output"))


def _examples(path: Path) -> Iterator[tuple[str, Row]]:
    examples = json_file(path).get("examples")
    if not isinstance(examples, dict) or not examples:
        raise DataError(str(path), 0, "there are no 'examples'")
    for name, example in examples.items():
        row = Row(example if isinstance(example, dict) else {}, str(path), place=f"example {name}")
        yield name, row


def _pool(part: str, path: Path) -> list[Pair]:
    return [(asked, answers[0]) for _, asked, answers in _questions(part, path)]


def _as_turns(instruction: str, shown: list[Pair], asked: str) -> tuple[Message, ...]:
    turns: list[Message] = [{"role": "system", "content": instruction}]
    for given, answer in shown:
        turns += [{"role": "user", "content": f"Input: {given}"}, {"role": "assistant", "content": answer}]
    return (*turns, {"role": "user", "content": f"Input: {asked}"})


def _as_text(instruction: str, shown: list[Pair], asked: str) -> tuple[Message, ...]:
    before = "".join(f"Input: {given}\nOutput: {answer}\n\n" for given, answer in shown)
    return ({"role": "user", "content": f"Instruction: {instruction}\n{before}Input: {asked}\nOutput:"},)


SUITE = Suite(
    name="instruction_induction",
    load=_load,
    parts=_PARTS,
    options={"format": ("turns", "text"), "instruction": ()},
    shots=True,
)
