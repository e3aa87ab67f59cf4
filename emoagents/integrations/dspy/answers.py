"""How a step's call goes through a program: to the predictor of its prompt, and so to the model that DSPy has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dspy

from emoagents.asked import sent
from emoagents.errors import RunError
from emoagents.integrations.dspy.adapter import RawAdapter
from emoagents.integrations.dspy.engine import DoorEngine, engine_of
from emoagents.integrations.dspy.fields import Fields
from emoagents.integrations.dspy.foreign import as_our_error, options_of, texts_of
from emoagents.integrations.dspy.pending import PENDING, Batch, Pending
from emoagents.model.door import Samples
from emoagents.model.ledger import Usage
from emoagents.model.request import Completion, Request
from emoagents.model.structured import parsed, re_ask, schema_in_words, with_schema_in_prompt
from emoagents.program import PromptCall
from emoagents.together import together

if TYPE_CHECKING:
    from emoagents.integrations.dspy.program import StrategyProgram

__all__ = ["Answers"]

_ROLLOUT = 10**9
"""Sample indices that one of DSPy's rollouts has to itself."""


class Answers:
    """Answers the calls of one run by a program's predictors.

    Args:
        program: of the strategy, or of the nested one. lm: DSPy's model. home: its engine, where it is one of ours.
    """

    def __init__(self, program: StrategyProgram, lm: Any, home: DoorEngine | None) -> None:
        self._program, self._lm, self._home = program, lm, home
        self._predictors = dict(program.by_prompt())

    def within(self) -> Answers:
        """Return what answers for the nested strategy."""
        return Answers(self._program.within(), self._lm, self._home)

    async def ask(self, call: PromptCall) -> Samples:
        """Return the samples; each is a call of the predictor, and stands in DSPy's trace in the order of its index.

        Raises:
            UsageError: the caller's mistake; failures of the model are in `errors`.
        """
        predictor = None if call.asked is None else self._predictors.get(call.asked.name)
        offset = 0 if predictor is None else _offset(predictor, predictor.lm or self._lm)
        batch = Batch([offset + index for index in call.indices])
        outcomes = await together(self._sample(call, index, predictor, batch) for index in call.indices)
        if (trace := dspy.settings.trace) is not None:
            trace.extend(step for _, steps in outcomes for step in steps)
            del trace[: max(0, len(trace) - dspy.settings.max_trace_size)]
        found = [outcome for outcome, _ in outcomes]
        return Samples(
            completions=[one for one in found if isinstance(one, Completion)],
            errors=[one for one in found if isinstance(one, RunError)],
        )

    async def _sample(
        self, call: PromptCall, index: int, predictor: Any, batch: Batch
    ) -> tuple[Completion | RunError, list[Any]]:
        """Return a sample, or why there is none, and its steps of DSPy's trace."""
        steps: list[Any] = []
        try:
            if call.asked is None or predictor is None:
                return await self._without(call, index), steps
            one = _Call(predictor, self._program.fields(call.asked.name), call, index, batch, steps)
            return await self._with(one), steps
        except RunError as error:
            return error, steps

    # -- by a predictor ------------------------------------------------------------------------------------------

    async def _with(self, one: _Call) -> Completion:
        schema, lm = one.call.request.response_format, one.predictor.lm or self._lm
        ours, inputs = engine_of(lm) is not None, one.fields.inputs(one.call)
        if schema is None or (ours and self._program.adapter == "raw"):
            return await self._predicted(one, lm, inputs)  # the door reads what must fit a schema, and asks again
        if ours or not lm.supports_response_schema:
            inputs = _extended(inputs, one.fields, tail=f"\n\n{schema_in_words(schema)}")
        first = await self._predicted(one, lm, inputs)
        if first.parsed is not None:
            return first
        again = [dict(m) for m in re_ask(Request(messages=[]), first).messages]
        return await self._predicted(one, lm, _extended(inputs, one.fields, after=again))

    async def _predicted(self, one: _Call, lm: Any, inputs: Mapping[str, Any]) -> Completion:
        raw, engine = self._program.adapter == "raw", engine_of(lm)
        request = one.call.request if raw or engine is None else replace(one.call.request, response_format=None)
        index = _offset(one.predictor, lm) + one.index
        batch = one.batch if raw else Batch([index])  # another adapter asks again for what it can't read, each alone
        pending = Pending(replace(one.call, request=request), index, batch, self._home)
        options = {} if engine is not None else options_of(one.call.request, lm, pending.index)
        settings = {"adapter": RawAdapter(one.fields)} if raw else {}
        token = PENDING.set(pending)
        try:
            with dspy.context(trace=one.steps, **settings):
                given = await self._called(one, lm, inputs, options, pending)
        finally:
            PENDING.reset(token)
        if engine is None:
            self._book(one.call)
        elif raw and pending.completion is not None:
            return replace(pending.completion, index=one.index)
        completion = Completion(text=str(given[one.fields.answer] or ""), index=one.index)
        schema = one.call.request.response_format
        return completion if schema is None else parsed(completion, schema)

    async def _called(
        self, one: _Call, lm: Any, inputs: Mapping[str, Any], options: dict[str, Any], pending: Pending
    ) -> Any:
        try:
            return await one.predictor.acall(**inputs, lm=lm, config=options)
        except Exception as error:
            if pending.error is not None:
                raise pending.error from error
            if engine_of(lm) is not None and not (pending.reached or pending.plain) and pending.messages is not None:
                pending.plain = True  # DSPy's own request can't hold the messages, as a speaker's name; the door's can
                return await self._called(one, lm, inputs, options, pending)
            ours = as_our_error(error, str(lm.model))
            if ours is None or ours is error:
                raise
            raise ours from error

    def _book(self, call: PromptCall) -> None:
        """Book a request to a model of DSPy's: what it used, DSPy knows."""
        call.door.ledger.add(call.node, Usage(calls=1, unmetered_calls=1, cost_usd=None))

    # -- without -------------------------------------------------------------------------------------------------

    async def _without(self, call: PromptCall, index: int) -> Completion:
        """Ask the model itself: no card's prompt is in the request, as in the crisis guard's."""
        if self._home is not None:
            samples = await call.door.sample(call.request, [index], node=call.node, on_event=call.on_event)
            return samples.require()[0]
        schema, lm = call.request.response_format, self._lm
        request = call.request if lm.supports_response_schema else with_schema_in_prompt(call.request)
        try:
            outputs = await lm.acall(messages=sent(request.messages), **options_of(request, lm, index))
        except Exception as error:
            ours = as_our_error(error, str(lm.model))
            if ours is None:
                raise
            raise ours from error
        self._book(call)
        completion = Completion(text=texts_of(outputs)[0], index=index)
        return completion if schema is None else parsed(completion, schema)


@dataclass(frozen=True, slots=True)
class _Call:
    """One sample of a call by a predictor."""

    predictor: Any
    fields: Fields
    call: PromptCall
    index: int
    batch: Batch
    steps: list[Any]


def _offset(predictor: Any, lm: Any) -> int:
    """Return where the indices of samples begin: DSPy wants other ones with each rollout."""
    return int(predictor.config.get("rollout_id") or lm.kwargs.get("rollout_id") or 0) * _ROLLOUT


def _extended(inputs: Mapping[str, Any], fields: Fields, *, tail: str = "", after: Any = ()) -> dict[str, Any]:
    """Return a predictor's inputs with more around the prompt."""
    around = dict(inputs[fields.around] or {})
    if tail:
        around["tail"] = around.get("tail", "") + tail
    if after:
        around["after"] = [*around.get("after", []), *after]
    return {**inputs, fields.around: around}
