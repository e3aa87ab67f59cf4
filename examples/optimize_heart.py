"""Optimise HEART: GEPA reads why candidates were refused, and rewrites the prompts. The result is a card.

uv run --extra dspy examples/optimize_heart.py

The models here are scripts, so that it runs anywhere: one is right only where it is told to reason "step by step", the
other is the reflecting one, which has that idea. For real ones: Context(model="openai/gpt-4o-mini").
"""

import json
import tempfile
from pathlib import Path

from emoagents import Context, Heart
from emoagents.evaluation.task import Item
from emoagents.integrations.dspy.optimize import Optimisation
from emoagents.integrations.dspy.quiet import chatter_to
from emoagents.model.scripted import ScriptedModel
from emoagents.registry import strategy
from emoagents.strategy_file import save_strategy, strategy_changes
from emoagents.tuning.metrics import make_metric

idea = json.dumps({"new_instruction": "Reason step by step, then give the number alone. {{question}}"})
student = ScriptedModel({"step by step": "42", "": "I feel it must be 41."}, name="scripted/student")
teacher = ScriptedModel({"": idea}, name="scripted/teacher")
asked = [({"role": "user", "content": f"What is {n} + {42 - n}?"},) for n in range(12)]
items = [Item(id=str(n), messages=messages, targets=("42",)) for n, messages in enumerate(asked)]

account = Context(model=student, concurrency=4).pooled()  # one budget, if it had one, for both models
heart = Heart(rounds=1, verifier="numeric:42")
work = Optimisation(heart, "gepa", train=items[:8], dev=items[8:], metric=make_metric("numeric"), context=account,
                    reflection=account.fresh(model=teacher))  # fmt: skip
folder = Path(tempfile.mkdtemp())
with chatter_to(folder / "gepa.log"):  # what DSPy and GEPA print
    tuned = work.run()
save_strategy(tuned, folder / "my.toml")
print(f"dev: {work.progress.first:.2f} -> {work.progress.best:.2f} after {work.progress.runs} runs")
for change in strategy_changes(heart, tuned):
    print(f"{change.place}:\n  - {change.old!r:.90}\n  + {change.new!r:.90}")
print(strategy(str(folder / "my.toml")).run("What is 40 + 2?", context=Context(model=student)).answer)
