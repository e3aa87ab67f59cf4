"""The engine's life in a process of its own: each way to start, share, interrupt, fork and end it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "embedded_scripts"
LINUX_ONLY = {"no_tcp_port"}
POSIX_ONLY = {"fork_after_start", "fork_before_start", "interrupt", "no_socket_folder"}


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", SCRIPTS / f"{script}.py"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "openmp"))
def test_life(script: str) -> None:
    if script in POSIX_ONLY and sys.platform == "win32":
        pytest.skip("POSIX")
    if script in LINUX_ONLY and sys.platform != "linux":
        pytest.skip("Linux")
    done = run(script)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "ok", "")


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP")
@pytest.mark.parametrize("chosen", ["", "ACTIVE"])
def test_openmp_workers_wait_patiently_unless_the_user_says_otherwise(chosen: str) -> None:
    environment = {"OMP_DISPLAY_ENV": "TRUE"} | ({"OMP_WAIT_POLICY": chosen} if chosen else {})
    done = run("openmp", **environment)
    assert done.returncode == 0
    assert f"OMP_WAIT_POLICY = '{chosen or 'PASSIVE'}'" in done.stderr
