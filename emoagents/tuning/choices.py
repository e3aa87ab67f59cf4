"""What may be chosen that is no text: parameters of a strategy, and how the context samples.

A card's table `[choices]` gives a parameter's name and the values to try; `choices=` of a search takes its place.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoagents.context import Context
from emoagents.errors import CompositionError, ParameterError, UnknownNameError
from emoagents.strategies.base import Strategy
from emoagents.tuning.choice_table import CONTEXT, Choices, declared_choices, is_setting, setting_of, table_of
from emoagents.tuning.configuration import Configuration, shown, told
from emoagents.tuning.places import place_of, value_at, with_values

__all__ = ["CONTEXT", "MOST", "Choices", "Configuration", "Space", "configurations", "declared_choices", "told"]

MOST = 10_000
"""Combinations that are looked at, and so configurations, at most."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a search may try.

    Attributes:
        configurations: the default first, then in the order given.
        total: combinations that there are. refused: of those looked at, how many the strategy refuses, the first
            because of `reason`. left_out: how many were not drawn.
        notes: what was decided on the way.
    """

    configurations: tuple[Configuration, ...]
    total: int
    refused: int = 0
    reason: str = ""
    left_out: int = 0
    notes: tuple[str, ...] = ()


def configurations(
    strategy: Strategy,
    context: Context,
    choices: Choices | None = None,
    *,
    most: int = MOST,
    seed: int = 0,
    also: Sequence[Strategy] = (),
) -> Space:
    """Return the configurations to try; nothing is asked of a model.

    Args:
        strategy, context: the default configuration, which is always the first.
        choices: what is tried, and nothing else; of names alone the cards' values; None: all that the cards declare.
            A value of "solver" may be a spec. What is given with its values must all have an effect; of what cards
            declare, a temperature without any is left out with a note.
        most: configurations at most; where there are more, they are drawn with the seed.
        also: strategies that are tried as they are.

    Raises:
        UsageError: a name or value is wrong, or there is nothing to choose.
    """
    table, notes = table_of(strategy, context, choices)
    maker = _Maker(strategy, context, table)
    room = most - 1 - len(also)
    if table and room < 1:
        raise ParameterError(f"there is room for {most} configurations only: give a larger number of runs")
    maker.draw(max(room, 0), seed)
    if isinstance(choices, Mapping) and maker.looked_at_all:
        maker.check_all_used()
    made = [maker.default, *(one for _, one in sorted(maker.made.items()))]
    others = [Configuration(one, context, {}, title=one.title) for one in also]
    numbered = tuple(_numbered(i, one) for i, one in enumerate([*made, *others]))
    if len(numbered) < 2:
        why = f"; {maker.refused} refused, the first because: {maker.reason}" if maker.refused else ""
        raise ParameterError(
            f"{strategy.title}: there is nothing to choose from{why}. Declare [choices] in a card, or give "
            "choices={'samples': [1, 3]}"
        )
    left_out = max(0, maker.total - len(maker.made) - maker.refused - maker.doubles - maker.default_unmet)
    return Space(numbered, maker.total, maker.refused, maker.reason, left_out, tuple(notes))


def _numbered(index: int, one: Configuration) -> Configuration:
    return Configuration(one.strategy, one.context, one.values, index, index == 0, one.title)


class _Maker:
    """Makes configurations of combinations, by number: those of equal values once, those refused not at all."""

    def __init__(self, strategy: Strategy, context: Context, table: Mapping[str, list[Any]]) -> None:
        self._strategy, self._context, self._table = strategy, context, table
        self._places = {name: place_of(strategy, name) for name in table if not is_setting(name)}
        self.total = math.prod(len(values) for values in table.values()) if table else 0
        self.default = Configuration(strategy, context, self._read(strategy, context))
        self.made: dict[int, Configuration] = {}
        self.refused, self.doubles, self.reason = 0, 0, ""
        self.looked_at_all = self._met_default = False
        self._seen = {self.default.key}
        self._used: set[tuple[str, int]] = set()

    def draw(self, most: int, seed: int) -> None:
        """Make at most so many, drawn at random where there are more."""
        looked = 0
        for number in self._order(most, seed):
            if len(self.made) >= most:
                break
            self._take(number)
            looked += 1
        self.looked_at_all = looked == self.total

    def _order(self, most: int, seed: int) -> Sequence[int]:
        if self.total <= most:
            return range(self.total)
        return random.Random(seed).sample(range(self.total), min(self.total, MOST))

    def _take(self, number: int) -> None:
        picks = dict(self._picks(number))
        values = {name: self._table[name][pick] for name, pick in picks.items()}
        try:
            one = self._made(values)
        except UnknownNameError as error:
            told_values = ", ".join(f"{name}={shown(values[name])}" for name in self._table)
            raise ParameterError(f"choices: {told_values}: {error}") from None
        except (ParameterError, CompositionError) as error:
            self.refused += 1
            self.reason = self.reason or str(error)
            return
        self._used.update(picks.items())
        self._met_default |= one.key == self.default.key
        if one.key in self._seen:
            self.doubles += 1
            return
        self._seen.add(one.key)
        self.made[number] = one

    def _picks(self, number: int) -> Iterator[tuple[str, int]]:
        """Yield the place of each name's value in a combination; the last name changes fastest."""
        for name in reversed(list(self._table)):
            number, pick = divmod(number, len(self._table[name]))
            yield name, pick

    def _made(self, values: Mapping[str, Any]) -> Configuration:
        parameters = {place: values[name] for name, place in self._places.items()}
        settings = {setting_of(name): value for name, value in values.items() if is_setting(name)}
        strategy = with_values(self._strategy, parameters)
        context = self._context.fresh(**settings) if settings else self._context
        return Configuration(strategy, context, self._read(strategy, context))

    def _read(self, strategy: Strategy, context: Context) -> dict[str, Any]:
        """Return the values as they are held, in the table's order."""
        return {
            name: getattr(context, setting_of(name)) if is_setting(name) else value_at(strategy, self._places[name])
            for name in self._table
        }

    @property
    def default_unmet(self) -> bool:
        """Whether the default is one of the combinations, and was not drawn as such; it is tried all the same."""
        held = {name: told(value) for name, value in self.default.values.items()}
        among = bool(held) and all(held[name] in map(told, values) for name, values in self._table.items())
        return among and not self._met_default

    def check_all_used(self) -> None:
        """See that each value stands in a combination that the strategy takes.

        Raises:
            ParameterError: one does not: it was asked for, and would never be tried.
        """
        for name, values in self._table.items():
            for pick, value in enumerate(values):
                if (name, pick) not in self._used:
                    raise ParameterError(f"choices: {name}={shown(value)} can't be tried: {self.reason}")
