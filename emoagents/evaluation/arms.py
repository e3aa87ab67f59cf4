"""The arms of a comparison: "heart:3@neutral[verifier=oracle]" and its like, each with its neutral twin."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_origin

from emoagents.card import is_file, open_card
from emoagents.errors import ParameterError, UnknownNameError
from emoagents.evaluation.oracle import Oracle, read_as_task
from emoagents.evaluation.record import Arm
from emoagents.registry import (
    Part,
    leading_file,
    parse_spec,
    part_parameters,
    split_spec,
    strategy,
    strategy_class,
    strategy_parameters,
)
from emoagents.strategies.base import Strategy

__all__ = ["MadeArm", "make_arms", "split_arms"]

_SPECIAL: Mapping[str, Callable[[str], Any]] = {
    "verifier": lambda text: Oracle() if text.strip() == "oracle" else text,
    "extract": lambda text: read_as_task if text.strip() in ("task", "auto") else text,
}
"""What only a comparison can give."""
_STREAM = re.compile(r"#(\d{1,3})\s*$")
_TONE = re.compile(r"\s*@\s*\w+\s*(?=\||$)")


@dataclass(frozen=True, slots=True)
class MadeArm:
    """An arm with the strategy that runs it."""

    arm: Arm
    strategy: Strategy


def split_arms(text: str) -> list[str]:
    """Split "plain, gsa:3, heart:3[verifier=oracle,rounds=2]" at the commas that stand in no bracket or quotes.

    Raises:
        ParameterError: a bracket or a quotation mark is left open.
    """
    parts, depth, quoted, current = [], 0, False, ""
    for character in text:
        quoted ^= character == '"'
        depth += 0 if quoted else (character == "[") - (character == "]")
        if character == "," and not depth and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    if depth or quoted:
        raise ParameterError(f"arms {text!r}: a bracket or a quotation mark is left open")
    return [part.strip() for part in [*parts, current] if part.strip()]


def make_arms(specs: Iterable[str], *, common: Mapping[str, str] | None = None, twins: bool = True) -> list[MadeArm]:
    """Make arms of their specs; each emotional one is followed by its neutral twin where that is missing.

    Args:
        specs: a strategy's spec each, with parameters in brackets behind it if need be. "emotion_prompt:EP??" stands
            for all stimuli of the card whose ids match.
        common: parameters for every arm that has them and does not set them, as {"verifier": "oracle"}.
        twins: add the missing neutral twins.

    Raises:
        UsageError: a spec is wrong, one is given twice, or there is none.
    """
    written = [_read(one, dict(common or {})) for spec in specs for one in _expanded(spec)]
    if not written:
        raise ParameterError('there is no arm to compare: give some, as --strategies "plain, gsa:3"')
    for name in common or {}:
        if not any(_have(name, one.text) for one in written):
            raise ParameterError(f"no arm has a parameter {name!r}")
    labels = [one.label for one in written]
    doubles = sorted({label for label in labels if labels.count(label) > 1})
    if doubles:
        raise ParameterError(f"arm {doubles[0]!r} is given twice")
    if twins:
        written = list(dict.fromkeys(arm for one in written for arm in _with_twin(one)))
    return [_made(one, written) for one in written]


@dataclass(frozen=True, slots=True)
class _Written:
    """An arm as it is written: its strategies without their tone, the tone of those that have one, the tone that they
    have where none is written, its parameters, and those that were set for all arms."""

    text: str
    tone: str | None
    own: str | None
    given: tuple[tuple[str, str], ...]
    common: tuple[tuple[str, str], ...]
    stream: int

    @property
    def label(self) -> str:
        return f"{self.text}{self._tone}{_bracket(self.given)}{self._stream}"

    @property
    def spec(self) -> str:
        return f"{self.text}{self._tone}{_bracket(self.parameters.items())}{self._stream}"

    @property
    def parameters(self) -> dict[str, str]:
        return {**dict(self.common), **dict(self.given)}

    @property
    def _tone(self) -> str:
        return "" if self.tone == self.own else f"@{self.tone}"

    @property
    def _stream(self) -> str:
        return f"#{self.stream}" if self.stream != 1 else ""

    @property
    def family(self) -> str | None:
        """Name what is left without the values behind colons, which are what a family's members differ in.

        Only wordings and sample sizes make a family: values that are stimuli, numbers or texts of one's own. Where the
        value is one of a few names, as an arm of CoEM or a method of support, each is a way of its own, and the best
        of them is no lucky draw among equals.
        """
        parts = parse_spec(self.text)
        if all(part.value is None for part in parts) or any(map(_names_a_way, parts)):
            return None
        return f"{' | '.join(part.name for part in parts)}{self._tone}{_bracket(self.given)}{self._stream}"


def _bracket(given: Iterable[tuple[str, str]]) -> str:
    inside = ",".join(f'{k}="{v}"' if set(v) & set(",[]") else f"{k}={v}" for k, v in given)
    return f"[{inside}]" if inside else ""


def _expanded(spec: str) -> list[str]:
    """Return the specs that a pattern behind a colon stands for: of a card's stimuli, those whose ids match."""
    text, given, stream = _split_spec(spec)
    parts = parse_spec(text)
    pattern = parts[0].value or ""
    if len(parts) > 1 or not re.fullmatch(r"\S*[*?]\S*", pattern):
        return [spec]
    ids = [stimulus.id for stimulus in open_card(parts[0].name).stimuli]
    found = fnmatch.filter(ids, pattern)
    if not found:
        raise UnknownNameError("stimulus", pattern, ids)
    tone = f"@{parts[0].tone}" if parts[0].tone else ""
    name = parts[0].name if is_file(parts[0].name) else text.partition(":")[0].strip()
    return [f"{name}:{id_}{tone}{_bracket(given)}#{stream}" for id_ in found]


def _read(spec: str, common: Mapping[str, str]) -> _Written:
    text, given, stream = _split_spec(spec)
    parts = parse_spec(text)
    tones = {part.tone for part in parts if part.tone}
    if len(tones) > 1:
        raise ParameterError(f"arm {spec!r}: all its parts need the same tone")
    if any(part.name == "resample" for part in parts):
        common = {"verifier": "oracle", **common}  # it needs one
    added = tuple((k, v) for k, v in common.items() if k not in dict(given) and _have(k, text))
    bare = _Written("|".join(map(_toneless, split_spec(text))).strip(), None, None, given, added, stream)
    own = _tone_of(_strategy(bare)) if _have("tone", text) else None
    return replace(bare, tone=next(iter(tones), own), own=own)


def _tone_of(made: Strategy) -> str:
    """Return the tone of a strategy: neutral only where all of its parts that have one are."""
    tones = {getattr(part, "tone", "neutral") for part in getattr(made, "parts", (made,))}
    return "neutral" if tones == {"neutral"} else "emotional"


def _toneless(part: str) -> str:
    file = leading_file(part)
    return file + _TONE.sub("", part[len(file) :])


def _have(parameter: str, text: str) -> bool:
    return any(parameter in part_parameters(part.name) for part in parse_spec(text))


def _names_a_way(part: Part) -> bool:
    """Return whether the value behind a colon is one of a few that the strategy's class lists by name."""
    cls = strategy_class(part.name)
    kind = strategy_parameters(cls)[cls.primary] if part.value is not None and cls.primary else None
    return get_origin(kind) is Literal


def _split_spec(spec: str) -> tuple[str, tuple[tuple[str, str], ...], int]:
    """Return the strategies, the parameters in brackets, and the stream of samples."""
    stream = _STREAM.search(spec)
    file = leading_file(spec)
    match = re.fullmatch(r"([^\[\]]*)(?:\[(.*)\])?\s*", _STREAM.sub("", spec[len(file) :]), re.DOTALL)
    if match is None:
        raise ParameterError(f"arm {spec!r}: write parameters in one bracket at its end, as heart:3[verifier=oracle]")
    pairs = []
    for piece in split_arms(match[2] or ""):
        name, equals, value = piece.partition("=")
        if not equals:
            raise ParameterError(f"arm {spec!r}: {piece!r} is not NAME=VALUE")
        pairs.append((name.strip(), value.strip().strip('"')))
    return (file + match[1]).strip(), tuple(pairs), max(1, int(stream[1])) if stream else 1


def _with_twin(one: _Written) -> list[_Written]:
    _strategy(one)  # a mistake in the arm itself is not the twin's
    if one.tone != "emotional":
        return [one]
    twin = replace(one, tone="neutral")
    try:
        _strategy(twin)
    except ParameterError:  # a stimulus of one's own has none
        return [one]
    return [one, twin]


def _made(one: _Written, all_: Sequence[_Written]) -> MadeArm:
    made = _strategy(one)
    twin = next((o.label for o in all_ if o != one and replace(o, tone=one.tone) == one), None)
    family = one.family if sum(o.family == one.family for o in all_) > 1 else None
    arm = {"label": one.label, "spec": one.spec, "title": made.title, "tone": one.tone, "twin": twin, "family": family}
    return MadeArm(Arm.model_validate({**arm, "stream": one.stream}), made)


def _strategy(one: _Written) -> Strategy:
    given: dict[str, Any] = {k: _SPECIAL[k](v) if k in _SPECIAL else v for k, v in one.parameters.items()}
    if "extract" not in given and _have("extract", one.text):
        given["extract"] = read_as_task
    if one.tone == one.own:
        return strategy(one.text, **given)
    toned = [f"{part}@{one.tone}" if _have("tone", part) else part for part in split_spec(one.text)]
    return strategy("|".join(toned), **given)
