"""What it costs to begin: `import emoagents` and `emoagents --help`, median of 9 fresh processes each.

uv run tests/benchmarks/bench_import.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

IMPORT = "import time; t = time.perf_counter(); import emoagents; print(time.perf_counter() - t)"
LOADED = (
    "import sys; import emoagents; "
    "print([m for m in ('litellm', 'dspy', 'langgraph', 'langchain_core', 'openai', 'xllamacpp') if m in sys.modules])"
)


def seconds_of_import() -> float:
    return float(subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout)


def seconds_of(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    rows: dict[str, list[float]] = {"python -c pass": [], "import emoagents": [], "emoagents --help": []}
    for _ in range(9):
        rows["python -c pass"].append(seconds_of("-c", "pass"))
        rows["import emoagents"].append(seconds_of_import())
        rows["emoagents --help"].append(seconds_of("-m", "emoagents", "--help"))
    for name, times in rows.items():
        print(f"{name:<20} median {statistics.median(times):.3f} s  ({min(times):.3f}-{max(times):.3f})")
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout.strip()
    print(f"heavy modules after import emoagents: {loaded}")


if __name__ == "__main__":
    main()
