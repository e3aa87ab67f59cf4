"""Emotional support: assess, choose one of eight strategies, reply in it; a crisis guard stands before all.

Strategies: ESConv (Liu et al., ACL 2021). Methods of choosing: Kang et al., ACL 2024, and one of ours. What it says to
a model is in `strategies/support.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Annotated, Any, ClassVar, Literal

from langgraph.graph import END
from pydantic import Field

from emoagents.card import Card
from emoagents.errors import ParameterError
from emoagents.model.request import Message
from emoagents.nodes.respond import conclude, new_message_id
from emoagents.nodes.support.assess import assess
from emoagents.nodes.support.guard import check_for_crisis, guard_of
from emoagents.nodes.support.methods import MethodName, select
from emoagents.nodes.support.prompter import Prompter
from emoagents.nodes.support.selection import Selection
from emoagents.nodes.support.settings import Probabilities, Settings
from emoagents.state import AnswerState, Update
from emoagents.step import Run, Step, step
from emoagents.strategies.base import Answering, CardSource, Wiring, parameters
from emoagents.support.conversation import METADATA, Conversation, conversation_of
from emoagents.support.crisis import CrisisGuard
from emoagents.support.debias import distribution_of, read_preferences
from emoagents.support.dialogue import Instance
from emoagents.support.planner import Planner, make_planner
from emoagents.support.retrieval import Examples, read_examples, shipped_examples

__all__ = ["SupportDialogue"]

_REFERENCES = 24
"""Example dialogues that a prior is measured on."""

NodeName = Literal["guard", "assess", "select", "respond"]


@parameters
class SupportDialogue(Answering):
    """Answer a person who looks for emotional support.

    Takes a conversation in which the seeker is the user; what is known of the seeker stands in a system message. The
    reply's `response_metadata["support"]` says what it was made with (strategy, stage, emotion ...), so that a
    checkpointer keeps it over turns. `stopped_by` is "crisis" where the guard replied. Not a medical device.

    Args:
        method: how the strategy is chosen: "vanilla", "direct_refine", "self_refine", "emotional_cot", "commonsense",
            "example_expansion", "planner", or "calibrated" (ours).
        assess: first assess emotion, intensity, problem and stage, by one call more.
        reply: write a reply; False: choose only, and the answer is the strategy's name.
        shots: examples before each choice; `example_expansion` takes 4 where it is 0.
        examples: a file of dialogues that examples are drawn from; None: the self-written ones that come with it.
        retrieval: "random" examples, as in the paper, or those of the most "similar" conversations.
        planner: for the method planner: a trained planner's file or folder, "uniform", "majority:Question", or an
            object with `distribution`.
        commonsense: for the method commonsense: a function from an utterance to texts for xReact, xIntent, xNeed,
            xEffect and xWant; None: the context's own model.
        prior: calibrated: the model's own preference, measured on example "dialogues" (24 short calls, once a thread)
            or on "content_free" texts (6), "none", "measure" (as dialogues, even where it is known), or a file that
            `emoagents support prior` or `support eval` wrote.
        strength: calibrated: how much of that preference is divided out, 0 to 1 (more overshoots).
        stage_strength: calibrated: how much less likely strategies are that are not typical of the assessed stage.
        probabilities: calibrated: from "logprobs", "samples", or "auto": what the model can.
        samples: calibrated: how many, where probabilities come from samples.
        turns: how many turns of the conversation are shown, counted from its end.
        guard: "on" (patterns), "model" (patterns, and the context's model is asked as well), "off", or a CrisisGuard.
        locale: whose help lines the guard names, as "en-GB" or "DE"; "auto": by the language it found.
        seed: of the examples that are drawn.
        card: a card or file that overrides part of the shipped one.

    Raises:
        ParameterError, UnknownNameError: a parameter's value is wrong. DataError: a file can't be read.
    """

    name: ClassVar[str] = "support"
    primary: ClassVar[str | None] = "method"
    pipes: ClassVar[bool] = False

    method: MethodName = "calibrated"
    assess: bool = True
    reply: bool = True
    shots: Annotated[int, Field(ge=0, le=64)] = 0
    examples: Path | None = None
    retrieval: Literal["random", "similar"] = "random"
    planner: Any = None
    commonsense: Any = None
    prior: Any = "dialogues"
    strength: Annotated[float, Field(ge=0, le=4)] = 1.0
    stage_strength: Annotated[float, Field(ge=0, le=10)] = 0.5
    probabilities: Probabilities = "auto"
    samples: Annotated[int, Field(ge=1, le=100)] = 8
    turns: Annotated[int, Field(ge=1)] = 15
    guard: Any = "on"
    locale: str = "auto"
    seed: int = 0
    card: CardSource = None

    def __post_init__(self) -> None:
        _ = self._watcher, self._chooser, self._shelf  # a file that can't be read is told before anything is paid
        if self.commonsense is not None and not callable(self.commonsense):
            raise ParameterError("commonsense must be a function from an utterance to texts, or None")
        object.__setattr__(self, "prior", _prior(self.prior))

    @property
    def nests(self) -> bool:
        """Whether another strategy may use this one as its solver: not with the guard on, whose reply must stand."""
        return self._watcher is None

    @property
    def asks(self) -> tuple[str, ...]:
        joint = {"direct_refine": ("refine",), "self_refine": ("feedback", "refine")}.get(self.method, ())
        ways = () if self.method in ("planner", "calibrated") else ("vanilla", *joint)
        before = {"emotional_cot": ("state",), "commonsense": ("commonsense",) if self.commonsense is None else ()}
        letter = () if self.probabilities == "samples" else ("letter",)
        drawn = () if self.probabilities == "logprobs" else ("vanilla_choice",)
        return (
            *(("assess",) if self.assess else ()),
            *before.get(self.method, ()),
            *(name if self.reply else f"{name}_choice" for name in ways),
            *((*letter, *drawn) if self.method == "calibrated" else ()),
            *(("respond", "respond_freely") if self.reply and not ways else ()),
        )

    # -- in a graph ----------------------------------------------------------------------------------------------

    def wire(self, wiring: Wiring) -> None:
        builder, first = wiring.builder, wiring.then("guard", self._guard)
        after = wiring.beside("select", self._select)
        if self.assess:
            builder.add_edge(wiring.beside("assess", self._assess), after)
        begin = "assess" if self.assess else after
        builder.add_conditional_edges(first, lambda s: END if s.get("stopped_by") else begin, [begin, END])
        builder.add_edge(after, wiring.beside("respond", self._respond))
        builder.add_edge("respond", END)

    def node(self, name: NodeName) -> Step:
        """Return one step as a node for a graph of yours.

        "guard" ends with `answer`, a message and `stopped_by` "crisis" where there is a sign of one, else changes
        nothing. "assess" writes `assessment`, "select" reads it where it is there and writes `selection`, "respond"
        reads that and writes `answer` and a message. All are plain dicts; `emoagents.state.SupportState` has them.
        """
        steps = {"guard": self._guard, "assess": self._assess, "select": self._select, "respond": self._respond}
        return step(steps[name])

    def expected_calls(self) -> str:
        parts = [f"{count} {what}" for what, count in self._parts() if count]
        total = sum(count for _, count in self._parts())
        return f"{total} ({' + '.join(parts)})" if len(parts) > 1 else str(total)

    def _parts(self) -> list[tuple[str, int]]:
        joint = {"vanilla": 1, "direct_refine": 2, "self_refine": 3, "emotional_cot": 2, "example_expansion": 1}
        choosing = joint.get(self.method, 1)
        if self.method == "commonsense":
            choosing = 2 if self.commonsense is None else 1
        if self.method == "planner":
            choosing = 0
        apart = self.reply and self.method in ("planner", "calibrated")
        measured = {"content_free": 6, "dialogues": _REFERENCES, "measure": _REFERENCES}.get(str(self.prior), 0)
        if self.method == "calibrated" and self.probabilities == "samples":
            choosing, measured = self.samples, min(measured, 1) * _REFERENCES
        return [
            ("crisis check", int(self.guard == "model")),
            ("assessment", int(self.assess)),
            ("choice", choosing),
            ("preference, once a conversation", measured if self.method == "calibrated" else 0),
            ("reply", int(apart)),
        ]

    # -- the steps -----------------------------------------------------------------------------------------------

    async def _guard(self, state: AnswerState, run: Run) -> Update:
        guard = self._watcher
        return {} if guard is None else await check_for_crisis(state, run, guard, ask_model=self.guard == "model")

    async def _assess(self, state: AnswerState, run: Run) -> Update:
        return {"assessment": await assess(self._prompter(state), run)}

    async def _select(self, state: AnswerState, run: Run) -> Update:
        return {"selection": asdict(await select(self._prompter(state), run, self.method, self._settings))}

    async def _respond(self, state: AnswerState, run: Run) -> Update:
        selection = Selection(**(state.get("selection") or {"strategy": None, "method": ""}))
        notes = _notes(selection, state.get("assessment"))
        if not self.reply:
            stopped_by = "complete" if selection.strategy else "unparsed"
            return conclude(run, selection.strategy or "", stopped_by=stopped_by, metadata={METADATA: notes})
        if selection.reply is not None:
            return conclude(run, selection.reply, stopped_by="complete", metadata={METADATA: notes})
        message_id = new_message_id()
        prompt = self._asked(self._prompter(state), selection)
        reply = await run.ask_one(prompt, message_id=message_id)
        return conclude(run, reply, stopped_by="complete", message_id=message_id, metadata={METADATA: notes})

    def _asked(self, prompter: Prompter, selection: Selection) -> list[Message]:
        chosen = selection.strategy
        if chosen is None:
            return prompter.prompt("respond_freely")
        return prompter.prompt("respond", strategy=chosen, meaning=self._card.render(chosen))

    # -- what the steps stand on ---------------------------------------------------------------------------------

    @property
    def _card(self) -> Card:
        assert isinstance(self.card, Card)
        return self.card

    def _prompter(self, state: AnswerState) -> Prompter:
        conversation = conversation_of(state["messages"])
        if not conversation.turns:
            raise ParameterError("there is nothing to answer: none of the messages is the seeker's")
        return Prompter(
            card=self._card,
            conversation=conversation,
            turns=self.turns,
            reply=self.reply,
            assessment=state.get("assessment"),
        )

    @cached_property
    def _watcher(self) -> CrisisGuard | None:
        return guard_of(self.guard, self.locale)

    @cached_property
    def _chooser(self) -> Planner | None:
        return make_planner(self.planner) if self.method == "planner" else None

    @cached_property
    def _settings(self) -> Settings:
        return Settings(
            shots=self.shots,
            samples=self.samples,
            strength=self.strength,
            stage_strength=self.stage_strength,
            probabilities=self.probabilities,
            prior=self.prior,
            planner=self._chooser,
            commonsense=self.commonsense,
            draw_examples=self._drawn,
            references=self._references,
        )

    @cached_property
    def _shelf(self) -> Examples:
        return shipped_examples() if self.examples is None else read_examples(self.examples)

    def _drawn(self, conversation: Conversation, count: int) -> Sequence[Instance]:
        apart = conversation.dialogue
        if self.retrieval == "similar":
            return self._shelf.similar(conversation.turns, count, exclude_dialogue=apart)
        key = "\n".join(turn.text for turn in conversation.turns)
        return self._shelf.random(count, key, self.seed, exclude_dialogue=apart)

    def _references(self) -> Sequence[Instance]:
        found = self._shelf.instances
        return Random(self.seed).sample(found, min(_REFERENCES, len(found)))


def _prior(given: Any) -> Any:
    """Return where the model's own preference comes from, read where it is a file or a mapping."""
    if given in ("content_free", "dialogues", "measure", "none"):
        return given
    if isinstance(given, Mapping):
        return distribution_of(given)
    if isinstance(given, str | Path):
        return read_preferences(Path(given))
    raise ParameterError(f"prior must be content_free, dialogues, none, or a file of preferences, not {given!r:.80}")


def _notes(selection: Selection, assessment: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a reply was made with, as its message keeps it."""
    made = {
        **(assessment or {}),
        "strategy": selection.strategy,
        "method": selection.method,
        "reason": selection.reason,
        "distribution": selection.distribution,
        **(selection.facts or {}),
    }
    return {name: value for name, value in made.items() if value not in (None, "")}
