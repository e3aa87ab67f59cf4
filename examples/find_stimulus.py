"""Which EmotionPrompt stimulus works for this task and this model? Needs no key: it runs on the embedded model.

uv run examples/find_stimulus.py --model openai/gpt-4o-mini --data my_task.csv --runs 300
"""

import argparse
import asyncio
from typing import Any

from rich.console import Console
from rich.progress import Progress

from emoagents import Context, EmotionPrompt, Plain
from emoagents.cli.search import show_search
from emoagents.evaluation import Item
from emoagents.tuning.data import read_items
from emoagents.tuning.metrics import make_metric
from emoagents.tuning.search import search

PAIRS = {"hot": "cold", "big": "small", "up": "down", "wet": "dry", "left": "right", "fast": "slow", "old": "young"}
TASK = [Item(id=a, messages=({"role": "user", "content": f"Opposite of {a}?"},), targets=(PAIRS[a],)) for a in PAIRS]

parser = argparse.ArgumentParser()
parser.add_argument("--model", help="default: EMOAGENTS_MODEL, else the embedded model")
parser.add_argument("--data", help="a .csv or .jsonl file with the columns input and target")
parser.add_argument("--runs", type=int, default=50)
options = parser.parse_args()
items = read_items(options.data) if options.data else TASK

with Progress(transient=True) as bar:
    task = bar.add_task("asking", total=None)

    def tell(event: dict[str, Any]) -> None:
        bar.update(task, total=event["runs"] if event["event"] == "begin" else None, advance=event["event"] == "run")

    context = Context(model=options.model, max_tokens=12, temperature=0)
    what: dict[str, Any] = {"choices": ["stimulus"], "also": [Plain()], "runs": options.runs, "on_event": tell}
    result = asyncio.run(search(EmotionPrompt(), items, make_metric("contains"), context, **what))
show_search(Console(highlight=False), result)
