"""A strategy as a DSPy program: its graph, with the model's place taken by predictors that an optimiser may change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import dspy

from emoagents.context import Context
from emoagents.errors import CompositionError, ParameterError
from emoagents.integrations.dspy.answers import Answers
from emoagents.integrations.dspy.engine import DoorEngine, engine_of, to_lm
from emoagents.integrations.dspy.fields import Fields
from emoagents.integrations.dspy.foreign import foreign_context
from emoagents.model.loop import run_sync
from emoagents.model.request import Message
from emoagents.result import Result
from emoagents.strategies.base import Messages, Strategy
from emoagents.tuning.prompts import NESTED, nested_in, prompts_of, with_prompts

__all__ = ["Answer", "StrategyProgram", "to_dspy"]

AdapterName = Literal["raw", "dspy"]

_STATED = ("temperature", "top_p", "max_tokens", "stop", "seed", "tools", "tool_choice", "logprobs", "extra", "models")


def to_dspy(strategy: Strategy, *, context: Context | None = None, adapter: AdapterName = "raw") -> StrategyProgram:
    """Return a strategy as a DSPy program, which optimisers compile and `Evaluate` measures.

    There is one predictor for each prompt by which the strategy may ask a model, named as in the card: `program.ask`,
    `program.solver.synthesize`. The prompt's text is the predictor's instructions.

        program = to_dspy(Heart(rounds=2, verifier="judge"))
        with dspy.context(lm=to_lm(Context(model="openai/gpt-4o-mini"))):
            program(question="What is 17 * 23?").answer

    It runs on the model that DSPy is configured with, of any kind; without one on the context's.

    Args:
        strategy: any; also compositions, nestings, and cards with stages.
        context: settings of the runs: those that it states go before those of DSPy's model; its own model, budget and
            cache count where DSPy has no model.
        adapter: "raw" sends the card's prompts literally; "dspy" uses the adapter that DSPy is configured with
            (ChatAdapter by default), which adds field headers and a system message of its own.

    Raises:
        CompositionError: no prompt of the strategy asks a model.
    """
    if adapter not in ("raw", "dspy"):
        raise ParameterError(f"adapter must be 'raw' or 'dspy', not {adapter!r:.80}")
    if not prompts_of(strategy):
        raise CompositionError(f"{strategy.title} asks no model by a prompt of its card: there is nothing to optimise")
    return StrategyProgram(strategy, context, adapter)


class Answer(dspy.Prediction):  # type: ignore[misc]  # DSPy's types are not told to type checkers
    """What a program answers: fields `answer`, `stopped_by`, `verified`."""

    def __init__(self, *args: Any, result: Result | None = None, **fields: Any) -> None:
        # the answer comes last: it is what dspy.majority counts
        told = {} if result is None else {name: getattr(result, name) for name in ("verified", "stopped_by", "answer")}
        super().__init__(*args, **{**told, **fields})
        self._result = result

    @property
    def result(self) -> Result:
        """The run's result: usage, trace, and why it stopped.

        Raises:
            ParameterError: this is an answer of several, as `dspy.majority` makes one.
        """
        if self._result is None:
            raise ParameterError("this answer is no run's own, so it has no result")
        return self._result

    def copy(self, **fields: Any) -> Answer:
        """Return a copy with other fields."""
        made = Answer(base=self, **fields)
        made._result = self._result
        return made


class StrategyProgram(dspy.Module):  # type: ignore[misc]
    """A strategy with predictors. Made by `to_dspy`.

    Attributes:
        strategy: as it began. context, adapter: as given.
    """

    def __init__(self, strategy: Strategy, context: Context | None, adapter: AdapterName, path: str = "") -> None:
        super().__init__()
        self.strategy, self.context, self.adapter = strategy, context, adapter
        self._made: tuple[str, Strategy] = ("", strategy)
        inner = nested_in(strategy)
        if inner is not None:
            setattr(self, NESTED, StrategyProgram(inner, context, adapter, f"{path}{NESTED}."))
        own = {name: prompt for name, prompt in prompts_of(strategy).items() if "." not in name}
        self._fields = {name: Fields.of(prompt, f"{path}{name}") for name, prompt in own.items()}
        self._attributes = {name: self._free(name) for name in own}
        for name, fields in self._fields.items():
            setattr(self, self._attributes[name], fields.predictor())

    def _free(self, name: str) -> str:
        """Return the name under which a predictor is an attribute; a module's own names are taken."""
        while hasattr(self, name):
            name += "_"
        return name

    # -- running -------------------------------------------------------------------------------------------------

    def forward(self, question: str | None = None, messages: Sequence[Message] | None = None) -> Answer:
        """Answer a question, or a conversation in OpenAI's format.

        Raises:
            UsageError: the caller's mistake. RunError: the run failed.
        """
        return run_sync(lambda: self._answered(question, messages))

    async def aforward(self, question: str | None = None, messages: Sequence[Message] | None = None) -> Answer:
        """Answer. See `forward`."""
        return await self._answered(question, messages)

    async def _answered(self, question: str | None, messages: Sequence[Message] | None) -> Answer:
        asked, lm = _asked(question, messages), self._model()
        engine = engine_of(lm)
        account = foreign_context(self.context, lm) if engine is None else self._on(engine)
        context = account.through(Answers(self, lm, engine))
        try:
            return Answer(result=await self.tuned().answer_on(context, asked))
        finally:
            if engine is not None:
                engine.add(context.door.ledger.total)

    def _model(self) -> Any:
        """Return the model that the run is on: that of all predictors, else DSPy's, else the context's."""
        own = [predictor.lm for _, predictor in self.by_prompt()]
        lm = own[0] if own[0] is not None and all(one is own[0] for one in own) else dspy.settings.lm
        if isinstance(lm, str):
            raise ParameterError(f"DSPy's lm must be a model, not its name: dspy.LM({lm!r}), or to_lm(Context(...))")
        return lm or to_lm(self.context)

    def _on(self, engine: DoorEngine) -> Context:
        """Return the run's context: the model's, with the settings that the program's own gives."""
        given = self.context
        if given is None or given is engine.context:
            return engine.context.fresh()
        if given.budget is not None and given.pool is not engine.context.pool and given.budget != engine.context.budget:
            raise ParameterError("the budget is the model's: to_lm(Context(budget=...)), and no other in to_dspy")
        values = {name: getattr(given, name) for name in _STATED}
        stated = {name: value for name, value in values.items() if value or (value is not False and value == 0)}
        return engine.context.fresh(**stated)

    def save(self, path: str | Path, save_program: bool = False, **options: Any) -> None:
        """Save the predictors' state, as JSON where the path ends so.

        Raises:
            ParameterError: the program itself was to be saved, which DSPy does by pickle.
        """
        if save_program:
            raise ParameterError(
                "a program is code and perhaps keys: save its state, program.save('my.json'), and load it into "
                "to_dspy(strategy); or write a card, to_card(program, 'my.toml')"
            )
        super().save(path, **options)

    # -- texts ---------------------------------------------------------------------------------------------------

    def tuned(self) -> Strategy:
        """Return the strategy with the instructions and demonstrations that the predictors have now."""
        prompts = {name: self.fields(name).tuned(p.signature.instructions, p.demos) for name, p in self.by_prompt()}
        key = json.dumps({name: prompt.model_dump() for name, prompt in prompts.items()}, sort_keys=True)
        if self._made[0] != key:
            self._made = (key, with_prompts(self.strategy, prompts))
        return self._made[1]

    def by_prompt(self) -> list[tuple[str, dspy.Predict]]:
        """Return the predictors by the names of their prompts."""
        inner = [] if nested_in(self.strategy) is None else self.within().by_prompt()
        own = [(name, getattr(self, attribute)) for name, attribute in self._attributes.items()]
        return [*((f"{NESTED}.{name}", predictor) for name, predictor in inner), *own]

    def fields(self, name: str) -> Fields:
        """Return the fields of a prompt."""
        first, dot, rest = name.partition(".")
        return self.within().fields(rest) if dot and first == NESTED else self._fields[name]

    def within(self) -> StrategyProgram:
        """Return the program of the nested strategy."""
        inner = getattr(self, NESTED)
        assert isinstance(inner, StrategyProgram)
        return inner


def _asked(question: str | None, messages: Sequence[Message] | None) -> Messages:
    if (question is None) == (messages is None):
        raise ParameterError("a program takes a question or messages, one of them: program(question='...')")
    if messages is None and not isinstance(question, str):
        raise ParameterError(f"the question must be a text, not {question!r:.80}")
    return cast(Messages, question if messages is None else messages)
