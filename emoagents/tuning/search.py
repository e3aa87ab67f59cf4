"""Search: which of the ways to set a strategy's parameters works best for a task and a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from emoagents.context import Context
from emoagents.errors import ParameterError, RunError
from emoagents.evaluation.extra import require_evaluation
from emoagents.evaluation.report.words import plural
from emoagents.evaluation.task import Item
from emoagents.model.budget import Hold
from emoagents.model.ledger import Usage
from emoagents.strategies.base import Strategy
from emoagents.tuning.choices import Choices, Configuration, Space, configurations
from emoagents.tuning.metric_task import metric_name
from emoagents.tuning.metrics import Metric
from emoagents.tuning.search_journal import Made, SearchJournal, identity_of, item_key
from emoagents.tuning.search_plan import Round, in_order, most_configurations, plan_rounds
from emoagents.tuning.search_result import HeldOut, Ranked, SearchResult, compared, ranked
from emoagents.tuning.search_run import Runner

__all__ = ["OnEvent", "search"]

OnEvent: TypeAlias = Callable[[dict[str, Any]], None]


async def search(
    strategy: Strategy,
    items: Iterable[Item],
    metric: Metric,
    context: Context,
    *,
    choices: Choices | None = None,
    runs: int = 200,
    seed: int = 0,
    also: Sequence[Strategy] = (),
    held_out: Iterable[Item] = (),
    on_event: OnEvent | None = None,
    journal: str | Path | None = None,
) -> SearchResult:
    """Find the configuration of a strategy that scores best on items, with a budget of runs.

    The rule is Sequential Halving (Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits", ICML
    2013, PMLR 28(3):1238-1246): with T runs and n configurations there are ceil(log2 n) rounds; in each, every
    surviving configuration is run on the next floor(T / (survivors x k)) items, and the better half, rounded up, goes
    on; k is the number of rounds, or less where the items run out (see `plan_rounds`). "Better" is the mean score over
    all items so far, so that no run is thrown away; ties go to fewer answers drawn from the model, then to the order
    given, the default first. All survivors meet the same items, in one order drawn with the seed, and none is asked
    twice; what is left over of T is said. Where T reaches for all items of all configurations, everything is measured
    in one round. Where T has no room for one item a configuration in the first round, as many configurations as it has
    room for are drawn with the seed. The default is always among them.

    Args:
        strategy, context: the default. All runs draw on one budget, the context's, earlier runs of the journal
            included; at most `context.concurrency` run side by side.
        items: what is asked; ids are unique. metric: what an answer is worth.
        choices: names and values, or names alone (see `configurations`); None: what the cards declare.
        runs: T, runs of a strategy on an item; those on held-out items come on top.
        seed: of the items' order and of configurations that are drawn.
        also: strategies that are tried beside the choices as they are, as Plain().
        held_out: items for measuring the best against the default afresh, once the search has ended.
        on_event: told what happens, in dicts: "begin", "round", "run", "ranked", "held_out", "end" (docs/choices.md).
        journal: a file to which each run is appended; with it a search that was killed goes on, and one with more runs
            or other choices asks only for what is new, and again for what failed.

    A run that fails, or whose metric fails, scores 0 and is counted; one of which nothing can be read scores 0 and is
    counted apart.

    Raises:
        UsageError: a name, a value, the journal or the items are wrong, nothing being paid then; or a run met the
            caller's mistake, as a missing key. BudgetExceeded: the budget ended before there was any score.
        RunError: every run failed. MissingExtraError: the extra "evaluation" is not installed.
    """
    require_evaluation()
    order, fresh = in_order(list(items), seed), list(held_out)
    if isinstance(runs, bool) or not isinstance(runs, int):
        raise ParameterError(f"runs must be a whole number, not {runs!r}")
    most = most_configurations(len(order), runs)
    space = configurations(strategy, context, choices, most=most, seed=seed, also=also)
    identity = identity_of(strategy, context, order, metric_name(metric), seed)
    with SearchJournal(None if journal is None else Path(journal), identity) as kept:
        rounds = plan_rounds(len(space.configurations), len(order), runs)
        whole = _Search(space, order, fresh, metric, context, kept, rounds, runs - sum(one.runs for one in rounds))
        return await whole.run(seed, on_event or _ignore)


def _ignore(_: dict[str, Any]) -> None:
    return None


class _Search:
    """One search, from its first round to its result."""

    def __init__(
        self,
        space: Space,
        order: Sequence[Item],
        fresh: Sequence[Item],
        metric: Metric,
        context: Context,
        journal: SearchJournal,
        rounds: Sequence[Round],
        unused: int,
    ) -> None:
        self._space, self._order, self._fresh, self._rounds = space, order, fresh, rounds
        self._metric, self._journal, self._unused = metric, journal, unused
        pooled = context if context.pool is not None else context.pooled(_spent(journal.usage))
        self._runner = Runner(pooled, metric, journal, self._on_made)
        self._lasted = dict.fromkeys((one.index for one in space.configurations), 0)
        self._ranking: list[Configuration] = []
        self._tell: OnEvent = _ignore

    async def run(self, seed: int, tell: OnEvent) -> SearchResult:
        self._tell = tell
        tell({"event": "begin", **self._facts(), "runs": sum(one.runs for one in self._rounds)})
        survivors, dropped = list(self._space.configurations), list[Configuration]()
        for number, one in enumerate(self._rounds, 1):
            survivors = await self._round(number, one, survivors)
            if self._runner.ended:
                break
            keep = (len(survivors) + 1) // 2 if number < len(self._rounds) else len(survivors)
            survivors, dropped = survivors[:keep], [*survivors[keep:], *dropped]
        self._ranking = [*survivors, *dropped]
        self._check_any()
        held_out = await self._measured_afresh(seed)
        result = self._result(seed, held_out)
        tell({"event": "end", "best": result.best.label, "stopped_by": result.stopped_by, "runs": result.runs})
        return result

    # -- rounds --------------------------------------------------------------------------------------------------

    async def _round(self, number: int, one: Round, survivors: list[Configuration]) -> list[Configuration]:
        """Run a round and return its configurations, the best first."""
        labels = [configuration.label for configuration in survivors]
        self._tell(
            {"event": "round", "round": number, "survivors": labels, "items": one.end - one.start, "runs": one.runs}
        )
        for configuration in survivors:
            self._lasted[configuration.index] = number
        await self._runner.run(survivors, self._order[one.start : one.end])
        best_first = self._best_first(survivors)
        means = [[c.label, self._ranked(c).mean] for c in best_first]
        self._tell({"event": "ranked", "round": number, "ranking": means})
        return best_first

    def _best_first(self, survivors: Sequence[Configuration]) -> list[Configuration]:
        """Order by what they scored on the items that all of them have; where there is none yet, on their own."""
        found = {c.index: self._runs(c) for c in survivors}
        common = set.intersection(*({made.item for made in runs} for runs in found.values()))

        def rank(c: Configuration) -> tuple[float, ...]:
            runs = [made for made in found[c.index] if made.item in common or not common]
            if not runs:
                return (1, 0, 0, c.index)
            return (0, -_mean(made.value for made in runs), _mean(made.answers for made in runs), c.index)

        return sorted(survivors, key=rank)

    def _runs(self, configuration: Configuration) -> list[Made]:
        runs = (self._runner.of(configuration, item) for item in self._order)
        return [made for made in runs if made is not None]

    def _ranked(self, configuration: Configuration) -> Ranked:
        return ranked(configuration, self._runs(configuration), self._lasted[configuration.index])

    def _check_any(self) -> None:
        made = list(self._runner.made.values())
        if not made:
            raise self._runner.ended or RunError("no run was made")
        if all(one.status == "failed" for one in made):
            raise RunError(f"every run of every configuration failed, the last because: {made[-1].error}")

    # -- held-out items ------------------------------------------------------------------------------------------

    async def _measured_afresh(self, seed: int) -> HeldOut | None:
        best, default = self._ranking[0], self._space.configurations[0]
        if not self._fresh or best.is_default:
            return None
        self._tell({"event": "held_out", "runs": 2 * len(self._fresh), "items": len(self._fresh)})
        if not self._runner.ended:
            await self._runner.run([best, default], self._fresh)
        sums = [
            ranked(one, [made for item in self._fresh if (made := self._runner.of(one, item))])
            for one in (best, default)
        ]
        return HeldOut(best=sums[0], default=sums[1], difference=self._difference(best, default, self._fresh, seed))

    def _difference(self, one: Configuration, other: Configuration, items: Sequence[Item], seed: int) -> Any:
        pairs = [
            (item, a.value, b.value)
            for item in items
            if (a := self._runner.of(one, item)) is not None and (b := self._runner.of(other, item)) is not None
        ]
        return compared(pairs, seed)

    # -- the result ----------------------------------------------------------------------------------------------

    def _result(self, seed: int, held_out: HeldOut | None) -> SearchResult:
        ranking = tuple(self._ranked(one) for one in self._ranking)
        best, default = self._ranking[0], self._space.configurations[0]
        made = list(self._runner.made.values())
        return SearchResult(
            strategy_title=default.strategy.title,
            ranking=ranking,
            default=next(one for one in ranking if one.configuration.is_default),
            difference=None if best.is_default else self._difference(best, default, self._order, seed),
            held_out=held_out,
            rounds=tuple(self._rounds),
            items=len(self._order),
            runs=len(made),
            resumed=sum(self._journal.made.get(key) is one for key, one in self._runner.made.items()),
            failed=sum(one.status == "failed" for one in made),
            unparsed=sum(one.status == "unparsed" for one in made),
            last_error=next((one.error for one in reversed(made) if one.status == "failed"), None),
            usage=sum((one.usage for one in made), Usage()),
            stopped_by="budget" if self._runner.ended else "complete",
            total=self._space.total,
            left_out=self._space.left_out,
            refused=self._space.refused,
            reason=self._space.reason,
            metric=metric_name(self._metric),
            seed=seed,
            notes=tuple(self._notes(ranking, held_out)),
        )

    def _notes(self, ranking: Sequence[Ranked], held_out: HeldOut | None) -> Iterable[str]:
        yield from self._space.notes
        if self._runner.ended:
            yield "The budget ended before the search did: this is the best so far."
        if self._unused:
            yield f"Not needed of the runs allowed: {self._unused:,}, for {self._why_unused()}."
        if self._space.left_out:
            yield f"{self._space.left_out:,} of {self._space.total:,} combinations were not drawn: more runs try more."
        if self._space.refused:
            yield f"The strategy refuses {self._space.refused:,} combinations, the first because: {self._space.reason}"
        if self._fresh and ranking[0].configuration.is_default:
            yield "The default is the best, so the held-out items were not asked."
        elif held_out is None and not ranking[0].configuration.is_default:
            yield (
                "The best was chosen on the very items that it is scored on, which flatters it: of many configurations "
                "one is lucky. Held-out items say what it is worth."
            )
        seen = {item_key(item) for item in self._order}
        if doubles := sum(item_key(item) in seen for item in self._fresh):
            yield f"{doubles} of the held-out items are among those that the search saw: leave them out."

    def _why_unused(self) -> str:
        if len(self._rounds) == 1:
            return "every configuration was run on every item"
        if self._rounds[-1].end == len(self._order):
            return f"the last survivors were run on all {plural(len(self._order), 'item')}"
        return "they are too few for another item a configuration"

    # -- events --------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        space = self._space
        return {
            "configurations": [one.label for one in space.configurations],
            "total": space.total,
            "left_out": space.left_out,
            "refused": space.refused,
            "resumed": len(self._journal.made),
        }

    def _on_made(self, configuration: Configuration, item: Item, made: Made) -> None:
        run = {"configuration": configuration.label, "item": item.id, "status": made.status, "value": made.value}
        self._tell({"event": "run", **run, "error": made.error, "by_metric": made.by_metric})


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return round(sum(found) / len(found), 12)  # sums of the same numbers in another order are ties


def _spent(usage: Usage) -> Hold:
    """Return what earlier runs took of the budget."""
    return Hold(usage.calls, usage.prompt_tokens + usage.completion_tokens, usage.cost_usd or 0.0)
