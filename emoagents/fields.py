"""Fields of an answer as data: what a card, or a question of a test, wants a model to fill in.

    answer_model([Field(name="emotion", choices=["joy", "fear"]), Field(name="score", type="integer", maximum=10)])

is a pydantic model for `run.ask(response_format=...)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo, create_model

from emoagents.errors import ParameterError

__all__ = ["Field", "FieldType", "answer_model", "read_fields"]

FieldType: TypeAlias = Literal["text", "integer", "number", "boolean", "list"]
"""What a field holds; a list is one of texts."""

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_NUMBERS = ("integer", "number")
_WORDED = ("text", "list")


class Field(BaseModel):
    """One field of an answer. Constraints on words, choices and `avoid` hold for each text of a list.

    Attributes:
        name: an identifier. type: what it holds.
        description: what the model is told of it, in the JSON schema.
        choices: the only texts there may be; read without regard to case, kept as they stand here.
        minimum, maximum: of a number; of a list, how many texts it has.
        min_words, max_words: of a text, where words are what blanks part. A text must not be empty unless `min_words`
            is 0.
        avoid: whole words, in any case, that must not stand in the text.

    Raises:
        pydantic.ValidationError: a value is wrong, or says nothing about a field of this type. See `read_fields`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    type: FieldType = "text"
    description: str = ""
    choices: list[str] = []
    minimum: float | None = None
    maximum: float | None = None
    min_words: Annotated[int, pydantic.Field(ge=0)] | None = None
    max_words: Annotated[int, pydantic.Field(ge=1)] | None = None
    avoid: list[str] = []

    @pydantic.field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not _IDENTIFIER.fullmatch(name):
            raise ValueError("must be a name of letters, digits and _, and begin with a letter")
        if hasattr(BaseModel, name) or name.startswith("model_"):
            raise ValueError(f"{name!r} can't be a field's name; choose another")
        return name

    @pydantic.field_validator("choices", "avoid")
    @classmethod
    def _are_texts(cls, texts: list[str]) -> list[str]:
        folded = [_folded(text) for text in texts]
        if "" in folded:
            raise ValueError("must not hold an empty text")
        if twice := next((text for i, text in enumerate(texts) if folded[i] in folded[:i]), None):
            raise ValueError(f"{twice!r} stands twice")
        return texts

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> Field:
        if self.type not in _WORDED:
            self._refuse("choices", "min_words", "max_words", "avoid", of="a text or a list")
        if self.type not in (*_NUMBERS, "list"):
            self._refuse("minimum", "maximum", of="a number or a list")
        if self.choices:
            self._refuse("min_words", "max_words", "avoid", of="a text without choices")
        _check_order("minimum", self.minimum, "maximum", self.maximum)
        _check_order("min_words", self.min_words, "max_words", self.max_words)
        if self.type in ("integer", "list") and any(b is not None and b % 1 for b in (self.minimum, self.maximum)):
            raise ValueError(f"minimum and maximum of type {self.type!r} must be whole numbers")
        return self

    def _refuse(self, *names: str, of: str) -> None:
        for name in names:
            if getattr(self, name) not in (None, []):
                raise ValueError(f"{name} is for {of}, and {self.name!r} is none")


def read_fields(data: Sequence[Mapping[str, Any] | Field]) -> list[Field]:
    """Return fields that came as plain data.

    Raises:
        ParameterError: one of them is wrong.
    """
    return [_read(number, one) for number, one in enumerate(data, 1)]


def answer_model(fields: Sequence[Field], *, ordered: bool = False) -> type[BaseModel]:
    """Return a pydantic model that an answer with these fields must fit. Other keys of the answer are left out.

    Args:
        fields: in the order in which the model is told of them. Equal fields give an equal JSON schema.
        ordered: the answer's keys must come in this order, so that what is reasoned first is written first.

    Raises:
        ParameterError: there are no fields, or two of one name.
    """
    names = [field.name for field in fields]
    if not names:
        raise ParameterError("an answer needs at least one field")
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise ParameterError(f"two fields of an answer have the name {twice!r}")
    specs: dict[str, Any] = {field.name: (_type(field), _info(field)) for field in fields}
    checks: dict[str, Any] = {"in_order": pydantic.model_validator(mode="before")(_in_order(names))} if ordered else {}
    return create_model("Answer", __validators__=checks, **specs)


def _read(number: int, data: Mapping[str, Any] | Field) -> Field:
    try:
        return data if isinstance(data, Field) else Field.model_validate(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ParameterError(f"field {number}: {place + ': ' if place else ''}{first['msg']}") from None


def _info(field: Field) -> Any:
    words = _length_in_words(field)
    description = " ".join(part for part in (field.description, f"({words})" if words else "") if part)
    return pydantic.Field(description=description or None)


def _length_in_words(field: Field) -> str:
    low, high = field.min_words or None, field.max_words
    if low and high:
        return f"{low} to {high} words"
    return f"at least {low} words" if low else f"at most {high} words" if high else ""


def _type(field: Field) -> Any:
    if field.type == "text":
        return _text(field)
    if field.type == "boolean":
        return bool
    low, high = field.minimum, field.maximum
    if field.type == "list":
        size = pydantic.Field(min_length=_whole(low), max_length=_whole(high))
        return Annotated[list[_text(field)], size]  # type: ignore[misc]
    kind: Any = int if field.type == "integer" else float
    bounds = pydantic.Field(ge=low, le=high, allow_inf_nan=False if kind is float else None)
    if kind is int:
        bounds = pydantic.Field(ge=_whole(low), le=_whole(high))
    return Annotated[kind, bounds, BeforeValidator(_no_boolean)]


def _text(field: Field) -> Any:
    if field.choices:
        return Annotated[Literal[tuple(field.choices)], BeforeValidator(_as_choice(field.choices))]
    return Annotated[str, AfterValidator(_worded(field))]


def _as_choice(choices: Sequence[str]) -> Callable[[Any], Any]:
    known = {_folded(choice): choice for choice in choices}
    return lambda given: known.get(_folded(given), given) if isinstance(given, str) else given


def _worded(field: Field) -> Callable[[str], str]:
    words = "|".join(re.escape(word.strip()) for word in field.avoid)
    avoided = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def check(text: str) -> str:
        text, count = text.strip(), len(text.split())
        if not text and field.min_words != 0:
            raise ValueError("must not be empty")
        if count < (field.min_words or 0):
            raise ValueError(f"must have at least {field.min_words} words, and has {count}")
        if field.max_words is not None and count > field.max_words:
            raise ValueError(f"must have at most {field.max_words} words, and has {count}")
        if avoided and (found := avoided.search(text)):
            raise ValueError(f"must not hold the word {found[0]!r}")
        return text

    return check


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # which pydantic would read as 0 or 1
        raise ValueError("must be a number, not true or false")
    return value


def _in_order(names: Sequence[str]) -> Callable[[Any, Any, ValidationInfo], Any]:
    def check(cls: Any, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, Mapping) and [k for k in data if k in names] != [n for n in names if n in data]:
            raise ValueError(f"the keys must come in this order: {', '.join(names)}")
        return data

    return classmethod(check)  # type: ignore[return-value]


def _check_order(low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"{low_name} must not be greater than {high_name}")


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
