"""Strategies as files: what is written is what runs, and what is wrong with a file is one sentence."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from emoagents import (
    CoEM,
    Context,
    EmotionPrompt,
    Heart,
    Plain,
    SelfAggregation,
    Staged,
    SupportDialogue,
    load_card,
)
from emoagents.card import Card, Demo, open_card
from emoagents.errors import CardError, DataError, ParameterError, UsageError
from emoagents.evaluation.content import strategy_digest
from emoagents.fields import Field
from emoagents.model.scripted import ScriptedModel
from emoagents.nodes.verify import Exact, Function, Numeric
from emoagents.registry import part_parameters, strategy, strategy_class
from emoagents.strategies.base import Strategy
from emoagents.strategies.resample import Resample
from emoagents.strategies.self_consistency import SelfConsistency
from emoagents.strategy_file import Change, open_strategy, save_strategy, strategy_changes


def is_short(answer: str) -> bool:
    return len(answer) < 9


class Schema(BaseModel):
    answer: int


STRATEGIES: dict[str, Strategy] = {
    "plain": Plain(),
    "heart": Heart(),
    "parameters": Heart(rounds=5, verifier="numeric:391", schedule="fixed", emotion="fear", memory=Path("m.json")),
    "stimuli": EmotionPrompt(("EP01", "EP05"), rule="random", tone="neutral"),
    "a sentence": EmotionPrompt("Please, take care: it matters to me@work, really.", placement="system"),
    "pipe": EmotionPrompt("EP02") | EmotionPrompt("EP03") | SelfAggregation(5, order="sampled"),
    "nested": Heart(solver=EmotionPrompt("EP02") | SelfAggregation(), verifier="judge"),
    "deep": SelfConsistency(solver=Heart(rounds=1, solver=Resample(verifier="exact:a b", solver=Plain()))),
    "staged": Staged("four_span", turns=3, guard="off", locale="de"),
    "staged in it": SelfAggregation(2, solver=EmotionPrompt() | Staged("four_span", guard="off")),
    "support": SupportDialogue(method="vanilla", guard="off", shots=2, planner="uniform:3"),
    "documents": CoEM(documents=(Path(__file__),)),
    "coem": CoEM(arm="rag", ranker="bm25", answer=(Field(name="label", choices=["a", "b"]),), window=99),
}


def with_prompt(base: Strategy, name: str, **changes: Any) -> Card:
    card: Card = base.card  # type: ignore[attr-defined]
    prompt = card.prompt(name).model_copy(update=changes)
    return card.model_copy(update={"prompts": {**card.prompts, name: prompt}})


def written(made: Strategy, folder: Path, name: str = "mine.toml") -> Path:
    save_strategy(made, folder / name)
    return folder / name


# -- what is written comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_file_holds_the_whole_strategy(name: str, tmp_path: Path) -> None:
    path = written(STRATEGIES[name], tmp_path)
    assert open_strategy(path) == STRATEGIES[name]
    assert strategy(str(path)) == STRATEGIES[name]
    assert strategy_changes(STRATEGIES[name], open_strategy(path)) == []
    assert written(open_strategy(path), tmp_path, "again.toml").read_bytes() == path.read_bytes()


def test_a_file_is_for_people_to_read(tmp_path: Path) -> None:
    text = written(EmotionPrompt("EP03") | Heart(rounds=1), tmp_path).read_text()
    assert text.startswith('[[pipe]]\nstrategy = "emotion_prompt"\n')
    assert '[pipe.parameters]\nrule = "all"\ntone = "emotional"\nstimulus = "EP03"\n' in text
    assert "[pipe.parameters]\nsamples = 1\nrounds = 1\n" in text
    assert 'text = """\n{{phrase}}\n\nYour answer was checked' in text
    assert not {"demos = []", 'note = ""', "= {}"} & set(text.splitlines())


def test_what_the_cards_defaults_say_is_no_parameter(tmp_path: Path) -> None:
    own = load_card("heart").model_copy(update={"defaults": {"rounds": 7, "tone": "neutral", "samples": 2}})
    made = Heart(tone="emotional", card=own)
    data = tomllib.loads(written(made, tmp_path).read_text())
    assert (data["parameters"], data["defaults"]["rounds"]) == (
        {"schedule": "alternate", "history": "keep", "tone": "emotional"},
        7,
    )
    assert open_strategy(tmp_path / "mine.toml") == made


def test_nothing_in_place_of_a_cards_default_survives(tmp_path: Path) -> None:
    own = load_card("heart").model_copy(update={"defaults": {"verifier": "judge", "memory": "m.json"}})
    made = Heart(verifier=None, memory=None, card=own)
    opened: Any = open_strategy(written(made, tmp_path))
    assert (opened.verifier, opened.memory) == (None, None)


def test_a_later_shipped_card_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(Heart(), tmp_path)
    later = with_prompt(Heart(), "feedback", text="something else: {{phrase}} {{reason}}")
    later = later.model_copy(update={"defaults": {"rounds": 99}})
    monkeypatch.setattr("emoagents.card.own.load_card", lambda name: later)
    opened: Any = open_strategy(path)
    assert opened.card == load_card("heart")
    assert opened.rounds == 3


def test_a_tuned_question_goes_to_the_model_from_the_file(tmp_path: Path) -> None:
    demo = Demo(values={"question": "1 + 1?"}, answer="2")
    card = with_prompt(Plain(), "ask", text="Only a number: {{question}}", demos=[demo])
    made = EmotionPrompt("EP02") | Plain(card=card)
    path = written(made, tmp_path)
    sent = []
    for one in (made, open_strategy(path)):
        model = ScriptedModel(["4"])
        assert one.run("2 + 2?", context=Context(model=model)).answer == "4"
        sent.append(model.calls[0].request.messages)
    assert sent[0] == sent[1]
    assert any("Only a number: 2 + 2?" in str(message) for message in sent[1])


def test_messages_of_a_demonstration_have_a_content_wherever_they_come_from(tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    around: list[dict[str, Any]] = [
        {"role": "user", "content": None, "name": None},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "4", "tool_call_id": "c"},
    ]
    demo = Demo(values={"question": "1 + 1?"}, answer="2", before=around, after=around[:1])
    made = Plain(card=with_prompt(Plain(), "ask", demos=[demo]))
    opened = open_strategy(written(made, tmp_path))
    assert opened == made
    model = ScriptedModel(["4"])
    opened.run("2 + 2?", context=Context(model=model))
    nothing = {"role": "user", "content": ""}
    shown = [nothing, {"role": "assistant", "tool_calls": [call], "content": ""}, around[2]]
    asked = {"role": "user", "content": "1 + 1?"}
    assert list(model.calls[0].request.messages[:5]) == [*shown, asked, nothing]


_TEXT = st.text(min_size=1) | st.text(st.sampled_from("\r\n\t \"'\\\0\x1b\x7f\x85\u2028\ufeff{}[]#=€😀a"), min_size=1)


def _braced(text: str) -> bool:
    return "{{" in text or "}}" in text


@settings(max_examples=150)
@given(_TEXT.filter(lambda t: not _braced(t)), _TEXT, _TEXT, st.sampled_from(["\r\n", "\r", "\n", "\t\r\n "]))
def test_every_text_survives_to_the_byte(tmp_path_factory: Any, text: str, answer: str, key: str, end: str) -> None:
    path = tmp_path_factory.getbasetemp() / "texts.toml"
    before = [{key: [answer, {key: end}], "role": "user"}]
    demo = Demo(values={"question": f"{end}{answer}{end}"}, answer=answer + end, before=before)
    made = Plain(card=with_prompt(Plain(), "ask", text=text + end + "{{question}}", demos=[demo]))
    save_strategy(made, path, notes=[answer])
    opened: Any = open_strategy(path)
    assert opened.card.prompts == made.card.prompts  # type: ignore[union-attr]
    assert answer in opened.card.notes


@given(st.text(min_size=1).filter(lambda t: t.strip()))
def test_sentences_of_ones_own_survive(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "sentence.toml"
    made = EmotionPrompt(f"a {text}, b")
    save_strategy(made, path)
    assert open_strategy(path) == made


def test_a_file_states_the_defaults_that_its_card_does_not(tmp_path: Path) -> None:
    nested = SelfAggregation(2, solver=Resample(verifier=is_short))
    data = tomllib.loads(written(nested, tmp_path).read_text())
    assert data["parameters"] == {
        "method": "synthesize",
        "diversity": "temperature",
        "order": "shuffled",
        "loops": 1,
        "extract": "auto",
        "samples": 2,
    }
    assert {*data["parameters"], *data["defaults"], "k", "card", "solver"} == {*part_parameters("gsa")}
    assert "parameters" not in data["solver"]
    opened = open_strategy(tmp_path / "mine.toml", **{"solver.verifier": is_short})
    assert opened == nested
    (change,) = strategy_changes(Heart(), Heart(solver=opened))
    assert change.new == "self_aggregation (samples = 2, solver = resample (samples = 4, verifier = <is_short>))"


def test_notes_are_added_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    save_strategy(EmotionPrompt() | Heart(), path, notes=["Tuned."])
    save_strategy(open_strategy(path), path, notes=["Tuned."])
    assert path.read_text().count("Tuned.") == 1


# -- what can't be data ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verifier", ["judge", "exact:42", "exact:", "contains:a: b", "numeric:3", "numeric:0.1"])
@pytest.mark.parametrize("more", ["", "regex:^ a\\d+ $"])
def test_verifiers_of_text_stay_text(verifier: str, more: str, tmp_path: Path) -> None:
    made = Heart(verifier=more or verifier)
    path = written(made, tmp_path)
    assert tomllib.loads(path.read_text())["parameters"]["verifier"] == (more or verifier)
    assert open_strategy(path) == made


@pytest.mark.parametrize(
    "given_", [is_short, Schema, Numeric(3, tolerance=0.5), Exact(" padded "), Numeric(float("nan"))]
)
def test_other_verifiers_are_needed(given_: Any, tmp_path: Path) -> None:
    path = written(Heart(verifier=given_, rounds=2), tmp_path)
    assert tomllib.loads(path.read_text())["needs"] == ["verifier"]
    with pytest.raises(
        ParameterError, match=r"mine\.toml needs verifier, .* verifier=\.\.\.\) or --param verifier=TEXT"
    ):
        open_strategy(path)
    assert open_strategy(path, verifier=given_) == Heart(verifier=given_, rounds=2)


def test_what_nested_parts_need_is_given_by_its_place(tmp_path: Path) -> None:
    made = SelfAggregation(2, solver=Heart(solver=Resample(verifier=is_short)))
    path = written(made, tmp_path)
    with pytest.raises(ParameterError, match=r"needs solver\.solver\.verifier, .* \*\*\{'solver\.solver\.verifier'"):
        open_strategy(path)
    opened: Any = open_strategy(path, **{"solver.solver.verifier": is_short, "solver.rounds": "9"})
    assert (opened.solver.rounds, opened.solver.solver.verifier) == (9, Function(is_short))


def test_a_solver_of_ones_own_is_needed(tmp_path: Path) -> None:
    class Own(Plain):
        name = "own"

    own = Own(card=load_card("plain"))
    path = written(Heart(solver=own), tmp_path)
    assert tomllib.loads(path.read_text())["needs"] == ["solver"]
    opened: Any = open_strategy(path, solver="gsa:2")
    assert opened.solver == SelfAggregation(2)
    with pytest.raises(ParameterError, match="Own can't be written to a file"):
        save_strategy(own, tmp_path / "own.toml")


def test_secrets_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "0123456789abcdef")
    made = Plain(card=with_prompt(Plain(), "ask", text="{{question}} 0123456789abcdef"))
    with pytest.raises(ParameterError, match="holds the value of MY_API_KEY") as caught:
        save_strategy(made, tmp_path / "mine.toml")
    assert "0123456789" not in str(caught.value)
    assert list(tmp_path.glob("*.toml")) == []

    class Ranker:
        name, api_key = "own", "0123456789abcdef"

        async def scores(self, queries: Any, texts: Any, run: Any) -> list[list[float]]:
            return []

    assert b"0123" not in written(CoEM(ranker=Ranker()), tmp_path).read_bytes()


@pytest.mark.parametrize("key", ['0123"4567\\89abcdef', "0123456789\nabcdef", "€0123456789\tabc", "012345678901"])
def test_secrets_stay_out_however_toml_writes_them(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", key)
    with pytest.raises(ParameterError, match="holds the value of MY_API_KEY"):
        save_strategy(Plain(), tmp_path / "mine.toml", notes=[f"Called with {key}."])
    nested = Plain(card=load_card("plain").model_copy(update={"choices": {f"x {key}": [1]}}))
    with pytest.raises(ParameterError, match="holds the value of MY_API_KEY"):
        save_strategy(SelfAggregation(solver=nested), tmp_path / "mine.toml")
    assert list(tmp_path.glob("*")) == []


# -- writing -----------------------------------------------------------------------------------------------------------


def test_an_existing_file_is_kept_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(Plain(), tmp_path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"mine\.toml: it can't be written: No space left"):
            save_strategy(Heart(), path)
    assert (path.read_bytes(), list(tmp_path.glob(".*"))) == (before, [])


def test_rights_and_links_are_kept(tmp_path: Path) -> None:
    path = written(Plain(), tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    path.chmod(0o640)
    (tmp_path / "link.toml").symlink_to(path)
    save_strategy(Heart(), tmp_path / "link.toml")
    assert (tmp_path / "link.toml").is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert open_strategy(path) == Heart()


@pytest.mark.parametrize("place", ["no/such/folder.toml", "", "null\0byte.toml"])
def test_where_nothing_can_be_written(place: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be written"):
        save_strategy(Plain(), f"{tmp_path}/{place}")


def test_what_toml_can_not_hold(tmp_path: Path) -> None:
    odd = load_card("plain").model_copy(update={"choices": {"x": [{1, 2}]}})
    with pytest.raises(ParameterError, match=r"choices\.x\[0\]: set can't be written as TOML"):
        save_strategy(Plain(card=odd), tmp_path / "mine.toml")
    with pytest.raises(ParameterError, match=r"notes.* not valid Unicode"):
        save_strategy(Plain(), tmp_path / "mine.toml", notes=["half \ud800"])


@pytest.mark.parametrize("notes", ["abc", [5], ["a", None], 5, None])
def test_notes_that_are_no_texts(notes: Any, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"^notes must be a list of texts, as \['Chosen on our data.'\], not "):
        save_strategy(Plain(), tmp_path / "mine.toml", notes=notes)
    assert list(tmp_path.glob("*")) == []


@pytest.mark.parametrize("path", [5, None, b"mine.toml", ["mine.toml"]])
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(ParameterError, match="a strategy's file is a path, or what the file holds, not "):
        open_strategy(path)
    with pytest.raises(ParameterError, match="written to a file's path, not to "):
        save_strategy(Plain(), path)


# -- files by hand, and wrong ones -------------------------------------------------------------------------------------


def changed(tmp_path: Path, made: Strategy, change: Any) -> Path:
    path = written(made, tmp_path)
    data = tomllib.loads(path.read_text())
    change(data)
    path.write_text(tomli_w.dumps(data))
    return path


def _nest(data: dict[str, Any], times: int) -> None:
    whole = tomllib.loads(tomli_w.dumps(data))
    for _ in range(times):
        data["solver"] = dict(whole)
        data = data["solver"]


WRONG: dict[str, tuple[Any, str]] = {
    "an unknown strategy": (
        lambda d: d.update(strategy="hart"),
        "strategy: unknown strategy 'hart'; did you mean heart",
    ),
    "no name": (lambda d: d.update(strategy=3), "strategy: must be a string, not a number"),
    "no strategy": (lambda d: d.pop("strategy"), 'graph: missing; .*strategy = "NAME"'),
    "an unknown key": (lambda d: d.update(parameter={}), "parameter: unknown key; did you mean parameters"),
    "a key deep inside": (lambda d: d["prompts"]["ask"].update(txt="a"), r"prompts\.ask\.txt: unknown key"),
    "an unknown parameter": (lambda d: d.update(parameters={"round": 1}), r"parameters\.round: .* did you mean rounds"),
    "a wrong value": (lambda d: d.update(parameters={"rounds": "x"}), r"parameters\.rounds: input should be .* 'x'"),
    "a wrong bound": (lambda d: d.update(parameters={"rounds": -1}), r"parameters\.rounds: input should be greater"),
    "no table": (lambda d: d.update(parameters=3), "parameters: must be a table, not a number"),
    "a wrong verifier": (lambda d: d.update(parameters={"verifier": "exakt"}), "parameters: unknown verifier 'exakt'"),
    "what does not go together": (
        lambda d: d.update(parameters={"schedule": "fixed"}),
        "parameters: Heart: emotion and",
    ),
    "a solver in words": (lambda d: d.update(parameters={"solver": "gsa"}), r"parameters\.solver: .* table \[solver\]"),
    "a card in words": (lambda d: d.update(parameters={"card": "a.toml"}), r"parameters\.card: .* of its own"),
    "an unknown need": (lambda d: d.update(needs=["verifer"]), "needs: .* did you mean verifier"),
    "needs no list": (lambda d: d.update(needs="verifier"), "needs: must be a list, not a string"),
    "a solver that is none": (lambda d: d.update(solver=3), "solver: must be a table, not a number"),
    "a part of a solver": (lambda d: d.update(solver={"strategy": "plain"}), r"solver\.prompts\.ask: missing"),
    "half a file": (lambda d: d.pop("prompts"), r"prompts\.ask: missing"),
    "a prompt too few": (lambda d: d["prompts"].pop("fresh"), r"prompts\.fresh: missing"),
    "keys beside a pipe": (
        lambda d: d.update(pipe=[{}]),
        r"name: can't stand beside \[\[pipe\]\]|strategy: can't stand",
    ),
    "another kind": (lambda d: d.update(kind="prepare"), "kind: must stay 'answer'"),
    "many levels": (lambda d: _nest(d, 100), "solver: more than 32 strategies are nested"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_file(name: str, tmp_path: Path) -> None:
    change, said = WRONG[name]
    path = changed(tmp_path, Heart(), change)
    with pytest.raises(CardError, match=rf"mine\.toml: (?:{said})") as caught:
        open_strategy(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pipe = 3", "pipe: must be tables"),
        ("pipe = []", "pipe: must be tables"),
        ("pipe = [1]", r"pipe\[0\]: must be a table, not a number"),
        ("[[pipe]]\n[[pipe.pipe]]", r"pipe\[0\]\.pipe: a pipe's part can't be a pipe"),
        ("[[pipe]]\nstrategy = 'heart'", r"pipe\[0\]\.prompts\.ask: missing"),
        (f"[{'.'.join(['solver'] * 1000)}]\nx = 1", "graph: missing"),
        (f"x = {'[' * 5000}{']' * 5000}", "not valid TOML: nested too deeply"),
        ("strategy = 'heart", "not valid TOML"),
        ("", "graph: missing"),
    ],
)
def test_what_is_no_strategy(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(CardError, match=said):
        strategy(str(tmp_path / "mine.toml"))


def test_too_many_levels(tmp_path: Path) -> None:
    made: Strategy = Plain()
    for _ in range(1000):
        made = SelfConsistency(solver=made)
    with pytest.raises(ParameterError, match="32 strategies nested"):
        save_strategy(made, tmp_path / "mine.toml")
    made = Plain()
    for _ in range(31):
        made = SelfConsistency(1, solver=made)
    assert open_strategy(written(made, tmp_path)) == made


@settings(max_examples=60)
@given(cut=st.floats(0, 1), garbage=st.binary(max_size=9))
def test_a_broken_file_is_a_strategy_or_one_sentence(tmp_path_factory: Any, cut: float, garbage: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = written(Heart(solver=EmotionPrompt() | SelfAggregation()), folder, "whole.toml").read_bytes()
    (folder / "cut.toml").write_bytes(whole[: int(cut * len(whole))] + garbage)
    said = ""
    try:
        open_strategy(folder / "cut.toml")
    except CardError as error:
        said = error.reason
    assert "\n" not in said


def test_a_file_for_what_takes_no_solver(tmp_path: Path) -> None:
    path = changed(tmp_path, Plain(), lambda d: d.update(solver=dict(d)))
    with pytest.raises(CardError, match="solver: plain takes no solver"):
        open_strategy(path)
    guarded = changed(tmp_path, SelfAggregation(solver=Staged("four_span", guard="off")), _guard_on)
    with pytest.raises(UsageError, match="can't be a solver while its crisis guard is on"):
        open_strategy(guarded)


def _guard_on(data: dict[str, Any]) -> None:
    data["solver"]["parameters"]["guard"] = "on"


def test_texts_by_hand_are_the_users(tmp_path: Path) -> None:
    path = changed(tmp_path, Plain(), lambda d: d.update(prompts={"ask": {"text": "{{question}}!", **_VARIABLES}}))
    opened: Any = open_strategy(path)
    assert opened.card.prompt("ask").source == "user"


_VARIABLES = {"variables": ["question"]}


def test_a_plain_staged_card_is_a_file_as_ever(tmp_path: Path) -> None:
    made = Staged("four_span")
    data = made.card.model_dump(by_alias=True, exclude_defaults=True)  # type: ignore[union-attr]
    (tmp_path / "mine.toml").write_text(tomli_w.dumps(data))
    assert open_strategy(tmp_path / "mine.toml") == made == Staged(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text(tomli_w.dumps({**data, "parameters": {"turns": 2}}))
    assert strategy(str(tmp_path / "mine.toml"), guard="off") == Staged("four_span", turns=2, guard="off")


# -- in the registry ---------------------------------------------------------------------------------------------------


def test_files_stand_in_specs(tmp_path: Path) -> None:
    heart, pair = written(Heart(rounds=2), tmp_path, "h.toml"), tmp_path / "pair.toml"
    save_strategy(EmotionPrompt("EP03") | SelfAggregation(4), pair)
    assert strategy(f"{heart}:5@neutral", samples="3") == Heart(rounds=5, samples=3, tone="neutral")
    assert strategy(f"ep:EP05 | {heart}") == EmotionPrompt("EP05") | Heart(rounds=2)
    assert strategy(f"ep | {pair}@neutral", samples=6, **{"gsa.temperature": "0.1"}) == EmotionPrompt() | EmotionPrompt(
        "EP03", tone="neutral"
    ) | SelfAggregation(6, temperature=0.1)
    with pytest.raises(ParameterError, match="holds several strategies, so '5'"):
        strategy(f"{pair}:5")
    (tmp_path / "x.toml").write_text("name = 'x'")
    with pytest.raises(
        ParameterError, match=r"is a parameter of several parts: write emotion_prompt\.card or self_agg"
    ):
        strategy(str(pair), card=tmp_path / "x.toml")
    assert (strategy_class(str(heart)), strategy_class(str(pair)).name) == (Heart, "pipe")
    assert {"stimulus", "samples", "tone"} <= part_parameters(str(pair)).keys()


@pytest.mark.parametrize(
    "name", ["a:b.toml", "C:\\x.TOML", "a|b.toml", "a@b|c.toml:1.toml", "a.toml | b.toml", " a#1 .toml"]
)
def test_a_file_of_any_name_stands_in_specs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(Heart(rounds=2, verifier="exact:42"), tmp_path, name.strip())
    assert strategy(name) == Heart(rounds=2, verifier="exact:42")
    assert strategy(f"{name}:4@neutral") == Heart(rounds=4, verifier="exact:42", tone="neutral")
    assert strategy(f"ep:EP02 | {name} : 4") == EmotionPrompt("EP02") | Heart(rounds=4, verifier="exact:42")
    assert strategy(f"{name} @ neutral", rounds=1) == Heart(rounds=1, verifier="exact:42", tone="neutral")
    written(EmotionPrompt("EP02"), tmp_path, name.strip())
    assert strategy(f"{name}|{name}:EP03@neutral | gsa") == (
        EmotionPrompt("EP02") | EmotionPrompt("EP03", tone="neutral") | SelfAggregation()
    )


def test_parameters_of_solvers(tmp_path: Path) -> None:
    path = written(Heart(solver=EmotionPrompt("EP02") | SelfAggregation(4)), tmp_path)
    opened: Any = strategy(str(path), **{"solver.samples": "2", "samples": "1", "heart.solver.stimulus": "EP05"})
    assert opened == Heart(solver=EmotionPrompt("EP05") | SelfAggregation(2))
    assert strategy("heart", solver="gsa", **{"solver.samples": 2}) == Heart(solver=SelfAggregation(2))
    for given_, said in (
        ({"solver.sampels": 2}, "emotion_prompt . self_aggregation has no parameter 'sampels'"),
        ({"solver": Plain(), "solver.samples": 2}, r"solver\.samples: give it to the solver itself"),
    ):
        with pytest.raises(ParameterError, match=said):
            strategy(str(path), **given_)
    with pytest.raises(ParameterError, match=r"heart has no solver, so 'solver\.samples'"):
        strategy("heart", **{"solver.samples": 2})


def test_a_file_is_no_card_to_override_another_with(tmp_path: Path) -> None:
    path = written(Heart(), tmp_path)
    assert open_card(path) == load_card("heart")
    with pytest.raises(CardError, match=r"strategy: is no part of a card: .* --strategy FILE"):
        Heart(card=path)
    (tmp_path / "part.toml").write_text("[defaults]\nrounds = 8\n")
    assert strategy(str(path), card=tmp_path / "part.toml") == Heart(card=tmp_path / "part.toml")


def test_a_renamed_card_keeps_its_class(tmp_path: Path) -> None:
    made = Heart(card=load_card("heart").model_copy(update={"name": "mine"}))
    assert open_strategy(written(made, tmp_path)) == made


def test_a_comparison_notices_what_changes_in_a_file(tmp_path: Path) -> None:
    digests = {
        strategy_digest(strategy(str(written(one, tmp_path))))
        for one in (
            Heart(),
            Heart(rounds=4),
            Heart(verifier="exact:1"),
            Heart(verifier="exact:2"),
            Heart(solver=SelfAggregation(2)),
            Heart(solver=SelfAggregation(4)),
            Heart(card=with_prompt(Heart(), "ask", text="Well: {{question}}")),
        )
    }
    assert len(digests) == 7
    assert strategy_digest(Heart()) == strategy_digest(Heart(rounds=3))


# -- what differs ------------------------------------------------------------------------------------------------------


def test_changes_name_their_places() -> None:
    tuned = with_prompt(Heart(), "feedback", text="New: {{phrase}}", demos=[_DEMO])
    inner = with_prompt(SelfAggregation(), "ask", text="Inside: {{question}}")
    old = Heart(solver=SelfAggregation(), verifier=is_short)
    new = EmotionPrompt("EP05") | Heart(solver=SelfAggregation(5, card=inner), verifier="exact:4", card=tuned)
    found = {change.place: (change.old, change.new) for change in strategy_changes(old, new)}
    assert found == {
        "emotion_prompt": (None, "emotion_prompt (stimulus = EP05)"),
        "parameters.verifier": ("<is_short>", "exact:4"),
        "prompts.feedback.text": (load_card("heart").prompt("feedback").text, "New: {{phrase}}"),
        "prompts.feedback.demos": (None, "phrase: Well!\nanswer: 42"),
        "solver.parameters.samples": ("3", "5"),
        "solver.prompts.ask.text": ("{{question}}", "Inside: {{question}}"),
    }
    back = {change.place: (change.new, change.old) for change in strategy_changes(new, old)}
    assert back == found


_DEMO = Demo(values={"phrase": "Well!"}, answer="42")


def test_a_preparing_strategy_is_compared_as_it_runs() -> None:
    card = with_prompt(Plain(), "ask", text="So: {{question}}")
    assert strategy_changes(EmotionPrompt(), EmotionPrompt() | Plain()) == []
    assert strategy_changes(EmotionPrompt(), EmotionPrompt() | Plain(card=card)) == [
        Change("prompts.ask.text", "{{question}}", "So: {{question}}")
    ]


def test_demonstrations_and_solvers_come_and_go() -> None:
    demos = [Demo(values={"question": str(n)}, answer=str(n)) for n in range(4)]
    old = Plain(card=with_prompt(Plain(), "ask", demos=demos[:3]))
    new = Plain(card=with_prompt(Plain(), "ask", demos=[demos[0], demos[2], demos[3]]))
    assert strategy_changes(old, new) == [
        Change("prompts.ask.demos", "question: 1\nanswer: 1", None),
        Change("prompts.ask.demos", None, "question: 3\nanswer: 3"),
    ]
    assert strategy_changes(Heart(solver=EmotionPrompt() | SelfAggregation(2)), Heart()) == [
        Change("solver", "emotion_prompt (stimulus = EP02) | self_aggregation (samples = 2)", None)
    ]
    assert Change("strategy", "plain", "self_consistency") in strategy_changes(Plain(), SelfConsistency())


def test_the_order_of_entries_is_a_change() -> None:
    card = load_card("emotion_prompt")
    turned = card.model_copy(update={"stimuli": card.stimuli[::-1]})
    assert [c.place for c in strategy_changes(EmotionPrompt(), EmotionPrompt(card=turned))] == [
        "emotion_prompt.stimuli.order"
    ]
    fewer = card.model_copy(update={"stimuli": card.stimuli[:-1]})
    places = {c.place for c in strategy_changes(EmotionPrompt(), EmotionPrompt(card=fewer))}
    assert places
    assert all(place.startswith(f"emotion_prompt.stimuli.{card.stimuli[-1].id}.") for place in places)
