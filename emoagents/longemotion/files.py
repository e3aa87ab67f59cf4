"""Where LongEmotion's files are: their publisher's names, with and without the publisher's folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emoagents.errors import DataError

__all__ = ["FILES", "find_files"]

FILES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "classification": (
        ("Emotion_Classification_Emobench.jsonl", "Emotion_Classification_Finentity.jsonl"),
        ("Emotion_Classification.jsonl",),
        ("EU.jsonl",),
    ),
    "detection": (("Emotion_Detection.jsonl",),),
    "qa": (("Emotion_QA.jsonl",),),
    "summary": (("Emotion_Summary.jsonl",),),
    "conversation": (("Emotion_Conversations.jsonl",),),
    "expression": (("Emotion_Expression_Situations.json", "Emotion_Expression_Questionnaires.json"),),
}
"""For each part the names of its files: of several sets, the first of which any file is there counts."""

_FOLDERS: Mapping[str, str] = {
    "classification": "Emotion Classification",
    "detection": "Emotion Detection",
    "qa": "Emotion QA",
    "summary": "Emotion Summary",
    "conversation": "Emotion Conversation",
    "expression": "Emotion Expression",
}


def find_files(data: Path, part: str) -> tuple[Path, ...]:
    """Return the files of a part; () where a folder has none of them.

    Args:
        data: a folder, or the part's file itself; for "expression" the file of situations, with the questionnaires
            beside it.
        part: one of `FILES`.

    Raises:
        DataError: there is no such file or folder.
    """
    if not data.exists():
        raise DataError(str(data), 0, "there is no such file or folder")
    if not data.is_dir():
        return _beside(data, part)
    for names in FILES[part]:
        found = tuple(path for name in names if (path := _named(data, part, name)) is not None)
        if found:
            return found
    return ()


def _beside(file: Path, part: str) -> tuple[Path, ...]:
    if part != "expression":
        return (file,)
    questionnaires = file.with_name(FILES[part][0][1])
    return (file, questionnaires) if questionnaires.is_file() and questionnaires != file else (file,)


def _named(data: Path, part: str, name: str) -> Path | None:
    return next((path for path in (data / name, data / _FOLDERS[part] / name) if path.is_file()), None)
