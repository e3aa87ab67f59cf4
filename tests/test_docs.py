"""Every example and every Python block of the documentation runs, on a scripted model; one runs on the embedded one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ANSWERS = {
    "rules": {r"(?s)\"correct\"": '{"correct": true, "reason": "It is."}', "": "Because blue light scatters: yes."}
}
OWN_CARD = re.compile(r"```toml\n# (\w+\.toml)\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def run(path: Path, cwd: Path, model: str | None) -> subprocess.CompletedProcess[str]:
    import os

    environment = {**os.environ, **({"EMOAGENTS_MODEL": model} if model else {})}
    command = [sys.executable, "-W", "error", str(path)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(ANSWERS), encoding="utf-8")
    return f"scripted/{path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_pages_python_runs_from_top_to_bottom(page: Path, script: str, tmp_path: Path) -> None:
    for name, text in OWN_CARD.findall(page.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    code = tmp_path / "page.py"
    code.write_text("\n".join(blocks(page)), encoding="utf-8")
    done = run(code, tmp_path, script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_examples_are_short_and_run(example: Path, script: str, tmp_path: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) < 40
    done = run(example, tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_quickstart_runs_on_the_embedded_model(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra 'embedded' is not installed")
    done = run(ROOT / "examples" / "quickstart.py", tmp_path, None)
    assert done.returncode == 0, done.stderr
    assert "embedded/smollm2: 2 requests" in done.stdout


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
