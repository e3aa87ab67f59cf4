"""A strategy's text as data: load, validate, render and override a card.

A card is a TOML file. It holds every sentence that a strategy says to a model, the default parameters, and where
each sentence comes from: a key of its `[sources]`, "ours" (written for emoagents) or "user" (written by you).

    card = load_card("heart")
    card.render("feedback", phrase=card.stimulus("anger-1").text, reason="")
    mine = override_card(card, "my_heart.toml")

Prompts are templates with places such as `{{question}}`. A template can name its places and nothing else: no code,
no attributes, no conditions. A value is inserted once, as it is, and never read again as a template.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from emoagents.errors import CardError, ParameterError, UnknownNameError, did_you_mean

__all__ = [
    "Card",
    "Placement",
    "Prompt",
    "Source",
    "Stimulus",
    "Tone",
    "Value",
    "Variation",
    "card_names",
    "cards_dir",
    "load_card",
    "override_card",
]

Tone: TypeAlias = Literal["emotional", "neutral"]
"""Which of its two wordings a stimulus speaks in."""

Value: TypeAlias = str | int | float
"""What may stand in a template's place."""

_T = TypeVar("_T")

_BUILT_IN_SOURCES = ("ours", "user")
_LISTS = ("stimuli", "variations")  # merged by id; the only names that `replace` takes


# --- templates -------------------------------------------------------------------------------------------------


_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_NEVER = "".join(rf"|(?P<{group}>(?!))" for group in ("named", "escaped", "invalid"))


class _Template(string.Template):
    """`{{name}}` and nothing else; `$` and single braces are plain text."""

    # string.Template compiles this when the class is made; it wants all four groups, even those that never match.
    pattern = rf"\{{\{{(?P<braced>{_NAME})\}}\}}{_NEVER}"  # type: ignore[assignment]
    flags = re.NOFLAG  # the parent ignores case, which lets letters such as the Kelvin sign in


# What was meant as a place and is none: {{ x }}, {{x.y}}, {{x|upper}}.
_NEARLY = re.compile(rf"\{{\{{(?!{_NAME}\}}\}})\s*[A-Za-z_][^{{}}]*\}}\}}")


def _places(text: str) -> list[str]:
    return _Template(text).get_identifiers()


def _fill(text: str, values: Mapping[str, Value | None]) -> str:
    # A Mapping keeps "self" or "mapping" usable as names; None would otherwise be printed as a word.
    return _Template(text).substitute({name: value for name, value in values.items() if value is not None})


# --- models ----------------------------------------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Source(_Part):
    """Where a text comes from."""

    title: str
    authors: str = ""
    year: int | None = None
    url: str = ""
    licence: str = ""
    note: str = ""


class Prompt(_Part):
    """A template and the variables that it may use."""

    text: str = Field(min_length=1)
    variables: list[str] = []
    source: str
    note: str = ""


class Stimulus(_Part):
    """A sentence that is meant to move the model, and its neutral twin for the control arm."""

    id: str = Field(min_length=1)
    text: str = Field(min_length=1)
    neutral: str | None = Field(default=None, min_length=1)
    source: str
    theory: list[str] = []
    emotion: str | None = None
    valence: Literal["positive", "negative", "neutral"] | None = None
    group: str = ""
    paper_number: str | None = None
    note: str = ""

    def in_tone(self, tone: Tone) -> str:
        """Return the text, or its neutral twin."""
        if tone == "emotional":
            return self.text
        if self.neutral is None:
            raise ParameterError(f"stimulus {self.id!r} has no neutral twin; give it a `neutral` text in the card")
        return self.neutral


class Variation(_Part):
    """Another way to ask the same question, so that samples differ."""

    id: str = Field(min_length=1)
    kind: Literal["template", "language"]
    language: str | None = None
    text: str = Field(min_length=1)
    source: str
    note: str = ""

    def render(self, question: str) -> str:
        """Return the question asked in this way."""
        return _fill(self.text, {"question": question})


class Placement(_Part):
    """Where a stimulus stands, and what parts it from the text before it."""

    separator: str
    source: str
    note: str = ""


class Card(_Part):
    """All text and default parameters of one strategy."""

    name: str = Field(min_length=1)
    title: str
    summary: str
    kind: Literal["prepare", "answer"]
    aliases: list[str] = []
    notes: list[str] = []
    sources: dict[str, Source] = {}
    defaults: dict[str, Any] = {}
    prompts: dict[str, Prompt] = {}
    placements: dict[str, Placement] = {}
    stimuli: list[Stimulus] = []
    variations: list[Variation] = []

    def render(self, prompt_name: str, /, **values: Value) -> str:
        """Return the prompt with its places filled. Values that the prompt does not use are left out."""
        prompt = self.prompt(prompt_name)
        try:
            return _fill(prompt.text, values)
        except KeyError as error:
            raise CardError(self.name, f"prompts.{prompt_name}", f"no value for {{{{{error.args[0]}}}}}") from None

    def prompt(self, name: str) -> Prompt:
        """Return a prompt by its name."""
        return _look_up("prompt", name, self.prompts)

    def placement(self, name: str) -> Placement:
        """Return a placement by its name."""
        return _look_up("placement", name, self.placements)

    def stimulus(self, id: str) -> Stimulus:
        """Return a stimulus by its id."""
        return _look_up("stimulus", id, {s.id: s for s in self.stimuli})

    def variation(self, id: str) -> Variation:
        """Return a variation by its id."""
        return _look_up("variation", id, {v.id: v for v in self.variations})

    def variations_of(self, kind: Literal["template", "language"]) -> list[Variation]:
        """Return the variations of one kind, in the card's order."""
        return [v for v in self.variations if v.kind == kind]

    def emotions(self) -> list[str]:
        """Return the emotions that the stimuli carry, each once, in the card's order."""
        return list(dict.fromkeys(s.emotion for s in self.stimuli if s.emotion is not None))

    def stimuli_of(self, emotion: str) -> list[Stimulus]:
        """Return the stimuli of one emotion, in the card's order."""
        wanted = _look_up("emotion", emotion, {e: e for e in self.emotions()})
        return [s for s in self.stimuli if s.emotion == wanted]


def _look_up(kind: str, name: str, entries: Mapping[str, _T]) -> _T:
    if name in entries:
        return entries[name]
    for known, entry in entries.items():
        if known.casefold() == name.casefold():
            return entry
    raise UnknownNameError(kind, name, entries)


# --- load ------------------------------------------------------------------------------------------------------


def card_names() -> list[str]:
    """Return the names of the cards that come with emoagents."""
    return sorted(path.stem for path in cards_dir().glob("*.toml"))


def load_card(name: str) -> Card:
    """Return a shipped card by its name or alias. Case does not matter, nor does `-` for `_`."""
    wanted = _folded(name)
    names = card_names()
    found = wanted if wanted in names else _by_alias(wanted, names)
    if found is None:
        raise UnknownNameError("strategy", name, names)
    # A copy, because lists and dicts inside a frozen model can still be changed.
    return _shipped(found).model_copy(deep=True)


def cards_dir() -> Path:
    """Return where the cards lie: inside the package in a wheel, at the root in a checkout."""
    package = Path(__file__).parent
    packed = package / "cards"
    return packed if packed.is_dir() else package.parent / "strategies"


@cache
def _shipped(name: str) -> Card:
    path = cards_dir() / f"{name}.toml"
    return _build(_read(path), str(path))


def _by_alias(wanted: str, names: Iterable[str]) -> str | None:
    return next((n for n in names if wanted in map(_folded, _shipped(n).aliases)), None)


def _folded(name: str) -> str:
    return name.strip().casefold().replace("-", "_")


def _read(path: Path) -> dict[str, Any]:
    try:
        # utf-8-sig: editors on Windows begin a file with a byte-order mark.
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise CardError(str(path), "", f"not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise CardError(str(path), "", f"not UTF-8 text (at byte {error.start})") from None
    except OSError as error:
        raise CardError(str(path), "", f"cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise CardError(str(path), "", "not valid TOML: nested too deeply") from None
    except ValueError as error:  # a null byte in the path
        raise CardError(str(path), "", f"cannot be read: {error}") from None


def _build(data: Mapping[str, Any], path: str) -> Card:
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise _explained(error, data, path) from None
    _check(card, path)
    return card


# --- override --------------------------------------------------------------------------------------------------


def override_card(base: Card, source: str | Path | Mapping[str, Any] | Card) -> Card:
    """Return a card in which the caller's texts take the place of the base's.

    Args:
        base: the card to start from.
        source: a TOML file, or its content as a mapping, that holds only what changes. Tables merge by key;
            `[[stimuli]]` and `[[variations]]` merge by `id`: a known id replaces only the keys given, a new one is
            added at the end; other lists are replaced. `replace = ["stimuli"]` drops the base's entries first.
            A text without `source` gets the source "user". A Card is taken whole, if it fits the strategy.

    Raises:
        CardError: the source does not load, does not validate, or asks for what the strategy does not have.
    """
    if isinstance(source, Card):
        card, path = source, source.name
        _check(card, path)
    else:
        given, path = _given(source)
        card = _build(_merged(base.model_dump(exclude_unset=True), given, path), path)
    _check_fits(base, card, path)
    return card


def _given(source: str | Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, Mapping):
        return source, "(given in code)"
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:  # no such user
        raise CardError(str(source), "", f"cannot be read: {error}") from None
    return _read(path), str(path)


def _merged(base: dict[str, Any], given: Mapping[str, Any], path: str) -> dict[str, Any]:
    merged = {**base, **{key: [] for key in _replaced(given, path)}}
    for key, value in given.items():
        if key in _LISTS and isinstance(value, list):
            merged[key] = _merged_by_id(merged.get(key, []), value, key, path)
        elif key in ("prompts", "placements") and isinstance(value, Mapping):
            merged[key] = _merged_tables(merged.get(key), {name: _signed(entry) for name, entry in value.items()})
        elif key != "replace":
            merged[key] = _merged_tables(merged.get(key), value)
    return merged


def _replaced(given: Mapping[str, Any], path: str) -> list[str]:
    names = given.get("replace", [])
    if not isinstance(names, list):
        raise CardError(path, "replace", f"must be a list, not {_toml_type(names)}")
    for name in names:
        if name not in _LISTS:
            raise CardError(path, "replace", f"cannot replace {name!r}; there are {', '.join(_LISTS)}")
    return names


def _merged_tables(old: Any, new: Any) -> Any:
    """Merge two tables by key, all the way down; anything else is replaced."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    return {**old, **{key: _merged_tables(old.get(key), value) for key, value in new.items()}}


def _merged_by_id(old: list[Any], new: list[Any], key: str, path: str) -> list[Any]:
    _check_ids(new, key, path)  # before merging, which would hide a duplicate
    entries = {entry["id"].casefold(): entry for entry in old}
    for entry in map(_signed, new):
        known = entries.get(entry["id"].casefold())
        entries[entry["id"].casefold()] = {**known, **entry, "id": known["id"]} if known else entry
    return list(entries.values())


def _signed(entry: Any) -> Any:
    """Put the user's name under a text that comes without a source, lest it pass for the paper's."""
    if isinstance(entry, Mapping) and ("text" in entry or "separator" in entry):
        return {"source": "user", **entry}
    return entry


# --- checks ----------------------------------------------------------------------------------------------------


def _check(card: Card, path: str) -> None:
    """Check what a type cannot say."""
    for key in _LISTS:
        _check_ids([{"id": entry.id} for entry in getattr(card, key)], key, path)
    _check_sources(card, path)
    for name, prompt in card.prompts.items():
        _check_template(prompt.text, prompt.variables, f"prompts.{name}.text", path)
    for variation in card.variations:
        _check_variation(variation, path)


def _check_ids(entries: Sequence[Any], key: str, path: str) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        id = entry.get("id") if isinstance(entry, Mapping) else None
        if not isinstance(id, str):
            raise CardError(path, f"{key}[{index}].id", "missing" if id is None else "must be a string")
        if id.casefold() in seen:
            raise CardError(path, f"{key}.{id}", "this id stands twice")
        seen.add(id.casefold())


def _check_sources(card: Card, path: str) -> None:
    for built_in in _BUILT_IN_SOURCES:
        if built_in in card.sources:
            raise CardError(path, f"sources.{built_in}", "this name is built in; choose another")
    known = [*card.sources, *_BUILT_IN_SOURCES]
    for key, source in _sourced(card):
        if source not in known:
            reason = f"{source!r} is not declared in [sources]{did_you_mean(source, known)}"
            raise CardError(path, f"{key}.source", reason)


def _sourced(card: Card) -> Iterator[tuple[str, str]]:
    yield from ((f"prompts.{name}", p.source) for name, p in card.prompts.items())
    yield from ((f"placements.{name}", p.source) for name, p in card.placements.items())
    yield from ((f"stimuli.{s.id}", s.source) for s in card.stimuli)
    yield from ((f"variations.{v.id}", v.source) for v in card.variations)


def _check_template(text: str, variables: Sequence[str], key: str, path: str) -> None:
    nearly = _NEARLY.search(text)
    if nearly:  # or it would reach the model as it is
        raise CardError(path, key, f"{nearly[0]!r} is not a variable; write {{{{name}}}} and nothing else inside")
    for place in _places(text):
        if place not in variables:
            reason = f"{{{{{place}}}}} is not a variable of this prompt{did_you_mean(place, variables)}"
            raise CardError(path, key, reason)


def _check_variation(variation: Variation, path: str) -> None:
    key = f"variations.{variation.id}"
    _check_template(variation.text, ["question"], f"{key}.text", path)
    if not _places(variation.text):
        raise CardError(path, f"{key}.text", "does not ask the question; put {{question}} into it")
    if variation.kind == "language" and not variation.language:
        raise CardError(path, f"{key}.language", "missing; a variation of kind 'language' names its language")


def _check_fits(base: Card, card: Card, path: str) -> None:
    """Check that the strategy whose card is `base` can run with `card`."""
    if card.kind != base.kind:
        raise CardError(path, "kind", f"must stay {base.kind!r}, as in the card {base.name!r}")
    _check_names(base.prompts, card.prompts, "prompts", path)
    _check_names(base.placements, card.placements, "placements", path)
    for name, prompt in card.prompts.items():
        for variable in prompt.variables:
            if variable not in base.prompts[name].variables:
                reason = f"the strategy gives no {variable!r}{did_you_mean(variable, base.prompts[name].variables)}"
                raise CardError(path, f"prompts.{name}.variables", reason)


def _check_names(base: Mapping[str, Any], given: Mapping[str, Any], key: str, path: str) -> None:
    for name in given:
        if name not in base:
            raise CardError(path, f"{key}.{name}", f"the strategy has no such entry{did_you_mean(name, list(base))}")
    for name in base:
        if name not in given:
            raise CardError(path, f"{key}.{name}", "missing")


# --- errors in words -------------------------------------------------------------------------------------------

_PARTS: dict[str, type[BaseModel]] = {
    "sources": Source,
    "prompts": Prompt,
    "placements": Placement,
    "stimuli": Stimulus,
    "variations": Variation,
}

_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}

_TOML_TYPES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
    type(None): "nothing",
}


def _explained(error: ValidationError, data: Mapping[str, Any], path: str) -> CardError:
    # An unknown key comes first: it is most often the misspelling of the one that is missing.
    first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    return CardError(path, _place(first["loc"], data), _reason(first))


def _reason(error: ErrorDetails) -> str:
    kind, given = error["type"], error["input"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        return _unknown_key(error["loc"])
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "string_unicode":
        return "is not valid Unicode text"
    if kind == "literal_error":
        return f"must be {error['ctx']['expected']}, not {given!r}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_toml_type(given)}"
    return error["msg"][:1].lower() + error["msg"][1:]


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    model = Card if len(loc) == 1 else _PARTS[str(loc[0])]
    return f"unknown key{did_you_mean(str(loc[-1]), list(model.model_fields))}"


def _place(loc: tuple[int | str, ...], data: Any) -> str:
    """Return the dotted place, with an entry's id where it has one: people do not count entries."""
    key = ""
    for step in loc:
        data = _inside(data, step)
        if isinstance(step, int):
            id = data.get("id") if isinstance(data, Mapping) else None
            key += f".{id}" if isinstance(id, str) and id else f"[{step}]"
        else:
            key += f".{step}"
    return key.removeprefix(".")


def _inside(data: Any, step: int | str) -> Any:
    try:
        return data[step]
    except (KeyError, IndexError, TypeError):
        return None


def _toml_type(value: Any) -> str:
    return _TOML_TYPES.get(type(value), f"a {type(value).__name__}")
