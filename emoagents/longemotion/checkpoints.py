"""Where a counselling conversation is broken off, for the model to say what the counsellor says next."""

from __future__ import annotations

from dataclasses import dataclass

from emoagents.longemotion.records import Conversation, Utterance

__all__ = ["Checkpoint", "checkpoints", "client_turns"]

_QUARTERS = {1: "1/4", 2: "1/2", 3: "3/4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A place in a conversation.

    Attributes:
        stage: its name. turn: the client's turn in the stage that comes last, from 1. part: how far into the stage,
            as "1/2", or "last".
        said: all that was said until then, in this and earlier stages; the client speaks last.
    """

    stage: str
    turn: int
    part: str
    said: tuple[Utterance, ...]


def client_turns(count: int, *, last: bool = False) -> dict[int, str]:
    """Return which of a client's `count` turns are checkpoints, counted from 0, and how far into the stage each is.

    They are floor(n/4), floor(n/2) and floor(3n/4), as in LongEmotion's code, each once: a short stage has fewer.

    Args:
        last: the last turn as well.
    """
    found: dict[int, str] = {}
    if count:
        for quarter, part in _QUARTERS.items():
            found.setdefault(quarter * count // 4, part)
    if count and last:
        found.setdefault(count - 1, "last")
    return found


def checkpoints(conversation: Conversation, number: int, *, last: bool = False) -> list[Checkpoint]:
    """Return the checkpoints of a stage; none where there is no such stage, or the client is silent in it.

    Args:
        number: of the stage, from 1. last: the client's last turn is one, too.
    """
    if len(conversation.stages) < number:
        return []
    stage = conversation.stages[number - 1]
    before = tuple(said for earlier in conversation.stages[: number - 1] for said in earlier.utterances)
    places = [place for place, said in enumerate(stage.utterances) if said.role == "Client"]
    return [
        Checkpoint(stage=stage.name, turn=turn + 1, part=part, said=(*before, *stage.utterances[: places[turn] + 1]))
        for turn, part in client_turns(len(places), last=last).items()
    ]
