"""The context of a run, made of a command's options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from emoagents.cli.inputs import checked_text
from emoagents.errors import ParameterError

if TYPE_CHECKING:
    from emoagents.cli.options import ChatOptions, CompareOptions, Options
    from emoagents.context import Context
    from emoagents.strategies.base import Strategy

__all__ = ["check_roles", "context_of", "read_roles"]


def context_of(options: Options | ChatOptions | CompareOptions, **more: Any) -> Context:
    """Return the context that the options describe.

    Args:
        more: attributes of it that not all of these commands have.

    Raises:
        ParameterError: a value is out of its range, or does not parse.
    """
    from emoagents.context import Context
    from emoagents.model.budget import Budget

    return Context(
        model=options.model,
        models=read_roles(options.roles),
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        seed=options.seed,
        budget=None if options.budget is None else Budget.parse(options.budget),
        api_base=options.api_base,
        **more,
    )


def read_roles(given: Iterable[str]) -> dict[str, str]:
    """Read "role=model" texts.

    Raises:
        ParameterError: one has no equals sign, no role or no model, or a role comes twice.
    """
    models: dict[str, str] = {}
    for text in given:
        role, _, model = (part.strip() for part in checked_text(text, "--role").partition("="))
        if not role or not model:
            raise ParameterError(f"--role is NAME=MODEL, as sage=openai/gpt-4o, not {text!r}")
        if role in models:
            raise ParameterError(f"--role {role} is given twice")
        models[role] = model
    return models


def check_roles(strategy: Strategy, context: Context) -> None:
    """See that each --role is a role of the strategy.

    Raises:
        ParameterError: the strategy has no roles. UnknownNameError: it has not this one.
    """
    if context.models and not strategy.roles:
        raise ParameterError(f"--role {next(iter(context.models))}: no part of {strategy.title} has roles")
    strategy.check_roles(context)
