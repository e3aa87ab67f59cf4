"""The package's face: what it exports, and what importing it loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import emoagents

ROOT = Path(__file__).parent.parent
HEAVY = ("litellm", "dspy", "langgraph", "langchain_core", "openai", "xllamacpp", "rich", "typer", "pydantic")


def test_every_exported_name_is_there_and_listed_once_and_in_order() -> None:
    assert emoagents.__all__ == sorted(set(emoagents.__all__))
    for name in emoagents.__all__:
        assert getattr(emoagents, name) is not None
    assert set(emoagents.__all__) <= set(dir(emoagents))


def test_the_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse((ROOT / "emoagents" / "__init__.py").read_text(encoding="utf-8"))
    typed = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(emoagents.__all__) == typed - {"annotations", "TYPE_CHECKING", "Any"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(emoagents, "Hart")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, emoagents; print([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_no_pickle_no_eval_no_exec_in_the_library() -> None:
    for path in (ROOT / "emoagents").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not any(n.split(".")[0] in ("pickle", "cloudpickle", "dill", "marshal") for n in names), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path


def test_only_one_module_calls_litellm() -> None:
    callers = set()
    for path in (ROOT / "emoagents").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import) and any(a.name.split(".")[0] == "litellm" for a in node.names):
                callers.add(path.name)
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "litellm":
                callers.add(path.name)
    assert callers <= {"litellm_backend.py", "litellm.py"}  # the door, and our provider for litellm's own users
