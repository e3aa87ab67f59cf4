"""From a model's name to its backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emoagents import Context, ScriptedModel
from emoagents.errors import ModelConfigError, ParameterError
from emoagents.model.resolve import DEFAULT_MODEL, default_model, open_backend


def test_the_default_is_the_embedded_model_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (default_model(), Context().door.name) == (DEFAULT_MODEL, "embedded/smollm2")
    monkeypatch.setenv("EMOAGENTS_MODEL", " openai/gpt-4o-mini ")
    assert Context().door.name == "openai/gpt-4o-mini"
    assert Context(model="openai/other").door.name == "openai/other"
    monkeypatch.setenv("EMOAGENTS_MODEL", "")
    assert Context().door.name == DEFAULT_MODEL


async def test_an_object_is_its_own_backend() -> None:
    model = ScriptedModel(["a"], name="scripted/mine")
    door = Context(model=model).door
    assert door.name == "scripted/mine"
    assert await door.backend() is model


async def test_a_script_is_opened_by_its_path(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"answers": ["a"]}))
    assert isinstance(await Context(model=f"scripted/{script}").door.backend(), ScriptedModel)
    with pytest.raises(ParameterError, match="nowhere"):
        await Context(model=f"scripted/{tmp_path}/nowhere.json").door.backend()


@pytest.mark.parametrize(("model", "text"), [(3, "not int"), (object(), "not object"), (" ", "name is empty")])
async def test_what_is_no_model_is_refused(model: Any, text: str) -> None:
    with pytest.raises(ModelConfigError, match=text):
        await open_backend(model)
