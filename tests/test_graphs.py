"""The ready-made agents, as a LangGraph server loads and runs them: in an event loop that must not be blocked."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from emoagents import Context, ScriptedModel

ROOT = Path(__file__).parent.parent
SERVED: dict[str, str] = json.loads((ROOT / "langgraph.json").read_text())["graphs"]
REPLIES = {r"(?s)\"correct\"": '{"correct": false, "reason": "No."}', "": "An answer."}


def load(place: str) -> Any:
    path, _, name = place.partition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("name", SERVED)
async def test_an_agent_answers_without_blocking_the_loop(name: str) -> None:
    graph = load(SERVED[name])
    context = Context(model=ScriptedModel(REPLIES), cache="memory")
    with blockbuster_ctx("emoagents"):
        out = await graph.ainvoke({"messages": [("user", "Hello")]}, context=context)
    assert [m.type for m in out["messages"]] == ["human", "ai"]


@pytest.mark.parametrize("name", SERVED)
def test_a_server_can_describe_an_agent_and_give_it_its_context_as_json(name: str) -> None:
    graph = load(SERVED[name])
    assert "messages" in json.dumps(graph.get_input_jsonschema())
    assert "answer" in json.dumps(graph.get_output_jsonschema())
    schema = graph.get_context_jsonschema()
    assert {"model", "temperature", "budget"} <= set(schema["properties"])
    assert "door" not in json.dumps(schema)


async def test_a_context_may_come_as_plain_json(tmp_path: Path) -> None:
    script = tmp_path / "answers.json"
    script.write_text(json.dumps({"rules": {"": "An answer."}}))
    given = {"model": f"scripted/{script}", "budget": {"calls": 1}, "stop": "END"}
    out = await load(SERVED["thinker"]).ainvoke({"messages": [("user", "Hello")]}, context=given)
    assert out["messages"][-1].response_metadata["stopped_by"] == "budget"
