"""A role: a model of its own, with settings of its own, for one part of a strategy's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from pydantic import InstanceOf
from pydantic.json_schema import SkipJsonSchema

from emoagents.errors import ParameterError
from emoagents.model.request import Backend
from emoagents.model.resolve import default_model

if TYPE_CHECKING:
    from emoagents.context import Context

__all__ = ["Role", "as_role", "check_extra", "check_number"]

_OWN = frozenset({"messages", "model", "n", "stream", "response_format", "num_retries", "max_retries", "fallbacks"})
"""Parameters of a request that are the library's to set."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """The model of one role in a run, as `Context(models={"sage": Role(model="openai/gpt-4o", temperature=0)})`.

    What is None here is as in the context. But its `api_key`, `api_base` and `extra` hold only where this role gives
    neither key nor address and its provider, the part of the model's name before the first "/", is that of the
    context's model: no key goes to another provider's server.

    Attributes:
        model: litellm's name, a name of this library's own, or a backend object; None: the context's model.
        api_key, api_base: for providers that need them given; the key is never shown or stored.
        temperature, top_p, max_tokens: sampling settings that go before the context's.
        extra: parameters of one provider only; each goes before the context's of the same name.

    Raises:
        ParameterError: a value is out of its range.
    """

    model: str | SkipJsonSchema[InstanceOf[Backend]] | None = None
    api_key: str | None = field(default=None, repr=False)
    api_base: str | None = field(default=None, repr=False)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0, 10)
        check_number("top_p", self.top_p, 0, 1)
        check_number("max_tokens", self.max_tokens, 1)
        check_extra(self.extra)

    def over(self, context: Context) -> dict[str, Any]:
        """Return the context's settings that this role replaces, by name, with their values."""
        given = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        if self._shares_account(context):
            return {**given, "extra": {**context.extra, **self.extra}}
        return {**given, "api_key": self.api_key, "api_base": self.api_base}

    def _shares_account(self, context: Context) -> bool:
        if self.api_key is not None or self.api_base is not None:
            return False
        provider = _provider(self.model)
        return self.model is None or (provider != "" and provider == _provider(context.model))


def _provider(model: str | Backend | None) -> str:
    name = default_model() if model is None else model
    return name.partition("/")[0] if isinstance(name, str) and "/" in name else ""


def as_role(name: object, value: object) -> Role:
    """Return what `Context(models=...)` holds for one name as a Role.

    Raises:
        ParameterError: the name is no text, or the value none of a model's name, a Backend, a Role, or its attributes.
    """
    if not isinstance(name, str) or not name.strip():
        raise ParameterError(f"models: a role's name must be a text that is not empty, not {name!r}")
    if isinstance(value, Role):
        return value
    try:
        return Role(**value) if isinstance(value, Mapping) else _of_model(value)
    except TypeError:
        known = ", ".join(f.name for f in fields(Role))
        raise ParameterError(f"models: role {name!r} has attributes {known}, and no others") from None
    except ParameterError as error:
        raise ParameterError(f"models: role {name!r}: {error}") from None


def _of_model(value: Any) -> Role:
    if value is None or value == "":
        raise ParameterError("it has no model: leave it out, or write PROVIDER/MODEL, as embedded/smollm2")
    if not isinstance(value, str | Backend):
        raise ParameterError(f"it must be a model's name, a Backend, or a Role, not {type(value).__name__}")
    return Role(model=value)


def check_number(name: str, value: float | None, low: float, high: float = float("inf")) -> None:
    """Raise where a setting is not None and not a number in this range.

    Raises:
        ParameterError: it is not.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        span = f"at least {low}" if high == float("inf") else f"between {low} and {high}"
        raise ParameterError(f"{name} must be a number of {span}, not {value!r}")


def check_extra(extra: Mapping[str, Any]) -> None:
    """Raise where a provider's parameters hold one that is the library's to set.

    Raises:
        ParameterError: they do.
    """
    if own := _OWN & extra.keys():
        raise ParameterError(f"extra can't hold {' or '.join(sorted(own))}: that is for emoagents to set")
