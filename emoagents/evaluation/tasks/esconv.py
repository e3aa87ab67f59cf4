"""ESConv: which of eight support strategies a human supporter used next (Liu et al., ACL 2021; Kang et al., ACL 2024).

An item is one decision of a supporter: the background as a system message, then the dialogue so far, its strategies in
messages' metadata, where no model sees them. Its arms are ways of `support`, as "support:vanilla"; how well they do
over all items (macro-F1, preference bias ...) is `emoagents.evaluation.support`'s to say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from emoagents.errors import ParameterError
from emoagents.evaluation.task import Item, Judge, Score, Task
from emoagents.evaluation.tasks.suite import Suite, Wanted
from emoagents.result import Result
from emoagents.support.dialogue import Instance
from emoagents.support.instances import SAMPLINGS, make_instances
from emoagents.support.labels import SupportStrategy, canonical
from emoagents.support.load import read_dialogues

__all__ = ["SUITE", "EsconvTask"]

_SOURCE = "thu-coai/Emotional-Support-Conversation, CC BY-NC 4.0, academic use"
_FILES = ("ESConv.json", "esconv.json", "devWithStrategy_short.tsv", "testWithStrategy_short.tsv")
_BINS = ("0-20 %", "20-40 %", "40-60 %", "60-80 %", "80-100 %")


class EsconvTask(Task):
    """Instances as items.

    Args:
        instances: what is asked. sampling: how they were drawn, for the name of the task.
    """

    metrics = ("accuracy",)
    source = _SOURCE

    def __init__(self, instances: Sequence[Instance], name: str = "esconv") -> None:
        self.name = name
        self._items = tuple(map(_item, instances))

    def items(self) -> Sequence[Item]:
        return self._items

    def check(self, item: Item, answer: str) -> Score:
        """Return whether the answer names the human's strategy, by its name alone or in a JSON object."""
        return _scored(item, _named(answer))

    async def score(self, item: Item, results: Sequence[Result], judge: Judge | None) -> dict[str, Score]:
        """Return the score of the strategy that was chosen, told by the trace where it was chosen by `support`."""
        chosen = [e for e in results[-1].trace if e["event"] == "selection"]
        if not chosen:
            return {"accuracy": self.check(item, results[-1].answer)}
        return {"accuracy": _scored(item, chosen[-1]["strategy"])}


def _scored(item: Item, chosen: SupportStrategy | None) -> Score:
    if chosen is None:
        return Score(value=0.0, unparsed=True)
    return Score(value=float(chosen == item.targets[0]), parsed=chosen)


def _named(answer: str) -> SupportStrategy | None:
    text = answer.strip()
    if text.startswith("{"):
        try:
            text = str(json.loads(text).get("strategy", ""))
        except ValueError:
            return None
    return canonical(text.rstrip("."))


def _item(instance: Instance) -> Item:
    groups = {
        "strategy": instance.label,
        "stage": instance.stage or "none",
        "progress": _BINS[min(int(instance.progress * len(_BINS)), len(_BINS) - 1)],
        "problem": instance.background.problem_type or "",
        "emotion": instance.background.emotion_type or "",
    }
    return Item(
        id=instance.id,
        messages=instance.messages(),
        targets=(instance.label, instance.response.text),
        groups={name: value for name, value in groups.items() if value},
        cluster=instance.id.rpartition("/")[0],
    )


def _load(wanted: Wanted) -> list[Task]:
    if wanted.data is None:
        raise ParameterError("esconv needs its data: --data FILE, as ESConv.json or the authors' TSV")
    sampling = wanted.options.get("sampling", "paper")
    instances = make_instances(read_dialogues(_file(wanted.data)), sampling=SAMPLINGS[sampling], seed=wanted.seed)
    if not instances:
        raise ParameterError(f"no instances can be cut from {wanted.data} by sampling={sampling}")
    return [EsconvTask(instances, "esconv" if sampling == "paper" else "esconv/all")]


def _file(data: Path) -> Path:
    return next((data / name for name in _FILES if (data / name).exists()), data) if data.is_dir() else data


SUITE = Suite(name="esconv", load=_load, options={"sampling": tuple(SAMPLINGS)})
