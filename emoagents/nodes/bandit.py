"""A bandit that learns across runs which emotion repairs answers. Its state is a small JSON file that anyone can read.

Thompson sampling with a uniform prior for each emotion; the choice of it for HEART's schedule is ours.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_state_path
from pydantic import BaseModel, Field, ValidationError

from emoagents.errors import ParameterError

__all__ = ["Arm", "EmotionBandit", "default_memory"]


class Arm(BaseModel):
    """What is known of one emotion: how often it was tried, how often the next answer was right."""

    tried: int = Field(default=0, ge=0)
    repaired: int = Field(default=0, ge=0)


class _State(BaseModel):
    format: int = 1
    emotions: dict[str, Arm] = {}


def default_memory() -> Path:
    """Return where the state lies if no file is given."""
    return user_state_path("emoagents") / "heart_emotions.json"


class EmotionBandit:
    """Chooses emotions and learns from what comes of them; safe for several processes on one file.

    Args:
        path: the state's file; made on the first lesson.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def arms(self) -> dict[str, Arm]:
        """Return what is known so far.

        Raises:
            ParameterError: the file is no state of a bandit.
        """
        try:
            return _State.model_validate_json(self.path.read_bytes()).emotions
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a bandit's state"
            raise ParameterError(f"memory {self.path}: {why}; give another file or delete it") from None

    def choose(self, emotions: Sequence[str], seed: str) -> str:
        """Return the emotion whose drawn rate of repair is highest."""
        arms, draw = self.arms(), random.Random(seed)

        def drawn(emotion: str) -> float:
            arm = arms.get(emotion, Arm())
            return draw.betavariate(1 + arm.repaired, 1 + max(0, arm.tried - arm.repaired))

        return max(emotions, key=drawn)

    def learn(self, outcomes: Sequence[tuple[str, bool]]) -> None:
        """Count trials of emotions and whether each repaired the answer."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            arms = self.arms()
            for emotion, repaired in outcomes:
                arm = arms.setdefault(emotion, Arm())
                arm.tried += 1
                arm.repaired += int(repaired)
            _write(self.path, _State(emotions=arms))


def _write(path: Path, state: _State) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(state.model_dump(), file, indent=1, sort_keys=True)
    os.replace(temporary, path)
