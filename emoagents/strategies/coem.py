"""CoEM, Collaborative Emotional Modeling: staged reading of long texts (LongEmotion, Liu et al., arXiv 2509.07403).

What it says to a model, and the parameters of each kind of task, are in `strategies/coem.toml`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from langgraph.graph import END
from pydantic import BeforeValidator
from pydantic import Field as Bounded

from emoagents.asked import ASK
from emoagents.card import Card
from emoagents.errors import DataError, ParameterError
from emoagents.fields import Field
from emoagents.files import NOT_UTF8, unreadable
from emoagents.nodes.coem.chunk import chunk
from emoagents.nodes.coem.enrich import enrich
from emoagents.nodes.coem.ensemble import ensemble
from emoagents.nodes.coem.material import spoken
from emoagents.nodes.coem.rank import rank, rerank
from emoagents.nodes.coem.settings import Arm, Preset, Settings
from emoagents.nodes.support.guard import GUARDS, check_for_crisis, guard_of
from emoagents.retrieval import Corpus, make_ranker
from emoagents.state import AnswerState, Update
from emoagents.step import Run, Step, StepFunction, step
from emoagents.strategies.base import Answering, CardSource, Wiring, parameters
from emoagents.support.crisis import CrisisGuard

__all__ = ["CoEM"]

NodeName = Literal["guard", "chunk", "rank", "enrich", "rerank", "ensemble"]

_STAGES: Mapping[Arm, tuple[NodeName, ...]] = {
    "base": ("ensemble",),
    "rag": ("chunk", "rank", "ensemble"),
    "coem": ("chunk", "rank", "enrich", "rerank", "ensemble"),
}


@parameters
class CoEM(Answering):
    """Answer with a long text in view: chunk, rank, enrich, rank again, answer.

    The material is a document, the conversation's earlier turns, or the model's own earlier replies. A document is
    given as `documents`, or as all parts but the last of a user message whose content is a list of texts, be it this
    message or an earlier one. Where there are several turns and no document, the conversation is the material; in one
    message of one text, the last paragraph is the question (of a long text without paragraphs, the last line) and what
    stands before it the document.

    Three roles may be three models: `Context(models={"rank": ..., "sage": ..., "core": ...})`. Rank is an embedding
    model; without one, the embedded one. Sage and Core without one are the context's model.

    Args:
        arm: "coem" (all five stages), "rag" (chunk, rank, answer) or "base" (answer), the paper's three.
        preset: the kind of task: "document", "chat", the paper's "classification", "detection", "qa", "conversation"
            (counselling), "summary" and "expression", "financial" (classification of Finentity), or "auto": as the item
            says, else a document or a chat, as above.
        enrich: ask Sage; False leaves that stage out.
        rerank: rank again; False leaves that stage out.
        ranker: "dense", "bm25" (no model), "hybrid" (both, reciprocal rank fusion), or an object with `scores`.
        reranker: the same for the second ranking; None: as the first.
        chunk: tokens of a chunk at most; None: as the preset says, and so below.
        overlap: tokens that a chunk shares with the one before; None: of a smaller chunk the same part.
        first: passages that the first ranking leaves; 0: all. None: at least `keep`.
        keep: passages in the end.
        order: of the passages before Core: as in the "document", or by "score".
        tokenizer: what counts tokens of chunks (see emoagents.retrieval).
        window: tokens of Core's request and its answer at most, where that shall be less than the model has room for.
        documents: a file to read, or several; UTF-8 text.
        corpus: an `emoagents.retrieval.Corpus`, or its file, that is searched instead, by the ranker's name (hybrid
            for one of your own).
        answer: fields of the answer, which is then a JSON object; else free text, or as an item says.
        guard: before what a person says: "on" (patterns), "model" (a model is asked as well), "off", or a CrisisGuard.
            Material is not looked at where a preset of documents is named; with "auto", all of a message is.
        locale: whose help lines the guard names, as "en-GB" or "DE"; "auto": by the language it found.
        card: a card or file that overrides part of the shipped one.

    A passage whose enrichment fails goes on as it is, which the trace tells; so it does of what was cut off where all
    does not fit into Core's context. `stopped_by` is "unparsed" where the answer has not the fields asked for.

    Raises:
        ParameterError, UnknownNameError: a parameter's value is wrong. DataError: a document can't be read.
    """

    name: ClassVar[str] = "coem"
    primary: ClassVar[str | None] = "arm"
    pipes: ClassVar[bool] = False
    own_roles: ClassVar[tuple[str, ...]] = ("rank", "sage", "core")

    arm: Arm = "coem"
    preset: str = "auto"
    enrich: bool = True
    rerank: bool = True
    ranker: Any = "dense"
    reranker: Any = None
    chunk: Annotated[int, Bounded(ge=1)] | None = None
    overlap: Annotated[int, Bounded(ge=0)] | None = None
    first: Annotated[int, Bounded(ge=0)] | None = None
    keep: Annotated[int, Bounded(ge=1)] | None = None
    order: Literal["document", "score"] = "document"
    tokenizer: Any = "cl100k_base"
    window: Annotated[int, Bounded(ge=1)] | None = None
    documents: Annotated[tuple[Path, ...], BeforeValidator(lambda given: _listed(given))] = ()
    corpus: Any = None
    answer: tuple[Field, ...] = ()
    guard: Any = "on"
    locale: str = "auto"
    card: CardSource = None

    def __post_init__(self) -> None:
        settings = self._settings  # a document that can't be read is told before anything is paid
        settings.check()
        if self.guard not in GUARDS or self.locale != "auto":
            _ = self._watcher  # says what is wrong with it
        if self.corpus is not None and self.documents:
            raise ParameterError("documents and corpus: give one of them; a corpus is searched instead of documents")

    @property
    def nests(self) -> bool:
        """Whether another strategy may use this one as its solver: not with the guard on, whose reply must stand."""
        return bool(self.guard == "off")

    @property
    def roles(self) -> frozenset[str]:
        """All roles by which it asks; a corpus may have been embedded by another one than Rank."""
        return super().roles.union(self._settings.corpus.roles if self._settings.corpus else ())

    @property
    def asks(self) -> tuple[str, ...]:
        names = ("document", "chat") if self.preset == "auto" else (self.preset,)
        presets = [self._settings.preset(name) for name in names]
        if self.arm == "base" or presets[0].source == "nothing":
            return ("base", ASK) if any(preset.source == "document" for preset in presets) else (ASK,)
        sages = (preset.sage for preset in presets if self._settings.enriches(preset))
        found = self.corpus is not None and not self.documents
        cores = ("core_found" if found and preset.source == "document" else preset.core for preset in presets)
        return tuple(dict.fromkeys([*sages, *cores]))

    # -- in a graph ----------------------------------------------------------------------------------------------

    def wire(self, wiring: Wiring) -> None:
        stages = self._stages
        if self.guard == "off":
            for name in stages:
                wiring.then(name, self._steps[name])
            wiring.end()
            return
        builder, before = wiring.builder, wiring.then("guard", self._steps["guard"])
        for name in stages:
            wiring.beside(name, self._steps[name])
        builder.add_conditional_edges(before, lambda s: END if s.get("stopped_by") else stages[0], [stages[0], END])
        for one, following in zip(stages, [*stages[1:], END], strict=True):
            builder.add_edge(one, following)

    def node(self, name: NodeName) -> Step:
        """Return one stage as a node for a graph of yours, whose state has the channel `retrieval` (a plain dict).

        "chunk" writes it; "rank", "enrich" and "rerank" read and write it; "ensemble" reads it where it is there and
        writes `answer` and a message. "guard" ends as in `SupportDialogue.node`. `emoagents.state.RetrievalState` has
        all channels.
        """
        return step(self._steps[name])

    def expected_calls(self) -> str:
        preset = self._settings.preset("document" if self.preset == "auto" else self.preset)
        sage = self._sage_calls(preset)
        if self.preset == "auto" and sage:
            return f"{sage + 1} of a document ({sage} enrichments + 1 answer)"
        return f"{sage + 1} ({sage} enrichments + 1 answer)" if sage else "1"

    def _sage_calls(self, preset: Preset) -> int:
        if not self._settings.enriches(preset):
            return 0
        if preset.enrich == "together":
            return 1
        return (preset.first if self._settings.reranks(preset) else preset.keep) * max(1, len(preset.queries))

    @property
    def _stages(self) -> tuple[NodeName, ...]:
        left_out = {"enrich": not self.enrich, "rerank": not self.rerank}
        return tuple(name for name in _STAGES[self.arm] if not left_out.get(name))

    @cached_property
    def _steps(self) -> Mapping[NodeName, StepFunction]:
        return {
            "guard": self._guard,
            "chunk": _with(chunk, self._settings),
            "rank": _with(rank, self._settings),
            "enrich": _with(enrich, self._settings),
            "rerank": _with(rerank, self._settings),
            "ensemble": _with(ensemble, self._settings),
        }

    async def _guard(self, state: AnswerState, run: Run) -> Update:
        guard = await asyncio.to_thread(lambda: self._watcher)  # reads its patterns the first time
        if guard is None:
            return {}
        said: AnswerState = {**state, "messages": spoken(state["messages"], self._settings)}
        return await check_for_crisis(said, run, guard, ask_model=self.guard == "model")

    # -- what the steps stand on ---------------------------------------------------------------------------------

    @cached_property
    def _watcher(self) -> CrisisGuard | None:
        return guard_of(self.guard, self.locale)

    @cached_property
    def _settings(self) -> Settings:
        assert isinstance(self.card, Card)
        ranker = make_ranker(self.ranker)
        given = {"chunk": self.chunk, "overlap": self.overlap, "first": self.first, "keep": self.keep}
        return Settings(
            card=self.card,
            arm=self.arm,
            preset_name=self.preset,
            enrich=self.enrich,
            rerank=self.rerank,
            ranker=ranker,
            reranker=ranker if self.reranker is None else make_ranker(self.reranker),
            order=self.order,
            tokenizer=self.tokenizer,
            window=self.window,
            documents=[_read(path) for path in self.documents],
            corpus=_opened(self.corpus),
            answer=self.answer,
            overrides={name: value for name, value in given.items() if value is not None},
        )


def _with(stage: Callable[[AnswerState, Run, Settings], Awaitable[Update]], settings: Settings) -> StepFunction:
    async def bound(state: AnswerState, run: Run) -> Update:
        return await stage(state, run, settings)

    bound.__name__ = stage.__name__
    return bound


def _listed(given: Any) -> Any:
    return (given,) if isinstance(given, str | Path) else given


def _opened(corpus: Any) -> Corpus | None:
    """Return the corpus that a caller gave, or named by its file.

    Raises:
        DataError: the file is none. ParameterError: it is something else.
    """
    if corpus is None or isinstance(corpus, Corpus):
        return corpus
    if isinstance(corpus, str | Path):
        return Corpus.open(corpus)
    raise ParameterError(f"corpus must be a Corpus or its file, not {type(corpus).__name__}")


def _read(path: Path) -> str:
    """Return a document's text.

    Raises:
        DataError: it can't be read, or is not UTF-8.
    """
    try:
        return path.expanduser().read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(str(path), 0, NOT_UTF8) from None
    except OSError as error:
        raise unreadable(path, error) from None
    except (RuntimeError, ValueError) as error:  # no such user, a null byte
        raise DataError(str(path), 0, f"it can't be read: {error}") from None
