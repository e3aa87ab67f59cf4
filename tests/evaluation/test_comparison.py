"""A comparison through its public face: what is asked, what is written down, and that nothing is asked twice."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from emoagents import Budget, Context, Result, RunError, ScriptedModel, UsageError
from emoagents.errors import CompositionError, DataError, ModelConfigError, ParameterError, UnknownNameError
from emoagents.evaluation.arms import make_arms, split_arms
from emoagents.evaluation.comparison import Comparison, compare, make_plan, open_comparison
from emoagents.evaluation.oracle import Oracle, read_as_task
from emoagents.evaluation.record import Record
from emoagents.evaluation.remote import Setup, TaskRecipe
from emoagents.evaluation.task import Item, Judge, Score, Solve, Task
from emoagents.strategies.heart import Heart
from tests.loopback import LoopbackServer

MODEL = "openai/loopback"


class Sums(Task):
    """How much is i and i? The model of these tests knows it for even i."""

    name = "sums"
    metrics = ("exact",)

    def __init__(self, count: int = 10) -> None:
        self._count = count

    def items(self) -> Iterable[Item]:
        for i in range(self._count):
            yield Item(
                id=str(i),
                messages=({"role": "user", "content": f"How much is {i} and {i}?"},),
                targets=(str(2 * i),),
                groups={"kind": "even" if i % 2 == 0 else "odd"},
                cluster=f"number {i}",
            )

    def check(self, item: Item, answer: str) -> Score:
        found = re.search(r"-?\d+", answer)
        if found is None:
            return Score(value=0.0, unparsed=True)
        return Score(value=float(found[0] == item.targets[0]), parsed=found[0])


def knows_even(prompt: str, body: dict[str, Any], attempt: int) -> str:
    asked = re.search(r"How much is (\d+) and", prompt)
    number = int(asked[1]) if asked else 0
    return str(2 * number) if number % 2 == 0 else "17"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(reply=knows_even) as running:
        yield running


def context(server: LoopbackServer, **settings: Any) -> Context:
    return Context(**{"model": MODEL, "api_base": server.url, "temperature": 0.7, "concurrency": 8, **settings})


async def run(
    server: LoopbackServer,
    folder: Path,
    arms: str,
    *,
    tasks: Sequence[Task] = (Sums(),),
    twins: bool = True,
    replicas: int = 1,
    limit: int | None = None,
    common: dict[str, str] | None = None,
    judge: Context | None = None,
    seed: int = 0,
    **settings: Any,
) -> Comparison:
    made = make_arms(split_arms(arms), common=common, twins=twins)
    account = context(server, **settings)
    plan = make_plan(tasks, made, account, replicas=replicas, limit=limit, seed=seed)
    return await compare(tasks, made, account, folder, plan=plan, judge=judge)


def by_arm(comparison: Comparison) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    records = list(comparison.records())
    for arm in comparison.plan.arms:
        found[arm.label] = sorted((r for r in records if r.arm == arm.label), key=lambda r: r.item)
    return found


# -- what is asked and written down ------------------------------------------------------------------------------


async def test_every_arm_attempts_every_item_once(server: LoopbackServer, tmp_path: Path) -> None:
    comparison = await run(server, tmp_path, "plain, emotion_prompt:EP02")
    arms = by_arm(comparison)
    assert list(arms) == ["plain", "emotion_prompt:EP02", "emotion_prompt:EP02@neutral"]
    for records in arms.values():
        assert [r.scores["exact"] for r in records] == [1, 0] * 5
        assert all(r.status == "scored" and r.spent.answers == r.spent.bought == 1 for r in records)
    assert server.stats.requests == 30
    assert comparison.outcome is not None
    assert (comparison.outcome.made, comparison.outcome.failed, comparison.outcome.stopped_by) == (30, 0, None)


async def test_a_record_holds_all_there_is_to_know(server: LoopbackServer, tmp_path: Path) -> None:
    record = next((await run(server, tmp_path, "emotion_prompt:EP02", twins=False, limit=1)).records())
    number = int(record.item)
    assert record.question == f"How much is {number} and {number}?"
    assert record.targets == (str(2 * number),)
    assert record.groups == {"kind": "even" if number % 2 == 0 else "odd"}
    assert record.cluster == f"number {number}"
    call = next(e for e in record.trace if e["event"] == "call")
    assert call["prompt"][-1]["content"].endswith("This is very important to my career.")
    assert call["answers"][0]["text"] == record.answer
    assert record.spent.prompt_tokens == server.stats.prompt_tokens
    assert record.spent.paid_tokens == server.stats.prompt_tokens + server.stats.completion_tokens


async def test_arms_share_samples_and_each_is_told_its_whole_cost(server: LoopbackServer, tmp_path: Path) -> None:
    comparison = await run(server, tmp_path, "self_consistency:4, gsa:3, plain, resample:4")
    # four samples of the question, which all arms draw on, and one synthesis
    assert server.stats.choices == 10 * 5
    arms = by_arm(comparison)
    assert sum(r.spent.bought for records in arms.values() for r in records) == 50
    assert {r.spent.answers for r in arms["self_consistency:4"]} == {4}
    assert {r.spent.answers for r in arms["gsa:3"]} == {4}
    assert {r.spent.answers for r in arms["plain"]} == {1}
    assert sorted({r.spent.answers for r in arms["resample:4"]}) == [1, 4]
    one = arms["plain"][0].spent
    missed = next(r for r in arms["resample:4"] if r.spent.answers == 4)
    assert missed.spent.prompt_tokens == 4 * one.prompt_tokens  # four requests of its own
    assert arms["self_consistency:4"][0].spent.prompt_tokens == one.prompt_tokens  # one request with n=4


async def test_an_arm_that_buys_the_rest_of_its_samples_is_told_one_prompt(
    server: LoopbackServer, tmp_path: Path
) -> None:
    await run(server, tmp_path, "plain")
    arms = by_arm(await run(server, tmp_path, "plain, self_consistency:4"))
    for plain, vote in zip(arms["plain"], arms["self_consistency:4"], strict=True):
        assert (vote.spent.answers, vote.spent.bought) == (4, 3)
        assert vote.spent.prompt_tokens == plain.spent.prompt_tokens
        assert vote.spent.completion_tokens == 4 * plain.spent.completion_tokens


async def test_an_oracle_stops_at_the_right_answer_and_its_twin_does_the_same(
    server: LoopbackServer, tmp_path: Path
) -> None:
    server.set(reply=lambda prompt, body, attempt: "0" if "How much is 0" in prompt else f"{'a' * attempt}{attempt}")
    arms = by_arm(await run(server, tmp_path, "heart:2", common={"verifier": "oracle"}))
    assert set(arms) == {"heart:2", "heart:2@neutral"}
    for records in arms.values():
        assert (records[0].spent.answers, records[0].verified, records[0].stopped_by) == (1, True, "verified")
        assert records[1].spent.answers in (1, 2, 3)
    texts = {
        label: [e["text"] for r in records for e in r.trace if e["event"] == "feedback"]
        for label, records in arms.items()
    }
    assert not set(texts["heart:2"]) & set(texts["heart:2@neutral"])
    assert not any(str(2 * i) in text.split() for text in texts["heart:2"] for i in range(10)), "it gives nothing away"


async def test_a_vote_counts_what_the_metric_reads(server: LoopbackServer, tmp_path: Path) -> None:
    replies = ["7 is it, I think", "the sum is 4", "4", "no idea"]
    server.set(reply=lambda prompt, body, attempt: replies)
    arms = by_arm(await run(server, tmp_path, "self_consistency:4", limit=1))
    vote = next(e for e in arms["self_consistency:4"][0].trace if e["event"] == "vote")
    assert vote["counts"] == {"7": 1, "4": 2}
    assert vote["unparsed"] == 1


async def test_unparsed_is_a_state_of_its_own(server: LoopbackServer, tmp_path: Path) -> None:
    server.set(reply=lambda prompt, body, attempt: "I would rather not say")
    records = list((await run(server, tmp_path, "plain")).records())
    assert {(r.status, r.scores["exact"], r.parsed) for r in records} == {("unparsed", 0.0, None)}


async def test_repetitions_draw_other_samples_and_a_larger_limit_only_adds(
    server: LoopbackServer, tmp_path: Path
) -> None:
    server.set(reply=None)
    twice = await run(server, tmp_path, "plain", replicas=2, limit=3)
    answers = {(r.item, r.replica): r.answer for r in twice.records()}
    assert len(answers) == 6
    assert all(answers[item, 0] != answers[item, 1] for item, _ in answers)
    more = await run(server, tmp_path, "plain", replicas=2, limit=5)
    assert {(r.item, r.replica): r.answer for r in more.records()}.items() >= answers.items()
    assert server.stats.requests == 10


async def test_an_arm_stands_beside_itself_with_samples_of_its_own(server: LoopbackServer, tmp_path: Path) -> None:
    server.set(reply=None)
    arms = by_arm(await run(server, tmp_path, "plain, plain#2, self_consistency:2#2", tasks=[Sums(6)]))
    answers = [[r.answer for r in arms[label]] for label in ("plain", "plain#2")]
    assert not set(answers[0]) & set(answers[1])
    assert server.stats.choices == 6 + 6 * 2, "arms of one stream share their samples"


async def test_the_same_seed_draws_the_same_items_everywhere(server: LoopbackServer, tmp_path: Path) -> None:
    one = {r.item for r in (await run(server, tmp_path / "a", "plain", limit=4)).records()}
    same = {r.item for r in (await run(server, tmp_path / "b", "plain", limit=4)).records()}
    other = {r.item for r in (await run(server, tmp_path / "c", "plain", limit=4, seed=5)).records()}
    assert one == same != other


# -- resuming ----------------------------------------------------------------------------------------------------


async def test_a_finished_comparison_makes_no_call(server: LoopbackServer, tmp_path: Path) -> None:
    first = await run(server, tmp_path, "plain, gsa:2")
    before = server.stats.requests
    again = await run(server, tmp_path, "plain, gsa:2")
    assert server.stats.requests == before
    assert again.outcome is not None
    assert again.outcome.made == 0
    assert list(again.records()) == list(first.records()) == list(open_comparison(tmp_path).records())


async def test_arms_and_items_can_be_added(server: LoopbackServer, tmp_path: Path) -> None:
    await run(server, tmp_path, "plain", limit=4)
    await run(server, tmp_path, "plain, self_consistency:3", limit=6)
    assert server.stats.choices == 6 * 3  # the plain answers are samples of the vote


@pytest.mark.parametrize("change", [{"temperature": 0.1}, {"seed": 9}, {"model": "openai/other"}])
async def test_other_settings_are_not_mixed_into_a_folder(
    server: LoopbackServer, tmp_path: Path, change: dict[str, Any]
) -> None:
    await run(server, tmp_path, "plain", limit=2)
    with pytest.raises(ParameterError, match="choose another folder with --out"):
        await run(server, tmp_path, "plain", limit=2, **change)


async def test_two_runs_in_one_folder_are_refused(server: LoopbackServer, tmp_path: Path) -> None:
    from emoagents.evaluation.store import RecordFile

    with RecordFile(tmp_path), pytest.raises(DataError, match="another run is at work"):
        await run(server, tmp_path, "plain")


async def test_half_lines_of_a_crash_are_dropped_and_the_rest_is_kept(server: LoopbackServer, tmp_path: Path) -> None:
    await run(server, tmp_path, "plain")
    for name in ("records.jsonl", "calls-0000.jsonl"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-20])
    comparison = await run(server, tmp_path, "plain")
    assert server.stats.requests == 11  # the reply that was cut off is bought again, and no other
    assert Counter(r.item for r in comparison.records()) == Counter(str(i) for i in range(10))


async def test_a_damaged_line_in_the_middle_is_said(server: LoopbackServer, tmp_path: Path) -> None:
    comparison = await run(server, tmp_path, "plain")
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    (tmp_path / "records.jsonl").write_text("\n".join([lines[0], "{not json", *lines[2:]]) + "\n")
    with pytest.raises(DataError, match=r"records\.jsonl, line 2"):
        list(comparison.records())


KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from emoagents import Context
from emoagents.evaluation.arms import make_arms, split_arms
from emoagents.evaluation.comparison import compare
from tests.evaluation.test_comparison import Sums
arms = make_arms(split_arms("plain, gsa:3, heart:1[verifier=oracle]"))
context = Context(model="openai/loopback", api_base={url!r}, temperature=0.7, concurrency=4)
asyncio.run(compare([Sums(30)], arms, context, Path({folder!r})))
"""


def test_kill_9_and_resume_repeats_no_answered_call(tmp_path: Path) -> None:
    with LoopbackServer(reply=knows_even, latency_ms=10) as server:
        root = str(Path(__file__).parents[2])
        code = KILLED.format(root=root, url=server.url, folder=str(tmp_path))
        process = subprocess.Popen([sys.executable, "-c", code])
        _wait_for_lines(tmp_path / "records.jsonl", 25, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        answered_before, kept = server.stats.answered, _lines(tmp_path / "records.jsonl")
        assert kept < 120, "it was killed in the middle"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
        assert server.stats.answered <= _distinct(server) + 4, "only what was in flight is asked again"
        assert server.stats.answered > answered_before
    records = list(open_comparison(tmp_path).records())
    assert Counter(r.key for r in records) == Counter({r.key: 1 for r in records})
    assert len(records) == 120
    bought = sum(r.spent.bought for r in records)
    assert bought + 60 >= sum(len(json.loads(r.model_dump_json())["trace"]) > 0 for r in records)


def _distinct(server: LoopbackServer) -> int:
    return len({json.dumps(seen.body, sort_keys=True) for seen in server.requests})


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _wait_for_lines(path: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    while _lines(path) < count:
        assert process.poll() is None, "it ended before it could be killed"


# -- failures and limits -----------------------------------------------------------------------------------------


async def test_a_failed_attempt_is_no_wrong_answer_and_is_tried_again(server: LoopbackServer, tmp_path: Path) -> None:
    def ill_at_3(prompt: str, body: dict[str, Any], attempt: int) -> str:
        return "" if "is 3 and" in prompt else knows_even(prompt, body, attempt)

    server.set(rates={})
    with LoopbackServer(reply=ill_at_3) as ill:
        from emoagents import Retry

        broken = await run(ill, tmp_path, "plain", retry=Retry(attempts=1, deadline=5))
    failed = [r for r in broken.records() if r.status == "failed"]
    if failed:  # an empty reply may be an answer to some
        assert (failed[0].item, failed[0].scores, failed[0].answer) == ("3", {}, None)
        assert failed[0].error
    again = await run(server, tmp_path, "plain")
    assert again.outcome is not None
    assert again.outcome.made == len(failed)
    latest = {r.item: r for r in again.records()}
    assert {r.status for r in latest.values()} == {"scored"} or not failed


async def test_attempts_that_fail_are_counted_and_the_others_go_on(server: LoopbackServer, tmp_path: Path) -> None:
    from emoagents import Retry

    server.set(rates={"500": 0.4}, seed=3)
    retry = Retry(attempts=1)
    comparison = await run(server, tmp_path, "plain", retry=retry, tasks=[Sums(40)])
    statuses = Counter(r.status for r in comparison.records())
    assert statuses["failed"] > 0
    assert statuses["scored"] > 0
    assert comparison.outcome is not None
    assert comparison.outcome.failed == statuses["failed"]
    server.set(rates={})
    again = await run(server, tmp_path, "plain", retry=retry, tasks=[Sums(40)])
    assert Counter(r.status for r in {r.key: r for r in again.records()}.values()) == {"scored": 40}


async def test_a_model_that_never_answers_ends_the_run_soon(server: LoopbackServer, tmp_path: Path) -> None:
    from emoagents import Retry

    server.set(rates={"500": 1.0})
    with pytest.raises(RunError, match="the first 20 attempts all failed"):
        await run(server, tmp_path, "plain", tasks=[Sums(500)], retry=Retry(attempts=1))
    assert server.stats.requests < 60


async def test_a_refused_key_ends_the_run_at_once(server: LoopbackServer, tmp_path: Path) -> None:
    server.set(rates={"401": 1.0})
    with pytest.raises(ModelConfigError):
        await run(server, tmp_path, "plain", tasks=[Sums(500)])
    assert server.stats.requests <= 8


async def test_the_budget_is_for_the_whole_comparison(server: LoopbackServer, tmp_path: Path) -> None:
    stopped = await run(server, tmp_path, "plain, emotion_prompt:EP02", budget=Budget(calls=12))
    assert stopped.outcome is not None
    assert stopped.outcome.stopped_by == "budget"
    assert server.stats.requests == 12
    still = await run(server, tmp_path, "plain, emotion_prompt:EP02", budget=Budget(calls=12))
    assert still.outcome is not None
    assert (still.outcome.stopped_by, server.stats.requests) == ("budget", 12), "what was spent before counts"
    done = await run(server, tmp_path, "plain, emotion_prompt:EP02", budget=Budget(calls=30))
    assert (done.outcome.stopped_by if done.outcome else "", server.stats.requests) == (None, 30)
    assert len(list(done.records())) == 30


async def test_what_the_budget_cut_short_is_no_answer(server: LoopbackServer, tmp_path: Path) -> None:
    server.set(ignore_n=True)
    comparison = await run(server, tmp_path, "gsa:3", tasks=[Sums(1)], budget=Budget(calls=3))
    assert list(comparison.records()) == []
    whole = await run(server, tmp_path, "gsa:3", tasks=[Sums(1)], budget=Budget(calls=10))
    assert [r.spent.answers for r in whole.records()] == [4]
    assert server.stats.requests == 4, "the three samples were not lost"


async def test_a_budget_counts_requests_before_and_after_a_resume(server: LoopbackServer, tmp_path: Path) -> None:
    for calls in (4, 4, 7, 10):
        done = await run(server, tmp_path, "self_consistency:5", budget=Budget(calls=calls))
        assert server.stats.requests == calls
    assert len(list(done.records())) == 10


async def test_what_was_bought_without_a_record_counts_too(server: LoopbackServer, tmp_path: Path) -> None:
    server.set(ignore_n=True)
    for _ in range(3):
        await run(server, tmp_path, "resample:4", budget=Budget(calls=9), concurrency=3)
        assert server.stats.requests == 9


async def test_a_verifier_without_budget_leaves_the_attempt_to_a_later_run(
    server: LoopbackServer, tmp_path: Path
) -> None:
    server.set(reply=[("correct", '{"correct": true, "reason": "It is."}'), ("", "0")])
    arms, tasks = "resample:1[verifier=judge]", [Sums(1)]
    cut = await run(server, tmp_path, arms, tasks=tasks, budget=Budget(calls=1))
    assert (list(cut.records()), cut.outcome.stopped_by if cut.outcome else "") == ([], "budget")
    whole = await run(server, tmp_path, arms, tasks=tasks, budget=Budget(calls=2))
    assert [r.verified for r in whole.records()] == [True]
    assert server.stats.requests == 2


async def test_no_answer_is_cut_short_to_fit_the_budget(server: LoopbackServer, tmp_path: Path) -> None:
    server.set(reply=lambda prompt, body, attempt: "word " * 600)
    comparison = await run(server, tmp_path, "plain", budget=Budget(tokens=7000), concurrency=1)
    assert {(r.answer or "").count("word") for r in comparison.records()} == {600}
    assert comparison.outcome is not None
    assert comparison.outcome.stopped_by == "budget"


async def test_other_data_other_parameters_and_fewer_items_are_refused(server: LoopbackServer, tmp_path: Path) -> None:
    class Differences(Sums):
        def items(self) -> Iterable[Item]:
            for item in super().items():
                yield Item(id=item.id, messages=({"role": "user", "content": "?"},), targets=item.targets)

    await run(server, tmp_path, "plain, heart:1", limit=5, common={"verifier": "oracle"})
    before = server.stats.requests
    for change, says in (
        ({"tasks": [Differences()]}, "other data of the task sums"),
        ({"common": {"verifier": "judge"}}, r"the arm heart:1\[verifier=oracle\], not heart:1\[verifier=judge\]"),
        ({"limit": 3}, "5 items of the task sums, more than 3"),
    ):
        given: dict[str, Any] = {"limit": 5, "common": {"verifier": "oracle"}, **change}
        with pytest.raises(ParameterError, match=says):
            await run(server, tmp_path, "plain, heart:1", **given)
    assert server.stats.requests == before


MINE = 'name = "{name}"\n[defaults]\nplacement = "system"\n[[stimuli]]\nid = "EP02"\ntext = "{text}"\n'


@pytest.mark.parametrize(
    ("arm", "first", "changed"),
    [
        ("emotion_prompt:EP02[card={file}]", "It matters.", "It matters a lot."),
        ("emotion_prompt:EP02 | self_aggregation:2[emotion_prompt.card={file}]", "It matters.", "It matters a lot."),
        ("coem:rag[documents={file},ranker=bm25,guard=off]", "A garden.", "A harbour."),
    ],
)
async def test_what_a_spec_does_not_tell_is_not_mixed_into_a_folder(
    server: LoopbackServer, tmp_path: Path, arm: str, first: str, changed: str
) -> None:
    file, out = tmp_path / "mine.toml", tmp_path / "out"
    form = MINE if "card" in arm else "{text}"
    for _ in range(2):  # written again, and the same
        file.write_text(form.format(name="emotion_prompt", text=first))
        comparison = await run(server, out, arm.format(file=file), limit=2, twins=False)
    before = server.stats.requests
    file.write_text(form.format(name="emotion_prompt", text=changed))
    with pytest.raises(ParameterError, match=r"another text of the arm .* was changed: choose another folder"):
        await run(server, out, arm.format(file=file), limit=2, twins=False)
    assert server.stats.requests == before
    _forget_digests(out)
    again = await run(server, out, arm.format(file=file), limit=2, twins=False)  # as an older version left it
    assert list(again.records()) == list(comparison.records())


@pytest.mark.parametrize(
    "change", [{"extra": {"dimensions": 8}}, {"extra": {}}, {"api_base": "http://127.0.0.1:9/v1"}], ids=str
)
async def test_other_settings_of_a_role_are_not_mixed_into_a_folder(
    server: LoopbackServer, tmp_path: Path, change: dict[str, Any]
) -> None:
    role = {"model": "openai/other", "api_key": "sk-one", "extra": {"dimensions": 4}}
    await run(server, tmp_path, "plain", limit=2, models={"rank": role})
    await run(server, tmp_path, "plain", limit=2, models={"rank": {**role, "api_key": "sk-two"}})
    with pytest.raises(ParameterError, match="other parameters, or another address, of the role rank"):
        await run(server, tmp_path, "plain", limit=2, models={"rank": {**role, **change}})
    assert "sk-" not in (tmp_path / "plan.json").read_text()
    _forget_digests(tmp_path)
    await run(server, tmp_path, "plain", limit=2, models={"rank": {**role, **change}})


def _forget_digests(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    del plan["digests"]
    for arm in plan["arms"]:
        del arm["digest"]
    (folder / "plan.json").write_text(json.dumps(plan))


async def test_a_journal_that_cannot_be_written_ends_the_run(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emoagents.evaluation.journal import CallJournal

    def full(self: CallJournal, pairs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CallJournal, "set", full)
    with pytest.raises(DataError, match="the journal of replies: can't write to it"):
        await run(server, tmp_path, "plain", tasks=[Sums(100)])
    assert server.stats.requests <= 16


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"baseline": "plane"}, UnknownNameError, "did you mean plain"),
        ({"limit": 0}, ParameterError, "limit must be"),
        ({"replicas": 0}, ParameterError, "replicas must be"),
        ({"tasks": [Sums(0)]}, ParameterError, "task sums has no items"),
    ],
)
def test_plans_that_make_no_sense(change: dict[str, Any], error: type[Exception], says: str) -> None:
    given: dict[str, Any] = {"tasks": [Sums()], **change}
    with pytest.raises(error, match=says):
        make_plan(given.pop("tasks"), make_arms(["plain"]), Context(model="scripted/none.json"), **given)


# -- the seams: turns, metrics, judges -----------------------------------------------------------------------------


class Interview(Task):
    """Two turns, two metrics, and a judge."""

    name = "interview"
    metrics = ("rubric", "turns")

    def items(self) -> Iterable[Item]:
        yield Item(id="a", messages=({"role": "user", "content": "Hello"},), data={"then": "And then?"})

    def check(self, item: Item, answer: str) -> Score:
        return Score(value=0.0)

    async def attempt(self, item: Item, solve: Solve) -> list[Result]:
        first = await solve(item.messages)
        said = [*item.messages, {"role": "assistant", "content": first.answer}]
        return [first, await solve([*said, {"role": "user", "content": item.data["then"]}])]

    async def score(self, item: Item, results: Sequence[Result], judge: Judge | None) -> dict[str, Score]:
        assert judge is not None
        verdict = await judge([{"role": "user", "content": f"Rate from 0 to 1: {results[-1].answer}"}])
        return {"rubric": Score(value=float(verdict.answer)), "turns": Score(value=len(results) / 2)}


async def test_tasks_with_turns_metrics_and_a_judge(server: LoopbackServer, tmp_path: Path) -> None:
    server.set(reply=[("And then", "the end"), ("Hello", "a beginning")])
    judge = ScriptedModel(["0.75"])
    comparison = await run(server, tmp_path, "plain", tasks=[Interview()], judge=Context(model=judge), twins=False)
    record = next(comparison.records())
    assert record.scores == {"rubric": 0.75, "turns": 1.0}
    assert record.answer == "the end"
    assert (record.spent.answers, record.judge.answers) == (2, 1)
    assert [e["prompt"][-1]["content"] for e in record.trace if e["event"] == "call"][-1].startswith("Rate from")


async def test_an_oracle_is_of_no_use_outside_a_comparison() -> None:
    with pytest.raises(CompositionError, match="use it in a comparison"):
        await Heart(verifier=Oracle()).arun("?", model=ScriptedModel(["!"]))
    with pytest.raises(CompositionError):
        read_as_task("?")


# -- workers in other processes ------------------------------------------------------------------------------------


@pytest.fixture
def sums_file(tmp_path: Path) -> Path:
    path = tmp_path / "sums.csv"
    rows = [f"How much is {i} and {i}?,{2 * i}" for i in range(24)]
    path.write_text("question,answer\n" + "\n".join(rows) + "\n")
    return path


def setup_for(server: LoopbackServer, sums_file: Path, folder: Path, arms: str) -> tuple[Setup, list[Any], list[Task]]:
    recipe = TaskRecipe(
        spec=f"csv:{sums_file}", columns={"input": "question", "target": "answer"}, options={"metric": "numeric"}
    )
    made = make_arms(split_arms(arms))
    folder.mkdir(exist_ok=True)
    setup = Setup(
        tasks=[recipe],
        arms={m.arm.label: m.arm.spec for m in made},
        context={"model": MODEL, "api_base": server.url, "temperature": 0.7, "concurrency": 4, "seed": 0},
        folder=str(folder),
    )
    return setup, made, recipe.load()


def numbers(comparison: Comparison) -> set[tuple[Any, ...]]:
    return {(r.item, r.arm, r.status, r.answer, r.scores["numeric"], r.spent.answers) for r in comparison.records()}


ARMS = "plain, gsa:2, heart:1[verifier=oracle]"


async def test_processes_find_the_same_as_one_process(sums_file: Path, tmp_path: Path) -> None:
    from emoagents.evaluation.processes import Processes

    with LoopbackServer(reply=knows_even) as server:
        setup, made, tasks = setup_for(server, sums_file, tmp_path / "many", ARMS)
        account = context(server, seed=0)
        one = await compare(tasks, made, account, tmp_path / "one")
        spent = server.stats.choices
        fleet: list[Processes] = []

        def workers() -> Processes:
            fleet.append(Processes(setup, 2))
            return fleet[-1]

        many = await compare(tasks, made, account, tmp_path / "many", workers=workers)
        assert server.stats.choices == 2 * spent
        assert numbers(many) == numbers(one)
        assert fleet[0].replaced == 0
        await compare(tasks, made, account, tmp_path / "many", workers=workers)
        assert server.stats.choices == 2 * spent


async def test_a_killed_process_is_replaced_and_nothing_is_lost(sums_file: Path, tmp_path: Path) -> None:
    from emoagents.evaluation.processes import Processes

    with LoopbackServer(reply=knows_even, latency_ms=5) as server:
        setup, made, tasks = setup_for(server, sums_file, tmp_path / "many", ARMS)
        fleet = Processes(setup, 2)
        plan = make_plan(tasks, made, context(server))
        seen: list[Record] = []

        def on_record(record: Record) -> None:
            seen.append(record)
            if len(seen) == 10:
                worker = next(w for w in fleet._workers if w is not None)
                worker._process.kill()

        done = await compare(
            tasks, made, context(server), tmp_path / "many", plan=plan, workers=lambda: fleet, on_record=on_record
        )
        assert fleet.replaced == 1
        assert Counter(r.key for r in done.records()) == Counter(
            (tasks[0].name, str(item.id), m.arm.label, 0) for item in tasks[0].items() for m in made
        )
        assert server.stats.answered <= _distinct(server) + 8


async def test_a_mistake_is_told_by_a_worker_as_by_the_process_itself(sums_file: Path, tmp_path: Path) -> None:
    from emoagents.evaluation.processes import Processes

    with LoopbackServer(rates={"401": 1.0}) as server:
        setup, made, tasks = setup_for(server, sums_file, tmp_path / "many", "plain")
        with pytest.raises(UsageError, match="refused"):
            await compare(tasks, made, context(server), tmp_path / "many", workers=lambda: Processes(setup, 2))


Workers = Callable[[object], Any]
