"""Reading support dialogues from generated files of 100,000 and 1,000,000 turns in each of the three public shapes.

    uv run tests/benchmarks/bench_dialogues.py [turns=100000,1000000] [repeats=3]

Each file is read in fresh processes of its own, of which the fastest counts. Memory is the greatest that the process
ever had, less what it had before it read the first byte: it must not grow with the file.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from emoagents.support.labels import STRATEGIES

LENGTH = 30
"""Turns of a dialogue, as in ESConv."""

TEXT = "I have been thinking about what you said, and I am not sure that I could do it ({})"

Turns = list[dict[str, Any]]


def main(turns: str = "100000,1000000", repeats: str = "3") -> None:
    sizes = [int(size) for size in turns.split(",")]
    print(f"{'shape':<12} {'turns':>9} {'MB':>7} {'seconds':>8} {'turns/s':>9} {'MB before':>10} {'MB more':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in SHAPES.items():
            for size in sizes:
                path = Path(folder) / f"{size}.{name}"
                with path.open("w", encoding="utf-8") as file:
                    write(file, size)
                print_row(name, size, path, int(repeats))
                path.unlink()


def print_row(name: str, size: int, path: Path, repeats: int) -> None:
    command = [sys.executable, __file__, "--read", str(path)]
    runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(repeats)]
    best = min(runs, key=lambda run: run["seconds"])
    assert best["turns"] == size, best
    speed, more = size / best["seconds"], best["after"] - best["before"]
    weight = path.stat().st_size / 1e6
    print(f"{name:<12} {size:>9,} {weight:>7.1f} {best['seconds']:>8.2f} {speed:>9,.0f} ", end="")
    print(f"{best['before']:>10.1f} {more:>8.1f}", flush=True)


def read(path: str) -> None:
    from emoagents.support.load import read_dialogues

    before, began = peak(), time.perf_counter()
    turns = sum(len(dialogue.turns) for dialogue in read_dialogues(Path(path)))
    seconds = time.perf_counter() - began
    print(json.dumps({"turns": turns, "seconds": seconds, "before": before, "after": peak()}))


def peak() -> float:
    """Return the most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ---- the files


def dialogues(turns: int) -> Iterator[Turns]:
    for begin in range(0, turns, LENGTH):
        yield [turn(place) for place in range(min(LENGTH, turns - begin))]


def turn(place: int) -> dict[str, Any]:
    if place % 2 == 0:
        return {"speaker": "seeker", "annotation": {"feedback": str(1 + place % 5)}, "content": TEXT.format(place)}
    strategy = STRATEGIES[place % len(STRATEGIES)]
    return {"speaker": "supporter", "annotation": {"strategy": strategy}, "content": TEXT.format(place) + "\n"}


def write_array(file: TextIO, turns: int) -> None:
    for count, said in enumerate(dialogues(turns)):
        file.write(f"{',' if count else '['}\n{json.dumps({**KNOWN, 'dialog': said}, indent=1)}")
    file.write("\n]")


def write_rows(file: TextIO, turns: int) -> None:
    for said in dialogues(turns):
        file.write(json.dumps({"text": json.dumps({**KNOWN, "dialog": [flat(turn) for turn in said]})}) + "\n")


def flat(turn: dict[str, Any]) -> dict[str, Any]:
    speaker = {"seeker": "usr", "supporter": "sys"}[turn["speaker"]]
    return {"text": turn["content"].strip(), "speaker": speaker, **turn["annotation"]}


def write_windows(file: TextIO, turns: int) -> None:
    for said in dialogues(turns):
        texts = [window_text(turn, place) for place, turn in enumerate(said)]
        for place in range(1, len(said), 2):
            file.write(" EOS ".join(texts[max(0, place - 4) : place + 1]) + "\n")


def window_text(turn: dict[str, Any], place: int) -> str:
    strategy = turn["annotation"].get("strategy")
    return f"1.0 {int(bool(strategy))} {place} {f'[{strategy}] ' if strategy else ''}{turn['content'].strip()}"


KNOWN = {
    "experience_type": "Current Experience",
    "emotion_type": "anxiety",
    "problem_type": "job crisis",
    "situation": "My office will close in spring.",
    "survey_score": {
        "seeker": {"initial_emotion_intensity": "4", "empathy": "5", "relevance": "5", "final_emotion_intensity": "2"},
        "supporter": {"relevance": "4"},
    },
}

SHAPES: dict[str, Callable[[TextIO, int], None]] = {"array": write_array, "rows": write_rows, "windows": write_windows}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2])
    else:
        main(*sys.argv[1:])
