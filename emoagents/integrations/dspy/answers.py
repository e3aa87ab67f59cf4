"""How a step's call goes through a program: to the predictor of its prompt, and so to the model that DSPy has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dspy

from emoagents.asked import sent
from emoagents.errors import RunError
from emoagents.integrations.dspy.adapter import RawAdapter
from emoagents.integrations.dspy.engine import DoorEngine, engine_of
from emoagents.integrations.dspy.fields import Fields
from emoagents.integrations.dspy.foreign import as_our_error, options_of, texts_of
from emoagents.integrations.dspy.pending import PENDING, Pending
from emoagents.model.door import Samples
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
        outcomes = await together(self._sample(call, index) for index in call.indices)
        if (trace := dspy.settings.trace) is not None:
            trace.extend(step for _, steps in outcomes for step in steps)
        found = [outcome for outcome, _ in outcomes]
        return Samples(
            completions=[one for one in found if isinstance(one, Completion)],
            errors=[one for one in found if isinstance(one, RunError)],
        )

    async def _sample(self, call: PromptCall, index: int) -> tuple[Completion | RunError, list[Any]]:
        """Return a sample, or why there is none, and its steps of DSPy's trace."""
        steps: list[Any] = []
        asked = call.asked
        predictor = None if asked is None else self._predictors.get(asked.name)
        try:
            if asked is None or predictor is None:
                return await self._without(call, index), steps
            return await self._with(predictor, self._program.fields(asked.name), call, index, steps), steps
        except RunError as error:
            return error, steps

    # -- by a predictor ------------------------------------------------------------------------------------------

    async def _with(self, predictor: Any, fields: Fields, call: PromptCall, index: int, steps: list[Any]) -> Completion:
        lm, schema, inputs = predictor.lm or self._lm, call.request.response_format, fields.inputs(call)
        whole = engine_of(lm) is not None and self._program.adapter == "raw"
        if whole or schema is None:  # the door reads what must fit a schema, and asks again where it does not
            return await self._predicted(predictor, fields, call, index, steps, inputs)
        if not lm.supports_response_schema or engine_of(lm) is not None:
            inputs = _extended(inputs, fields, tail=f"\n\n{schema_in_words(schema)}")
        first = await self._predicted(predictor, fields, call, index, steps, inputs)
        if first.parsed is not None:
            return first
        again = [dict(m) for m in re_ask(Request(messages=[]), first).messages]
        return await self._predicted(predictor, fields, call, index, steps, _extended(inputs, fields, after=again))

    async def _predicted(
        self,
        predictor: Any,
        fields: Fields,
        call: PromptCall,
        index: int,
        steps: list[Any],
        inputs: Mapping[str, Any],
    ) -> Completion:
        lm, raw = predictor.lm or self._lm, self._program.adapter == "raw"
        engine = engine_of(lm)
        rollout = index + int(predictor.config.get("rollout_id") or lm.kwargs.get("rollout_id") or 0) * _ROLLOUT
        request = call.request if raw or engine is None else replace(call.request, response_format=None)
        pending = Pending(call=replace(call, request=request), index=rollout, home=self._home)
        options = {} if engine is not None else options_of(call.request, lm, rollout)
        settings = {"adapter": RawAdapter(fields)} if raw else {}
        token = PENDING.set(pending)
        try:
            with dspy.context(trace=steps, **settings):
                given = await predictor.acall(**inputs, lm=lm, config=options)
        except Exception as error:
            ours = pending.error or as_our_error(error, str(lm.model))
            if ours is None or ours is error:
                raise
            raise ours from error
        finally:
            PENDING.reset(token)
        return _completion(pending, str(given[fields.answer] or ""), index, call.request)

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
        completion = Completion(text=texts_of(outputs)[0], index=index)
        return completion if schema is None else parsed(completion, schema)


def _completion(pending: Pending, text: str, index: int, request: Request) -> Completion:
    """Return the sample: as the door gave it, unless an adapter read something else in it."""
    known = pending.completion
    if known is not None and known.text == text and pending.call.request.response_format is request.response_format:
        return replace(known, index=index)
    completion = replace(known or Completion(text=text), text=text, index=index)
    return completion if request.response_format is None else parsed(completion, request.response_format)


def _extended(inputs: Mapping[str, Any], fields: Fields, *, tail: str = "", after: Any = ()) -> dict[str, Any]:
    """Return a predictor's inputs with more around the prompt."""
    around = dict(inputs[fields.around] or {})
    if tail:
        around["tail"] = around.get("tail", "") + tail
    if after:
        around["after"] = [*around.get("after", []), *after]
    return {**inputs, fields.around: around}
