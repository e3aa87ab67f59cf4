"""The planner: what it says, that it learns, that its file is only data, and that no fold asks about its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from emoagents.errors import DataError, MissingExtraError, ParameterError
from emoagents.support.dialogue import Dialogue, Instance, Turn
from emoagents.support.instances import make_instances
from emoagents.support.labels import STRATEGIES, SupportStrategy
from emoagents.support.load import read_dialogues
from emoagents.support.planner import (
    CrossFitted,
    FunctionPlanner,
    MajorityPlanner,
    Planner,
    TrainedPlanner,
    UniformPlanner,
    choice,
    cross_fit,
    make_planner,
    train,
)
from emoagents.support.planner.features import BLOCKS, blind, structure, texts
from emoagents.support.planner.folds import split_dialogues
from emoagents.support.planner.train import enough
from emoagents.support.planner.validate import score, validate
from tests.test_cli import Cli, cli

__all__ = ["cli"]

REAL = Path("/work/shared/data/esconv/devWithStrategy_short.tsv")

CUES: Mapping[SupportStrategy, tuple[str, str]] = {
    "Question": ("Something is wrong with {0}.", "What happened with {0}?"),
    "Restatement or Paraphrasing": ("First {0} broke, then everything else did.", "So {0} came first, then the rest."),
    "Reflection of feelings": ("I cry whenever I think of {0}.", "You sound sad about {0}."),
    "Self-disclosure": ("Did you ever go through that with {0}?", "I had the same with {0} years ago."),
    "Affirmation and Reassurance": ("I am useless at {0}.", "You try hard, and you can manage {0}."),
    "Providing Suggestions": ("Which step should I take about {0}?", "You could take a break from {0}."),
    "Information": ("Where are numbers on {0}?", "Many libraries have a guide on {0}."),
    "Others": ("Thanks, goodbye.", "Take care, and bye."),
}
TOPICS = ("my job", "the exam", "our flat", "my brother", "the rent", "sleep", "my knee", "the choir")


def invented(number: int) -> Dialogue:
    """A dialogue in which each strategy answers its own cue, in an order of its own."""
    random = Random(number)
    order = random.sample(STRATEGIES, len(STRATEGIES))
    turns: list[Turn] = []
    for strategy in order:
        asked, answered = (text.format(random.choice(TOPICS)) for text in CUES[strategy])
        turns.append(Turn(role="seeker", text=asked, number=len(turns)))
        turns.append(Turn(role="supporter", text=answered, number=len(turns), strategy=strategy))
    return Dialogue(id=f"{number:04d}", turns=tuple(turns))


@pytest.fixture(scope="module")
def instances() -> list[Instance]:
    return make_instances([invented(number) for number in range(24)], sampling="all")


@pytest.fixture(scope="module")
def planner(instances: list[Instance]) -> TrainedPlanner:
    return train(instances)


def said(*texts: str) -> tuple[Turn, ...]:
    """Turns of seeker and supporter in turn, beginning with the seeker."""
    roles = ("seeker", "supporter")
    return tuple(Turn(role=roles[i % 2], text=text, number=i) for i, text in enumerate(texts))  # type: ignore[arg-type]


def is_distribution(found: Mapping[SupportStrategy, float]) -> bool:
    return tuple(found) == STRATEGIES and sum(found.values()) == pytest.approx(1) and min(found.values()) >= 0


def of_fold(instances: Sequence[Instance], folds: Mapping[str, int], fold: int) -> list[Instance]:
    return [one for one in instances if folds[one.dialogue] == fold]


# -- what it learns ----------------------------------------------------------------------------------------------


def test_it_learns_which_strategy_answers_what(planner: TrainedPlanner) -> None:
    for strategy, (cue, _) in CUES.items():
        turns = said("Hello.", "Hello, welcome.", cue.format("my job"))
        assert choice(planner.distribution(turns)) == strategy


def test_its_own_scores_are_of_dialogues_it_has_not_seen(planner: TrainedPlanner, instances: list[Instance]) -> None:
    found = planner.facts.validation
    assert found is not None
    assert (found.instances, found.dialogues, found.folds) == (len(instances), 24, 2)
    assert found.planner.macro_f1 > found.uniform.macro_f1 + 0.3 > found.majority.macro_f1
    assert found.unknown.macro_f1 > found.uniform.macro_f1 + 0.3
    assert found.majority.bias == pytest.approx(7**0.5, abs=0.01)


def test_the_same_seed_makes_the_same_planner(planner: TrainedPlanner, instances: list[Instance]) -> None:
    again, other = train(instances), train(instances, seed=1)
    assert again.facts == planner.facts
    contexts = [one.context for one in instances[:20]]
    assert again.distributions(contexts) == planner.distributions(contexts)
    assert other.distributions(contexts) != planner.distributions(contexts)


def test_many_at_once_is_what_each_alone_is(planner: TrainedPlanner, instances: list[Instance]) -> None:
    contexts = [one.context for one in instances[:5]]
    for one, turns in zip(planner.distributions(contexts), contexts, strict=True):
        assert one == pytest.approx(planner.distribution(turns))


@pytest.mark.parametrize(
    "turns",
    [
        (),
        said(""),
        said("   ", "\n"),
        said("{0} {{}} %s {turn.text}", "[Question] <b>"),
        said("ich weiß nicht … 我很难过 😢\u202e\x00"),
        said("word " * 200_000),
        (Turn(role="supporter", text="Hello?", number=900),),
        said(*["again"] * 200),
    ],
    ids=["none", "empty", "blank", "braces", "unicode", "long", "supporter", "many"],
)
def test_any_conversation_has_a_distribution(planner: TrainedPlanner, turns: tuple[Turn, ...]) -> None:
    assert is_distribution(planner.distribution(turns, "{background} \x00"))
    assert is_distribution(UniformPlanner().distribution(turns))


def test_where_a_conversation_is_cut_does_not_matter_by_its_numbers(planner: TrainedPlanner) -> None:
    turns = said("Hello.", "Welcome.", "I am useless at my job.")
    later = [turn.model_copy(update={"number": turn.number + 40}) for turn in turns]
    assert planner.distribution(turns) == planner.distribution(later)


def test_only_the_last_fifteen_turns_are_read(planner: TrainedPlanner) -> None:
    turns = said(*(f"utterance {number}" for number in range(30)))
    assert planner.distribution(turns) == planner.distribution(turns[-15:])


def test_known_strategies_count_and_unknown_ones_do_not_break_it(
    planner: TrainedPlanner, instances: list[Instance]
) -> None:
    turns = instances[3].context
    assert planner.distribution(turns) != planner.distribution(blind(turns))
    assert "strategy -1: unknown" in structure(blind(turns))
    assert [turn.text for turn in blind(turns)] == [turn.text for turn in turns]


def test_texts_are_those_of_the_last_speakers() -> None:
    found = texts(said("a", "b", "c", "d", "e"))
    assert found == {"seeker": "c e", "context": "a b c d e", "supporter": "d"}
    assert texts(()) == dict.fromkeys(BLOCKS, "")


# -- shares of labels --------------------------------------------------------------------------------------------


def test_a_label_that_is_expected_less_often_is_chosen_less_often(instances: list[Instance]) -> None:
    usual, seldom = train(instances, validated=False), train(instances, shares={"Others": 0.001}, validated=False)
    contexts = [one.context for one in instances]
    for a, b in zip(usual.distributions(contexts), seldom.distributions(contexts), strict=True):
        assert b["Others"] < a["Others"]


@pytest.mark.parametrize("shares", [{"Others": 0.0}, {"Others": float("inf")}, {"Nothing": 0.5}])
def test_a_share_that_is_none_is_refused(instances: list[Instance], shares: Any) -> None:
    with pytest.raises(ParameterError, match="a share is a number above 0"):
        train(instances, shares=shares)


# -- too little data ---------------------------------------------------------------------------------------------


def test_a_label_that_is_missing_gets_probability_0(instances: list[Instance]) -> None:
    rest = [one for one in instances if one.label not in ("Others", "Information")]
    found = train(rest, validated=False).distribution(instances[0].context)
    assert is_distribution(found)
    assert [name for name, share in found.items() if share == 0] == ["Information", "Others"]


def test_two_labels_are_enough(instances: list[Instance]) -> None:
    two = [one for one in instances if one.label in ("Question", "Others")]
    found = train(two, validated=False)
    assert {choice(found.distribution(one.context)) for one in two} == {"Question", "Others"}
    right = [choice(found.distribution(one.context)) == one.label for one in two]
    assert sum(right) > 0.9 * len(two)


def test_too_little_is_said(instances: list[Instance]) -> None:
    one_dialogue = [one.model_copy(update={"dialogue": "0"}) for one in instances]
    same = [one for one in instances if one.label == "Question"]
    for few in ([], instances[:15], one_dialogue, same):
        with pytest.raises(ParameterError, match="at least 16 instances of 2 dialogues with 2 different strategies"):
            train(few)


def test_where_half_is_too_little_nothing_is_measured(instances: list[Instance]) -> None:
    few = instances[:20]
    assert enough(few)
    assert validate(few) is None
    assert train(few).facts.validation is None


def test_texts_in_which_no_word_comes_twice_train_too(instances: list[Instance]) -> None:
    silent = [
        one.model_copy(update={"context": tuple(t.model_copy(update={"text": ""}) for t in one.context)})
        for one in instances
    ]
    assert is_distribution(train(silent, validated=False).distribution(said("hello")))


def test_scores_agree_with_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    random = Random(0)
    truth, predicted = ([random.choice(STRATEGIES[:6]) for _ in range(200)] for _ in "ab")
    found = score(truth, predicted)
    macro = f1_score(truth, predicted, labels=STRATEGIES, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(macro)
    assert found.accuracy == pytest.approx(accuracy_score(truth, predicted))


# -- files -------------------------------------------------------------------------------------------------------


def test_a_file_gives_the_same_planner_back(planner: TrainedPlanner, instances: list[Instance], tmp_path: Path) -> None:
    planner.save(tmp_path / "new" / "planner.skops")
    again = TrainedPlanner.load(str(tmp_path / "new" / "planner.skops"))
    assert again.facts == planner.facts
    contexts = [one.context for one in instances]
    assert again.distributions(contexts) == planner.distributions(contexts)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["planner.skops"]


def test_a_file_holds_only_text_and_arrays(planner: TrainedPlanner, tmp_path: Path) -> None:
    planner.save(tmp_path / "p")
    with zipfile.ZipFile(tmp_path / "p") as whole:
        assert {Path(name).suffix for name in whole.namelist()} == {".json", ".npy"}
        for name in whole.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(whole.read(name)), allow_pickle=False)


def change(path: Path, content: Callable[[dict[str, Any]], Any]) -> None:
    """Save a planner's content again with something in it changed."""
    import skops.io

    found = skops.io.load(path, trusted=[])
    skops.io.dump(content(found), path)


class Planted:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("planted"),))


def planted(path: Path) -> None:
    import pickle

    path.write_bytes(pickle.dumps(Planted()))


def planted_array(path: Path) -> None:
    """Put an array of objects, which NumPy keeps as a pickle, where one of numbers was."""
    with zipfile.ZipFile(path) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    array = io.BytesIO()
    np.save(array, np.array([Planted()], dtype=object), allow_pickle=True)
    files = {name: array.getvalue() if name.endswith(".npy") else data for name, data in files.items()}
    with zipfile.ZipFile(path, "w") as whole:
        for name, data in files.items():
            whole.writestr(name, data)


def foreign(path: Path) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    skops.io.dump(LogisticRegression(), path)


def function_in_it(path: Path) -> None:
    with zipfile.ZipFile(path) as whole:
        schema = json.loads(whole.read("schema.json"))
    schema["content"]["facts"] = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    with zipfile.ZipFile(path, "w") as whole:
        whole.writestr("schema.json", json.dumps(schema))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def deep(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as whole:
        whole.writestr("schema.json", "[" * 100_000)


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickle": (planted, "not a planner's file"),
    "pickled array": (planted_array, "damaged planner"),
    "estimator": (foreign, "not a planner's file, since it holds .*LogisticRegression"),
    "function": (function_in_it, r"since it holds os.system \(FunctionNode\)"),
    "cut off": (cut_off, "not a planner's file"),
    "deep": (deep, "not a planner's file"),
    "text": (lambda p: p.write_text("hello"), "not a planner's file"),
    "empty": (lambda p: p.write_bytes(b""), "not a planner's file"),
    "folder": (lambda p: (p.unlink(), p.mkdir()), "no folds of planners"),
    "nothing": (lambda p: p.unlink(), "no planner: No such file"),
    "a dict": (lambda p: change(p, lambda c: {"a": "b"}), "not a planner's file"),
    "a list": (lambda p: change(p, lambda c: ["a"]), "not a planner's file"),
    "format": (lambda p: change(p, lambda c: {**c, "format": "2"}), "format '2', and this version .* reads 1"),
    "facts": (lambda p: change(p, lambda c: {**c, "facts": "{}"}), "damaged planner"),
    "no weights": (lambda p: change(p, lambda c: {k: v for k, v in c.items() if k != "weights"}), "damaged planner"),
    "shape": (lambda p: change(p, lambda c: {**c, "weights": c["weights"][:, 1:]}), "damaged planner"),
    "nan": (lambda p: change(p, lambda c: {**c, "bias": c["bias"] * np.nan}), "damaged planner"),
    "type": (lambda p: change(p, lambda c: {**c, "bias": "1"}), "damaged planner"),
    "terms": (lambda p: change(p, lambda c: {**c, "names": c["names"] + "\nmore"}), "damaged planner"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_file_of_another_kind_is_refused_in_one_sentence_and_runs_nothing(
    how: str, planner: TrainedPlanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "p.skops"
    planner.save(path)
    spoil, message = SPOILT[how]
    spoil(path)
    with pytest.raises(DataError, match=message) as caught:
        make_planner(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "planted").exists()


def test_a_planner_that_cannot_be_written_is_said(planner: TrainedPlanner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be written"):
        planner.save(tmp_path / "file" / "p.skops")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="can't be written"):
        planner.save(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("package", ["sklearn", "skops"])
def test_what_is_not_installed_is_named(
    package: str, planner: TrainedPlanner, instances: list[Instance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [name for name in sys.modules if name.split(".")[0] == package] + [package]
    for name in gone:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "emoagents.support.planner.fit", raising=False)
    monkeypatch.delitem(sys.modules, "emoagents.support.planner.encode", raising=False)
    with pytest.raises(MissingExtraError, match=r"emoagents\[support\]"):
        planner.save(tmp_path / "p.skops")
    if package == "sklearn":
        with pytest.raises(MissingExtraError, match=r"a planner needs the extra 'support'"):
            train(instances)


def test_importing_planners_loads_nothing_heavy() -> None:
    code = (
        "import sys, emoagents.support.planner, emoagents.support.retrieval;"
        "print([m for m in ('numpy', 'scipy', 'sklearn', 'skops') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# -- folds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [2, 3])
def test_no_dialogue_is_asked_of_a_planner_that_was_trained_on_it(
    folds: int, instances: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def watched(given: Sequence[Instance], **options: Any) -> TrainedPlanner:
        seen.append({one.dialogue for one in given})
        return train(given, **options)

    monkeypatch.setattr("emoagents.support.planner.folds.train", watched)
    found = cross_fit(instances, folds=folds, seed=3)
    assert len(found.planners) == folds
    for dialogue in {one.dialogue for one in instances}:
        place = found.planners.index(found.planner_for(dialogue))
        assert dialogue not in seen[place]
        assert len(seen[place]) == 24 - 24 // folds


def test_folds_are_drawn_from_the_seed_and_not_from_the_order(instances: list[Instance]) -> None:
    drawn = split_dialogues(instances, 2, 0)
    assert drawn == split_dialogues(list(reversed(instances)), 2, 0)
    assert drawn != split_dialogues(instances, 2, 1)
    assert sorted(drawn.values()) == [0] * 12 + [1] * 12
    for folds in (0, 1, 25):
        with pytest.raises(ParameterError, match=f"24 dialogues can't be split into {folds} folds"):
            split_dialogues(instances, folds, 0)


def test_a_folder_gives_the_same_planners_back(instances: list[Instance], tmp_path: Path) -> None:
    made = cross_fit(instances)
    made.save(tmp_path / "folds")
    assert sorted(path.name for path in (tmp_path / "folds").iterdir()) == [
        "fold-0.skops",
        "fold-1.skops",
        CrossFitted.FILE,
    ]
    again = make_planner(str(tmp_path / "folds"))
    assert isinstance(again, CrossFitted)
    for one in instances[::10]:
        found = again.distribution(one.context, dialogue=one.dialogue)
        assert found == made.planner_for(one.dialogue).distribution(one.context)


@pytest.mark.parametrize("dialogue", [None, "9999"])
def test_folds_answer_for_no_dialogue_that_they_do_not_know(dialogue: str | None, instances: list[Instance]) -> None:
    made = cross_fit(instances)
    with pytest.raises(ParameterError, match="give the file of one planner"):
        made.distribution(said("hello"), dialogue=dialogue)


def test_each_fold_expects_the_shares_of_its_own_training_dialogues(
    instances: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[Mapping[SupportStrategy, float]] = []

    def watched(given: Sequence[Instance], **options: Any) -> TrainedPlanner:
        got.append(options["shares"])
        return train(given, **options)

    monkeypatch.setattr("emoagents.support.planner.folds.train", watched)
    folds = split_dialogues(instances, 2, 0)
    like = [one for one in of_fold(instances, folds, 0) if one.label == "Question"][:8]
    cross_fit(instances, like=like)
    assert got[0] == {}
    assert got[1]["Question"] == pytest.approx(9 / 16)
    assert got[1]["Others"] == pytest.approx(1 / 16)


def test_a_dialogue_that_is_only_asked_about_has_a_planner(instances: list[Instance]) -> None:
    known, other = instances[:-6], instances[-6:]
    found = cross_fit(known, like=[*known[:6], *other])
    assert is_distribution(found.distribution(other[0].context, dialogue=other[0].dialogue))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"seed": 0, "folds": 2, "dialogues": {"a": 2}}', "[" * 100_000], ids=range(5)
)
def test_a_spoilt_list_of_folds_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / CrossFitted.FILE).write_text(text)
    with pytest.raises(DataError, match="train again"):
        CrossFitted.load(tmp_path)


# -- planners that are not trained -------------------------------------------------------------------------------


def test_uniform_is_random_over_turns_and_the_same_for_the_same_ones(instances: list[Instance]) -> None:
    chosen = [choice(UniformPlanner(1).distribution(one.context)) for one in instances]
    assert chosen == [choice(UniformPlanner(1).distribution(one.context)) for one in instances]
    assert chosen != [choice(UniformPlanner(2).distribution(one.context)) for one in instances]
    assert all(10 < chosen.count(strategy) < 60 for strategy in STRATEGIES)
    assert is_distribution(UniformPlanner().distribution(()))


def test_majority_is_the_most_frequent_label(instances: list[Instance]) -> None:
    some = [one for one in instances if one.label in ("Others", "Information")]
    fewer = [one for one in some if one.label == "Others"] + [one for one in some if one.label == "Information"][:3]
    found = MajorityPlanner.of(fewer)
    assert found.strategy == "Others"
    assert found.distribution(())["Others"] == 1
    assert is_distribution(found.distribution(()))
    with pytest.raises(ParameterError, match="no instances"):
        MajorityPlanner.of([])


def test_a_function_may_return_weights_or_a_name() -> None:
    weights = FunctionPlanner(lambda turns, background: {"Questions": 3, "Others": 1})
    assert weights.distribution(())["Question"] == 0.75
    assert is_distribution(weights.distribution(()))
    name = FunctionPlanner(lambda turns, background: "reflection of feelings")
    assert choice(name.distribution(())) == "Reflection of feelings"


@pytest.mark.parametrize("bad", [None, "hum", {}, {"Question": 0}, {"Question": -1}, {"x": 1}, {"Question": "1"}, 3])
def test_a_function_that_returns_something_else_is_said(bad: Any) -> None:
    with pytest.raises(ParameterError, match="returns a strategy or weights by strategy"):
        FunctionPlanner(lambda turns, background: bad).distribution(())


# -- what a parameter may hold -----------------------------------------------------------------------------------


def test_a_parameter_names_a_planner(planner: TrainedPlanner, tmp_path: Path) -> None:
    planner.save(tmp_path / "p.skops")
    assert isinstance(make_planner(tmp_path / "p.skops"), TrainedPlanner)
    assert isinstance(make_planner(str(tmp_path / "p.skops")), TrainedPlanner)
    assert make_planner("uniform") == UniformPlanner(0)
    assert make_planner("uniform:7") == UniformPlanner(7)
    assert make_planner("majority:questions") == MajorityPlanner("Question")
    assert make_planner(planner) is planner
    assert choice(make_planner(lambda turns, background: "Information").distribution(())) == "Information"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "train one with `emoagents support train"),
        ("", "train one with `emoagents support train"),
        ("majority", "needs one of Question"),
        ("majority:hum", "needs one of Question"),
        ("uniform:x", "needs a whole number"),
        (3, "a planner is a path"),
        (UniformPlanner, "a planner is a path"),
        (dict, "a planner is a path"),
    ],
)
def test_a_parameter_that_names_no_planner_is_said(given: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_planner(given)


def test_a_path_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match=r"nowhere\.skops"):
        make_planner("nowhere.skops")


def test_all_are_planners(planner: TrainedPlanner) -> None:
    made: list[Planner] = [planner, UniformPlanner(), MajorityPlanner("Others"), FunctionPlanner(lambda t, b: "Others")]
    assert all(isinstance(one, Planner) for one in made)


# -- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write invented dialogues in ESConv's shape."""
    path = tmp_path / "invented.json"
    path.write_text(json.dumps([as_esconv(invented(number)) for number in range(24)]))
    return path


def as_esconv(dialogue: Dialogue) -> dict[str, Any]:
    spoken = [
        {"speaker": turn.role, "annotation": {"strategy": turn.strategy} if turn.strategy else {}, "content": turn.text}
        for turn in dialogue.turns
    ]
    return {"emotion_type": "sadness", "problem_type": "job crisis", "situation": "Invented.", "dialog": spoken}


def test_the_command_trains_says_and_saves(cli: Cli, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "my planner.skops"
    done = cli("support train --data", str(file), "--out", str(out))
    assert done.status == 0, done.err
    assert "trained on 144 decisions of 24 dialogues" in done.out
    assert "2 folds of 24 dialogues, n = 144" in done.out
    assert "majority" in done.out
    assert f"use it: --param 'planner={out}'" in done.out
    assert TrainedPlanner.load(out).facts.dialogues == 24


def test_the_command_prints_one_object(cli: Cli, file: Path, tmp_path: Path) -> None:
    done = cli("support train --json --seed 4 --data", str(file), "--out", str(tmp_path / "p.skops"))
    assert done.err == ""
    found = json.loads(done.out)
    assert (found["seed"], found["instances"], len(found["labels"])) == (4, 144, 8)
    assert found["validation"]["planner"]["macro_f1"] > found["validation"]["uniform"]["macro_f1"]


def test_the_command_says_which_strategies_are_never_chosen(cli: Cli, file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text().replace('"strategy": "Others"', '"strategy": "Information"'))
    done = cli("support train --data", str(file), "--out", str(tmp_path / "p.skops"))
    assert "never chosen, since the file has none: Others\n" in done.out


def test_the_command_says_what_is_too_little(cli: Cli, file: Path, tmp_path: Path) -> None:
    dialogues = json.loads(file.read_text())
    file.write_text(json.dumps(dialogues[:4]))
    done = cli("support train --data", str(file), "--out", str(tmp_path / "p.skops"))
    assert done.status == 0, done.err
    assert "not measured: half of the dialogues are too few" in done.out
    file.write_text(json.dumps(dialogues[:2]))
    done = cli("support train --data", str(file), "--out", str(tmp_path / "q.skops"))
    assert done.status == 2
    assert "at least 16 instances" in done.err
    assert not (tmp_path / "q.skops").exists()


# -- real data ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.exists(), reason=f"needs {REAL}: ESConv's development set, which is not in this project")
def test_it_beats_chance_on_the_other_half_of_real_dialogues() -> None:
    instances = make_instances(read_dialogues(REAL), sampling="all")
    found = validate(instances)
    assert found is not None
    assert found.instances == len(instances) > 2000
    assert found.planner.macro_f1 > found.uniform.macro_f1 + 0.05
    assert found.planner.macro_f1 > found.majority.macro_f1 + 0.1
    assert found.unknown.macro_f1 > found.uniform.macro_f1 + 0.03
    assert found.planner.accuracy > found.majority.accuracy + 0.04
    assert found.planner.bias < 0.6
