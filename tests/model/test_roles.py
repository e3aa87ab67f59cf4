"""Roles: several models in one run, each with settings of its own, all on one account."""

from __future__ import annotations

import copy
import pickle
import re
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from emoagents import (
    Budget,
    CoEM,
    Context,
    EmotionPrompt,
    Heart,
    Plain,
    Resample,
    Retry,
    Role,
    ScriptedModel,
    SelfConsistency,
)
from emoagents.errors import BudgetExceeded, EmoagentsError, ModelConfigError, ParameterError, UnknownNameError
from emoagents.retrieval import Dense, Hybrid
from emoagents.state import AnswerState, Update
from emoagents.step import Run, step
from tests.loopback import LoopbackServer

ASK = [{"role": "user", "content": "hello"}]


def model(text: str, **more: Any) -> ScriptedModel:
    return ScriptedModel({"": text}, **more)


# -- who is asked ------------------------------------------------------------------------------------------------


async def test_each_role_asks_its_own_model_and_an_unknown_one_the_contexts() -> None:
    run = Run.alone(Context(model=model("core"), models={"sage": model("sage")}), "think")
    texts = [(await run.ask_one(ASK, role=role)).text for role in (None, "sage", "rank")]
    assert texts == ["core", "sage", "core"]
    assert [(e["node"], e.get("role")) for e in run.trace] == [("think", None), ("think", "sage"), ("think", "rank")]
    assert run.context.door.ledger.nodes["think"].calls == 3


async def test_the_event_of_a_call_names_the_roles_model() -> None:
    run = Run.alone(
        Context(model=ScriptedModel(["a"], name="core"), models={"sage": ScriptedModel(["b"], name="wise")})
    )
    await run.ask_one(ASK)
    await run.ask_one(ASK, role="sage")
    assert [e["model"] for e in run.trace] == ["core", "wise"]


async def test_a_roles_settings_go_before_the_contexts_and_an_argument_before_both() -> None:
    sage = model("sage")
    role = Role(model=sage, temperature=0.1, top_p=0.2, max_tokens=3, extra={"k": 1})
    context = Context(model=model("core"), models={"sage": role}, temperature=0.9, top_p=0.8, max_tokens=70, seed=5)
    run = Run.alone(context)
    await run.ask_one(ASK, role="sage", temperature=0.5)
    await run.ask_one(ASK, role="sage", own_temperature=0.6, max_tokens=9)
    first, second = (call.request for call in sage.calls)
    assert (first.temperature, first.top_p, first.max_tokens, first.extra, first.seed) == (0.1, 0.2, 3, {"k": 1}, 5)
    assert (second.temperature, second.max_tokens) == (0.6, 9)


async def test_what_a_role_leaves_open_is_the_contexts() -> None:
    core, sage = model("core"), model("sage")
    models: dict[str, Any] = {"sage": sage, "cold": {"temperature": 0}}
    run = Run.alone(Context(model=core, models=models, temperature=0.9, max_tokens=70))
    await run.ask_one(ASK, role="sage")
    await run.ask_one(ASK, role="cold")
    assert (sage.calls[0].request.temperature, sage.calls[0].request.max_tokens) == (0.9, 70)
    assert (core.calls[0].request.temperature, core.calls[0].request.max_tokens) == (0, 70)


@pytest.mark.parametrize("role", [None, "sage"])
async def test_what_is_no_answer_to_the_person_can_be_asked_without_the_tools(role: str | None) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    with LoopbackServer(reply=lambda *_: "a thought") as server:
        own = {"model": "openai/loopback", "api_base": server.url, "api_key": "any"}
        context = Context(
            **cast(Any, own), models={"sage": Role(**cast(Any, own))}, tools=(tool,), tool_choice="required"
        )
        run = Run.alone(context)
        offered = await run.ask_one(ASK, role=role)
        assert offered.tool_calls
        assert not offered.text
        assert (await run.ask_one(ASK, role=role, tools=False)).text == "a thought"
        assert not server.requests[-1].body.keys() & {"tools", "tool_choice"}


def test_what_fits_a_roles_model_can_be_asked_of_its_context() -> None:
    sage = model("sage")
    context = Context(model=model("core"), models={"sage": Role(model=sage, max_tokens=7)}, temperature=0.5)
    inside = context.in_role("sage")
    assert (inside.model, inside.max_tokens, inside.temperature) == (sage, 7, 0.5)
    assert inside.door is context.door.of("sage")
    assert context.in_role("rank") is context.in_role(None) is context


@pytest.mark.parametrize(
    ("models", "named"),
    [
        ("openai/x", "models must map roles to models"),
        ({"": "openai/x"}, "a role's name"),
        ({"sage": None}, "role 'sage': it has no model"),
        ({"sage": 5}, "role 'sage': it must be a model's name, a Backend, or a Role, not int"),
        ({"sage": {"modle": "openai/x"}}, "role 'sage' has attributes model, api_key"),
        ({"sage": {"temperature": -1}}, "role 'sage': temperature must be"),
        ({"sage": {"extra": {"n": 2}}}, "role 'sage': extra can't hold n"),
    ],
)
def test_a_wrong_role_is_named(models: Any, named: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(named)):
        Context(models=models)


def test_the_roles_of_a_graph_can_come_as_json() -> None:
    known = Plain().graph.get_context_jsonschema() or {}
    assert set(known["$defs"]["Role"]["properties"]) >= {"model", "api_base", "temperature"}
    assert Context(models={"a": cast(Any, {"model": "openai/x"})}).models == {"a": Role(model="openai/x")}


# -- names -------------------------------------------------------------------------------------------------------


def test_a_role_that_the_strategy_has_not_is_refused_before_anything_is_asked() -> None:
    core = model("core")
    context = Context(model=core, models={"sgae": model("sage")})
    for strategy in (CoEM("base", guard="off"), Heart(solver=CoEM("base", guard="off"), verifier="exact:core")):
        with pytest.raises(UnknownNameError, match="unknown role 'sgae'; did you mean sage"):
            strategy.run("Q", context=context)
    assert not core.calls
    assert Plain().run("Q", context=context).answer == "core", "what has no roles is given those of others"
    pooled = context.pooled()
    assert CoEM("base", guard="off").run("Q", context=pooled).answer == "core", "what is for many, too"


async def test_a_stream_refuses_it_too() -> None:
    with pytest.raises(UnknownNameError, match="unknown role 'sgae'"):
        async for _ in CoEM("base").astream("Q", context=Context(model=model("core"), models={"sgae": "openai/x"})):
            pass


def test_a_strategy_has_the_roles_of_its_parts() -> None:
    named = {"rank", "sage", "core"}
    assert CoEM().roles == SelfConsistency(solver=CoEM(guard="off")).roles == named
    assert (EmotionPrompt("EP02") | Resample(solver=CoEM(guard="off"))).roles == named
    assert CoEM(ranker=Hybrid(["bm25", Dense("picky")])).roles == {*named, "picky"}
    assert Plain().roles == Heart().roles == set()


# -- keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "key", "base"),
    [
        ("openai/other", "sk-main", "http://main/v1"),
        (Role(model="openai/other"), "sk-main", "http://main/v1"),
        (Role(temperature=0), "sk-main", "http://main/v1"),
        ("anthropic/other", None, None),
        ("other", None, None),
        (Role(model="openai/other", api_base="http://else/v1"), None, "http://else/v1"),
        (Role(model="openai/other", api_key="sk-own"), "sk-own", None),
    ],
)
def test_a_key_goes_to_its_own_provider_only(given: Any, key: str | None, base: str | None) -> None:
    extra = {"extra_headers": {"Authorization": "Bearer main"}}
    context = Context(model="openai/x", api_key="sk-main", api_base="http://main/v1", models={"a": given}, extra=extra)
    inside = context.in_role("a")
    assert (inside.api_key, inside.api_base) == (key, base)
    assert bool(inside.extra) == (base == "http://main/v1"), "a header may hold a key, too"


def test_names_without_a_provider_share_nothing() -> None:
    context = Context(model="one", api_key="sk-main", models={"a": "two"})
    assert context.in_role("a").api_key is None


async def test_a_roles_secrets_are_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "cache.db"
    secret = {"api_key": "sk-verysecret", "extra": {"extra_headers": {"x-token": "verysecret"}}}
    with LoopbackServer(first={"401": 1}) as server:
        role = Role(model="openai/loopback", api_base=server.url, **cast(Any, secret))
        context = Context(model=model("core"), models={"sage": role}, cache=file)
        run = Run.alone(context)
        with pytest.raises(ModelConfigError) as refused:
            await run.ask_one(ASK, role="sage")
        await run.ask_one(ASK, role="sage")
        assert server.requests[-1].headers["authorization"] == "Bearer sk-verysecret"
        assert server.requests[-1].headers["x-token"] == "verysecret"
    shown = [repr(role), repr(context), repr(context.in_role("sage")), str(refused.value), str(run.trace)]
    with sqlite3.connect(file) as lines:
        shown.append("\n".join(lines.iterdump()))
    lines.close()
    assert "sk-" not in "".join(shown)
    assert "verysecret" not in "".join(shown)


# -- one account -------------------------------------------------------------------------------------------------


async def test_all_roles_draw_on_one_budget() -> None:
    context = Context(model=model("core"), models={"sage": model("sage")}, budget=Budget(calls=2))
    run = Run.alone(context)
    await run.ask_one(ASK)
    await run.ask_one(ASK, role="sage")
    for role in (None, "sage"):
        with pytest.raises(BudgetExceeded, match="budget of 2 calls"):
            await run.ask_one(ASK, role=role)
    assert context.door.ledger.total.calls == 2


async def test_a_fresh_copy_is_a_new_account_for_all_roles_with_the_same_memory() -> None:
    sage = model("sage")
    context = Context(model=model("core"), models={"sage": sage}, cache="memory", budget=Budget(calls=1))
    await Run.alone(context).ask_one(ASK, role="sage")
    again = context.fresh()
    assert (await Run.alone(again).ask_one(ASK, role="sage")).cached
    assert (again.door.ledger.total.calls, again.door.ledger.total.cached_calls) == (0, 1)
    assert context.door.ledger.total.calls == len(sage.calls) == 1
    assert again.door.of("sage") is not context.door.of("sage")


async def test_a_nested_context_has_the_same_doors_and_draws_other_samples() -> None:
    sage = model("sage")
    context = Context(model=model("core"), models={"sage": sage}, cache="memory")
    inner = context.nested(3)
    assert inner.door.of("sage") is context.door.of("sage")
    await Run.alone(context).ask_one(ASK, role="sage")
    assert not (await Run.alone(inner).ask_one(ASK, role="sage")).cached, "a repetition is another sample"
    assert len(sage.calls) == context.door.ledger.total.calls == 2


async def test_pooled_runs_share_the_budget_over_roles() -> None:
    pool = Context(model=model("core"), models={"sage": model("sage")}, budget=Budget(calls=1)).pooled()
    await Run.alone(pool.fresh()).ask_one(ASK)
    with pytest.raises(BudgetExceeded):
        await Run.alone(pool.fresh()).ask_one(ASK, role="sage")


def test_copies_and_pickles_keep_the_roles() -> None:
    context = Context(model="openai/x", models={"sage": "openai/y", "rank": Role(model="openai/z", api_key="k")})
    assert copy.deepcopy(context) is context
    sent = pickle.loads(pickle.dumps(context))
    assert sent == context
    assert sent.in_role("rank").api_key == "k"


async def test_a_role_without_a_price_is_refused_where_dollars_are_counted() -> None:
    with LoopbackServer() as server:
        models = {"sage": Role(model="openai/nobody-knows", api_base=server.url)}
        run = Run.alone(Context(model=model("core"), models=models, budget=Budget(usd=1)))
        assert (await run.ask_one(ASK)).text == "core"
        with pytest.raises(ModelConfigError, match="price of openai/nobody-knows is not known"):
            await run.ask_one(ASK, role="sage")
        assert server.stats.requests == 0


async def test_a_roles_model_that_does_not_exist_is_the_callers_mistake() -> None:
    run = Run.alone(Context(model=model("core"), models={"sage": "nonsense", "rank": "embedded/minilm"}))
    with pytest.raises(ModelConfigError, match="no provider known for model 'nonsense'"):
        await run.ask_one(ASK, role="sage")
    with pytest.raises(ModelConfigError, match="embeds texts and writes none"):
        await run.ask_one(ASK, role="rank")


async def test_retries_of_a_role_are_told_and_booked() -> None:
    sage = ScriptedModel({"": "sage"}, faults=[503])
    run = Run.alone(Context(model=model("core"), models={"sage": sage}, retry=Retry(wait=0.001)))
    assert (await run.ask_one(ASK, role="sage")).text == "sage"
    assert (run.context.door.ledger.total.failed_calls, len(sage.calls)) == (1, 2)


# -- in graphs ---------------------------------------------------------------------------------------------------


async def _two(state: AnswerState, run: Run) -> Update:
    texts = [(await run.ask_one(ASK, role=role)).text for role in (None, "sage")]
    if run.context.in_role("sage").max_tokens == 1:
        raise EmoagentsError("stop here")
    return {"answer": " ".join(texts)}


async def test_a_resumed_run_takes_no_roles_answer_for_another_and_asks_nobody_twice() -> None:
    core, sage = model("core"), model("sage")
    builder: Any = StateGraph(AnswerState, context_schema=Context)
    builder.add_node("two", step(_two, first=True))
    builder.add_edge(START, "two")
    graph = builder.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    stopping = Context(model=core, models={"sage": Role(model=sage, max_tokens=1)})
    with pytest.raises(EmoagentsError, match="stop here"):
        await graph.ainvoke({"messages": ASK}, config, context=stopping)
    going_on = Context(model=core, models={"sage": Role(model=sage)})
    assert (await graph.ainvoke(None, config, context=going_on))["answer"] == "core sage"
    assert (len(core.calls), len(sage.calls)) == (1, 1)


async def test_a_run_outside_a_graph_does_not_stream() -> None:
    run = Run.alone(Context(model=model("one two"), stream=True), "here")
    completion = await run.ask_one(ASK, message_id="m")
    assert (completion.text, run.node, [e["event"] for e in run.trace]) == ("one two", "here", ["call"])
