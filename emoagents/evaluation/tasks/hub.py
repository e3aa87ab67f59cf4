"""Data sets from their publishers, through Hugging Face `datasets`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoagents.errors import MissingExtraError, RunError
from emoagents.evaluation.tasks.rows import Row

__all__ = ["HubSet", "fetch"]

_PATIENCE = 5.0
"""Seconds to wait for the hub's first word. `datasets` itself would try for half a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSet:
    """One split of a data set on the hub.

    Attributes:
        repo: its name, or a local folder of the same form. config: the configuration in it.
        files: pattern of the split's files, where the configuration does not tell them. revision: branch.
    """

    repo: str
    split: str
    config: str | None = None
    files: str | None = None
    revision: str | None = None


def fetch(wanted: HubSet, announce: Callable[[str], None]) -> list[Row]:
    """Return the rows of a data set; what was fetched once is kept by `datasets`, and read without a network.

    `announce` is told before anything is downloaded.

    Raises:
        MissingExtraError: `datasets` is not installed.
        RunError: the hub can't be reached, or has no such data.
    """
    try:
        datasets = importlib.import_module("datasets")  # heavy, and an extra
    except ImportError:
        raise MissingExtraError("hub", f"fetching {wanted.repo}") from None
    local = Path(wanted.repo).is_dir()
    if not local:
        announce(f"Fetching {wanted.repo} ({wanted.config or wanted.files or wanted.split}) from the Hugging Face hub.")
    problem = None if local else _unreachable(wanted.repo)
    try:
        with _offline(datasets, problem is not None):
            found = _load(datasets, wanted)
    except Exception as error:  # whatever goes wrong in there, the caller can do only this
        raise RunError(_sentence(wanted.repo, problem or error)) from None
    return [Row(dict(row), wanted.repo, number) for number, row in enumerate(found, 1)]


def _load(datasets: Any, wanted: HubSet) -> Any:
    files = {wanted.split: wanted.files} if wanted.files else None
    return datasets.load_dataset(
        wanted.repo, wanted.config, split=wanted.split, data_files=files, revision=wanted.revision
    )


def _unreachable(repo: str) -> Exception | None:
    """Return why the hub does not answer, or None where it does; an answer such as "not found" is one."""
    from huggingface_hub import HfApi

    try:
        HfApi().dataset_info(repo, timeout=_PATIENCE)
    except Exception as error:
        return error if getattr(error, "response", None) is None else None
    return None


@contextmanager
def _offline(datasets: Any, offline: bool) -> Iterator[None]:
    """Let `datasets` look at what it has kept only, without its half a minute of retries."""
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _sentence(repo: str, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{repo} can't be fetched from the Hugging Face hub ({reason}); give a local copy as data (--data)"
