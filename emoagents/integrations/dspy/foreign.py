"""DSPy's own language models under a strategy: what their calls are given, and what their errors are called here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dspy.utils.exceptions import AdapterParseError, LMConfigurationError, LMError

from emoagents.context import Context
from emoagents.errors import EmoagentsError, ModelCallError, ModelConfigError, ParameterError, UnparsedError
from emoagents.model.request import Choice, Message, OnToken, Reply, Request

__all__ = ["as_our_error", "foreign_context", "options_of", "texts_of"]

_LETTERS_A_TOKEN = 4


def foreign_context(given: Context | None, lm: Any) -> Context:
    """Return the context of a run whose calls go to DSPy's own model: sampling settings are the given one's.

    Raises:
        ParameterError: it has what only emoagents' door can keep, as a budget.
    """
    context = given or Context()
    for name in ("budget", "models", "tools", "logprobs"):
        if getattr(context, name):
            raise ParameterError(
                f"{name} is kept by emoagents' model door, and DSPy is configured with a model of its own: "
                f"give DSPy to_lm(Context(model=..., {name}=...)) instead"
            )
    return context.fresh(model=LmBackend(lm))


class LmBackend:
    """DSPy's model where a step asks what a model is: its name, and that its context is not known."""

    max_n = 1
    context_window = None
    native_schema = False

    def __init__(self, lm: Any) -> None:
        self._lm = lm
        self.name = str(lm.model)
        self.endpoint = f"dspy {self.name}"

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Ask once."""
        texts = texts_of(await self._lm.acall(messages=list(request.messages), **options_of(request, self._lm, 0)))
        return Reply(choices=[Choice(text=text) for text in texts])

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return a rough count: DSPy tells none."""
        return sum(len(str(message.get("content"))) for message in messages) // _LETTERS_A_TOKEN

    def cost(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Return None: not known here."""


def options_of(request: Request, lm: Any, rollout: int) -> dict[str, Any]:
    """Return the sampling settings of a request as DSPy's call takes them.

    Args:
        rollout: which sample; DSPy's cache keeps samples apart by it, where the temperature is not 0.
    """
    named = ("temperature", "top_p", "max_tokens", "seed")
    options = {name: getattr(request, name) for name in named if getattr(request, name) is not None}
    if request.stop:
        options["stop"] = list(request.stop)
    if request.response_format is not None and lm.supports_response_schema:
        options["response_format"] = request.response_format
    temperature = options.get("temperature", lm.kwargs.get("temperature"))
    if rollout and temperature != 0:
        options["rollout_id"] = rollout
    return {**options, **request.extra}


def texts_of(outputs: Sequence[Any]) -> list[str]:
    """Return the texts of what a model's call returned."""
    return [str(one.get("text") or "") if isinstance(one, dict) else str(one or "") for one in outputs]


def as_our_error(error: Exception, model: str) -> EmoagentsError | None:
    """Return our error for one of DSPy's; None where it is nobody's but the program's."""
    if isinstance(error, AdapterParseError):
        return UnparsedError(f"the reply of {model} does not have DSPy's fields: {_first_line(error)}")
    if isinstance(error, LMConfigurationError):
        return ModelConfigError(f"{model}: {_first_line(error)}", model=model)
    if isinstance(error, LMError):
        return ModelCallError(_first_line(error), model=model, status=getattr(error, "status", None))
    return None


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
