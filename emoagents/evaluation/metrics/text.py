"""Free text against references. The rules are ours; each function says its own."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence

from emoagents.evaluation.metrics.score import f1
from emoagents.evaluation.task import Score
from emoagents.nodes.extract import normalized

__all__ = ["free_text", "text_contains", "text_exact", "text_f1"]


def text_exact(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the reply is a reference, apart from case, spaces and outer punctuation."""
    return _compared(reply, targets, lambda said, gold: float(said == gold))


def text_contains(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where a reference stands in the reply, apart from case and spaces; also within a longer word."""
    return _compared(reply, targets, lambda said, gold: float(gold in said))


def text_f1(reply: str, targets: Sequence[str]) -> Score:
    """Return the best F1 of the words of reply and reference, without case and punctuation."""
    return _compared(reply, targets, lambda said, gold: f1(_words(said), _words(gold)))


def free_text(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the line after the last "answer is", else the whole reply, is a reference: BBH's free form.

    As in the scorers that are in use for it, one closing full stop is dropped. Ours: case, outer quotes, bold marks and
    runs of spaces do not count.
    """
    before, *after = re.split(r"\banswer(?:\s+is|\s*:)", reply, flags=re.IGNORECASE)
    lines = [bare for line in after[-1].splitlines() if (bare := _bare(line))] if after else [_bare(before)]
    said = lines[0] if lines else ""
    value = float(any(said == _bare(gold) for gold in targets))
    return Score(value=value, parsed=said, unparsed=not value and not said)


def _bare(text: str) -> str:
    folded = " ".join(text.casefold().split()).strip("*\"'`: ")
    return folded.removesuffix(".").strip("*\"'` ")


def _words(text: str) -> list[str]:
    return [word for part in text.split() if (word := part.strip(string.punctuation))] or text.split()


def _compared(reply: str, targets: Iterable[str], compare: Callable[[str, str], float]) -> Score:
    said = normalized(reply) or reply.strip()  # "?" is all punctuation, and may be the answer
    value = max((compare(said, normalized(gold) or gold.strip()) for gold in targets), default=0.0)
    return Score(value=value, parsed=said, unparsed=not value and not said)
