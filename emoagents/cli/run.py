"""`emoagents run`: one question, one answer."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from emoagents.cli import loading
from emoagents.cli.context import check_roles, context_of
from emoagents.cli.inputs import checked_text, read_parameters, read_prompt
from emoagents.cli.options import Options
from emoagents.cli.output import print_answer, print_json, print_usage
from emoagents.cli.screen import Screen
from emoagents.errors import ParameterError

if TYPE_CHECKING:
    from emoagents.context import Context
    from emoagents.model.request import Message
    from emoagents.result import Result
    from emoagents.strategies.base import Strategy

__all__ = ["run_strategy"]


def run_strategy(options: Options) -> int:
    """Answer the question; return the exit status.

    Raises:
        UsageError: the caller's mistake. RunError: there is no answer.
    """
    messages = _messages(options)
    parameters = _parameters(options)
    began = time.monotonic()
    with Screen(verbose=options.verbose) as screen:
        context = _context(options)
        strategy = _strategy(options, parameters)
        check_roles(strategy, context)
        _prepare(screen, strategy, context)
        result = asyncio.run(_followed(screen, strategy, messages, context))
    seconds = time.monotonic() - began
    if options.json:
        print_json(result)
        print_usage(result, strategy, seconds, sys.stderr)
    else:
        print_answer(result.answer, apart=screen.shown)
        print_usage(result, strategy, seconds, sys.stdout, sys.stderr)
    return 0


async def _followed(screen: Screen, strategy: Strategy, messages: list[Message], context: Context) -> Result:
    async for event in strategy.astream(messages, context=context):
        if event["event"] != "result":
            screen.show(event)
    result: Result = event["result"]  # the last one
    return result


def _messages(options: Options) -> list[Message]:
    prompt = {"role": "user", "content": read_prompt(options.prompt)}
    if options.system is None:
        return [prompt]
    return [{"role": "system", "content": checked_text(options.system, "--system")}, prompt]


def _parameters(options: Options) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(read_parameters(options.params))
    if options.card is not None:
        parameters.setdefault("card", options.card)
    return parameters


def _strategy(options: Options, parameters: dict[str, Any]) -> Strategy:
    from emoagents.registry import strategy

    return strategy(options.strategy, **parameters)


def _context(options: Options) -> Context:
    from emoagents.model.retry import Retry

    if options.timeout is not None and not options.timeout > 0:
        raise ParameterError(f"--timeout must be a number of seconds above 0, not {options.timeout:g}")
    retry = Retry() if options.timeout is None else Retry(deadline=options.timeout)
    return context_of(options, cache=options.cache, retry=retry)


def _prepare(screen: Screen, strategy: Strategy, context: Context) -> None:
    model = context.door.name
    if loading.needs_fetching(model):
        with screen.paused():
            loading.fetch()
    screen.headline(f"{strategy.title} on {model}", f"calls to the model: {strategy.expected_calls()}")
    screen.progress.asks(model)
