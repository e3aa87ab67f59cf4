"""What differs between two strategies, place by place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, TypeAlias

from emoagents.card import load_card
from emoagents.registry import class_named
from emoagents.strategy_file.save import defaults_of, tables_of
from emoagents.strategy_file.table import Pipeline, Table

if TYPE_CHECKING:
    from emoagents.strategies.base import Strategy

__all__ = ["Change", "strategy_changes", "table_changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """One place where two strategies differ.

    Attributes:
        place: as "prompts.ask.text", "parameters.samples" or "solver.prompts.ask.demos"; of what prepares the prompt
            with its name before it, as "emotion_prompt.parameters.stimulus".
        old, new: what stands there, as text; None: nothing. Of a list, a demonstration among them, each entry that was
            taken away or added is a change of its own.
    """

    place: str
    old: str | None
    new: str | None


def strategy_changes(old: Strategy, new: Strategy) -> list[Change]:
    """Return what differs: strategies, parameters, every key of their cards, and the same of what is nested.

    A strategy that only prepares the prompt is compared as if `Plain()` stood behind it, which is how it runs.
    Functions and objects are compared by their names.

    Raises:
        ParameterError: one of them is no strategy of this library.
    """
    return table_changes(tables_of(old), tables_of(new))


def table_changes(old: Pipeline, new: Pipeline) -> list[Change]:
    """Return what differs between strategies as files have them. See `strategy_changes`."""
    return list(_between_pipelines(old, new, ""))


# -- strategies ------------------------------------------------------------------------------------------------------


def _between_pipelines(old: Pipeline, new: Pipeline, place: str) -> Iterator[Change]:
    before, after = _preparing(old), _preparing(new)
    for name in dict.fromkeys([*before, *after]):
        if name in before and name in after:
            yield from _between_tables(before[name], after[name], f"{place}{name}.")
        else:
            yield Change(f"{place}{name}", _told(before.get(name)), _told(after.get(name)))
    yield from _between_tables(_answering(old), _answering(new), place)


def _preparing(parts: Pipeline) -> dict[str, Table]:
    """Return what prepares the prompt, by its name; of two of one name the second has a number."""
    named: dict[str, Table] = {}
    for part in parts:
        if part.cls.kind == "prepare":
            count = sum(part.name == one.name for one in named.values()) + 1
            named[part.name if count == 1 else f"{part.name}_{count}"] = part
    return named


def _answering(parts: Pipeline) -> Table:
    last = parts[-1]
    return last if last.cls.kind == "answer" else Table(class_named("plain"), load_card("plain"))


def _between_tables(old: Table, new: Table, place: str) -> Iterator[Change]:
    if old.cls is not new.cls:
        yield Change(f"{place}strategy", old.cls.name, new.cls.name)
    before, after = _flat(_content(old)), _flat(_content(new))
    for key in _in_sections([*before, *after]):
        yield from _between(before.get(key), after.get(key), f"{place}{key}")
    if old.solver and new.solver:
        yield from _between_pipelines(old.solver, new.solver, f"{place}solver.")
    elif old.solver or new.solver:
        yield Change(f"{place}solver", _told(*old.solver), _told(*new.solver))


def _in_sections(keys: Sequence[str]) -> list[str]:
    """Return keys, each once, with those of one prompt, stimulus ... together."""
    sections: dict[str, list[str]] = {}
    for key in dict.fromkeys(keys):
        depth = 1 if key.startswith("parameters.") else 2
        sections.setdefault(".".join(key.split(".")[:depth]), []).append(key)
    return [key for section in sections.values() for key in section]


def _content(table: Table) -> dict[str, Any]:
    card = table.card.model_dump(by_alias=True, exclude_defaults=True)
    return {"parameters": _settings(table), **card}


def _settings(table: Table) -> dict[str, Any]:
    """Return all parameters, given or not."""
    unknown = {name: told or "(to be given)" for name, told in table.needs.items()}
    whole = {**defaults_of(table), **table.parameters, **unknown}
    return {name: value for name, value in whole.items() if value is not None}


def _told(*parts: Table | None) -> str | None:
    """Return strategies in one line, with the parameters that are not the defaults."""
    shown = [_told_one(part) for part in parts if part is not None]
    return " | ".join(shown) or None


def _told_one(table: Table) -> str:
    primary, known, usual = table.cls.primary, _settings(table), defaults_of(table)
    other = [name for name, value in table.parameters.items() if value != usual.get(name)]
    given = [*([primary] if primary in known and primary not in other else []), *other]
    inner = [f"{name} = {_text(known[name])}" for name in (*given, *table.needs) if name in known]
    inner += [f"solver = {_told(*table.solver)}"] if table.solver else []
    return f"{table.name} ({', '.join(inner)})" if inner else table.name


# -- what they hold --------------------------------------------------------------------------------------------------

_Leaf: TypeAlias = "str | list[str]"


def _flat(value: Mapping[str, Any], place: str = "") -> dict[str, _Leaf]:
    """Return texts and lists of texts by their dotted places."""
    found: dict[str, _Leaf] = {}
    for key, inner in value.items():
        here = f"{place}{key}"
        if isinstance(inner, Mapping):
            found |= _flat(inner, f"{here}.")
        elif isinstance(inner, list) and inner and all(isinstance(one, Mapping) and "id" in one for one in inner):
            found[f"{here}.order"] = ", ".join(one["id"] for one in inner)
            found |= _flat({one["id"]: {k: v for k, v in one.items() if k != "id"} for one in inner}, f"{here}.")
        elif isinstance(inner, list):
            found[here] = [_demo(one) if key == "demos" else _text(one) for one in inner]
        else:
            found[here] = _text(inner)
    return found


def _between(old: _Leaf | None, new: _Leaf | None, place: str) -> Iterator[Change]:
    if isinstance(old, list) or isinstance(new, list):
        yield from _between_lists(_listed(old), _listed(new), place)
    elif _only_reordered(old, new) if place.endswith(".order") else old != new:
        yield Change(place, old, new)


def _only_reordered(old: str | None, new: str | None) -> bool:
    """Whether entries that both have stand in another order; what was added or taken away shows by itself."""
    before, after = (old or "").split(", "), (new or "").split(", ")
    return [one for one in before if one in after] != [one for one in after if one in before]


def _between_lists(old: Sequence[str], new: Sequence[str], place: str) -> Iterator[Change]:
    for _, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if old[a:b] != new[c:d]:
            yield from (Change(place, one, None) for one in old[a:b])
            yield from (Change(place, None, one) for one in new[c:d])


def _listed(value: _Leaf | None) -> list[str]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _demo(demo: Mapping[str, Any]) -> str:
    """Return a demonstration for people: the values, the answer, and what stands around them where something does."""
    lines = [f"{name}: {value}" for name, value in demo.get("values", {}).items()]
    lines += [f"answer: {demo.get('answer', '')}"]
    lines += [f"{key}: {_text(demo[key])}" for key in ("head", "tail", "before", "after") if demo.get(key)]
    return "\n".join(lines)
