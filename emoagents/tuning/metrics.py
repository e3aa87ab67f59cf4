"""What an answer is worth, as optimisers ask it: exact metrics by name, or a function of one's own."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, TypeAlias, cast

from emoagents.errors import MetricError, ParameterError, UnknownNameError, did_you_mean
from emoagents.evaluation.metrics import number, text_contains, text_exact, text_f1
from emoagents.evaluation.task import Item, Score

__all__ = ["METRICS", "Metric", "Rule", "make_metric"]


class Metric(Protocol):
    """From an example and an answer to a score of 0 (worst) to 1 (best)."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def __call__(self, item: Item, answer: str) -> Score:
        """Return the score.

        Raises:
            MetricError: a function of one's own failed.
        """


Rule: TypeAlias = Callable[[Item, str], "float | bool | Score"]
"""A metric as a user writes it."""

METRICS = ("exact", "numeric", "f1", "contains")
"""Metrics with a name; what each compares is said by the functions of `emoagents.evaluation.metrics`."""

_PURE = {"exact": text_exact, "numeric": number, "f1": text_f1, "contains": text_contains}


def make_metric(given: str | Rule) -> Metric:
    """Return the metric of a name, of "module:function", or of a function.

    A module is imported, which runs it: from the working directory, from Python's path, or from a file's path as
    "checks/mine.py:score". The function takes the example and the answer and returns a number from 0 to 1, a bool or a
    `Score`.

    Raises:
        UnknownNameError: there is no such metric. ParameterError: the module can't be imported, has no such function,
            or the function does not take two arguments.
    """
    if not isinstance(given, str):
        return _Own(_checked(given, _name_of(given)), _name_of(given))
    name = given.strip()
    if name in _PURE:
        return _Named(name)
    if ":" not in name:
        raise UnknownNameError("metric", name, (*METRICS, "module:function"))
    return _Own(_imported(name), name)


@dataclass(frozen=True, slots=True)
class _Named:
    name: str

    def __call__(self, item: Item, answer: str) -> Score:
        return _PURE[self.name](answer, item.targets)


@dataclass(frozen=True, slots=True)
class _Own:
    """A function of the user's, whose exceptions become one kind of error."""

    rule: Rule
    name: str

    @property
    def source(self) -> Path | None:
        """The file that the function stands in; None where it stands in none."""
        try:
            found = inspect.getsourcefile(inspect.unwrap(cast(Callable[..., object], self.rule)))
        except TypeError:
            return None
        return None if found is None else Path(found)

    def __call__(self, item: Item, answer: str) -> Score:
        try:
            value = self.rule(item, answer)
        except (Exception, SystemExit) as error:
            raise MetricError(
                f"metric {self.name} failed on example {item.id}: {type(error).__name__}: {error}"
            ) from error
        return self._score(item, value)

    def _score(self, item: Item, value: object) -> Score:
        if isinstance(value, Score):
            score, value = value, value.value
        else:
            score = None
        number_ = _number(value)
        if number_ is None or not 0 <= number_ <= 1:
            raise MetricError(
                f"metric {self.name} gave {value!r:.60} for example {item.id}: a number from 0 to 1, a bool or a Score"
                " is needed"
            )
        return score or Score(value=number_)


def _number(value: object) -> float | None:
    try:
        found = float(cast(float, value)) if not isinstance(value, str | bytes) else math.nan
    except (TypeError, ValueError):
        return None
    return None if math.isnan(found) else found


def _name_of(rule: object) -> str:
    return str(getattr(rule, "name", None) or getattr(rule, "__name__", None) or type(rule).__name__)


# -- from a module ---------------------------------------------------------------------------------------------------


def _imported(spec: str) -> Rule:
    place, _, name = spec.rpartition(":")
    if not place or not name.isidentifier():
        raise ParameterError(f"metric {spec!r}: write MODULE:FUNCTION, as checks:score or checks/mine.py:score")
    module = _module(spec, place)
    found = getattr(module, name, None)
    if found is None:
        known = [n for n, one in vars(module).items() if callable(one) and not n.startswith("_")]
        raise ParameterError(f"metric {spec!r}: {place} has no function {name!r}{did_you_mean(name, known)}")
    return _checked(found, spec)


def _checked(rule: object, name: str) -> Rule:
    if not callable(rule):
        raise ParameterError(f"metric {name!r}: a {type(rule).__name__} is no function of an example and an answer")
    if inspect.iscoroutinefunction(rule):
        raise ParameterError(f"metric {name!r} is async: a metric is a plain function of an example and an answer")
    try:
        inspect.signature(rule).bind(None, None)
    except TypeError as error:
        raise ParameterError(f"metric {name!r} can't be called with an example and an answer: {error}") from None
    except ValueError:  # some builtins have no signature
        pass
    return rule


def _module(spec: str, place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _from_file(spec, Path(place).expanduser())
        with _working_directory_on_path():
            return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise ParameterError(
                f"metric {spec!r}: there is no module {error.name!r} in {Path.cwd()} or on Python's path"
            ) from None
        raise _failed(spec, place, error) from error
    except ParameterError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(spec, place, error) from error


def _failed(spec: str, place: str, error: BaseException) -> ParameterError:
    return ParameterError(f"metric {spec!r}: importing {place} failed: {type(error).__name__}: {error}")


def _from_file(spec: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise ParameterError(f"metric {spec!r}: there is no file {path}")
    name = f"emoagents_metric_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    found.loader.exec_module(module)
    return module


@contextmanager
def _working_directory_on_path() -> Iterator[None]:
    """Look in the working directory first, as `python -m` does, while the module is imported."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
