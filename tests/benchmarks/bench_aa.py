"""How often an arm is said to differ from itself: A/A comparisons at the level of records, through the whole analysis.

    uv run tests/benchmarks/bench_aa.py [repetitions=200]

Two arms with the same chances answer the same items. A share of significant differences near 5 % is right (the exact
McNemar test stays below); the last column says how often the 95 % interval holds 0, the true difference.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np

from emoagents.evaluation.analysis import analyse
from emoagents.evaluation.findings import ALL_TASKS, Difference
from emoagents.evaluation.record import Arm, Plan, Record, TaskInfo

Draw = Callable[[np.random.Generator, float], float]


def right(rng: np.random.Generator, chance: float) -> float:
    return float(rng.random() < chance)


def overlap(rng: np.random.Generator, chance: float) -> float:
    """Return a score like F1: often exactly 0 or 1, and anything between."""
    kind = rng.random()
    return float(rng.beta(4 * chance + 0.1, 4.1 - 4 * chance)) if kind < 0.6 else float(rng.random() < chance)


def same_twice(tasks: dict[str, int], replicas: int, draw: Draw, seed: int) -> Difference:
    rng = np.random.default_rng(seed)
    plan = Plan(
        tasks=tuple(TaskInfo(name=name, metrics=("score",), items=items) for name, items in tasks.items()),
        arms=tuple(Arm(label=label, spec="same", title="same") for label in ("first", "second")),
        baseline="first",
        model="simulated",
        replicas=replicas,
        seed=seed,
    )

    def records() -> Iterator[Record]:
        for task, items in tasks.items():
            for item in range(items):
                chance = rng.beta(1, 1)
                for arm in plan.arms:
                    for replica in range(replicas):
                        yield Record(
                            task=task,
                            item=str(item),
                            arm=arm.label,
                            replica=replica,
                            status="scored",
                            scores={"score": draw(rng, chance)},
                        )

    (found,) = (d for d in analyse(plan, records(), resamples=2000).differences if d.task == ALL_TASKS)
    return found


def main(repetitions: int) -> None:
    several = {"one": 20, "two": 30, "three": 40, "four": 50, "five": 60}
    cases: dict[str, tuple[dict[str, int], int, Draw]] = {
        "single trials, 1 task of 100": ({"one": 100}, 1, right),
        "F1-like, 1 task of 100": ({"one": 100}, 1, overlap),
        "5 tasks of 20 to 60, 3 replicas": (several, 3, right),
    }
    print(f"{repetitions} A/A comparisons each, alpha 0.05")
    for name, (tasks, replicas, draw) in cases.items():
        found = [same_twice(tasks, replicas, draw, seed) for seed in range(repetitions)]
        shown = np.mean([one.significant for one in found])
        held = np.mean([one.low <= 0 <= one.high for one in found])
        print(f"{name:34}{found[0].test:24}significant {shown:6.1%}   interval holds 0 {held:6.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
