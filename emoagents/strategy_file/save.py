"""From a strategy to a file."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from emoagents.card import Card, card_names
from emoagents.errors import DataError, ParameterError, UsageError
from emoagents.model.request import is_secret
from emoagents.registry import class_named
from emoagents.strategy_file.table import DEEPEST, Pipeline, Table
from emoagents.strategy_file.values import NoData, as_data, described

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy

__all__ = ["defaults_of", "save_strategy", "tables_of"]

_FIRST = ("strategy", "name", "title", "summary", "kind", "graph", "reply", "needs", "aliases", "notes")
_THEN = ("parameters", "stages", "prompts", "placements", "stimuli", "variations", "lists", "defaults", "choices")
_LAST = ("solver", "sources")
"""Keys in the order in which they are written. Sources are last: in half a file a text's source is missing."""

_SHORTEST_SECRET = 12


def save_strategy(strategy: Strategy, path: str | Path, *, notes: Iterable[str] = ()) -> None:
    """Write a strategy to a TOML file that `open_strategy`, `registry.strategy` and the command line take.

    The file is complete: which strategy, parameters that are not the card's defaults, the whole card, what is nested
    and piped. A parameter that can't be data (a function, an object) is named in its `needs`. Paths stand there as they
    were given. An existing file is replaced at once, and kept if anything fails.

    Args:
        notes: what is to be known of it, for people; added to the card's notes, of a pipe to its last card's.

    Raises:
        ParameterError: it is no strategy of this library, or holds a key of the environment, or what TOML can't hold;
            or the notes are no texts.
        DataError: the file can't be written.
    """
    if not isinstance(path, str | Path):
        raise ParameterError(f"a strategy is written to a file's path, not to {path!r:.80}")
    tables = tables_of(strategy)
    tables = (*tables[:-1], _noted(tables[-1], notes))
    _write(Path(path).expanduser(), _as_toml(_data(tables)))


def tables_of(strategy: Strategy) -> Pipeline:
    """Return a strategy as a file would have it.

    Raises:
        ParameterError: it is no strategy of this library, or nested too deeply.
    """
    return _tables(strategy, 1)


def defaults_of(table: Table) -> dict[str, Any]:
    """Return the parameters that a strategy would have if none were given, as plain data; the card's go first."""
    fields = dataclasses.fields(cast(Any, table.cls))
    known = {f.name: f.default for f in fields if f.init and f.name not in ("card", "solver")}
    own = {name: value for name, value in table.card.defaults.items() if name in known}
    return {name: as_data(value) for name, value in {**known, **own}.items()}


# -- the strategy as tables ------------------------------------------------------------------------------------------


def _tables(strategy: Strategy, depth: int) -> Pipeline:
    if depth > DEEPEST:
        raise ParameterError(f"a file holds {DEEPEST} strategies nested in each other at most, and these are more")
    parts = getattr(strategy, "parts", None) or (strategy,)
    return tuple(_table(part, depth) for part in parts)


def _table(strategy: Strategy, depth: int) -> Table:
    card = getattr(strategy, "card", None)
    if not isinstance(card, Card) or not _is_ours(strategy):
        raise ParameterError(f"{type(strategy).__name__} can't be written to a file: it is no strategy of emoagents")
    bare = Table(type(strategy), card)
    parameters, needs, solver = dict[str, Any](), dict[str, str](), Pipeline()
    for name, default in defaults_of(bare).items():
        value = getattr(strategy, name)
        try:
            data = as_data(value)
        except NoData:
            needs[name] = described(value)
            continue
        if data != default:
            parameters[name] = data
    nested = getattr(strategy, "solver", None)
    if nested is not None and all(map(_is_ours, getattr(nested, "parts", (nested,)))):
        solver = _tables(nested, depth + 1)
    elif nested is not None:
        needs["solver"] = described(nested)
    return _without_nothing(dataclasses.replace(bare, parameters=parameters, needs=needs, solver=solver))


def _is_ours(strategy: Strategy) -> bool:
    name = type(strategy).name
    return name in (*card_names(), "staged") and class_named(name) is type(strategy)


def _without_nothing(table: Table) -> Table:
    """Take a card's defaults away where the strategy has None: TOML has no word for it."""
    empty = [name for name, value in table.parameters.items() if value is None]
    if not empty:
        return table
    words = {name: "none" for name in empty if name == "verifier"}
    kept = {name: value for name, value in table.card.defaults.items() if name not in empty}
    card = table.card.model_copy(update={"defaults": kept})
    parameters = {name: value for name, value in table.parameters.items() if name not in empty}
    return dataclasses.replace(table, card=card, parameters={**parameters, **words})


def _noted(table: Table, notes: Iterable[str]) -> Table:
    given = None if isinstance(notes, str) or not isinstance(notes, Iterable) else list(notes)
    if given is None or not all(isinstance(one, str) for one in given):
        raise ParameterError(f"notes must be a list of texts, as ['Chosen on our data.'], not {notes!r:.80}")
    whole = list(dict.fromkeys([*table.card.notes, *given]))
    return dataclasses.replace(table, card=table.card.model_copy(update={"notes": whole}))


# -- tables as TOML --------------------------------------------------------------------------------------------------


def _data(tables: Pipeline) -> dict[str, Any]:
    return _table_data(tables[0]) if len(tables) == 1 else {"pipe": [_table_data(one) for one in tables]}


def _table_data(table: Table) -> dict[str, Any]:
    data = table.card.model_dump(by_alias=True, exclude_defaults=True)
    if table.cls.name != "staged":
        data["strategy"] = table.cls.name
    data |= {"needs": list(table.needs), "parameters": _fixed(table)}
    data |= {"solver": _data(table.solver)} if table.solver else {}
    return {key: data[key] for key in (*_FIRST, *_THEN, *_LAST) if data.get(key) not in (None, "", [], {})}


def _fixed(table: Table) -> dict[str, Any]:
    """Return the parameters, with the class's defaults that the card does not name: a later version may have others."""
    unnamed = {name: value for name, value in defaults_of(table).items() if name not in table.card.defaults}
    kept = {name: value for name, value in unnamed.items() if value is not None and name not in table.needs}
    return {**kept, **table.parameters}


class _Text(str):
    """A text whose line ends a TOML writer must not touch: tomli_w would write CR LF as LF."""

    def replace(self, *args: Any) -> str:
        return self


def _as_toml(data: Mapping[str, Any]) -> str:
    import tomli_w

    plain = _plain(data, "")
    text = tomli_w.dumps(plain, multiline_strings=True, indent=2)
    if tomllib.loads(text) != plain:
        raise ParameterError("this strategy can't be written as TOML without a change, so nothing was written")
    _check_secrets(plain)
    return text


def _plain(value: Any, place: str) -> Any:
    """Return what a card or a parameter holds as TOML has it; a key without a value is left out.

    Raises:
        ParameterError: TOML can't hold it.
    """
    if isinstance(value, str):
        return _encoded(value, place)
    if isinstance(value, bool | int | float | date | time):
        return value
    if isinstance(value, Mapping):
        return {_encoded(k, place): _plain(v, f"{place}.{k}".strip(".")) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(one, f"{place}[{number}]") for number, one in enumerate(value)]
    raise ParameterError(f"{place}: {type(value).__name__} can't be written as TOML")


def _encoded(text: Any, place: str) -> str:
    if not isinstance(text, str):
        raise ParameterError(f"{place}: a key must be a text, not {text!r:.80}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParameterError(f"{place}: is not valid Unicode text") from None
    return _Text(text)


def _check_secrets(data: Mapping[str, Any]) -> None:
    texts = list(_texts(data))  # not as TOML, in which a key with a quotation mark looks different
    for name, value in os.environ.items():
        if is_secret(name) and len(value) >= _SHORTEST_SECRET and any(value in text for text in texts):
            raise ParameterError(f"a text of the strategy holds the value of {name}; take it out before it is written")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    else:
        yield str(value)


# -- TOML as a file --------------------------------------------------------------------------------------------------


def _write(path: Path, text: str) -> None:
    try:
        target = path.resolve()  # of a link, what it leads to
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, _mode(target))
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:  # a null byte in the path
        raise _unwritable(path, error) from None


def _mode(path: Path) -> int:
    """Return the rights of the file that is replaced; of a new one, those that the user's mask leaves."""
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _unwritable(path: Path, error: Exception) -> UsageError:
    why = error.strerror or error if isinstance(error, OSError) else error
    return DataError(str(path), 0, f"it can't be written: {why}")
