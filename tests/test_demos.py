"""Demonstrations in cards, and how a question is put: in the plain graph, with nothing but the card."""

from __future__ import annotations

from typing import Any

import pytest

from emoagents import CoEM, Context, EmotionPrompt, Heart, ScriptedModel, SelfAggregation
from emoagents.asked import ask_in, asked_in, sent
from emoagents.card import load_card
from emoagents.errors import CardError
from emoagents.registry import strategy
from emoagents.strategies.plain import Plain

USER = {"role": "user", "content": "2 + 2?"}
SYSTEM = {"role": "system", "content": "Be brief."}
DEMO = {"values": {"question": "1 + 1?"}, "answer": "2"}
SHOWN = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]


def card(**ask: Any) -> dict[str, Any]:
    return {"prompts": {"ask": ask}}


def prompts(made: Any, messages: Any, answers: Any = None) -> list[list[dict[str, Any]]]:
    model = ScriptedModel(answers or {"": "4"}, max_n=1)
    made.run(messages, context=Context(model=model))
    return [list(call.request.messages) for call in model.calls]


def test_demonstrations_are_turns_behind_what_the_system_says() -> None:
    said = [SYSTEM, {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, USER]
    assert prompts(Plain(card=card(demos=[DEMO])), said) == [[SYSTEM, *SHOWN, *said[1:]]]


def test_a_question_is_put_as_the_card_says() -> None:
    mine = card(text="Think.\n{{question}}\nAnswer:", demos=[DEMO])
    put = [{"role": "user", "content": f"Think.\n{text}\nAnswer:"} for text in ("1 + 1?", "2 + 2?")]
    asked = [[put[0], SHOWN[1], put[1]]]
    assert prompts(Plain(card=mine), [USER]) == asked
    assert prompts(SelfAggregation(samples=2, card=mine), [USER])[:2] == asked * 2
    assert prompts(strategy("self_consistency:2", card=mine), [USER]) == asked * 2
    assert prompts(strategy("resample:1", verifier="exact:4", card=mine), [USER]) == asked


def test_the_question_in_earlier_turns_is_the_one_that_was_put() -> None:
    mine = card(text="Think. {{question}}", demos=[DEMO])
    first, second = prompts(Heart(rounds=1, verifier="exact:5", card=mine), [USER])
    assert first[-1] == second[0] == {"role": "user", "content": "Think. 2 + 2?"}
    assert len(second) == 3  # the demonstrations of `ask` are no part of the feedback's request


def test_a_prepared_question_is_put_whole() -> None:
    made = EmotionPrompt("EP02") | Plain(card=card(text="{{question}}\nAnswer:"))
    (asked,) = prompts(made, [USER])
    assert asked[-1]["content"].startswith("2 + 2?")
    assert asked[-1]["content"].endswith("\nAnswer:")


def test_demonstrations_of_feedback_keep_their_conversation() -> None:
    before = [SYSTEM, {"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "3"}]
    demo = {"values": {"phrase": "Oh.", "reason": "no"}, "answer": "2", "before": before, "head": "> ", "tail": " <"}
    mine = {"prompts": {"feedback": {"text": "{{phrase}} {{reason}}", "source": "ours", "demos": [demo]}}}
    asked = prompts(Heart(rounds=1, verifier="exact:5", card=mine), [SYSTEM, USER])[1]
    shown = [*before[1:], {"role": "user", "content": "> Oh. no <"}, {"role": "assistant", "content": "2"}]
    assert asked[: len(shown) + 2] == [SYSTEM, *shown, USER]


def test_what_a_prompt_in_the_system_message_was_shown_is_no_turn() -> None:
    values = {"passages": "p", "about": "a"}
    mine = {"prompts": {"core_turns": {"demos": [{"values": values, "answer": "x"}]}}}
    cake = {"role": "user", "content": "I baked a lemon cake."}
    said = [cake, {"role": "assistant", "content": "And the garden, is it dry?"}] * 2 + [cake]
    made = CoEM(ranker="bm25", preset="chat", enrich=False, chunk=8, overlap=0, card=mine)
    (asked,) = prompts(made, said)
    assert asked[0]["role"] == "system"
    assert asked[1:] == said


def test_demonstrations_count_where_a_prompt_must_fit() -> None:
    long = {"values": {"question": "word " * 200}, "answer": "2"}
    model = ScriptedModel({"": "word " * 300}, context_window=900, max_n=1)
    mine = {"prompts": {"synthesize": {"text": "{{question}} {{candidates}}", "demos": []}}}

    def trimmed(demos: list[Any]) -> int:
        mine["prompts"]["synthesize"]["demos"] = demos
        result = SelfAggregation(samples=2, card=mine).run("2 + 2?", model=model)
        return next((e["characters"] for e in result.trace if e["event"] == "trimmed"), 10**9)

    values = {"question": "word " * 150, "candidates": "c"}
    assert trimmed([{"values": values, "answer": long["answer"]}]) < trimmed([])


def test_pictures_stay_where_the_question_is_put_anew() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    content = [picture, {"type": "text", "text": "What?"}]
    assert prompts(Plain(), [{"role": "user", "content": content}])[0][0]["content"] == content
    put = prompts(Plain(card=card(text="Look: {{question}}")), [{"role": "user", "content": content}])[0][0]["content"]
    assert put == [{"type": "text", "text": "Look: What?"}, picture]


def test_what_is_sent_are_plain_messages() -> None:
    asked = ask_in([SYSTEM, USER], load_card("plain"))
    assert asked_in(asked) == 1
    assert all(type(message) is dict for message in sent(asked))
    assert sent(asked) == [SYSTEM, USER]


def test_the_trace_tells_which_prompt_asked() -> None:
    result = SelfAggregation(samples=2).run("2 + 2?", model=ScriptedModel({"": "4"}))
    assert [e["asked"] for e in result.trace if e["event"] == "call"] == ["ask", "synthesize"]


@pytest.mark.parametrize(
    ("ask", "place"),
    [
        ({"demos": [{"values": {"q": "x"}, "answer": "y"}]}, r"prompts\.ask\.demos\[0\]\.values: 'q' is not"),
        ({"demos": [DEMO, {"values": {}, "answer": "y"}]}, r"prompts\.ask\.demos\[1\]\.values: no value"),
        ({"demos": [{"values": {"question": "x"}}]}, r"prompts\.ask\.demos\[0\]\.answer: missing"),
        ({"demos": [{**DEMO, "before": [{"content": "x"}]}]}, r"prompts\.ask\.demos\[0\].*no role"),
        ({"text": "Think."}, r"prompts\.ask\.text: does not ask the question"),
    ],
)
def test_a_mistake_in_a_demonstration_is_told_before_anything_is_paid(ask: dict[str, Any], place: str) -> None:
    with pytest.raises(CardError, match=place):
        Plain(card=card(**ask))
