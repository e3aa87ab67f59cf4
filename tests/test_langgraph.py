"""Strategies as nodes in plain LangGraph graphs: nesting, streaming, checkpointers, sync and async, notebooks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph

from emoagents import Context, EmotionPrompt, Heart, Plain, ScriptedModel, SelfAggregation, Strategy
from emoagents.errors import CompositionError
from tests.loopback import LoopbackServer

ROOT = Path(__file__).parent.parent
STRATEGIES: list[Callable[[], Strategy]] = [
    Plain,
    lambda: EmotionPrompt("EP02"),
    SelfAggregation,
    lambda: EmotionPrompt("EP02") | SelfAggregation(samples=2),
    lambda: Heart(rounds=1, verifier="exact:never"),
    lambda: Heart(rounds=1, solver=EmotionPrompt("EP02") | SelfAggregation(samples=2)),
]


def in_messages_graph(*strategies: Strategy, **options: Any) -> Any:
    builder = StateGraph(MessagesState, context_schema=Context)
    last = START
    for i, strategy in enumerate(strategies):
        builder.add_node(f"think_{i}", strategy.graph)
        builder.add_edge(last, f"think_{i}")
        last = f"think_{i}"
    return builder.compile(**options)


def say(text: str) -> dict[str, Any]:
    return {"messages": [("user", text)]}


@pytest.mark.parametrize("make", STRATEGIES)
def test_a_node_in_a_plain_graph_adds_exactly_one_message_sync(make: Callable[[], Strategy]) -> None:
    out = in_messages_graph(make()).invoke(say("Q"), context=Context(model=ScriptedModel({"": "A"})))
    assert [(m.type, m.content) for m in out["messages"]] == [("human", "Q"), ("ai", "A")]


@pytest.mark.parametrize("make", STRATEGIES)
async def test_the_same_strategy_stands_twice_in_one_graph_async(make: Callable[[], Strategy]) -> None:
    strategy = make()
    graph = in_messages_graph(strategy, strategy)
    out = await graph.ainvoke(say("Q"), context=Context(model=ScriptedModel({"": "A"})))
    assert [m.type for m in out["messages"]] == ["human", "ai", "ai"]


def test_the_public_channels_are_messages_and_answer_only() -> None:
    out = SelfAggregation().graph.invoke(say("Q"), context=Context(model=ScriptedModel({"": "A"})))
    assert set(out) == {"messages", "answer"}
    message = out["messages"][-1]
    assert message.response_metadata["stopped_by"] == "complete"
    assert message.response_metadata["model_name"] == "scripted/model"


def test_a_graph_with_a_context_of_its_own_holds_ours_in_a_field() -> None:
    @dataclass
    class Mine:
        user: str
        emoagents: Context | None = None

    builder = StateGraph(MessagesState, context_schema=Mine)
    builder.add_node("think", Plain().graph)
    builder.add_edge(START, "think")
    graph = builder.compile()
    ours = Context(model=ScriptedModel({"": "A"}))
    assert graph.invoke(say("Q"), context=Mine("ann", ours))["messages"][-1].content == "A"
    with pytest.raises(CompositionError, match="field 'emoagents'"):
        graph.invoke(say("Q"), context=Mine("ann"))


def test_one_graph_serves_any_model_side_by_side() -> None:
    strategy = SelfAggregation()

    async def both() -> list[str]:
        models = [ScriptedModel({"": name}) for name in ("one", "two", "three")]
        results = await asyncio.gather(*(strategy.arun("Q", model=m) for m in models))
        return [r.answer for r in results]

    assert asyncio.run(both()) == ["one", "two", "three"]


async def test_a_synchronous_run_works_where_a_loop_already_runs_as_in_a_notebook() -> None:
    assert SelfAggregation().run("Q", model=ScriptedModel({"": "A"})).answer == "A"
    assert SelfAggregation().graph.invoke(say("Q"), context=Context(model=ScriptedModel({"": "A"})))["answer"] == "A"


async def test_a_synchronous_run_inside_an_async_step_is_refused_instead_of_hanging() -> None:
    async def check(answer: str) -> bool:
        return bool(Plain().run("Q", model=ScriptedModel({"": "A"})))

    with pytest.raises(CompositionError, match="arun"):
        await asyncio.to_thread(Heart(verifier=check).run, "Q", model=ScriptedModel({"": "a"}))


# -- streaming -------------------------------------------------------------------------------------------------------


async def test_custom_mode_tells_what_happens_and_updates_what_changed() -> None:
    strategy = EmotionPrompt("EP02") | SelfAggregation(samples=2)
    context = Context(model=ScriptedModel(["a", "b", "the end"]), stream=True)
    kinds, nodes = [], []
    async for mode, data in strategy.graph.astream(say("Q"), context=context, stream_mode=["custom", "updates"]):
        kinds += [data["event"]] if mode == "custom" else []
        nodes += list(data) if mode == "updates" else []
    assert nodes == ["stimulate", "sample", "aggregate"]
    assert kinds[0] == "stimulus"
    assert kinds[-1] == "answer"
    assert kinds.count("candidate") == 2
    assert "token" in kinds


async def test_messages_mode_brings_the_final_answers_tokens_once_and_no_candidates() -> None:
    model = ScriptedModel(["first try", "second try", "the final answer"], max_n=1)
    context = Context(model=model, stream=True)
    graph = SelfAggregation(samples=2).graph
    parts = [m async for m, _ in graph.astream(say("Q"), context=context, stream_mode="messages")]
    assert "".join(str(p.content) for p in parts) == "the final answer"
    assert len(parts) > 1
    assert len({p.id for p in parts}) == 1


async def test_messages_mode_without_streaming_brings_the_answer_whole() -> None:
    context = Context(model=ScriptedModel({"": "the final answer"}))
    parts = [m async for m, _ in Plain().graph.astream(say("Q"), context=context, stream_mode="messages")]
    assert [p.content for p in parts] == ["the final answer"]


async def test_astream_yields_nested_events_and_ends_with_the_result() -> None:
    model = ScriptedModel(["a b", "c d", "e f", "42"])
    heart = Heart(rounds=1, verifier="exact:42", solver=SelfAggregation(samples=1))
    events = [e async for e in heart.astream("Q", model=model)]
    assert {e["node"] for e in events} >= {"attempt", "attempt/sample", "attempt/aggregate", "retry/sample"}
    assert events[-1]["event"] == "result"
    assert events[-1]["result"].answer == "42"
    assert not any(e.get("final") for e in events)  # tokens of an attempt are not the answer's


# -- checkpointers ---------------------------------------------------------------------------------------------------


class Crash(Exception):
    """Stands for a bug: an error that is none of this library, so nothing here catches it."""


def crashing(at: int) -> ScriptedModel:
    asked = 0

    def answer(messages: Any) -> str:
        nonlocal asked
        asked += 1
        if asked == at:
            raise Crash
        return f"answer {asked}"

    return ScriptedModel(answer, max_n=1)


THREAD = {"configurable": {"thread_id": "t"}}


async def test_an_interrupted_run_resumes_in_memory_without_asking_again() -> None:
    model = crashing(at=5)  # four samples are in, the synthesis dies
    graph = SelfAggregation(samples=4).compile(checkpointer=InMemorySaver())
    with pytest.raises(Crash):
        await graph.ainvoke(say("Q"), THREAD, context=Context(model=model))
    out = await graph.ainvoke(None, THREAD, context=Context(model=model))
    assert out["answer"] == "answer 6"
    assert len(model.calls) == 6


def test_an_interrupted_run_resumes_in_sqlite_sync(tmp_path: Path) -> None:
    model = crashing(at=2)
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as saver:
        graph = EmotionPrompt("EP02").compile(checkpointer=saver)
        heart = Heart(rounds=1, verifier="exact:never").compile(checkpointer=saver)
        with pytest.raises(Crash):
            heart.invoke(say("Q"), THREAD, context=Context(model=model))
        assert heart.invoke(None, THREAD, context=Context(model=model))["answer"] == "answer 3"
        other = {"configurable": {"thread_id": "u"}}
        assert graph.invoke(say("Q"), other, context=Context(model=model))["answer"] == "answer 4"
    assert len(model.calls) == 4


async def test_a_thread_goes_on_for_many_turns_and_nothing_private_leaks_into_the_next() -> None:
    graph = Heart(rounds=1, verifier="exact:never").compile(checkpointer=InMemorySaver())
    sizes = []
    for turn in range(3):
        model = ScriptedModel({"": f"A{turn}"})
        out = await graph.ainvoke(say(f"Q{turn}"), THREAD, context=Context(model=model))
        sizes.append([len(c.request.messages) for c in model.calls])
    assert [m.content for m in out["messages"]] == ["Q0", "A0", "Q1", "A1", "Q2", "A2"]
    assert sizes == [[1, 3], [3, 5], [5, 7]]


async def test_strict_msgpack_takes_all_that_is_in_a_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    strict = JsonPlusSerializer(allowed_msgpack_modules=None)
    heart = Heart(rounds=2, verifier="judge", solver=SelfAggregation(samples=2))
    replies = {"(?s)work out whether": '{"correct": false}', "": "A"}
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as saver:
        saver.serde = strict
        graph = heart.compile(checkpointer=saver)
        await graph.ainvoke(say("Q"), THREAD, context=Context(model=ScriptedModel(replies)))
        state = await graph.aget_state(THREAD)
    assert len(state.values["candidates"]) == 3


KILLED = """
import sys
from langgraph.checkpoint.sqlite import SqliteSaver
from emoagents import Context, EmotionPrompt, Heart, SelfAggregation
url, path, resume = sys.argv[1:]
heart = Heart(rounds=2, verifier="exact:never", solver=EmotionPrompt("EP02") | SelfAggregation(samples=3))
with SqliteSaver.from_conn_string(path) as saver:
    graph = heart.compile(checkpointer=saver)
    context = Context(model="openai/loopback", api_base=url)
    given = None if resume == "yes" else {"messages": [("user", "Q")]}
    out = graph.invoke(given, {"configurable": {"thread_id": "t"}}, context=context, durability="sync")
    print(out["answer"])
"""


def test_a_run_killed_in_the_middle_and_resumed_repeats_no_finished_call(tmp_path: Path) -> None:
    """Three attempts of two requests each (three samples come in one): six, and the one that the kill cut off again."""

    def run(resume: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", KILLED, server.url, str(tmp_path / "runs.sqlite"), resume]
        return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    process: subprocess.Popen[str] | None = None
    texts = 0

    def reply(prompt: str, body: Any, attempt: int) -> str:
        nonlocal texts
        texts += 1
        if texts == 10 and process is not None:  # inside the fifth request
            process.kill()
        return f"answer {texts}"

    with LoopbackServer(reply=reply) as server:
        process = run("no")
        process.communicate(timeout=120)
        assert process.returncode == -9
        assert server.stats.requests == 5
        process = run("yes")
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "answer" in out
        assert server.stats.requests == 6 + 1
