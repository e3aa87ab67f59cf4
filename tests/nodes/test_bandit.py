"""The bandit's memory, shared by processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from emoagents.nodes.bandit import EmotionBandit

LEARN = """
import sys
from pathlib import Path
from emoagents.nodes.bandit import EmotionBandit
for i in range(40):
    EmotionBandit(Path(sys.argv[1])).learn([("fear", i % 2 == 0)])
"""


def test_two_processes_lose_no_lesson(tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    both = [subprocess.Popen([sys.executable, "-c", LEARN, str(memory)]) for _ in range(2)]
    assert [p.wait(60) for p in both] == [0, 0]
    arm = EmotionBandit(memory).arms()["fear"]
    assert (arm.tried, arm.repaired) == (80, 40)


def test_the_choice_is_fixed_by_the_seed_and_follows_what_was_learned(tmp_path: Path) -> None:
    bandit = EmotionBandit(tmp_path / "memory.json")
    bandit.learn([("joy", True)] * 30 + [("fear", False)] * 30)
    chosen = [bandit.choose(["fear", "joy"], str(seed)) for seed in range(50)]
    assert chosen == [bandit.choose(["fear", "joy"], str(seed)) for seed in range(50)]
    assert chosen.count("joy") >= 48
