"""Staged: cards that are strategies of their own, run on a scripted model through the public face."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from emoagents import (
    Budget,
    BudgetExceeded,
    Context,
    EmotionPrompt,
    Heart,
    ScriptedModel,
    SelfAggregation,
    Staged,
    strategy,
)
from emoagents.card.check_stages import RESERVED
from emoagents.cli import main
from emoagents.errors import (
    CardError,
    CompositionError,
    ModelCallError,
    NoAnswerError,
    ParameterError,
    UnknownNameError,
    UnparsedError,
)
from emoagents.model.request import Choice
from emoagents.model.retry import Retry
from emoagents.result import Result
from emoagents.state import AnswerState
from emoagents.support.crisis import CrisisGuard

ONCE = Retry(attempts=1)
IN_DANGER = "I want to kill myself."
THREAD: Any = {"configurable": {"thread_id": "t"}}


def prompts(**texts: str) -> dict[str, Any]:
    return {name: {"text": text} for name, text in texts.items()}


LINES = prompts(user="User: {{text}}", assistant="Assistant: {{text}}")

WORRIES: dict[str, Any] = {
    "name": "worries",
    "graph": "staged",
    "reply": "reply",
    "defaults": {"guard": "off"},
    "lists": {"moods": {"values": ["calm", "tense"]}},
    "prompts": {
        **LINES,
        **prompts(
            mood="MOOD of {{moods}}: {{question}}",
            list="LIST {{question}}",
            soothe="SOOTHE {{number}}: {{item}}",
            reply="REPLY {{mood}} | {{worry}} | {{comfort}} | {{conversation}}",
        ),
    },
    "stages": [
        {"id": "feel", "prompt": "mood", "fields": [{"name": "mood", "choices": "moods"}]},
        {"id": "worry_list", "prompt": "list", "fields": [{"name": "worry", "type": "list"}]},
        {
            "id": "soothe",
            "prompt": "soothe",
            "reads": ["feel", "worry_list"],
            "for_each": "worry",
            "fields": [{"name": "comfort"}],
            "when": {"field": "mood", "is": ["tense"]},
        },
        {"id": "respond", "prompt": "reply", "reads": ["feel", "worry_list", "soothe"], "fields": [{"name": "reply"}]},
    ],
}

SAYS: dict[str, Any] = {
    "^MOOD": {"mood": "tense"},
    "^LIST": {"worry": ["rent", "exam"]},
    "^SOOTHE 1": {"comfort": "It is paid."},
    "^SOOTHE 2": {"comfort": "You have learned."},
    "^REPLY": {"reply": "All will be well."},
}


def change(card: dict[str, Any], stage: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return a copy of a card with changes in it, or in one of its stages."""
    if stage is None:
        return {**card, **changes}
    return {**card, "stages": [{**s, **changes} if s["id"] == stage else s for s in card["stages"]]}


def one(format: str = "tags", *fields: dict[str, Any], **stage: Any) -> dict[str, Any]:
    """Return a card of one stage whose last field is the reply."""
    asked = {"id": "only", "prompt": "ask", "format": format, "fields": list(fields), **stage}
    return {
        "name": "one",
        "graph": "staged",
        "reply": fields[-1]["name"] if fields else "only",
        "defaults": {"guard": "off"},
        "prompts": prompts(ask="ASK {{question}}"),
        "stages": [asked],
    }


def stages(result: Result) -> dict[str, dict[str, Any]]:
    return {e["id"]: e for e in result.trace if e["event"] == "stage"}


# -- what a run does -------------------------------------------------------------------------------------------------


def test_stages_read_each_other_and_only_the_reply_reaches_the_user() -> None:
    model = ScriptedModel(SAYS)
    result = Staged(WORRIES).run("I can't sleep.", model=model)
    assert (result.answer, result.stopped_by, result.usage.calls) == ("All will be well.", "complete", 5)
    told = stages(result)
    assert told["feel"]["fields"] == {"mood": "tense"}
    assert told["soothe"]["fields"] == {"comfort": ["It is paid.", "You have learned."]}
    asked = next(c.prompt for c in model.calls if c.prompt.startswith("REPLY"))
    wanted = "REPLY tense | rent\nexam | It is paid.\nYou have learned. | User: I can't sleep."
    assert asked.partition("\n\nAnswer with one JSON")[0] == wanted
    assert result.usage_by_node["soothe"].calls == 2


def test_a_condition_that_does_not_hold_skips_the_stage_and_leaves_empty_fields() -> None:
    model = ScriptedModel({**SAYS, "^MOOD": {"mood": "calm"}})
    result = Staged(WORRIES).run("Q", model=model)
    assert result.usage.calls == 3
    assert stages(result)["soothe"]["skipped"]
    assert stages(result)["soothe"]["fields"] == {"comfort": []}
    assert any("REPLY calm | rent\nexam |  | " in call.prompt for call in model.calls)


def test_an_empty_list_is_nothing_to_ask_for() -> None:
    result = Staged(WORRIES).run("Q", model=ScriptedModel({**SAYS, "^LIST": {"worry": []}}))
    assert stages(result)["soothe"]["skipped"]
    assert result.usage.calls == 3


@pytest.mark.parametrize(
    ("when", "runs"),
    [
        ({"is": ["TENSE "]}, True),
        ({"is": ["calm"]}, False),
        ({"not": ["calm"]}, True),
        ({"not": ["tense", "calm"]}, False),
        ({"is": ["tense"], "not": ["calm"]}, True),
    ],
)
def test_conditions(when: dict[str, Any], runs: bool) -> None:
    card = change(WORRIES, "soothe", when={"field": "mood", **when})
    assert stages(Staged(card).run("Q", model=ScriptedModel(SAYS)))["soothe"]["skipped"] is not runs


@pytest.mark.parametrize(
    ("field", "said", "when", "runs"),
    [
        ({"name": "x", "type": "boolean"}, True, {"is": [True]}, True),
        ({"name": "x", "type": "boolean"}, False, {"is": [True]}, False),
        ({"name": "x", "type": "integer"}, 3, {"not": [1, 2]}, True),
        ({"name": "x", "type": "number"}, 2.0, {"not": [1, 2]}, False),
        ({"name": "x", "type": "list"}, ["a", "b"], {"is": ["B"]}, True),
        ({"name": "x", "type": "list"}, ["a", "b"], {"not": ["b"]}, False),
        ({"name": "x", "type": "list"}, [], {"is": ["b"]}, False),
    ],
)
def test_conditions_on_every_type(field: dict[str, Any], said: Any, when: dict[str, Any], runs: bool) -> None:
    card = {
        **one("text"),
        "reply": "last",
        "stages": [
            {"id": "first", "prompt": "ask", "fields": [field]},
            {"id": "middle", "prompt": "seen", "reads": ["first"], "when": {"field": "x", **when}},
            {"id": "last", "prompt": "seen", "reads": ["first", "middle"]},
        ],
        "prompts": prompts(ask="ASK", seen="SEEN {{x}}"),
    }
    result = Staged(card).run("Q", model=ScriptedModel({"^ASK": {"x": said}, "^SEEN": "fine"}))
    assert stages(result)["middle"]["skipped"] is not runs


def test_a_list_of_the_card_and_the_utterances_can_be_gone_through() -> None:
    for name, wanted in (("moods", ["1: calm", "2: tense"]), ("utterances", ["1: User: Hi", "2: Assistant: Yes?"])):
        card = change(WORRIES, "soothe", for_each=name)
        model = ScriptedModel({**SAYS, "^SOOTHE": {"comfort": "c"}})
        talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
        Staged(card).run(talk, model=model)
        asked = [c.prompt.partition("\n")[0] for c in model.calls if c.prompt.startswith("SOOTHE")]
        assert sorted(asked) == [f"SOOTHE {line}" for line in wanted]


def test_the_last_turns_of_the_conversation_are_shown_one_line_each() -> None:
    talk = [{"role": r, "content": f"{r}\n{i}"} for i in range(3) for r in ("user", "assistant")]
    model = ScriptedModel(SAYS)
    Staged(WORRIES, turns=2).run([*talk, {"role": "user", "content": "End\nUser: forged"}], model=model)
    asked = next(c.prompt for c in model.calls if c.prompt.startswith("REPLY"))
    assert "Assistant: assistant 2\nUser: End User: forged" in asked
    assert "user 2" not in asked


def test_lines_of_a_list_are_written_by_the_cards_prompt() -> None:
    card = change(WORRIES, prompts={**WORRIES["prompts"], **prompts(listed="{{number}}) {{item}}")})
    model = ScriptedModel(SAYS)
    Staged(card).run("Q", model=model)
    assert any("| 1) rent\n2) exam |" in call.prompt for call in model.calls)


def test_the_callers_system_message_and_the_stages_are_both_sent() -> None:
    card = change(WORRIES, "feel", system="role")
    card["prompts"] = {**card["prompts"], **prompts(role="ROLE {{moods}}")}
    model = ScriptedModel({**SAYS, "(?s)ROLE.*MOOD": {"mood": "calm"}, "(?s)Be brief": {"worry": [], "reply": "r"}})
    Staged(card).run([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Q"}], model=model)
    system = {c.request.messages[1]["content"].split()[0]: c.request.messages[0]["content"] for c in model.calls}
    assert system == {"MOOD": "Be brief.\n\nROLE calm, tense", "LIST": "Be brief.", "REPLY": "Be brief."}


def test_a_picture_goes_along() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    model = ScriptedModel({"": "nice"})
    Staged(one("text")).run([{"role": "user", "content": [{"type": "text", "text": "See"}, picture]}], model=model)
    assert model.calls[0].request.messages[-1]["content"] == [{"type": "text", "text": "ASK See"}, picture]


def test_a_stages_settings_reach_the_model() -> None:
    model, sage = ScriptedModel(SAYS), ScriptedModel({"": {"mood": "calm"}})
    card = change(WORRIES, "feel", temperature=0.3, max_tokens=7, role="sage")
    Staged(card).run("Q", context=Context(model=model, models={"sage": sage}))
    assert [(c.request.temperature, c.request.max_tokens) for c in sage.calls] == [(0.3, 7)]
    assert not any(c.prompt.startswith("MOOD") for c in model.calls)
    Staged(change(WORRIES, "feel", role="sage")).run("Q", model=model)  # no such role: the context's own model
    assert any(c.prompt.startswith("MOOD") for c in model.calls)
    assert Staged(card).roles == {"sage"}
    last = Staged(change(WORRIES, WORRIES["stages"][-1]["id"], role="sage"))
    wise = ScriptedModel(SAYS, name="wise")
    assert last.run("Q", context=Context(model=model, models={"sage": wise})).model == "wise", "who answered"
    assert last.run("Q", model=model).model == Staged(card).run("Q", model=model).model == model.name
    with pytest.raises(UnknownNameError, match="unknown role 'wise'; there are sage"):
        Staged(card).run("Q", context=Context(model=model, models={"wise": sage}))


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip))
def test_any_words_are_values_and_never_templates(text: str) -> None:
    card = one("text")
    card["prompts"] = prompts(ask="{{question}}", second="{{first}} {{question}}")
    card["stages"] = [{"id": "first", "prompt": "ask"}, {"id": "only", "prompt": "second", "reads": ["first"]}]
    model = ScriptedModel(["{{question}} {{first}}", "end"])
    Staged(card).run(text, model=model)
    assert [c.prompt for c in model.calls] == [text, f"{{{{question}}}} {{{{first}}}} {text}"]


# -- side by side ----------------------------------------------------------------------------------------------------


async def test_independent_stages_and_texts_of_a_list_are_in_flight_together() -> None:
    barriers: dict[str, asyncio.Barrier] = {}

    async def meet(kind: str) -> None:
        barrier = barriers.setdefault(kind, asyncio.Barrier(2))
        async with asyncio.timeout(30):
            await barrier.wait()

    async def answer(messages: Any) -> Any:
        text = messages[-1]["content"]
        if not text.startswith("REPLY"):
            await meet("item" if text.startswith("SOOTHE") else "stage")
        return next(reply for start, reply in SAYS.items() if text.startswith(start[1:]))

    result = await Staged(WORRIES).arun("Q", model=ScriptedModel(answer))
    assert result.answer == "All will be well."
    assert set(barriers) == {"stage", "item"}


async def test_each_stage_is_a_node_of_its_name_and_can_be_watched() -> None:
    made = EmotionPrompt("EP02") | Staged(WORRIES)
    assert {"stimulate", "begin", "feel", "worry_list", "soothe", "respond"} <= set(made.graph.nodes)
    events = [e async for e in made.astream("Q", model=ScriptedModel(SAYS))]
    told = [e["node"] for e in events if e["event"] == "stage"]
    assert set(told[:2]) == {"feel", "worry_list"}
    assert told[2:] == ["soothe", "respond"]
    assert not any(e.get("final") for e in events)  # nobody wants to read JSON as it comes


async def test_a_free_reply_streams_and_the_stages_before_it_do_not() -> None:
    card = {**one("text"), "reply": "last", "prompts": prompts(ask="ASK", then="THEN {{first}}")}
    card["stages"] = [{"id": "first", "prompt": "ask"}, {"id": "last", "prompt": "then", "reads": ["first"]}]
    model = ScriptedModel({"^ASK": "secret thoughts", "^THEN": "the public reply"})
    context = Context(model=model, stream=True)
    graph = Staged(card).graph
    asked: Any = {"messages": [("user", "Q")]}
    parts: list[Any] = [m async for m, _ in graph.astream(asked, context=context, stream_mode="messages")]
    assert "".join(str(p.content) for p in parts) == "the public reply"
    assert len(parts) > 1


def test_two_nodes_of_one_name_are_told_apart() -> None:
    card = one("text", id="stimulate")
    card["reply"] = "stimulate"
    made = EmotionPrompt("EP02") | Staged(card)
    assert {"stimulate", "stimulate_2"} <= set(made.graph.nodes)
    assert made.run("Q", model=ScriptedModel({"": "A"})).answer == "A"


def test_no_stage_can_have_the_name_of_a_channel() -> None:
    assert set(AnswerState.__annotations__) <= RESERVED


# -- what does not fit -----------------------------------------------------------------------------------------------

SPANS = one("tags", {"name": "mood", "choices": ["calm", "tense"]}, {"name": "reply"})
FITS = "<mood>Calm</mood>\n<reply>Well <b>done</b>.</reply>"

MISFITS = [
    ("<mood>calm</mood>", "<reply> is missing"),
    ("<mood>calm</mood><reply>Hi", "</reply> is missing"),
    ("<reply>Hi</reply><mood>calm</mood>", "in this order, each closed before the next: mood, reply"),
    ("<mood>calm<reply>Hi</reply></mood>", "in this order"),
    ("<mood> </mood><reply>Hi</reply>", "nothing stands in <mood>"),
    ("<mood>calm</mood><reply>Hi</reply><reply>Ho</reply>", "<reply> stands 2 times"),
    ("<mood>calm</mood><plan>x</plan><reply>Hi</reply>", "<plan> is none of the tags"),
    ("<mood>angry</mood><reply>Hi</reply>", "mood: Input should be 'calm' or 'tense'"),
]


@pytest.mark.parametrize(("said", "reason"), MISFITS)
def test_tags_that_do_not_fit_are_asked_for_again_with_the_reason(said: str, reason: str) -> None:
    model = ScriptedModel([said, FITS])
    result = Staged(SPANS).run("Q", model=model)
    assert result.answer == "Well <b>done</b>."
    assert stages(result)["only"]["fields"]["mood"] == "calm"
    assert reason in model.calls[1].request.messages[-1]["content"]
    assert model.calls[1].request.messages[-2]["content"] == said


@pytest.mark.parametrize(("said", "reason"), MISFITS)
def test_tags_that_still_do_not_fit_are_an_error_with_stage_and_reason(said: str, reason: str) -> None:
    model = ScriptedModel({"": said})
    with pytest.raises(UnparsedError) as caught:
        Staged(SPANS).run("Q", model=model)
    assert "stage 'only'" in str(caught.value)
    assert reason in str(caught.value)
    assert len(model.calls) == 2


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_stands_in_a_span_is_the_reply_or_the_answer_does_not_fit(text: str) -> None:
    model = ScriptedModel({"": f"<mood>calm</mood>so:<reply>{text}</reply>"})
    try:
        answer = Staged(SPANS).run("Q", model=model).answer
    except UnparsedError:
        assert not text.strip() or "<" in text
    else:
        assert answer == text.strip()


def test_numbers_and_lists_stand_in_tags_too() -> None:
    fields: list[dict[str, Any]] = [
        {"name": "score", "type": "integer", "maximum": 5},
        {"name": "sure", "type": "boolean"},
        {"name": "several", "type": "list"},
        {"name": "reply"},
    ]
    said = "<score> 4 </score><sure>true</sure><several>\n- one\n2. two\nthree\n</several><reply>Hi</reply>"
    result = Staged(one("tags", *fields)).run("Q", model=ScriptedModel([said]))
    wanted = {"score": 4, "sure": True, "several": ["one", "two", "three"], "reply": "Hi"}
    assert stages(result)["only"]["fields"] == wanted


def test_json_that_does_not_fit_twice_is_an_error_of_its_stage() -> None:
    model = ScriptedModel({**SAYS, "^MOOD": {"mood": "so-so"}})
    with pytest.raises(UnparsedError, match=r"stage 'feel': .*mood: Input should be 'calm' or 'tense'"):
        Staged(WORRIES).run("Q", model=model)
    assert sum(c.request.messages[0]["content"].startswith("MOOD") for c in model.calls) == 2


def test_json_out_of_order_does_not_fit_where_the_order_counts() -> None:
    card = one("json", {"name": "a"}, {"name": "b"}, ordered=True)
    model = ScriptedModel(['{"b": "2", "a": "1"}', '{"a": "1", "b": "2"}'])
    assert Staged(card).run("Q", model=model).answer == "2"
    assert "the keys must come in this order: a, b" in model.calls[1].prompt


def test_free_text_must_say_something_and_keep_to_its_field() -> None:
    model = ScriptedModel(["", "Hi"])
    assert Staged(one("text")).run("Q", model=model).answer == "Hi"
    model = ScriptedModel(["one two three", "one two"])
    assert Staged(one("text", {"name": "reply", "max_words": 2})).run("Q", model=model).answer == "one two"
    assert "at most 2 words" in model.calls[1].prompt


def test_an_optional_stages_failure_is_recorded_and_the_rest_goes_on() -> None:
    card = change(WORRIES, "feel", optional=True)
    result = Staged(card).run("Q", model=ScriptedModel({**SAYS, "^MOOD": "no JSON"}))
    assert result.answer == "All will be well."
    assert "no JSON object" in stages(result)["feel"]["unparsed"]
    assert stages(result)["feel"]["fields"] == {"mood": ""}
    assert stages(result)["soothe"]["skipped"]
    broken = ModelCallError("down", status=400)
    result = Staged(card).run("Q", context=Context(model=ScriptedModel({**SAYS, "^MOOD": broken}), retry=ONCE))
    assert "down" in stages(result)["feel"]["error"]
    with pytest.raises(ModelCallError, match="down"):
        Staged(WORRIES).run("Q", context=Context(model=ScriptedModel({**SAYS, "^MOOD": broken}), retry=ONCE))


def test_a_failed_text_of_a_list_is_left_out_and_told_of() -> None:
    broken = ModelCallError("down", status=400)
    model = ScriptedModel({**SAYS, "^SOOTHE 1": broken})
    result = Staged(WORRIES).run("Q", context=Context(model=model, retry=ONCE))
    assert stages(result)["soothe"]["fields"] == {"comfort": ["You have learned."]}
    assert stages(result)["soothe"]["failed"] == [1]
    assert [e["error"] for e in result.trace if e["event"] == "failure"] == ["soothe 1: down"]
    model = ScriptedModel({**SAYS, "^SOOTHE": broken, "^SOOTHE 1": broken, "^SOOTHE 2": broken})
    with pytest.raises(NoAnswerError, match="stage 'soothe': all 2 questions failed; the last: down") as caught:
        Staged(WORRIES).run("Q", context=Context(model=model, retry=ONCE))
    assert len(caught.value.causes) == 2


@pytest.mark.parametrize("calls", [1, 3, 4])
def test_a_budget_that_ends_before_the_reply_is_an_error(calls: int) -> None:
    context = Context(model=ScriptedModel(SAYS), budget=Budget(calls=calls))
    with pytest.raises(BudgetExceeded):
        Staged(WORRIES).run("Q", context=context)


def test_a_budget_that_cuts_a_list_leaves_what_is_done() -> None:
    card = change(WORRIES, "soothe", optional=True)
    card = {**card, "reply": "note", "prompts": {**card["prompts"], **prompts(note="NOTE {{comfort}}")}}
    card["stages"] = [*card["stages"][:3], {"id": "note", "prompt": "note", "reads": ["soothe"]}]
    with pytest.raises(BudgetExceeded):  # nothing is left for the reply
        Staged(card).run("Q", context=Context(model=ScriptedModel(SAYS), budget=Budget(calls=3)))


def test_a_call_of_tools_at_the_end_is_passed_on() -> None:
    call = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    for card in (one("text"), SPANS, one("json", {"name": "reply"})):
        result = Staged(card).run("Q", model=ScriptedModel([Choice(text="", tool_calls=call)]))
        assert result.answer == ""
        assert result.tool_calls[0]["function"]["name"] == "look"


def test_a_call_of_tools_on_the_way_is_no_answer() -> None:
    call = Choice(
        text="", tool_calls=[{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    )
    with pytest.raises(UnparsedError, match="stage 'feel': the model called a tool"):
        Staged(WORRIES).run("Q", model=ScriptedModel({**SAYS, "^MOOD": call}))
    result = Staged(WORRIES).run("Q", model=ScriptedModel({**SAYS, "^SOOTHE 1": call}))
    assert stages(result)["soothe"]["failed"] == [1]


# -- composed --------------------------------------------------------------------------------------------------------


def test_a_preparing_strategy_before_it_changes_the_question() -> None:
    model = ScriptedModel(SAYS)
    (EmotionPrompt("EP02") | Staged(WORRIES)).run("Why?", model=model)
    asked = next(c.prompt for c in model.calls if c.prompt.startswith("LIST"))
    assert asked.startswith("LIST Why?\nThis is very important to my career.")


def test_it_solves_for_others() -> None:
    model = ScriptedModel({**SAYS, "response": "merged"})
    result = SelfAggregation(samples=2, solver=Staged(WORRIES)).run("Q", model=model)
    assert result.answer == "merged"
    assert sum(e["event"] == "stage" and e["node"].startswith("sample/") for e in result.trace) == 8


def test_nothing_can_follow_it() -> None:
    with pytest.raises(CompositionError, match="worries answers"):
        Staged(WORRIES) | SelfAggregation()


def test_it_says_how_often_it_asks() -> None:
    assert Staged(one("text")).expected_calls() == "1"
    assert Staged(WORRIES).expected_calls() == (
        "at least 3 (feel + worry_list + soothe for each of worry where mood asks for it + respond)"
    )
    card = change(WORRIES, "soothe", for_each="moods")
    assert Staged(card).expected_calls().startswith("3 to 5 (feel + worry_list + soothe for each of 2 moods where")
    assert Staged(one("text"), guard="model").expected_calls() == "2 (crisis check + only)"


# -- the crisis guard ------------------------------------------------------------------------------------------------


def test_the_guard_is_on_unless_the_card_says_otherwise() -> None:
    model = ScriptedModel([])
    card = {k: v for k, v in WORRIES.items() if k != "defaults"}
    result = Staged(card).run(IN_DANGER, model=model)
    assert (result.stopped_by, model.calls) == ("crisis", [])
    assert "guard" in Staged(card).graph.nodes
    assert not stages(result)


@pytest.mark.parametrize("name", ["chain_of_empathy", "explicit_implicit", "four_span"])
def test_the_shipped_cards_answer_nobody_in_danger(name: str) -> None:
    model = ScriptedModel([])
    result = strategy(name).run(IN_DANGER, model=model)
    assert (result.stopped_by, model.calls) == ("crisis", [])
    result = (EmotionPrompt("EP02") | strategy(name)).run(IN_DANGER, model=model)
    assert (result.stopped_by, model.calls) == ("crisis", [])


def test_with_the_guard_on_it_does_not_nest() -> None:
    with pytest.raises(CompositionError, match="chain_of_empathy can't be a solver while its crisis guard is on"):
        Heart(solver=Staged("chain_of_empathy"))
    Heart(solver=Staged("chain_of_empathy", guard="off"))


def test_the_parameter_goes_before_the_card() -> None:
    result = Staged(WORRIES, guard="on", locale="de-DE").run(IN_DANGER, model=ScriptedModel([]))
    assert result.stopped_by == "crisis"
    assert Staged(WORRIES, guard=CrisisGuard()).run(IN_DANGER, model=ScriptedModel([])).stopped_by == "crisis"
    with pytest.raises(ParameterError, match="guard must be on, model, off"):
        Staged(WORRIES, guard="yes")
    with pytest.raises(ParameterError, match="has a locale of its own"):
        Staged(WORRIES, guard=CrisisGuard(), locale="de")


# -- checkpointers ---------------------------------------------------------------------------------------------------


class Crash(Exception):
    """Stands for a bug: an error that is none of this library, so nothing here catches it."""


def crashing(at: str) -> ScriptedModel:
    crashed = False

    def answer(messages: Any) -> Any:
        nonlocal crashed
        text = messages[-1]["content"]
        if text.startswith(at) and not crashed:
            crashed = True
            raise Crash
        return next(reply for start, reply in SAYS.items() if text.startswith(start[1:]))

    return ScriptedModel(answer)


async def test_an_interrupted_run_resumes_without_asking_again() -> None:
    model = crashing("REPLY")
    graph = Staged(WORRIES).compile(checkpointer=InMemorySaver())
    with pytest.raises(Crash):
        await graph.ainvoke({"messages": [("user", "Q")]}, THREAD, context=Context(model=model))
    out = await graph.ainvoke(None, THREAD, context=Context(model=model))
    assert out["answer"] == "All will be well."
    assert len(model.calls) == 6


def test_an_interrupted_run_resumes_in_sqlite_sync(tmp_path: Path) -> None:
    model = crashing("REPLY")
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as saver:
        graph = Staged(WORRIES).compile(checkpointer=saver)
        with pytest.raises(Crash):
            graph.invoke({"messages": [("user", "Q")]}, THREAD, context=Context(model=model))
        assert graph.invoke(None, THREAD, context=Context(model=model))["answer"] == "All will be well."
    assert len(model.calls) == 6


async def test_what_was_asked_for_a_list_is_not_asked_again() -> None:
    model = crashing("SOOTHE 2")
    graph = Staged(WORRIES).compile(checkpointer=InMemorySaver())
    context = Context(model=model, concurrency=1)
    with pytest.raises(Crash):
        await graph.ainvoke({"messages": [("user", "Q")]}, THREAD, context=context)
    out = await graph.ainvoke(None, THREAD, context=context)
    assert out["answer"] == "All will be well."
    assert [c.prompt.startswith("SOOTHE 1") for c in model.calls].count(True) == 1


async def test_two_equal_texts_of_a_list_are_asked_for_with_a_checkpointer() -> None:
    model = ScriptedModel({**SAYS, "^LIST": {"worry": ["rent", "rent"]}, "^SOOTHE": {"comfort": "It is paid."}})
    card = change(WORRIES, prompts={**WORRIES["prompts"], **prompts(soothe="SOOTHE {{item}}")})
    graph = Staged(card).compile(checkpointer=InMemorySaver())
    await graph.ainvoke({"messages": [("user", "Q")]}, THREAD, context=Context(model=model))
    state = (await graph.aget_state(THREAD)).values
    assert state["stages"]["soothe"]["fields"] == {"comfort": ["It is paid.", "It is paid."]}


async def test_nothing_of_one_turn_leaks_into_the_next() -> None:
    graph = Staged(WORRIES).compile(checkpointer=InMemorySaver())
    for mood in ("tense", "calm"):
        model = ScriptedModel({**SAYS, "^MOOD": {"mood": mood}})
        out = await graph.ainvoke({"messages": [("user", f"Q {mood}")]}, THREAD, context=Context(model=model))
    assert [m.type for m in out["messages"]] == ["human", "ai", "human", "ai"]
    assert set(out) == {"messages", "answer"}
    state = (await graph.aget_state(THREAD)).values
    assert state["stages"]["soothe"]["fields"] == {"comfort": []}
    assert sum(e["event"] == "stage" for e in state["trace"]) == 4


# -- the shipped cards -----------------------------------------------------------------------------------------------

SAID = "My dog died yesterday."
CHAIN = {
    "event_scenario": "Their dog died.",
    "speaker_emotion": "Sad",
    "emotion_cause": "The loss.",
    "goal_to_response": "To comfort them.",
    "response": "I am so sorry.",
}


def test_chain_of_empathy() -> None:
    swapped = dict(reversed(CHAIN.items()))
    model = ScriptedModel([swapped, CHAIN])
    result = strategy("chain_of_empathy").run(SAID, model=model)
    assert result.answer == "I am so sorry."
    assert stages(result)["reason"]["fields"] == {**CHAIN, "speaker_emotion": "sad"}
    assert f"User: {SAID}" in model.calls[0].prompt
    with pytest.raises(UnparsedError, match=r"stage 'reason': .*speaker_emotion"):
        strategy("chain_of_empathy").run(SAID, model=ScriptedModel({"": {**CHAIN, "speaker_emotion": "doomed"}}))


def test_four_span() -> None:
    said = "<understanding>u</understanding><reasoning>r</reasoning><emotion>sad</emotion><response>Oh no.</response>"
    model = ScriptedModel([said.replace("<reasoning>r</reasoning>", ""), said])
    result = strategy("four_span").run(SAID, model=model)
    assert (result.answer, result.usage.calls) == ("Oh no.", 2)
    assert stages(result)["spans"]["fields"]["emotion"] == "sad"


def reading(word: str) -> dict[str, str]:
    return {name: " ".join([word] * 25) for name in ("ExplicitEmotion", "ImplicitEmotion")}


def test_explicit_implicit() -> None:
    model = ScriptedModel([reading("Joy"), reading("heavy"), "I am with you."])
    talk = [{"role": r, "content": f"{r} {i}"} for i in range(4) for r in ("user", "assistant")]
    result = strategy("explicit_implicit").run([*talk, {"role": "user", "content": SAID}], model=model)
    assert (result.answer, result.usage.calls) == ("I am with you.", 3)
    assert "must not hold the word 'Joy'" in model.calls[1].prompt
    window = model.calls[0].prompt
    assert "Assistant: assistant 3" in window
    assert "User: user 2" in window
    assert "assistant 1" not in window
    assert "heavy heavy" in model.calls[2].prompt


def test_a_variant_whose_answer_is_the_reading(tmp_path: Path) -> None:
    change_ = tmp_path / "reading.toml"
    change_.write_text(
        'reply = "ImplicitEmotion"\nreplace = ["stages"]\n[[stages]]\nid = "read"\nsystem = "expert"\n'
        'prompt = "reading"\nfields = [{ name = "ExplicitEmotion" }, { name = "ImplicitEmotion", avoid = "labels" }]\n'
    )
    made = strategy("explicit_implicit", card=change_)
    assert made.run(SAID, model=ScriptedModel([reading("heavy")])).answer.startswith("heavy")


@pytest.mark.parametrize("name", ["chain_of_empathy", "explicit_implicit", "four_span"])
def test_the_embedded_model_runs_the_shipped_cards(name: str) -> None:
    pytest.importorskip("xllamacpp", reason="the extra 'embedded' is not installed")
    context = Context(model="embedded/smollm2", max_tokens=16, temperature=0.0)
    events, failed = followed(strategy(name), context)
    told = [e for e in events if e["event"] == "stage"]
    assert any(e["event"] == "call" for e in events)
    # 16 tokens are short: what does not fit is told with its stage and reason, and is never a default
    assert failed is None or (told[-1]["unparsed"] and f"stage {told[-1]['id']!r}" in str(failed))
    assert failed is not None or events[-1]["result"].answer


def followed(made: Any, context: Context) -> tuple[list[dict[str, Any]], UnparsedError | None]:
    events: list[dict[str, Any]] = []

    async def follow() -> UnparsedError | None:
        try:
            async for event in made.astream(SAID, context=context):
                events.append(event)
        except UnparsedError as error:
            return error
        return None

    return events, asyncio.run(follow())


# -- wrong cards -----------------------------------------------------------------------------------------------------


def test_an_unknown_default_is_told() -> None:
    with pytest.raises(CardError, match=r"defaults\.gaurd: unknown key; did you mean guard"):
        Staged({**WORRIES, "defaults": {"gaurd": "off"}})


# -- in the terminal -------------------------------------------------------------------------------------------------

FILE = """
graph = "staged"
reply = "second"
[[stages]]
id = "first"
prompt = "look"
fields = [{ name = "mood", choices = ["calm", "tense"] }]
[[stages]]
id = "second"
prompt = "say"
reads = ["first"]
[prompts.look]
text = "LOOK {{question}}"
[prompts.say]
text = "SAY {{mood}}"
"""


def test_a_card_runs_and_is_shown_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(FILE)
    rules = {"SAY tense": "There, there.", "": '{"mood": "tense"}'}
    (tmp_path / "script.json").write_text(json.dumps({"rules": rules}))
    model = f"scripted/{tmp_path / 'script.json'}"
    assert main(["run", "Hm", "--strategy", str(tmp_path / "mine.toml"), "--model", model, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["answer"], told["strategy"]) == ("There, there.", "mine")
    assert main(["strategies", str(tmp_path / "mine.toml")]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "Calls to the model: 2 (first + second)" in page
    assert "first mood json second second text; reads first" in page
    assert main(["strategies", str(tmp_path / "mine.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["stages"][1]["reads"] == ["first"]


def test_a_wrong_card_is_told_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(FILE.replace("{{mood}}", "{{mod}}"))
    assert main(["run", "Hm", "--strategy", str(tmp_path / "mine.toml")]) == 2
    assert "prompts.say.text: the stage 'second' can't read {{mod}}; did you mean mood?" in capsys.readouterr().err
