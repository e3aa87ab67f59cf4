"""The loaders, on self-written samples in the publishers' formats and, where it is at hand, on the real data."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from emoagents.errors import DataError, ParameterError, UnknownNameError
from emoagents.evaluation.task import Item, Task
from emoagents.evaluation.tasks import load_tasks, task_names
from emoagents.evaluation.tasks.hub import HubSet, fetch
from emoagents.result import Result

SAMPLES = Path(__file__).parent / "samples"
REAL = Path(__file__).parents[3] / "shared" / "data"
real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"the publishers' data is not at {REAL}")


def only(spec: str, **how: Any) -> Task:
    (task,) = load_tasks(spec, **{"data": SAMPLES, **how})
    return task


def items(spec: str, **how: Any) -> list[Item]:
    return list(only(spec, **how).items())


def own(path: Path, **how: Any) -> list[Item]:
    return items(f"{path.suffix[1:]}:{path}", data=None, **how)


def text(item: Item) -> str:
    return "\n--\n".join(f"{m['role']}: {m['content']}" for m in item.messages)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


async def scores(task: Task, item: Item, answer: str) -> dict[str, float]:
    result = Result(answer=answer, strategy="plain", model="m", stopped_by="complete")
    return {name: score.value for name, score in (await task.score(item, [result], None)).items()}


# Names


def test_names() -> None:
    names = task_names()
    assert {"gsm8k", "bbh", "bbh:snarks", "emobench:eu/zh", "instruction_induction:antonyms", "csv:FILE"} <= set(names)
    assert sum(name.startswith("instruction_induction:") for name in names) == 24
    assert sum(name.startswith("bbh:") for name in names) == 27


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("gms8k", "did you mean gsm8k"),
        ("bbh:snark", "did you mean snarks"),
        ("emobench:eu_emotions", "eu_emotion"),
        ("", "there are"),
    ],
)
def test_unknown_names_say_what_was_meant(spec: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        load_tasks(spec, data=SAMPLES)


@pytest.mark.parametrize(
    ("spec", "how", "said"),
    [
        ("gsm8k:easy", {}, "no parts"),
        ("bbh:", {}, "names no part"),
        ("bbh:snarks,", {}, "names no part"),
        ("bbh:snarks,snarks", {}, "twice"),
        ("bbh", {"shots": 2}, "no demonstrations"),
        ("gsm8k", {"shots": -1}, "0 or more"),
        ("gsm8k", {"columns": {"input": "x"}}, "columns are for"),
        ("gsm8k", {"shots": 4}, "3 demonstrations"),
        ("goemotions", {"options": {"labels": "6"}}, "28 or ekman"),
        ("instruction_induction:antonyms", {"options": {"instruction": "9"}}, "0 to 2"),
        ("instruction_induction:antonyms", {"data": None}, "clone"),
        ("csv:", {}, "needs a file"),
        ("csv:x.csv", {}, "names its file itself"),
        ("csv:x.csv", {"data": None, "shots": 1}, "no demonstrations"),
    ],
)
def test_what_can_not_be(spec: str, how: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        load_tasks(spec, **{"data": SAMPLES, **how})


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(UnknownNameError, match="option of gsm8k 'format'"):
        load_tasks("gsm8k", data=SAMPLES, options={"format": "text"})


# GSM8K


def test_gsm8k_asks_for_the_mark() -> None:
    first, second = items("gsm8k")
    assert first.messages[-1]["content"].startswith("Mia has")
    assert "#### NUMBER" in first.messages[-1]["content"]
    assert (first.targets, second.targets) == (("12",), ("1500",))


async def test_gsm8k_has_a_strict_metric() -> None:
    task = only("gsm8k")
    item = next(iter(task.items()))
    assert await scores(task, item, "It is 12.0") == {"accuracy": 1.0, "strict": 0.0}
    assert await scores(task, item, "#### 12") == {"accuracy": 1.0, "strict": 1.0}


def test_demonstrations_hang_on_seed_and_item_only() -> None:
    once, again = items("gsm8k", shots=2, seed=1), items("gsm8k", shots=2, seed=1)
    assert once == again
    assert [m["role"] for m in once[0].messages] == ["user", "assistant", "user", "assistant", "user"]
    assert "<<" not in text(once[0])
    assert len({text(items("gsm8k", shots=2, seed=seed)[0]) for seed in range(8)}) > 1


def test_without_a_train_file_there_are_no_shots(tmp_path: Path) -> None:
    path = written(tmp_path / "test.jsonl", (SAMPLES / "gsm8k/test.jsonl").read_bytes())
    assert len(items("gsm8k", data=path)) == 2
    with pytest.raises(ParameterError, match=r"train\.jsonl"):
        load_tasks("gsm8k", data=path, shots=1)


# Instruction Induction


def test_the_instruction_begins_with_a_capital_letter() -> None:
    first, second = items("instruction_induction:antonyms")
    assert text(first) == "system: Write the opposite of the word\n--\nuser: Input: hot"
    assert first.id == "1"
    chosen = items("instruction_induction:antonyms", options={"instruction": "0"})
    assert text(chosen[1]).startswith("system: opposite of")
    assert second.targets == ("dry",)


def test_as_text_it_is_the_authors_prompt() -> None:
    plain = items("instruction_induction:antonyms", options={"format": "text"})[0]
    assert text(plain) == "user: Instruction: Write the opposite of the word\nInput: hot\nOutput:"
    shown = items("instruction_induction:antonyms", options={"format": "text"}, shots=1)[0]
    assert shown.messages[0]["content"].count("Output:") == 2


def test_a_demonstration_never_asks_the_item() -> None:
    wet = items("instruction_induction:antonyms", shots=3)[1]
    assert [m["content"] for m in wet.messages].count("Input: wet") == 1
    assert [m["role"] for m in wet.messages] == ["system", *["user", "assistant"] * 3, "user"]


def test_special_inputs_follow_the_authors() -> None:
    both = items("instruction_induction:cause_and_effect")
    assert [i.messages[-1]["content"] for i in both] == [
        "Input: Sentence 1: It rained. Sentence 2: The road was wet.",
        "Input: Sentence 1: The road was wet. Sentence 2: It rained.",
    ]
    assert {i.targets for i in both} == {("It rained.",)}
    concept = items("instruction_induction:common_concept")[0]
    assert concept.messages[-1]["content"] == "Input: a rose, a ruby, blood"
    assert concept.targets == ("are red", "red things")
    assert items("instruction_induction:rhymes", shots=1)[0].messages[2]["content"] == "fun"


def test_the_suite_is_what_is_there() -> None:
    tasks = load_tasks("instruction_induction", data=SAMPLES / "instruction_induction")
    assert [t.name.partition("/")[2] for t in tasks] == [
        "antonyms",
        "cause_and_effect",
        "common_concept",
        "rhymes",
        "synonyms",
    ]
    assert tasks[-1].metrics == ("contains",)
    with pytest.raises(DataError, match=r"execute/sum\.json"):
        load_tasks("instruction_induction:sum", data=SAMPLES)


# BIG-Bench Hard


def test_bbh_reads_letters_and_words() -> None:
    snarks, words = load_tasks("bbh", data=SAMPLES)
    first = next(iter(snarks.items()))
    assert first.targets == ("B", "(B)")
    assert snarks.check(first, "The answer is (B).").value == 1
    assert snarks.check(first, "hm").unparsed
    assert words.check(next(iter(words.items())), "The answer is apple fig pear.").value == 1


def test_bbh_takes_one_file() -> None:
    path = SAMPLES / "bbh" / "snarks.json"
    assert only("bbh", data=path).name == "bbh/snarks"
    with pytest.raises(DataError, match="holds snarks, not navigate"):
        load_tasks("bbh:navigate", data=path)


# EmoBench


def test_emobench_asks_in_the_language_of_the_item() -> None:
    english, chinese = items("emobench:ea")
    assert (english.id, chinese.id) == ("en-1", "zh-1")
    assert "most effective action for Ana" in text(english)
    assert "对安娜来说最有效的行动" in text(chinese)
    assert english.groups == {"language": "en", "category": "Personal-Others", "question_type": "Action"}
    assert [i.id for i in items("emobench:ea/zh")] == ["zh-1"]
    assert [i.id for i in items("emobench:ea", options={"language": "en"})] == ["en-1"]
    assert [t.name for t in load_tasks("emobench", data=SAMPLES)] == ["emobench/ea", "emobench/eu"]


async def test_understanding_counts_where_both_are_right() -> None:
    task = only("emobench:eu")
    english, chinese = task.items()
    right = {"both": 1.0, "emotion": 1.0, "cause": 1.0}
    for reply in (
        "Emotion: A\nCause: B",
        "Emotion: (A)\n\nCause: (B) because of the smile",
        "**Emotion(s):** (A) Joy\n**Cause:** (B) His sister liked it",
        '{"emotion": "A", "cause": "B"}',
        "A\nB",
        "1. A\n2. B",
        "Cause: B\nEmotion: A",
        "The emotion is B at first.\n\nEmotion: Joy\nCause: His sister liked it",
    ):
        assert await scores(task, english, reply) == right, reply
    assert await scores(task, chinese, "情绪：A\n原因：（B）") == right
    assert await scores(task, chinese, "情绪:高兴\n原因:妹妹喜欢") == right
    assert await scores(task, english, "Emotion: A\nCause: A") == {"both": 0.0, "emotion": 1.0, "cause": 0.0}
    assert task.check(english, "Emotion: A").unparsed
    assert task.check(english, "").unparsed


# GoEmotions


async def test_goemotions_compares_sets_of_labels() -> None:
    task = only("goemotions")
    thanks, awful, _ = task.items()
    assert (thanks.id, thanks.targets, thanks.groups) == ("id1", ("gratitude",), {"emotion": "joy"})
    assert await scores(task, awful, "annoyance, sadness") == {"f1": 1.0, "exact": 1.0, "ekman": 1.0}
    assert await scores(task, awful, "anger") == {"f1": 0.0, "exact": 0.0, "ekman": pytest.approx(2 / 3)}
    assert task.check(awful, "no idea").unparsed


def test_goemotions_in_coarser_forms() -> None:
    assert [i.targets for i in items("goemotions", options={"labels": "ekman"})][1] == ("anger", "sadness")
    assert [i.id for i in items("goemotions", options={"answer": "single"})] == ["id1", "id3"]


# Own files

COLUMNS = {"input": "question", "target": "answer", "id": "id", "group": "language"}


def test_a_csv_file() -> None:
    first, second = own(SAMPLES / "questions.csv", columns=COLUMNS, options={"separator": "|"})
    assert (first.id, first.targets, first.groups) == ("q1", ("4", "four"), {"language": "en"})
    assert text(second) == "user: Which, of two\nlines?"


def test_a_csv_file_with_choices(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", "input,target,options\nTwo?,2,1|2\nThree?,(A),3|4\n")
    task = only(f"csv:{path}", data=None, columns={"choices": "options"}, options={"instruction": "Be brief."})
    first, second = task.items()
    assert text(first).startswith("system: Be brief.\n--\nuser: Two?\n(A) 1\n(B) 2")
    assert (first.targets[0], second.targets[0], task.metrics) == ("B", "A", ("choice",))
    assert task.check(first, "(B)").value == 1


def test_a_jsonl_file() -> None:
    first, second = own(SAMPLES / "questions.jsonl", columns={"group": "kind"})
    assert (first.id, first.targets, second.id) == ("1", ("Paris", "paris, France"), "2")


@pytest.mark.parametrize(
    ("metric", "reply", "value"),
    [("exact", "4.0", 0), ("numeric", "It is 4.0", 1), ("contains", "it is 4!", 1), ("f1", "is 4", 2 / 3)],
)
def test_metrics_of_own_files(tmp_path: Path, metric: str, reply: str, value: float) -> None:
    path = written(tmp_path / "n.jsonl", '{"input": "2+2?", "target": 4}\n')
    task = only(f"jsonl:{path}", data=None, options={"metric": metric})
    assert task.check(next(iter(task.items())), reply).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "content", "line", "said"),
    [
        ("a.csv", "", 0, "empty"),
        ("a.csv", "input,target\n", 0, "no rows"),
        ("a.csv", "input,answer\na,b\n", 2, "no 'target'; there are input, answer"),
        ("a.csv", "input,target\na,b,c\n", 2, "3 cells"),
        ("a.csv", "input,target\na\n", 2, "1 cells"),
        ("a.csv", "input,target\na,b\n\n,c\n", 4, "'input' is empty"),
        ("a.csv", "input,input\na,b\n", 1, "twice"),
        ("a.csv", 'input,target\na,b\n"c,d\n', 3, "not CSV"),
        ("a.csv", "input,target\na,b\n\xe4,c\n".encode("latin-1"), 3, "UTF-8"),
        ("a.csv", "input,target\n".encode("utf-16"), 1, "UTF-8"),
        ("a.csv", "input,target,id\na,b,1\nc,d,1\n", 3, "comes twice"),
        ("a.jsonl", "", 0, "no rows"),
        ("a.jsonl", '{"input": "a", "target": "b"}\n{"input": \n', 2, "not JSON"),
        ("a.jsonl", '["a"]\n', 1, "not a JSON object"),
        ("a.jsonl", '{"input": "a", "target": []}\n', 1, "empty list"),
        ("a.jsonl", '{"input": {"a": 1}, "target": "b"}\n', 1, "not text"),
        ("a.jsonl", '{"input": "\\ud800", "target": "b"}\n', 1, "UTF-8"),
        ("a.jsonl", '{"input": null, "target": "b"}\n', 1, "not text"),
        ("a.jsonl", "[" * 100000 + "\n", 1, "JSON"),
        ("a.jsonl", '{"input": ' + "9" * 5000 + "}\n", 1, "JSON"),
        (
            "a.jsonl",
            '\ufeff{"input": "a", "target": "b", "id": 1}\n{"input": "a", "target": "b", "id": "1"}\n',
            2,
            "twice",
        ),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, name: str, content: str | bytes, line: int, said: str) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(DataError, match=said) as caught:
        own(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"columns": {"inptu": "a"}}, "did you mean input"),
        ({"columns": {"target": " "}}, "no name of a column"),
        ({"options": {"metric": "exakt"}}, "did you mean exact"),
        ({"options": {"metric": "choice"}}, "column of choices"),
        ({"options": {"sep": ","}}, "option of a task from a file"),
        ({"options": {"metric": "numeric"}}, "no number"),
        ({"columns": {"choices": "target"}, "options": {"separator": ";"}}, None),
    ],
)
def test_wrong_ways_to_read_a_file(tmp_path: Path, how: dict[str, Mapping[str, str]], said: str | None) -> None:
    path = written(tmp_path / "a.csv", "input,target\na,b\n")
    if said is None:
        assert own(path, **how)[0].targets == ("A", "b")
        return
    with pytest.raises((ParameterError, UnknownNameError, DataError), match=said):
        own(path, **how)


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder, not a file"):
        load_tasks(f"jsonl:{tmp_path}")
    with pytest.raises(DataError, match="no such file"):
        load_tasks(f"csv:{tmp_path / 'none.csv'}")
    with pytest.raises(DataError, match="no such file or folder"):
        load_tasks("gsm8k", data=tmp_path / "none")
    with pytest.raises(DataError, match=r"no test\.jsonl here"):
        load_tasks("gsm8k", data=tmp_path)


def test_a_file_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    path = written(
        tmp_path / "big.jsonl", "".join(f'{{"input": "{n}?", "target": "{n}"}}\n' for n in range(2000)) + "{"
    )
    task = only(f"jsonl:{path}", data=None)
    stream = iter(task.items())
    assert [next(stream).id for _ in range(3)] == ["1", "2", "3"]
    with pytest.raises(DataError, match="line 2001"):
        list(stream)


@pytest.mark.parametrize(
    ("spec", "name", "content", "said"),
    [
        ("gsm8k", "test.jsonl", '{"question": "a", "answer": "12"}\n', "no number after ####"),
        ("gsm8k", "test.jsonl", "", "no questions"),
        ("bbh:snarks", "snarks.json", '{"examples": []}', "no list of 'examples'"),
        ("bbh:snarks", "snarks.json", '{"examples": [{"input": "a"}]}', "example 1: there is no 'target'"),
        ("bbh:snarks", "snarks.json", "{\n,", "line 2: not JSON"),
        ("goemotions", "test.tsv", "text\t28\tid\n", "no label's number"),
        ("goemotions", "test.tsv", "text\t2\n", "2 columns, not 3"),
        ("goemotions", "test.tsv", "a\t2\tx\nb\t2\tx\n", "line 2: the id 'x' comes twice"),
        ("emobench:ea", "EA.jsonl", '{"qid": "1", "language": "fr"}\n', "neither en nor zh"),
        ("emobench:ea/zh", "EA.jsonl", '{"qid": "1", "language": "en"}\n', "no items"),
    ],
)
def test_what_is_wrong_with_a_suite(tmp_path: Path, spec: str, name: str, content: str, said: str) -> None:
    written(tmp_path / name, content)
    with pytest.raises((DataError, ParameterError), match=said):
        load_tasks(spec, data=tmp_path)


def test_a_task_can_go_to_another_process() -> None:
    for spec in ("gsm8k", "bbh:snarks", "emobench:eu", "goemotions", "instruction_induction:antonyms"):
        again: Task = pickle.loads(pickle.dumps(only(spec)))
        assert list(again.items()) == items(spec)


# The hub


HUB = {
    "gsm8k": ("main", "test", "gsm8k/test.jsonl"),
    "emobench:ea": ("emotional_application", "train", "emobench/EA.jsonl"),
}


def hub_folder(folder: Path, config: str, split: str, source: Path) -> Path:
    """Make a folder that `datasets` takes like a repository of the hub."""
    written(folder / f"{split}.jsonl", source.read_bytes())
    card = f"configs:\n- config_name: {config}\n  data_files:\n  - split: {split}\n    path: {split}.jsonl\n"
    written(folder / "README.md", f"---\n{card}---\n")
    return folder


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("spec", HUB)
def test_a_suite_in_the_form_of_the_hub(tmp_path: Path, spec: str) -> None:
    config, split, source = HUB[spec]
    folder = hub_folder(tmp_path, config, split, SAMPLES / source)
    assert items(spec, data=None, options={"hub": str(folder)}) == items(spec)


@pytest.mark.usefixtures("own_cache")
def test_bbh_in_the_form_of_the_hubs_export(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import Table, parquet

    examples = json.loads((SAMPLES / "bbh/snarks.json").read_text())["examples"]
    (tmp_path / "snarks/test").mkdir(parents=True)
    parquet.write_table(Table.from_pylist(examples), tmp_path / "snarks/test/0000.parquet")
    assert items("bbh:snarks", data=None, options={"hub": str(tmp_path)}) == items("bbh:snarks")


@pytest.mark.usefixtures("own_cache")
def test_goemotions_in_the_form_of_the_hub(tmp_path: Path) -> None:
    rows = [line.split("\t") for line in (SAMPLES / "goemotions/test.tsv").read_text().splitlines()]
    lines = [{"text": t, "labels": [int(n) for n in numbers.split(",")], "id": name} for t, numbers, name in rows]
    source = written(tmp_path / "rows", "".join(json.dumps(line) + "\n" for line in lines))
    folder = hub_folder(tmp_path, "simplified", "test", source)
    assert items("goemotions", data=None, options={"hub": str(folder)}) == items("goemotions")


@pytest.mark.usefixtures("own_cache")
def test_a_local_folder_is_not_announced(tmp_path: Path) -> None:
    said: list[str] = []
    folder = hub_folder(tmp_path, "main", "test", SAMPLES / "gsm8k/test.jsonl")
    assert len(fetch(HubSet(repo=str(folder), config="main", split="test"), said.append)) == 2
    assert said == []


def test_a_hub_out_of_reach_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    program = (
        "import emoagents.errors as e\nfrom emoagents.evaluation.tasks import load_tasks\nimport sys\n"
        "assert 'datasets' not in sys.modules\n"
        "try: load_tasks('gsm8k')\nexcept e.RunError as error: print(error)\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("openai/gsm8k can't be fetched")
    assert done.stdout.count("\n") == 1
    assert done.stderr.startswith("Fetching openai/gsm8k (main) from")
    assert "Retrying" not in done.stderr
    assert time.monotonic() - started < 60  # mostly the import of `datasets`, on a busy machine


# The real data


@real_data
@pytest.mark.parametrize(
    ("spec", "sizes"),
    [
        ("gsm8k", [300]),
        ("bbh:ruin_names,snarks", [250, 178]),
        ("emobench", [200, 200]),
        ("emobench:eu_emotion,eu_cause,ea/en,ea/zh", [200, 200, 100, 100]),
        ("instruction_induction", [100] * 14),
    ],
)
def test_gold_answers_of_the_real_data_score_one(spec: str, sizes: list[int]) -> None:
    tasks = load_tasks(spec, data=REAL, shots=5 if spec == "instruction_induction" else 0)
    assert [len(list(task.items())) for task in tasks] == sizes
    for task in tasks:
        wrong = [i.id for i in task.items() if task.check(i, i.targets[0]).value != 1]
        assert not wrong, (task.name, wrong)
        assert len({i.id for i in task.items()}) == len(list(task.items()))


@real_data
def test_real_comments_with_gold_labels_score_one() -> None:
    task = only("goemotions", data=REAL)
    first = list(task.items())[:300]
    assert len(list(task.items())) == 2000
    assert all(task.check(i, ", ".join(i.targets)).value == 1 for i in first)


@real_data
def test_real_instructions_are_sentences() -> None:
    for task in load_tasks("instruction_induction", data=REAL):
        instruction = next(iter(task.items())).messages[0]["content"]
        assert instruction[0].isupper()
        assert len(instruction.split()) > 4
