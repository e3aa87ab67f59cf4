"""Strategies as DSPy programs: the same messages, DSPy's own tools, models of both kinds, and cards."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

dspy = pytest.importorskip("dspy", reason="the extra 'dspy' is not installed")

from dspy.utils.exceptions import (  # noqa: E402
    LMConfigurationError,
    LMInvalidRequestError,
    LMRateLimitError,
    LMServerError,
)
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from emoagents import Budget, CoEM, Context, EmotionPrompt, Heart, ScriptedModel, SelfAggregation  # noqa: E402
from emoagents.errors import (  # noqa: E402
    BudgetExceeded,
    CompositionError,
    ModelCallError,
    ModelConfigError,
    ParameterError,
    RunError,
)
from emoagents.integrations.dspy import (  # noqa: E402
    Answer,
    RawAdapter,
    differing_messages,
    to_card,
    to_dspy,
    to_lm,
    usage_of,
)
from emoagents.registry import strategy  # noqa: E402
from emoagents.strategies.base import Answering, Strategy, Wiring, parameters  # noqa: E402
from emoagents.strategies.staged import Staged  # noqa: E402
from emoagents.tuning.prompts import as_template, prompts_of, with_prompts  # noqa: E402
from tests.loopback import LoopbackServer  # noqa: E402

CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": " You are kind.\n"},
    {"role": "user", "content": "I feel down {today}"},
    {"role": "assistant", "content": "Why?"},
    {"role": "user", "content": "\nWork. {{question}} {{{x}}}\n"},
]
DOCUMENT = [{"role": "user", "content": [{"type": "text", "text": "word " * 600}, {"type": "text", "text": "What?"}]}]
NESTED = Heart(solver=EmotionPrompt("EP02") | SelfAggregation(samples=2), verifier="judge", rounds=1)

EVERY: dict[str, tuple[Strategy, list[dict[str, Any]], list[str]]] = {
    "plain": (strategy("plain"), CHAT, ["ask"]),
    "emotion_prompt": (EmotionPrompt("EP02"), CHAT, ["ask"]),
    "gsa": (SelfAggregation(samples=3), CHAT, ["ask", "synthesize"]),
    "gsa choose": (SelfAggregation(samples=2, method="choose"), CHAT, ["ask", "choose"]),
    "gsa judge": (SelfAggregation(samples=2, method="judge"), CHAT, ["ask", "judge"]),
    "rsa": (SelfAggregation(samples=3, loops=2, k=2), CHAT, ["ask", "synthesize"]),
    "self_consistency": (strategy("self_consistency:2"), CHAT, ["ask"]),
    "resample": (strategy("resample:2"), CHAT, ["ask", "judge"]),
    "heart": (Heart(rounds=1), CHAT, ["ask", "feedback_unverified", "synthesize"]),
    "heart judged": (Heart(rounds=2, verifier="judge"), CHAT, ["ask", "feedback", "judge"]),
    "heart fresh": (Heart(rounds=2, verifier="judge", history="fresh"), CHAT, ["ask", "fresh", "judge"]),
    "pipe": (EmotionPrompt("EP02") | SelfAggregation(samples=2), CHAT, ["ask", "synthesize"]),
    "nested": (NESTED, CHAT, ["solver.ask", "solver.synthesize", "judge"]),
    "support": (strategy("support", method="vanilla"), CHAT, ["assess", "vanilla"]),
    "support refine": (
        strategy("support", method="self_refine"),
        CHAT,
        ["assess", "vanilla", "feedback", "refine"],
    ),
    "coem": (CoEM(ranker="bm25", preset="document"), DOCUMENT, ["sage", "core"]),
    "coem base": (CoEM(arm="base", preset="document"), DOCUMENT, ["base", "ask"]),
    "coem chat": (CoEM(ranker="bm25", preset="chat"), CHAT * 3, ["sage_turns", "core_turns"]),
    "explicit_implicit": (strategy("explicit_implicit"), CHAT, ["reading", "respond"]),
    "four_span": (strategy("four_span"), CHAT, ["spans"]),
}


def says(messages: Sequence[dict[str, Any]], index: int) -> str:
    """Reply with JSON that fits where it can, and differs with what was asked."""
    text = json.dumps(messages)
    if '\\"correct\\"' in text:
        return json.dumps({"correct": False, "reason": f"wrong {len(text)}"})
    fields = {"strategy": "Question", "response": f"hm {len(text)}", "emotion": "sad", "intensity": 3}
    return json.dumps({**fields, "problem": "work", "stage": "exploration", "choice": 1, "score": 5, "index": index})


def sent(model: ScriptedModel) -> list[str]:
    return sorted(json.dumps(call.request.messages) for call in model.calls)


def outcome(run: Any) -> str:
    try:
        return str(run().answer)
    except RunError as error:
        return str(error)


def example(question: str, answer: str = "a") -> dspy.Example:
    return dspy.Example(question=question, answer=answer).with_inputs("question")


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel({"": "a"}, max_n=1)


@pytest.fixture
def configured(model: ScriptedModel) -> Iterator[dspy.LM]:
    lm = to_lm(Context(model=model))
    with dspy.context(lm=lm, trace=[]):
        yield lm


# -- the same graph, the same messages ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_a_program_sends_what_the_strategy_sends(name: str) -> None:
    made, messages, predictors = EVERY[name]
    plain, through = ScriptedModel(says, max_n=1), ScriptedModel(says, max_n=1)
    program = to_dspy(made)
    assert [name for name, _ in program.named_predictors()] == predictors
    expected = outcome(lambda: made.run(messages, context=Context(model=plain, seed=1)))
    with dspy.context(lm=to_lm(Context(model=through, seed=1))):
        assert outcome(lambda: program(messages=messages)) == expected
    assert sent(through) == sent(plain)


@given(st.text(min_size=1).filter(str.strip), st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=2))
@settings(max_examples=40, deadline=None)
def test_whatever_an_optimiser_writes_the_card_says_the_same(
    question: str, instructions: str, demos: list[tuple[str, str]]
) -> None:
    program = to_dspy(SelfAggregation(samples=2))
    for _, predictor in program.named_predictors():
        predictor.signature = predictor.signature.with_instructions(instructions)
        predictor.demos = [dspy.Example(question=q, candidates="c", count="2", answer=a) for q, a in demos]
    assert differing_messages(program, program.tuned(), [question]) == []


def test_an_exported_card_alone_says_the_same(tmp_path: Path) -> None:
    program = to_dspy(NESTED)
    program.solver.ask.signature = program.solver.ask.signature.with_instructions("Think.\n\n  {{ question }}\t{{no}}")
    program.solver.ask.demos = [dspy.Example(question="1\r\n+ 1?", answer="\n2 ")]
    program.judge.signature = program.judge.signature.with_instructions("Is it right?")
    to_card(program, tmp_path / "my.toml", note="by hand")
    exported = strategy(str(tmp_path / "my.toml"))
    assert differing_messages(program, exported, ["{{question}}", "What is 2 + 2?"]) == []
    assert prompts_of(exported)["solver.ask"].source == "optimised"
    assert differing_messages(program, NESTED, ["What is 2 + 2?"]) != []
    text = (tmp_path / "my.toml").read_text()
    assert "by hand" in text


def test_differences_say_what_each_sends() -> None:
    program = to_dspy(strategy("plain"), adapter="dspy")
    (said,) = differing_messages(program, strategy("plain"), ["2 + 2?"])
    assert said.strategy == (({"role": "user", "content": "2 + 2?"},),)
    assert said.program[0][0]["role"] == "system"
    assert "[[ ## question ## ]]\n2 + 2?" in said.program[0][-1]["content"]


def test_demonstrations_stand_between_the_system_and_the_conversation(tmp_path: Path) -> None:
    program = to_dspy(strategy("plain"))
    program.ask.demos = [example("1 + 1?", "2"), dspy.Example(unrelated="x", answer="y"), dspy.Example(question="x")]
    to_card(program, tmp_path / "my.toml")
    model = ScriptedModel({"": "a"})
    strategy(str(tmp_path / "my.toml")).run(CHAT, model=model)
    shown = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]
    assert model.calls[0].request.messages == [CHAT[0], *shown, *CHAT[1:]]


def test_a_demonstration_keeps_what_stood_around_its_prompt() -> None:
    said = iter(["4", '{"correct": false}', "5", '{"correct": true}'])
    program = to_dspy(Heart(rounds=1, verifier="judge"))
    with dspy.context(lm=to_lm(Context(model=ScriptedModel(lambda _: next(said))))):
        compiled = dspy.BootstrapFewShot(metric=lambda e, p, trace=None: p.answer == e.answer).compile(
            program, trainset=[example("2 + 3?", "5")]
        )
    (demo,) = compiled.tuned().card.prompts["feedback"].demos
    assert [m["content"] for m in demo.before] == ["2 + 3?", "4"]
    assert demo.answer == "5"


# -- instructions are templates --------------------------------------------------------------------------------------


@given(st.text(alphabet="{} |questionanswer\nx") | st.text())
def test_any_proposal_becomes_a_template_that_shows_all_that_was_shown(text: str) -> None:
    prompt = prompts_of(Heart(verifier="judge"))["judge"]
    made = as_template(text, prompt)
    assert "{{question}}" in made
    assert "{{answer}}" in made
    assert as_template(made, prompt) == made
    tuned = with_prompts(Heart(verifier="judge"), {"judge": prompt.model_copy(update={"text": made})})
    assert prompts_of(Heart(verifier="judge", card=tuned.card))["judge"].text == made  # type: ignore[attr-defined]


def test_a_card_that_begins_with_blanks_keeps_them() -> None:
    card = strategy("plain").card.model_copy(deep=True)  # type: ignore[attr-defined]
    ask = card.prompts["ask"].model_copy(update={"text": "\n   Well:\n {{question}}  \n"})
    made = with_prompts(strategy("plain"), {"ask": ask})
    assert differing_messages(to_dspy(made), made, ["x"]) == []


# -- DSPy's own tools -------------------------------------------------------------------------------------------------


def test_copies_are_independent_and_state_is_json(configured: dspy.LM, tmp_path: Path) -> None:
    program = to_dspy(NESTED)
    other = program.deepcopy()
    other.solver.ask.signature = other.solver.ask.signature.with_instructions("Other: {{question}}")
    other.solver.ask.demos = [example("1 + 1?", "2")]
    assert prompts_of(copy.deepcopy(program).tuned()) == prompts_of(NESTED)
    other.save(tmp_path / "program.json")
    loaded = to_dspy(NESTED)
    loaded.load(tmp_path / "program.json")
    assert prompts_of(loaded.tuned()) == prompts_of(other.tuned()) != prompts_of(NESTED)
    assert loaded(question="x").answer == "a"


def test_evaluate_parallel_and_async(configured: dspy.LM) -> None:
    program, examples = to_dspy(SelfAggregation(samples=2)), [example(f"{i}?") for i in range(6)]

    def metric(given: Any, prediction: Any, trace: Any = None) -> bool:
        return bool(prediction.answer == given.answer)

    assert dspy.Evaluate(devset=examples, metric=metric, num_threads=3, display_progress=False)(program).score == 100
    found = dspy.Parallel(num_threads=2, disable_progress_bar=True)([(program, e.inputs()) for e in examples])
    assert [answer.stopped_by for answer in found] == ["complete"] * 6

    async def several() -> list[str]:
        return [a.answer for a in await asyncio.gather(*(program.acall(question=f"{i}?") for i in range(4)))]

    assert asyncio.run(several()) == ["a"] * 4


def test_usage_is_tracked_and_the_result_is_at_hand(configured: dspy.LM) -> None:
    with dspy.context(track_usage=True):
        answer = to_dspy(SelfAggregation(samples=2))(question="one two three")
    (usage,) = answer.get_lm_usage().values()
    assert usage["prompt_tokens"] == answer.result.usage.prompt_tokens > 6
    assert answer.result.usage.calls == usage_of(configured).calls == 3
    assert answer.result.trace[0]["asked"] == "ask"


def test_the_trace_is_in_order_of_samples_however_slow_each_is() -> None:
    async def late(messages: Any, index: int) -> str:
        for _ in range(20 * (4 - index)):
            await asyncio.sleep(0)
        return f"a{index}"

    program = to_dspy(SelfAggregation(samples=4))
    with dspy.context(lm=to_lm(Context(model=ScriptedModel(late, max_n=1))), trace=[]):
        found = program(question="x").result.trace
        steps = [(predictor is program.ask, prediction.answer) for predictor, _, prediction in dspy.settings.trace]
    samples = [event["text"] for event in found if event["event"] == "candidate"]
    assert steps[:4] == [(True, text) for text in samples]
    assert [asked for asked, _ in steps[4:]] == [False]


def test_the_trace_keeps_no_more_than_dspy_wants(configured: dspy.LM) -> None:
    with dspy.context(max_trace_size=5):
        for number in range(4):
            to_dspy(SelfAggregation(samples=2))(question=f"{number}?")
        assert len(dspy.settings.trace) == 5


def test_samples_are_bought_together_where_the_provider_gives_several() -> None:
    plain, through = ScriptedModel({"": "a b"}), ScriptedModel({"": "a b"})
    usage = SelfAggregation(samples=5).run("x", model=plain).usage
    with dspy.context(lm=to_lm(Context(model=through)), track_usage=True):
        answer = to_dspy(SelfAggregation(samples=5))(question="x")
    assert len(through.calls) == len(plain.calls) == 2
    assert answer.result.usage.prompt_tokens == usage.prompt_tokens


def test_usage_counts_what_was_asked_again(model: ScriptedModel) -> None:
    with dspy.context(lm=to_lm(Context(model=model)), track_usage=True):  # "a" is no JSON
        answer = to_dspy(SelfAggregation(samples=1, method="judge"))(question="x")
    (usage,) = answer.get_lm_usage().values()
    assert answer.result.usage.calls == 3
    assert usage["prompt_tokens"] == answer.result.usage.prompt_tokens


def test_prompts_whose_names_are_taken_get_another_attribute(model: ScriptedModel) -> None:
    stages = [
        {"id": "one", "prompt": "forward"},
        {"id": "two", "prompt": "strategy", "reads": ["one"], "fields": [{"name": "reply", "type": "text"}]},
    ]
    prompts = {"forward": {"text": "{{question}}"}, "strategy": {"text": "{{one}} {{question}}"}}
    card = {"name": "mine", "graph": "staged", "reply": "reply", "stages": stages, "prompts": prompts}
    program = to_dspy(Staged(card=card, guard="off"))
    assert [name for name, _ in program.named_predictors()] == ["forward_", "strategy_"]
    program.forward_.signature = program.forward_.signature.with_instructions("First: {{question}}")
    with dspy.context(lm=to_lm(Context(model=ScriptedModel(["x", '{"reply": "y"}'])))):
        assert program(question="q").answer == "y"


def test_variables_may_have_names_that_dspy_needs() -> None:
    words = ["config", "demos", "lm", "self", "signature", "instructions", "fields", "around"]
    stages = [{"id": word, "prompt": "one"} for word in words]
    last = {"id": "last", "prompt": "all", "reads": words, "fields": [{"name": "reply"}]}
    text = " ".join(f"{{{{{word}}}}}" for word in words)
    prompts = {"one": {"text": "{{question}}"}, "all": {"text": text}}
    card = {"name": "mine", "graph": "staged", "reply": "reply", "stages": [*stages, last], "prompts": prompts}
    made = Staged(card=card, guard="off")
    model = ScriptedModel(lambda messages: '{"reply": "y"}' if "1 1 1" in str(messages) else "1")
    program = to_dspy(made)
    program.all.demos = [dspy.Example({**dict.fromkeys(program._fields["all"].variables.values(), "0"), "answer": "z"})]
    with dspy.context(lm=to_lm(Context(model=model))):
        assert program(question="q").answer == "y"
    assert differing_messages(program, program.tuned(), ["q"]) == []


def test_equal_prompts_of_two_levels_are_told_apart() -> None:
    program = to_dspy(Heart(solver=Heart(rounds=1, verifier="judge"), verifier="judge", rounds=1))
    inner, outer = program.solver.judge.signature, program.judge.signature
    assert inner.instructions == outer.instructions
    assert not inner.equals(outer)


def test_what_a_program_can_not_be_made_or_called_with() -> None:
    with pytest.raises(CompositionError, match="nothing to optimise"):
        to_dspy(strategy("support", method="planner", planner="uniform", reply=False, assess=False))
    with pytest.raises(ParameterError, match="adapter must be"):
        to_dspy(strategy("plain"), adapter="chat")  # type: ignore[arg-type]
    program = to_dspy(strategy("plain"))
    for wrong in ({}, {"question": "x", "messages": CHAT}):
        with pytest.raises(ParameterError, match="a question or messages"):
            program(**wrong)
    with pytest.raises(ParameterError, match="must be a text, not 5"):
        program(question=5)
    with dspy.context(lm="openai/gpt-4o"), pytest.raises(ParameterError, match="must be a model, not its name"):
        program(question="x")


def test_a_program_is_saved_as_state_or_as_a_card_and_not_by_pickle(tmp_path: Path) -> None:
    program = to_dspy(strategy("plain"), context=Context(model="openai/any", api_key="sk-secret"))
    with pytest.raises(ParameterError, match="keys"):
        program.save(tmp_path / "program", save_program=True)
    program.save(tmp_path / "program.json")
    to_card(program, tmp_path / "my.toml")
    assert "sk-secret" not in "".join(file.read_text() for file in tmp_path.iterdir())


def test_what_a_card_can_not_hold(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="not a Predict"):
        to_card(dspy.Predict("q -> a"), tmp_path / "my.toml")
    program = to_dspy(strategy("plain"))
    program.forward = program.forward  # as KNNFewShot does
    with pytest.raises(ParameterError, match="anew for each question"):
        to_card(program, tmp_path / "my.toml")


def test_a_strategy_with_a_compiled_graph_can_be_pickled() -> None:
    made = SelfAggregation(samples=2)
    assert made.graph
    assert pickle.loads(pickle.dumps(made)) == made


def test_answers_are_counted_by_a_majority_and_copied(configured: dspy.LM) -> None:
    program = to_dspy(strategy("plain"))
    answers = [program(question=f"{number}?") for number in range(3)]
    assert dspy.majority(answers).answer == "a"
    copied = answers[0].copy(answer="b")
    assert (copied.answer, copied.result.answer, copied.stopped_by) == ("b", "a", "complete")
    with pytest.raises(ParameterError, match="no result"):
        _ = Answer(answer="x").result


@pytest.mark.parametrize("given", [None, "", 0, {"before": "x"}, {"head": 5}, "text"])
def test_odd_demonstrations_are_left_out_or_shown_without_what_is_odd(given: Any) -> None:
    program = to_dspy(strategy("plain"))
    program.ask.demos = [dspy.Example(question="q", around=given, answer="a")]
    assert differing_messages(program, program.tuned(), ["x"]) == []


def test_no_instructions_are_the_cards(model: ScriptedModel) -> None:
    program = to_dspy(strategy("plain"))
    program.ask.signature = program.ask.signature.with_instructions("")
    with dspy.context(lm=to_lm(Context(model=model))):
        program(question="x")
    assert model.calls[0].request.messages == [{"role": "user", "content": "x"}]


def test_a_strategy_of_ones_own_without_a_card_may_be_nested() -> None:
    @parameters
    class Mine(Answering):
        name = "mine"

        def wire(self, wiring: Wiring) -> None:
            raise NotImplementedError

        def expected_calls(self) -> str:
            return "0"

    assert list(prompts_of(SelfAggregation(solver=Mine()))) == ["synthesize"]


# -- models ----------------------------------------------------------------------------------------------------------


def test_without_a_model_of_dspys_the_contexts_is_asked(model: ScriptedModel) -> None:
    assert to_dspy(strategy("plain"), context=Context(model=model))(question="x").answer == "a"


def test_the_doors_budget_holds_for_all_programs_of_a_model(model: ScriptedModel) -> None:
    lm = to_lm(Context(model=model, budget=Budget(calls=5)))
    program = to_dspy(SelfAggregation(samples=3))
    with dspy.context(lm=lm):
        assert program(question="1?").stopped_by == "complete"
        assert program(question="2?").stopped_by == "budget"
        with pytest.raises(BudgetExceeded):
            program(question="3?")
    assert usage_of(lm).calls == len(model.calls) == 5


def test_the_doors_cache_answers_and_rollouts_are_other_samples(tmp_path: Path) -> None:
    model = ScriptedModel(lambda messages, index: f"a{index}", endpoint="one")
    program = to_dspy(strategy("plain"))
    answers = []
    for _ in range(2):
        lm = to_lm(Context(model=model, cache=tmp_path / "calls.db"))
        with dspy.context(lm=lm):
            answers.append(program(question="x").answer)
        with dspy.context(lm=lm.copy(rollout_id=1, temperature=1.0)):
            answers.append(program(question="x").answer)
    assert answers[:2] == answers[2:]
    assert len(model.calls) == 2
    assert model.calls[1].request.temperature == 1.0
    assert usage_of(lm).cached_calls == 2


def test_the_settings_of_a_programs_own_context_go_before_the_models(model: ScriptedModel) -> None:
    lm = to_lm(Context(model=model, temperature=0.5, max_tokens=77, seed=3))
    with dspy.context(lm=lm):
        to_dspy(strategy("plain"), context=Context(top_p=0.9, temperature=0))(question="x")
        with pytest.raises(ParameterError, match="budget"):
            to_dspy(strategy("plain"), context=Context(budget=Budget(calls=1)))(question="x")
    request = model.calls[0].request
    assert (request.temperature, request.top_p, request.max_tokens, request.seed) == (0, 0.9, 77, 3)


def test_what_was_used_is_booked_however_a_run_ends(model: ScriptedModel) -> None:
    async def never(messages: Any) -> str:
        if "synthesi" in str(messages) or "responses" in str(messages):
            started.set()
            await asyncio.Event().wait()
        return "a"

    started = threading.Event()
    lm = to_lm(Context(model=ScriptedModel(never, max_n=1)))

    async def cancelled() -> None:
        with dspy.context(lm=lm):
            running = asyncio.ensure_future(to_dspy(SelfAggregation(samples=2)).acall(question="x"))
            await asyncio.to_thread(started.wait, 60)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(cancelled())
    assert usage_of(lm).calls == 3

    failing = to_lm(Context(model=ScriptedModel(["a", "b", ModelCallError("no", status=400)], max_n=1)))
    with dspy.context(lm=failing):
        to_dspy(SelfAggregation(samples=2))(question="x")
    assert usage_of(failing).calls == 2
    assert usage_of(failing).failed_calls == 1


def test_a_model_that_all_predictors_have_is_the_runs(model: ScriptedModel) -> None:
    program = to_dspy(SelfAggregation(samples=2))
    program.set_lm(to_lm(Context(model=model)))
    other = ScriptedModel({"": "other"})
    with dspy.context(lm=to_lm(Context(model=other))):
        answer = program(question="x")
        assert differing_messages(program, program.tuned(), ["x"]) == []
    assert (answer.result.model, answer.result.usage.calls, other.calls) == (model.name, 3, [])


def test_messages_that_dspy_has_no_form_for_reach_the_model(model: ScriptedModel) -> None:
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}
    odd = [
        [{"role": "user", "content": "hi", "name": "bob"}],
        [{"role": "user", "content": [{"type": "text", "text": "hi"}, file]}],
        [{"role": "user", "content": "a\ud800b"}],
    ]
    program = to_dspy(strategy("plain"))
    with dspy.context(lm=to_lm(Context(model=model))):
        for messages in odd:
            assert program(messages=messages).answer == "a"
    assert [list(call.request.messages) for call in model.calls] == odd


def test_streamify_gets_the_answer_whole(configured: dspy.LM) -> None:
    async def read() -> list[Any]:
        stream = dspy.streamify(to_dspy(SelfAggregation(samples=2)))(question="x")
        return [one async for one in stream]

    assert asyncio.run(read())[-1].answer == "a"


def test_roles_are_asked_by_their_own_models() -> None:
    sage, core = ScriptedModel({"": "insight"}), ScriptedModel({"": "answer"})
    made = CoEM(ranker="bm25", preset="document")
    with dspy.context(lm=to_lm(Context(model=core, models={"sage": sage}))):
        assert to_dspy(made)(messages=DOCUMENT).answer == "answer"
    assert len(core.calls) == 1
    assert len(sage.calls) > 1


def test_a_predictor_may_have_a_model_of_its_own(model: ScriptedModel) -> None:
    other = ScriptedModel({"": "b"})
    program = to_dspy(SelfAggregation(samples=2))
    program.synthesize.lm = to_lm(Context(model=other))
    with dspy.context(lm=to_lm(Context(model=model))):
        assert program(question="x").answer == "b"
    assert [len(model.calls), len(other.calls)] == [2, 1]


def test_errors_of_the_door_come_unchanged_out_of_a_program_and_as_dspys_out_of_others() -> None:
    def lm(fault: int) -> dspy.LM:
        return to_lm(Context(model=ScriptedModel({"": "a"}, faults=[fault] * 9), retry={"attempts": 1}))  # type: ignore[arg-type]

    for fault, ours, theirs in (
        (401, ModelConfigError, LMConfigurationError),
        (400, ModelCallError, LMInvalidRequestError),
        (429, ModelCallError, LMRateLimitError),
        (503, ModelCallError, LMServerError),
    ):
        with dspy.context(lm=lm(fault)):
            with pytest.raises(ours):
                to_dspy(strategy("plain"))(question="x")
            with pytest.raises(theirs):
                dspy.Predict("q -> a")(q="x")


def test_one_failed_sample_is_recorded_and_the_others_go_on() -> None:
    model = ScriptedModel({"": "a"}, faults=[400], max_n=1)
    with dspy.context(lm=to_lm(Context(model=model))):
        answer = to_dspy(SelfAggregation(samples=3))(question="x")
    assert answer.stopped_by == "complete"
    assert [e["event"] for e in answer.result.trace].count("failure") == 1


def test_any_model_of_dspys_answers_with_the_raw_prompt() -> None:
    with LoopbackServer(rules=[("", "fine")]) as server:
        lm = dspy.LM("openai/any", api_base=server.url, api_key="none", cache=False)
        with dspy.context(lm=lm):
            answer = to_dspy(SelfAggregation(samples=2))(messages=CHAT)
        assert answer.answer == "fine"
        assert server.requests[0].body["messages"] == CHAT
        lm.close()


def test_samples_of_a_foreign_model_are_kept_apart_in_dspys_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dspy, "cache", dspy.cache)  # what follows replaces it
    dspy.configure_cache(enable_disk_cache=False)
    with LoopbackServer(rules=[("", ["one", "two", "three"])]) as server:
        lm = dspy.LM("openai/any", api_base=server.url, api_key="none", temperature=1.0)
        with dspy.context(lm=lm):
            first = to_dspy(strategy("self_consistency:2"))(question="What is kept apart?")
            asked = server.stats.requests
            to_dspy(strategy("self_consistency:2"))(question="What is kept apart?")
        assert asked == server.stats.requests == 2
        assert first.result.usage.unmetered_calls == 2
        lm.close()


def test_foreign_models_are_asked_again_where_a_schema_does_not_fit() -> None:
    def replier(prompt: str, body: dict[str, Any], attempt: int) -> str:
        if "does not fit the schema" in prompt:
            return '{"choice": 2}'
        return "the second" if "JSON" in prompt else f"answer {attempt}"

    with LoopbackServer(reply=replier) as server:
        lm = dspy.LM("openai/any", api_base=server.url, api_key="none", cache=False)
        with dspy.context(lm=lm):
            answer = to_dspy(SelfAggregation(samples=2, method="choose"))(question="x")
        assert answer.stopped_by == "complete"
        lm.close()
        asked = server.requests[2].body
        assert "JSON schema" in json.dumps(asked["messages"]) or "response_format" in asked


def test_a_budget_and_a_model_of_dspys_do_not_go_together() -> None:
    program = to_dspy(strategy("plain"), context=Context(budget=Budget(calls=1)))
    with dspy.context(lm=dspy.utils.DummyLM([{"answer": "x"}])), pytest.raises(ParameterError, match="to_lm"):
        program(question="x")


def test_the_dspy_adapter_reads_dspys_fields() -> None:
    model = ScriptedModel({"": "[[ ## answer ## ]]\nyes\n\n[[ ## completed ## ]]"})
    program = to_dspy(SelfAggregation(samples=2), adapter="dspy")
    with dspy.context(lm=to_lm(Context(model=model))):
        assert program(question="x").answer == "yes"


def test_the_raw_adapter_serves_any_signature() -> None:
    model = ScriptedModel({"": " positive\n"})
    predict = dspy.Predict(dspy.Signature("review -> label", "Review: {{review}}\nSentiment:"))
    predict.demos = [dspy.Example(review="Bad.", label="negative")]
    with dspy.context(lm=to_lm(Context(model=model)), adapter=RawAdapter()):
        assert predict(review="{{x}} Lovely.").label == " positive\n"
    assert [m["content"] for m in model.calls[0].request.messages] == [
        "Review: Bad.\nSentiment:",
        "negative",
        "Review: {{x}} Lovely.\nSentiment:",
    ]


def test_pictures_and_tools_pass_through() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
    model = ScriptedModel({"": "a cat"})
    with dspy.context(lm=to_lm(Context(model=model))):
        assert to_dspy(strategy("plain"))(messages=messages).answer == "a cat"
    assert model.calls[0].request.messages == messages


def test_importing_emoagents_does_not_load_dspy() -> None:
    code = "import emoagents, sys; emoagents.Heart(); assert not {'dspy', 'gepa', 'optuna'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_dspy_adapter_is_told_what_must_fit_a_schema() -> None:
    def fields(messages: Any) -> str:
        return '[[ ## answer ## ]]\n{"choice": 2}\n\n[[ ## completed ## ]]'

    model = ScriptedModel(fields, max_n=1)
    program = to_dspy(SelfAggregation(samples=2, method="choose"), adapter="dspy")
    with dspy.context(lm=to_lm(Context(model=model))):
        assert program(question="x").stopped_by == "complete"
    assert "JSON schema" in json.dumps(model.calls[-1].request.messages)


def test_a_models_account_is_one_however_often_it_is_copied(model: ScriptedModel) -> None:
    lm = to_lm(Context(model=model, cache="memory"))
    program = to_dspy(strategy("plain"))
    program.set_lm(copy.deepcopy(lm))
    with dspy.context(track_usage=True):
        first, second = (program(question="x") for _ in range(2))
    assert usage_of(lm).calls == 1
    assert next(iter(first.get_lm_usage().values()))["prompt_tokens"] == 1
    assert not any(usage.get("prompt_tokens") for usage in second.get_lm_usage().values())
