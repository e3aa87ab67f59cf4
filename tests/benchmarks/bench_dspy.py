"""What demonstrations that BootstrapFewShot found are worth to a small model, and whether the card keeps all of it.

    uv run tests/benchmarks/bench_dspy.py --data FOLDER      # of instruction_induction, as `emoagents compare` takes it

For each task: accuracy on held-out items of the plain card, of the program that DSPy's BootstrapFewShot compiled, and
of the card that it was exported to; in brackets, how many answers hold a target anywhere. Program and card share a
cache: a call of the card that is not in it would be another request than the program's, and is counted. Held-out items
are none of those that were trained on.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import dspy

from emoagents import Context
from emoagents.evaluation import Item, Task, load_tasks
from emoagents.evaluation.metrics import text_contains
from emoagents.integrations.dspy import StrategyProgram, to_card, to_dspy, to_lm
from emoagents.integrations.dspy.metric import as_dspy, item_of
from emoagents.registry import strategy
from emoagents.strategies.base import Strategy


def main() -> None:
    given = _arguments()
    print(f"{'task':20} {'n':>3} {'plain':>13} {'program':>8} {'card':>13} {'gain':>6}  new requests of the card")
    for task in load_tasks(f"instruction_induction:{given.tasks}", data=given.data):
        _measure(task, given)


def _measure(task: Task, given: argparse.Namespace) -> None:
    items = list(task.items())
    random.Random(given.seed).shuffle(items)
    train, held_out = items[: given.train], items[given.train : given.train + given.held_out]
    with tempfile.TemporaryDirectory() as folder:
        context = Context(model=given.model, temperature=0, max_tokens=given.max_tokens, cache=f"{folder}/calls.db")
        base = strategy(given.strategy)
        plain, held, _ = _accuracy(base, held_out, task, context)
        program = _compiled(base, train, task, context)
        lm = to_lm(context)
        with dspy.context(lm=lm):
            examples = [as_dspy(item) for item in held_out]
            found = dspy.Parallel(num_threads=2)([(program, example.inputs()) for example in examples])
        reached = sum(task.check(i, p.answer).value for i, p in zip(held_out, found, strict=True)) / len(held_out)
        card = Path(folder) / "tuned.toml"
        to_card(program, card)
        exported, still, calls = _accuracy(strategy(str(card)), held_out, task, context)
    before, after = f"{plain:6.1%} ({held:4.0%})", f"{exported:6.1%} ({still:4.0%})"
    row = f"{len(held_out):3} {before} {reached:8.1%} {after} {reached - plain:+6.1%}"
    print(f"{task.name.partition('/')[2]:20} {row}  {calls} ({len(program.ask.demos)} demonstrations)", flush=True)


def _compiled(base: Strategy, train: Sequence[Item], task: Task, context: Context) -> StrategyProgram:
    def metric(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> float:
        return task.check(item_of(example), prediction.answer).value

    with dspy.context(lm=to_lm(context)):
        optimiser = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=4, max_labeled_demos=16)
        compiled: StrategyProgram = optimiser.compile(to_dspy(base), trainset=[as_dspy(item) for item in train])
    return compiled


def _accuracy(made: Strategy, items: Sequence[Item], task: Task, context: Context) -> tuple[float, float, int]:
    """Return the share of right answers, of answers that hold a right one, and how many calls the cache had not."""

    async def all_of_them() -> tuple[float, float, int]:
        pool = asyncio.Semaphore(4)

        async def one(item: Item) -> tuple[float, float, int]:
            async with pool:
                result = await made.arun(list(item.messages), context=context)
            held = text_contains(result.answer, item.targets).value
            return task.check(item, result.answer).value, held, result.usage.calls

        values, held, calls = zip(*await asyncio.gather(*map(one, items)), strict=True)
        return sum(values) / len(items), sum(held) / len(items), sum(calls)

    return asyncio.run(all_of_them())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of instruction_induction")
    parser.add_argument("--tasks", default="sentiment,larger_animal,first_word_letter,singular_to_plural")
    parser.add_argument("--strategy", default="plain")
    parser.add_argument("--model", default="embedded/smollm2")
    parser.add_argument("--train", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
