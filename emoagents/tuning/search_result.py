"""What a search found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from emoagents.context import Context
from emoagents.evaluation.task import Item
from emoagents.model.ledger import Usage
from emoagents.strategies.base import Strategy
from emoagents.tuning.choices import Configuration
from emoagents.tuning.search_journal import Made
from emoagents.tuning.search_plan import Round

if TYPE_CHECKING:
    from emoagents.evaluation.analysis.compare import Compared

__all__ = ["HeldOut", "Ranked", "SearchResult", "compared", "ranked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A configuration and what its runs came to.

    Attributes:
        n: items it was run on. mean: mean score, failed and unparsed runs as 0; None without any run.
        failed, unparsed: runs. error: why the last failed one did.
        answers: mean number of samples drawn from the model in a run: calls at one sample each.
        cost_usd: mean US dollars of a run; None where a price is unknown, or there is no run.
        usage: of all its runs.
        rounds: how many rounds it was in.
    """

    configuration: Configuration
    n: int
    mean: float | None
    failed: int
    unparsed: int
    error: str | None
    answers: float
    cost_usd: float | None
    usage: Usage
    rounds: int

    @property
    def strategy(self) -> Strategy:
        """The strategy with the configuration's values."""
        return self.configuration.strategy

    @property
    def context(self) -> Context:
        """The context with the configuration's values."""
        return self.configuration.context

    @property
    def label(self) -> str:
        """Its values in one line."""
        return self.configuration.label


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The best and the default on items that the search did not see.

    Attributes:
        best, default: on the held-out items. difference: best less default on the items that both have; None if there
            is no such item.
    """

    best: Ranked
    default: Ranked
    difference: Compared | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes:
        strategy_title: the strategy's own name. ranking: all configurations that were tried, the best first.
        default: the strategy as it was given.
        difference: best less default on the items that both have, with a 95 % interval; flattered, since the best was
            chosen on these very items. None where the default is the best, or they have no item in common.
        held_out: the same on fresh items, where some were given and the default is not the best.
        rounds: as they were planned.
        runs: made by this search, those that the journal had included; `resumed` of them it had. Held-out ones are
            counted, too.
        failed, unparsed: runs, of all configurations. last_error: why the last failed one did. usage: of all runs.
        stopped_by: "complete" or "budget": the best is then the best so far.
        total, left_out, refused, reason: combinations, see `Space`.
        notes: what there is to know, in sentences.
    """

    strategy_title: str
    ranking: tuple[Ranked, ...]
    default: Ranked
    difference: Compared | None
    held_out: HeldOut | None
    rounds: tuple[Round, ...]
    items: int
    runs: int
    resumed: int
    failed: int
    unparsed: int
    last_error: str | None
    usage: Usage
    stopped_by: Literal["complete", "budget"]
    total: int
    left_out: int
    refused: int
    reason: str
    metric: str
    seed: int
    notes: tuple[str, ...] = field(default=())

    @property
    def best(self) -> Ranked:
        """The configuration that won."""
        return self.ranking[0]


def ranked(configuration: Configuration, runs: Sequence[Made], rounds: int = 1) -> Ranked:
    """Sum up a configuration's runs."""
    n, usage = len(runs), sum((made.usage for made in runs), Usage())
    return Ranked(
        configuration=configuration,
        n=n,
        mean=sum(made.value for made in runs) / n if n else None,
        failed=sum(made.status == "failed" for made in runs),
        unparsed=sum(made.status == "unparsed" for made in runs),
        error=next((made.error for made in reversed(runs) if made.status == "failed"), None),
        answers=sum(made.answers for made in runs) / n if n else 0.0,
        cost_usd=None if usage.cost_usd is None or not n else usage.cost_usd / n,
        usage=usage,
        rounds=rounds,
    )


def compared(pairs: Sequence[tuple[Item, float, float]], seed: int) -> Compared | None:
    """Compare two columns of scores on the same items: test and interval are those of `emoagents compare`."""
    import numpy as np

    from emoagents.evaluation.analysis.compare import compare
    from emoagents.evaluation.analysis.resampling import generator

    if not pairs:
        return None
    first, second = (np.array([[pair[i] for pair in pairs]], dtype=np.float64) for i in (1, 2))
    names = [item.cluster or f"\0{item.id}" for item, _, _ in pairs]
    codes = np.unique(names, return_inverse=True)[1] if any(item.cluster for item, _, _ in pairs) else None
    return compare(
        [first],
        [second],
        single=True,
        alpha=0.05,
        resamples=10_000,
        flips=10_000,
        rng=generator(seed),
        clusters=[codes],
    )[0]
