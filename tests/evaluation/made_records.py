"""A comparison that never ran: a plan, records with traces, and findings, made of a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean, stdev
from typing import Any

from emoagents.evaluation.findings import (
    ALL_TASKS,
    ArmRow,
    Difference,
    Findings,
    GroupRow,
    RepairRow,
    Selection,
)
from emoagents.evaluation.record import Arm, Plan, Record, Spent, TaskInfo

EMOTIONS = ("anger", "happiness", "sadness")
GROUPS = ("en", "zh", "ar")

_ABILITY = {"plain": 0.55, "ep02": 0.58, "ep02-neutral": 0.56, "sa": 0.68, "heart": 0.78, "heart-neutral": 0.74}


@dataclass(frozen=True)
class Made:
    plan: Plan
    records: list[Record]
    findings: Findings

    def read(self) -> Iterator[Record]:
        return iter(self.records)


@lru_cache
def made(*, arms: int = 6, tasks: int = 3, items: int = 40, replicas: int = 1, hostile: tuple[str, ...] = ()) -> Made:
    """Make a comparison.

    Args:
        hostile: texts that stand as question, target, answer and in the raw calls of the first items.
    """
    plan = made_plan(arms=arms, tasks=tasks, items=items, replicas=replicas)
    records = list(made_records(plan, hostile))
    return Made(plan, records, found(plan, records))


def made_plan(*, arms: int = 6, tasks: int = 3, items: int = 40, replicas: int = 1, model: str = "test/model") -> Plan:
    names = ("antonyms", "letters_list", "sentiment", "larger_animal", "translation_en_de", "diff")
    return Plan(
        tasks=tuple(
            TaskInfo(
                name=f"induction/{names[n % 6]}{n // 6 or ''}", metrics=("exact", "f1"), items=items, source="made"
            )
            for n in range(tasks)
        ),
        arms=tuple(_arms()[:arms]),
        baseline="plain",
        model=model,
        settings={"temperature": 0.7, "shots": 0},
        seed=7,
        replicas=replicas,
        command=f"emoagents compare --model {model} --task induction --limit {items} --seed 7",
        emoagents="0.1.0",
    )


def _arms() -> list[Arm]:
    made = [
        Arm(label="plain", spec="plain", title="plain"),
        Arm(label="ep02", spec="ep:02", title="emotion_prompt", tone="emotional", twin="ep02-neutral", family="ep"),
        Arm(label="ep02-neutral", spec="ep:02[tone=neutral]", title="emotion_prompt", tone="neutral"),
        Arm(label="sa", spec="sa:5", title="self_aggregation"),
        Arm(label="heart", spec="heart:3", title="heart", tone="emotional", twin="heart-neutral"),
        Arm(label="heart-neutral", spec="heart:3[tone=neutral]", title="heart", tone="neutral"),
    ]
    for number in range(1, 13):
        label, twin = f"ep-stimulus-{number:02}", f"ep-stimulus-{number:02}-neutral"
        made.append(Arm(label=label, spec=f"ep:{number}", title="ep", tone="emotional", twin=twin, family="ep"))
        made.append(Arm(label=twin, spec=f"ep:{number}[tone=neutral]", title="ep", tone="neutral"))
    return made


def made_records(plan: Plan, hostile: Sequence[str] = ()) -> Iterator[Record]:
    for task in plan.tasks:
        for number in range(task.items):
            for arm in plan.arms:
                for replica in range(plan.replicas):
                    text = hostile[number] if number < len(hostile) else None
                    yield made_record(plan, task, number, arm, replica, text)


def made_record(plan: Plan, task: TaskInfo, number: int, arm: Arm, replica: int, text: str | None) -> Record:
    draw = random.Random(f"{plan.seed} {task.name} {number} {arm.label} {replica}")
    hard = random.Random(f"{task.name} {number}").gauss(0, 0.25)
    right = draw.random() < _ABILITY.get(arm.label, 0.56) - hard
    rounds = (draw.choice((1, 2)) if right else 3) if "heart" in arm.label else 0
    failed, unparsed = draw.random() < 0.01, not right and draw.random() < 0.1
    question = text or f"Write the opposite of word {number}.\nAnswer with one word."
    target = text or f"word-{number}"
    answer = target if right else text or f"I think it is\n“other-{draw.randrange(50)}”."
    calls = {"sa": 6}.get(arm.label, 1 + rounds)
    value = 1.0 if right else 0.0
    return Record(
        task=task.name,
        item=f"{task.name.partition('/')[2]}-{number}",
        arm=arm.label,
        replica=replica,
        status="failed" if failed else "unparsed" if unparsed else "scored",
        scores={} if failed else {"exact": value, "f1": value if right or unparsed else 0.2},
        question=question,
        answer=None if failed else answer,
        parsed=None if failed or unparsed else answer.split()[-1] if answer.split() else None,
        targets=(target,),
        groups={"language": GROUPS[number % 3]},
        stopped_by=None if failed else "verified" if right and rounds else "complete",
        verified=right if rounds and not failed else None,
        spent=Spent(
            answers=calls,
            bought=calls,
            prompt_tokens=(90 + len(arm.spec) + 2 * (sum(map(ord, arm.label)) % 13)) * calls,
            completion_tokens=30 * calls,
            usd=None if arm.label == "sa" else 0.0001 * calls,
            seconds=0.4 * calls,
        ),
        error="the model did not answer: timeout" if failed else None,
        trace=[] if failed else list(_trace(plan.model, question, answer, rounds, right)),
    )


def _trace(model: str, question: str, answer: str, rounds: int, right: bool) -> Iterator[dict[str, Any]]:
    prompt = [{"role": "user", "content": question}]
    for number in range(rounds + 1):
        last = number == rounds
        reply = f"Let me think.\n{answer}" if last else f"first try {number}"
        yield {
            "event": "call",
            "node": "retry" if number else "attempt",
            "model": model,
            "prompt": list(prompt),
            "answers": [{"index": number, "text": reply, "cached": False}],
            "errors": [],
        }
        yield {"event": "candidate", "node": "retry", "index": number, "text": reply}
        if rounds:
            emotion = EMOTIONS[(number - 1) % 3] if number else None
            yield {
                "event": "verdict",
                "node": "retry",
                "round": number,
                "emotion": emotion,
                "text": reply,
                "ok": last and right,
                "score": float(last and right),
                "reason": "" if last and right else "not right",
            }
        if not last:
            said = f"It saddens me that {EMOTIONS[number % 3]} is what I feel. Try again."
            yield {
                "event": "feedback",
                "node": "encourage",
                "round": number + 1,
                "emotion": EMOTIONS[number % 3],
                "stimulus": "x-1",
                "tone": "emotional",
                "text": said,
            }
            prompt += [{"role": "assistant", "content": reply}, {"role": "user", "content": said}]
    yield {"event": "answer", "node": "conclude", "text": answer, "stopped_by": "complete", "verified": None}


# ---- findings, by simple normal approximations: good enough to draw


def found(plan: Plan, records: Sequence[Record]) -> Findings:
    scores = _scores(records)
    tasks = [task.name for task in plan.tasks]
    rows = [_row(arm.label, task, records, scores) for task in (ALL_TASKS, *tasks) for arm in plan.arms]
    return Findings(
        arms=tuple(_marked(rows)),
        differences=tuple(_differences(plan, tasks, scores, {(r.arm, r.task): r for r in rows})),
        selections=tuple(_selections(plan)),
        repairs=tuple(_repairs(plan)),
        groups=tuple(_groups(plan, records, tasks)),
        attempts=len(records),
        missing=3,
        answers=sum(r.spent.answers for r in records),
        bought=sum(r.spent.bought for r in records),
        notes=("12 attempts failed and are in no mean.",),
    )


def _scores(records: Sequence[Record]) -> dict[tuple[str, str], dict[str, float]]:
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for record in records:
        if record.status != "failed":
            for task in (record.task, ALL_TASKS):
                item = scores.setdefault((record.arm, task), {})
                item[f"{record.task} {record.item} {record.replica}"] = record.scores["exact"]
    return scores


def _half(values: Sequence[float]) -> float:
    return 1.96 * (stdev(values) if len(values) > 1 else 0.5) / math.sqrt(max(1, len(values)))


def _row(arm: str, task: str, records: Sequence[Record], scores: dict[tuple[str, str], dict[str, float]]) -> ArmRow:
    values = list(scores.get((arm, task), {}).values())
    own = [r for r in records if task in (ALL_TASKS, r.task) and r.arm == arm]
    mean, half = (fmean(values), _half(values)) if values else (None, 0.0)
    usd = [r.spent.usd for r in own if r.spent.usd is not None]
    return ArmRow(
        arm=arm,
        task=task,
        n=len(values),
        score=mean,
        low=None if mean is None else max(0.0, mean - half),
        high=None if mean is None else min(1.0, mean + half),
        unparsed=fmean(r.status == "unparsed" for r in own),
        failed=fmean(r.status == "failed" for r in own),
        answers=fmean(r.spent.answers for r in own),
        tokens=fmean(r.spent.tokens for r in own),
        usd=fmean(usd) if len(usd) == len(own) else None,
        seconds=fmean(r.spent.seconds for r in own),
    )


def _marked(rows: Sequence[ArmRow]) -> Iterator[ArmRow]:
    overall = [r for r in rows if r.task == ALL_TASKS]
    for row in rows:
        beaten = any(o is not row and (o.score or 0) >= (row.score or 0) and o.tokens < row.tokens for o in overall)
        yield row.model_copy(update={"frontier": row.task == ALL_TASKS and not beaten})


def _differences(plan: Plan, tasks: Sequence[str], scores: Any, rows: Any) -> Iterator[Difference]:
    several = ("sa", "heart", "heart-neutral")
    labels = {arm.label for arm in plan.arms}
    for task in (ALL_TASKS, *tasks):
        base = [("baseline", a.label, plan.baseline) for a in plan.arms if a.label != plan.baseline]
        twin = [("twin", a.label, a.twin) for a in plan.arms if a.twin in labels]
        pair = [("pair", a, b) for a in several for b in several if a < b and {a, b} <= labels]
        for kind in (base, twin, pair):
            one = [_difference(k, a, b or "", task, scores, rows) for k, a, b in kind]
            yield from _holm(one)


def _difference(kind: str, arm: str, reference: str, task: str, scores: Any, rows: Any) -> Difference:
    left, right = scores[arm, task], scores[reference, task]
    gaps = [left[item] - right[item] for item in left if item in right]
    mean, half = fmean(gaps), _half(gaps)
    p = 2 * (1 - NormalDist().cdf(abs(mean) / (half / 1.96))) if half else 1.0
    return Difference(
        arm=arm,
        reference=reference,
        kind=kind,
        task=task,
        n=len(gaps),
        difference=mean,
        low=mean - half,
        high=mean + half,
        p=p,
        p_holm=p,
        significant=False,
        wins=sum(g > 0 for g in gaps),
        losses=sum(g < 0 for g in gaps),
        ties=sum(g == 0 for g in gaps),
        test="exact McNemar",
        interval="Tango's score",
        smallest=half * 1.43,
        answers_ratio=rows[arm, task].answers / rows[reference, task].answers,
        tokens_ratio=rows[arm, task].tokens / rows[reference, task].tokens,
    )


def _holm(differences: Sequence[Difference]) -> list[Difference]:
    order = sorted(range(len(differences)), key=lambda n: differences[n].p)
    adjusted, worst = list(differences), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, differences[place].p * (len(order) - rank)))
        adjusted[place] = differences[place].model_copy(update={"p_holm": worst, "significant": worst < 0.05})
    return adjusted


def _selections(plan: Plan) -> Iterator[Selection]:
    members = tuple(arm.label for arm in plan.arms if arm.family == "ep")
    if members:
        yield Selection(
            family="EmotionPrompt",
            members=members,
            chosen=(members[0], members[-1]),
            reference="plain",
            n=120,
            score=0.571,
            difference=0.012,
            low=-0.05,
            high=0.074,
            p=0.7,
            flattered=0.058,
        )


def _repairs(plan: Plan) -> Iterator[RepairRow]:
    for arm in plan.arms:
        if arm.title == "heart":
            for n, emotion in enumerate(EMOTIONS):
                yield RepairRow(
                    arm=arm.label, emotion=emotion, tries=60 - 18 * n, repaired=22 - 8 * n, low=0.2, high=0.5
                )


def _groups(plan: Plan, records: Sequence[Record], tasks: Sequence[str]) -> Iterator[GroupRow]:
    for task in tasks:
        for arm in plan.arms:
            for group in GROUPS:
                own = [
                    r.scores["exact"]
                    for r in records
                    if r.status != "failed" and (r.task, r.arm, r.groups["language"]) == (task, arm.label, group)
                ]
                if own:
                    yield GroupRow(
                        arm=arm.label, task=task, column="language", group=group, n=len(own), score=fmean(own)
                    )
