"""Two strategies on a task of your own: is the difference real? Runs with no key, on the embedded model."""

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path

from emoagents import Context
from emoagents.evaluation import Item, Score, Task, compare, make_arms

PLURALS = {"cat": "cats", "box": "boxes", "city": "cities", "day": "days"}
SHOWN = [("dog", "dogs"), ("fox", "foxes"), ("baby", "babies")]


class Plurals(Task):
    name = "plurals"
    metrics = ("exact",)

    def items(self) -> Iterable[Item]:
        turns = [m for q, a in SHOWN for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]
        for word, plural in PLURALS.items():
            yield Item(id=word, messages=(*turns, {"role": "user", "content": word}), targets=(plural,))

    def check(self, item: Item, answer: str) -> Score:
        said = answer.strip(" .").lower()
        return Score(value=float(said in item.targets), parsed=said)


arms = make_arms(["plain", "self_consistency:3"])
context = Context(max_tokens=8, temperature=0.7, seed=1)
folder = Path(tempfile.mkdtemp())
comparison = asyncio.run(compare([Plurals()], arms, context, folder))
for row in comparison.findings.arms:
    print(f"{row.arm} on {row.task}: {row.score}, {row.tokens:.0f} tokens")
for d in comparison.findings.differences:
    print(f"{d.arm} - {d.reference}: {d.difference:+.2f} [{d.low:+.2f}, {d.high:+.2f}], p {d.p:.2f}")
print(f"page: {comparison.write_report()}")
