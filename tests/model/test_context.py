"""The context: what a run is given, checked when it is made, and secrets that no one gets to see."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from emoagents import Budget, Context, Plain, Retry, ScriptedModel
from emoagents.context import resolve_context
from emoagents.errors import CompositionError, ParameterError
from emoagents.model.request import Request

ASK = Request(messages=[{"role": "user", "content": "hello"}])


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"model": {}}, "model must be a model's name or a Backend, as ScriptedModel, not dict"),
        ({"model": {"model": "embedded/smollm2"}}, "model must be a model's name"),
        ({"model": ScriptedModel}, "not type"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"concurrency": 0}, "concurrency"),
        ({"rpm": True}, "rpm"),
        ({"extra": {"n": 3, "stream": True}}, "extra can't hold n or stream"),
        ({"budget": {"cals": 3}}, "budget has attributes calls, tokens, usd, seconds"),
        ({"budget": {"calls": "many"}}, "budget: calls"),
        ({"retry": {"attempts": 0}}, "attempts"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        Context(**values)


def test_what_comes_as_json_is_read() -> None:
    given = {"budget": {"calls": 3}, "retry": {"attempts": 2}, "stop": "END", "tools": [{"type": "function"}]}
    context = Context(**given)
    assert (context.budget, context.retry) == (Budget(calls=3), Retry(attempts=2))
    assert (context.stop, context.tools) == (("END",), ({"type": "function"},))


def test_no_secret_is_shown() -> None:
    context = Context(
        model="openai/x",
        api_key="sk-verysecret",
        api_base="https://user:verysecret@host/v1?key=verysecret",
        cache="redis://:verysecret@host:1/0",
        extra={"extra_headers": {"Authorization": "Bearer verysecret"}},
    )
    assert "verysecret" not in repr(context) + str(context) + repr(context.door)


async def test_a_fresh_copy_has_its_own_account_and_the_same_memory() -> None:
    model = ScriptedModel({"": "a"})
    context = Context(model=model, cache="memory", budget=Budget(calls=1))
    await context.door.sample(ASK)
    again = context.fresh()
    (completion,) = (await again.door.sample(ASK)).completions
    assert completion.cached
    assert (again.door.ledger.total.calls, context.door.ledger.total.calls) == (0, 1)
    elsewhere = context.fresh(cache="memory")
    assert not (await elsewhere.door.sample(ASK)).completions[0].cached
    assert len(model.calls) == 2


async def test_a_second_run_of_the_same_work_makes_no_call() -> None:
    context = Context(model=ScriptedModel(["once"]), cache="memory")
    for calls in (1, 0):
        result = await Plain().arun("hello", context=context)
        assert (result.answer, result.usage.calls) == ("once", calls)


async def test_a_nested_context_is_on_the_same_account_and_draws_other_samples() -> None:
    context = Context(model=ScriptedModel({"": "a"}), budget=Budget(calls=1), stream=True)
    inner = context.nested(replica=2)
    await inner.door.sample(ASK)
    assert (await context.door.sample(ASK)).errors
    assert (inner.replica, inner.nested(1).replica, inner.stream) == (2, 129, False)


def test_a_copy_is_the_same_account_and_a_pickle_a_new_one() -> None:
    context = Context(model="openai/x", cache="memory", budget=Budget(calls=2), extra={"k": 1}, stop=("a",))
    assert copy.deepcopy({"deep": context})["deep"] is context
    sent = pickle.loads(pickle.dumps(context))
    assert sent == context
    assert sent.door is not context.door


def test_a_graphs_own_context_gives_it_a_field() -> None:
    context = Context(model="openai/x")

    class Theirs:
        emoagents = context

    assert resolve_context(context) is context
    assert resolve_context(Theirs()) is context
    assert resolve_context({"emoagents": context}) is context
    with pytest.raises(CompositionError, match="is a dict: give it a field 'emoagents'"):
        resolve_context({"emoagents": 1})
