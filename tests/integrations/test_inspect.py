"""A strategy as a solver of inspect_ai, on inspect's own scripted model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

inspect_ai = pytest.importorskip("inspect_ai", reason="the extra 'inspect' is not installed")

from inspect_ai import Task, eval  # noqa: E402
from inspect_ai.dataset import Sample  # noqa: E402
from inspect_ai.log import EvalLog  # noqa: E402
from inspect_ai.model import ModelOutput, ModelUsage, get_model  # noqa: E402
from inspect_ai.scorer import includes  # noqa: E402

from emoagents.errors import ParameterError  # noqa: E402
from emoagents.integrations.inspect import strategy  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # inspect's own, and its dependencies'


def evaluated(solver: Any, answers: list[str], folder: Path, **options: Any) -> EvalLog:
    outputs = [ModelOutput.from_content("mockllm/model", a) for a in answers]
    for output in outputs:  # else inspect fetches a tokenizer to count with
        output.usage = ModelUsage(input_tokens=9, output_tokens=3, total_tokens=12)
    model = get_model("mockllm/model", custom_outputs=outputs)
    samples = [Sample(input="What is 2 + 2?", target="4")]
    task = Task(dataset=samples, solver=solver, scorer=includes())
    return eval(task, model=model, display="none", log_dir=str(folder), **options)[0]


def test_a_strategy_solves_a_sample_and_every_call_is_in_the_log(tmp_path: Path) -> None:
    solver = strategy("emotion_prompt:EP02 | heart:2", verifier="contains:4")
    log = evaluated(solver, ["5", "It is 4."], tmp_path)
    assert log.status == "success"
    assert log.samples is not None
    sample = log.samples[0]
    assert sample.output.completion == "It is 4."
    assert sample.scores is not None
    assert sample.scores["includes"].value == "C"
    assert [m.role for m in sample.messages] == ["user", "assistant"], "feedback and stimuli stay out of the history"
    assert sample.metadata["emoagents"] == {"stopped_by": "verified", "verified": True, "calls": 2}
    calls = [e for e in sample.events if e.event == "model"]
    assert len(calls) == 2
    assert calls[0].input[-1].text.endswith("This is very important to my career.")


def test_inspects_limits_hold(tmp_path: Path) -> None:
    log = evaluated(strategy("heart:50", verifier="contains:4"), ["5"] * 60, tmp_path, token_limit=40)
    assert log.samples is not None
    assert log.samples[0].limit is not None
    assert log.samples[0].limit.type == "token"
    assert len([e for e in log.samples[0].events if e.event == "model"]) <= 5


def test_a_wrong_spec_is_said_before_anything_runs() -> None:
    with pytest.raises(ParameterError, match="no parameter 'samples'"):
        strategy("plain", samples=1)
