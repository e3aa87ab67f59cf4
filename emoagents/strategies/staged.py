"""Staged: a strategy that is written as a card alone, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from langgraph.graph import END
from pydantic import Field

from emoagents.card import Card, open_card
from emoagents.card.outline import Outline, outline_of
from emoagents.card.stages import Stage
from emoagents.errors import CardError, did_you_mean
from emoagents.nodes.respond import conclude, new_message_id, prompt_of
from emoagents.nodes.staged.answer import Question
from emoagents.nodes.staged.scene import Scene
from emoagents.nodes.staged.stage import run_stage
from emoagents.nodes.support.guard import check_for_crisis, guard_of
from emoagents.state import AnswerState, Update
from emoagents.step import Run, StepFunction
from emoagents.strategies.base import Answering, Strategy, Wiring, parameters
from emoagents.support.crisis import CrisisGuard

__all__ = ["Staged"]

_DEFAULTS = ("turns", "guard", "locale")


class _OfCard(type(Strategy)):  # type: ignore[misc]
    """Makes a strategy of a card: its name, its file, or what the file holds."""

    def __call__(cls, card: Any, **parameters: Any) -> Any:
        read = open_card(card, graph="staged")
        for name in read.defaults:
            if name not in _DEFAULTS:
                raise CardError(read.name, f"defaults.{name}", f"unknown key{did_you_mean(name, _DEFAULTS)}")
        return super().__call__(card=read, **parameters)


@parameters
class Staged(Answering, metaclass=_OfCard):
    """Answer in the stages of a card with `graph = "staged"`.

    Each stage is a node that asks for its fields once, or once for each text of a list, and the stages that it reads
    come before it; those that do not read each other run side by side. What does not fit is asked for again once. Only
    the card's `reply`, a field of the last stage, becomes the answer; all fields are in the trace (`stage`).

    Args:
        card: a shipped card's name, a file, what a file holds, or a Card. Where a spec has named the card already, a
            card or file that overrides part of it.
        turns: how many messages of the conversation are shown, counted from its end.
        guard: before all stages, what the person wrote is looked at for signs of a crisis: "on" (patterns), "model"
            (patterns, and the context's model is asked as well), "off", or a CrisisGuard.
        locale: whose help lines the guard names, as "en-GB" or "DE"; "auto": by the language it found.

    Raises:
        CardError: the card does not load, is wrong, or has no stages.
        ParameterError, UnknownNameError: a parameter's value is wrong.
    """

    name: ClassVar[str] = "staged"
    primary: ClassVar[str | None] = None

    card: Card | str | Path | Mapping[str, Any]
    turns: Annotated[int, Field(ge=1)] = 15
    guard: Any = "on"
    locale: str = "auto"

    def __post_init__(self) -> None:
        _ = self._watcher  # a mistake is told before anything is paid

    @property
    def nests(self) -> bool:
        """Whether another strategy may use this one as its solver: not with the guard on, whose reply must stand."""
        return self._watcher is None

    @property
    def title(self) -> str:
        return self._card.name

    @property
    def own_roles(self) -> tuple[str, ...]:  # type: ignore[override]
        """The roles of its stages."""
        return tuple(stage.role for stage in self._card.stages if stage.role is not None)

    @property
    def asks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(stage.prompt for stage in self._card.stages))

    # -- in a graph ----------------------------------------------------------------------------------------------

    def wire(self, wiring: Wiring) -> None:
        builder, outline = wiring.builder, self._outline
        first = wiring.then("begin" if self._watcher is None else "guard", self._begin)
        nodes = {id: _free_name(id, builder.nodes) for id in outline.stages}
        for id, stage in outline.stages.items():
            wiring.beside(nodes[id], self._step(stage))
            if stage.reads:
                builder.add_edge([nodes[read] for read in stage.reads], nodes[id])
        roots = [nodes[id] for id, stage in outline.stages.items() if not stage.reads]
        builder.add_conditional_edges(first, lambda s: END if s.get("stopped_by") else roots, [*roots, END])
        read = {id for stage in outline.stages.values() for id in stage.reads}
        for id in outline.stages.keys() - read:
            builder.add_edge(nodes[id], END)

    def expected_calls(self) -> str:
        fixed = [1 if stage.for_each is None else self._items(stage) for stage in self._card.stages]
        checked = int(self.guard == "model")
        least = checked + sum(
            1 if count is None else count
            for stage, count in zip(self._card.stages, fixed, strict=True)
            if stage.when is None and not (count is None and self._may_be_none(stage))
        )
        parts = [*(["crisis check"] if checked else []), *map(self._told, self._card.stages, fixed)]
        most = None if None in fixed else checked + sum(count or 0 for count in fixed)
        total = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        return f"{total} ({' + '.join(parts)})" if len(parts) > 1 else total

    def _told(self, stage: Stage, count: int | None) -> str:
        often = "" if stage.for_each is None else f" for each of {'' if count is None else f'{count} '}{stage.for_each}"
        return f"{stage.id}{often}{'' if stage.when is None else f' where {stage.when.field} asks for it'}"

    def _items(self, stage: Stage) -> int | None:
        labels = self._card.lists.get(stage.for_each or "")
        return None if labels is None else len(labels.values)

    def _may_be_none(self, stage: Stage) -> bool:
        """Whether the list that a stage goes through can be empty."""
        name = stage.for_each or ""
        if name not in self._outline.home:
            return False
        home = self._outline.stages[self._outline.home[name]]
        return home.may_be_empty or not self._outline.field(name).minimum

    # -- the steps -----------------------------------------------------------------------------------------------

    async def _begin(self, state: AnswerState, run: Run) -> Update:
        guard = self._watcher
        found: Update = {"stopped_by": None}
        if guard is not None:
            found = await check_for_crisis(state, run, guard, ask_model=self.guard == "model")
        return found

    def _step(self, stage: Stage) -> StepFunction:
        question, last = self._questions[stage.id], stage.id == self._outline.last.id

        async def ask(state: AnswerState, run: Run) -> Update:
            message_id = new_message_id() if last else None
            shown = message_id if question.free else None
            outcome, reply = await run_stage(run, question, self._scene(state, stage), last=last, message_id=shown)
            update: Update = {"stages": {stage.id: asdict(outcome)}}
            if not last or reply is None:
                return update
            answer = replace(reply, text=outcome.fields[self._card.reply or ""])
            ending = conclude(run, answer, stopped_by="complete", message_id=message_id, role=stage.role)
            return {**update, **ending}

        ask.__name__ = stage.id
        return ask

    def _scene(self, state: AnswerState, stage: Stage) -> Scene:
        made = state.get("stages") or {}
        known = {name: value for id in stage.reads for name, value in made[id]["fields"].items()}
        return Scene(card=self._card, prompt=prompt_of(state), turns=self.turns, known=known)

    # -- what the steps stand on ---------------------------------------------------------------------------------

    @property
    def _card(self) -> Card:
        assert isinstance(self.card, Card)
        return self.card

    @cached_property
    def _outline(self) -> Outline:
        return outline_of(self._card)

    @cached_property
    def _questions(self) -> dict[str, Question]:
        outline = self._outline
        return {id: Question.of(stage, outline.fields[id]) for id, stage in outline.stages.items()}

    @cached_property
    def _watcher(self) -> CrisisGuard | None:
        return guard_of(self.guard, self.locale)


def _free_name(wanted: str, taken: Mapping[str, Any]) -> str:
    """Return a node's name that no strategy before this one has taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name
