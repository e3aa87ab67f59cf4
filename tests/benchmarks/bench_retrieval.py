"""Chunk and BM25-rank 1 and 10 MB of text, each in a process of its own: seconds and peak memory, against the bound.

uv run tests/benchmarks/bench_retrieval.py [--tokenizer words]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import resource
import subprocess
import sys
import time

SECONDS, MEGABYTES = 10.0, 600.0
"""What 10 MB may take."""

_SYLLABLES = [c + v for c in "bcdfghjklmnprstvwz" for v in ("a", "e", "i", "o", "u", "an", "er", "ing", "on", "st")]


def text_of(megabytes: int, seed: int = 1) -> str:
    """Text of 30,000 words, as frequent as Zipf's law says, in sentences and paragraphs."""
    r = random.Random(seed)
    words = ["".join(r.choices(_SYLLABLES, k=r.choice((1, 1, 2, 2, 3)))) for _ in range(30_000)]
    weights = list(itertools.accumulate(1 / place for place in range(1, len(words) + 1)))
    paragraphs: list[str] = []
    length = 0
    while length < megabytes * 1_000_000:
        sentences = []
        for _ in range(r.randint(2, 8)):
            chosen = r.choices(words, cum_weights=weights, k=r.randint(5, 25))
            sentences.append(" ".join(chosen).capitalize() + r.choice(".?!"))
        paragraphs.append(" ".join(sentences))
        length += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)


def measure(megabytes: int, tokenizer: str) -> dict[str, float]:
    """Chunk and rank in this process."""
    import emoagents.retrieval as retrieval

    text = text_of(megabytes)
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    chunks = retrieval.chunk_texts([text], tokenizer=tokenizer)
    chunked = time.perf_counter()
    query = " ".join(chunks[len(chunks) // 2].text.split()[:12])
    [scores] = asyncio.run(retrieval.Bm25().scores([query], [chunk.text for chunk in chunks]))
    kept = retrieval.best(scores, 16)
    ended = time.perf_counter()
    assert len(chunks) // 2 in kept
    return {
        "MB": megabytes, "chunks": len(chunks), "chunking s": chunked - began, "BM25 s": ended - chunked,
        "seconds": ended - began, "CPU s": time.process_time() - cpu,
        "peak MB": peak(), "peak MB before": before,
    }  # fmt: skip


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", default="cl100k_base")
    parser.add_argument("--child", type=int)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.tokenizer)))
        return 0
    for megabytes in (1, 10):
        command = [sys.executable, __file__, "--child", str(megabytes), "--tokenizer", given.tokenizer]
        row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
    passed = row["seconds"] < SECONDS and row["peak MB"] < MEGABYTES
    print(f"{'pass' if passed else 'FAIL'}: 10 MB in under {SECONDS:g} s and {MEGABYTES:g} MB")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
