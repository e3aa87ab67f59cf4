"""A conversation as a file of support dialogues, in the shape of ESConv.json."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage

from emoagents.cli.chat.conversation import said
from emoagents.errors import ParameterError
from emoagents.support.conversation import METADATA

__all__ = ["as_esconv", "save"]

_SPEAKERS = {"human": "seeker", "ai": "supporter"}


def as_esconv(messages: Sequence[AnyMessage]) -> list[dict[str, Any]]:
    """Return a list of one dialogue. The background is its situation; nobody has rated or classified it."""
    situation = "\n".join(said(message) for message in messages if message.type == "system")
    return [
        {
            "experience_type": None,
            "emotion_type": None,
            "problem_type": None,
            "situation": situation or None,
            "survey_score": {},
            "dialog": [_turn(message) for message in messages if message.type in _SPEAKERS],
        }
    ]


def _turn(message: AnyMessage) -> dict[str, Any]:
    note = message.response_metadata.get(METADATA) if message.type == "ai" else None
    strategy = note.get("strategy") if isinstance(note, dict) else None
    annotation = {"strategy": strategy} if strategy else {}
    return {"speaker": _SPEAKERS[message.type], "annotation": annotation, "content": said(message)}


def save(messages: Sequence[AnyMessage], file: Path, *, overwrite: bool = False) -> None:
    """Write a conversation.

    Raises:
        ParameterError: nothing was said; the file exists and is not to be overwritten, or can't be written.
    """
    if not any(message.type in _SPEAKERS for message in messages):
        raise ParameterError("nothing was said that could be saved")
    text = json.dumps(as_esconv(messages), ensure_ascii=False, indent=2) + "\n"
    try:
        (_replace if overwrite else _create)(file, text)
    except FileExistsError:
        raise ParameterError(f"{file} exists: /save! {file} overwrites it") from None
    except OSError as error:
        raise ParameterError(f"{file} can't be written: {error.strerror or error}") from None


def _create(file: Path, text: str) -> None:
    with file.open("x", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def _replace(file: Path, text: str) -> None:
    """Write it beside and put it in its place: a full disk must not cost the old one."""
    number, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(number, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        os.replace(beside, file)
    except BaseException:
        os.unlink(beside)
        raise
