"""The file of a planner: skops' zip of JSON and NumPy arrays, which needs no pickle. Imported where it is used.

A file holds plain dicts, strings and arrays of numbers, and is refused before anything in it is looked at if it names
any other type, scikit-learn's own included, which skops would trust.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from emoagents.errors import DataError, MissingExtraError
from emoagents.support.planner.facts import PlannerFacts
from emoagents.support.planner.features import BLOCKS
from emoagents.support.planner.trained import TrainedPlanner

if TYPE_CHECKING:
    from emoagents.support.planner.encode import Array, Encoder

__all__ = ["read", "write"]

_KIND = "emoagents planner"
_FORMAT = "1"
"""Changes when a planner's numbers come to mean something else."""

_ALLOWED = {
    ("DictNode", "builtins.dict"),
    ("ListNode", "builtins.list"),
    ("TypeNode", "builtins.str"),
    ("JsonNode", "builtins.str"),
    ("NdArrayNode", "numpy.ndarray"),
}
"""All that a file may be made of: skops' node, and the type it makes. The list is that of the types' names."""


def write(planner: TrainedPlanner, path: Path) -> None:
    """Write a planner. The file is there as a whole or not at all.

    Raises:
        DataError: it can't be written. MissingExtraError: skops is not installed.
    """
    skops = _skops()
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        skops.dump(_content(planner), beside, compression=zipfile.ZIP_DEFLATED)
        beside.replace(path)
    except OSError as error:
        raise DataError(str(path), 0, f"the planner can't be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _skops() -> Any:
    try:
        import numpy  # noqa: F401
        import sklearn  # noqa: F401
        import skops.io
    except ImportError:
        raise MissingExtraError("support", "a planner") from None
    return skops.io


def _content(planner: TrainedPlanner) -> dict[str, Any]:
    vocabularies = planner.encoder.vocabularies
    return {
        "kind": _KIND,
        "format": _FORMAT,
        "facts": planner.facts.model_dump_json(),
        "terms": {name: "\n".join(each.terms) for name, each in vocabularies.items()},
        "idf": {name: each.idf for name, each in vocabularies.items()},
        "names": "\n".join(planner.encoder.names),
        "weights": planner.weights,
        "bias": planner.bias,
    }


def read(path: Path) -> TrainedPlanner:
    """Return the planner of a file.

    Raises:
        DataError: there is no such file, or it is not a planner's. MissingExtraError: skops is not installed.
    """
    skops = _skops()
    _check(path)
    try:
        content = skops.load(path, trusted=[])
        return _planner(content, path)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file makes skops or numpy stumble over
        raise _damaged(path, type(error).__name__) from None


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(str(path), 0, f"this is a damaged planner ({reason}); train it again")


def _check(path: Path) -> None:
    """See that a file is made of allowed types only."""
    try:
        with zipfile.ZipFile(path) as whole:
            found = set(_types(json.loads(whole.read("schema.json"))))
    except OSError as error:
        raise DataError(str(path), 0, f"no planner: {error.strerror or error}") from None
    except Exception:  # not a zip, or damaged in one of the many ways there are
        raise DataError(str(path), 0, "this is not a planner's file; make one with `emoagents support train`") from None
    if foreign := sorted(f"{kind} ({node})" for node, kind in found - _ALLOWED):
        raise DataError(str(path), 0, f"this is not a planner's file, since it holds {', '.join(foreign)[:200]}")


def _types(schema: Any) -> Iterator[tuple[str, str]]:
    """Yield node and type of everything that a schema would have made."""
    left = [schema]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            if "__loader__" in node or "__class__" in node:
                yield str(node.get("__loader__")), f"{node.get('__module__')}.{node.get('__class__')}"
            left += node.values()
        elif isinstance(node, list):
            left += node


def _planner(content: Any, path: Path) -> TrainedPlanner:
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise DataError(str(path), 0, "this is not a planner's file; make one with `emoagents support train`")
    if content.get("format") != _FORMAT:
        reason = f"this planner has format {content.get('format')!r:.20}, and this version of emoagents reads {_FORMAT}"
        raise DataError(str(path), 0, f"{reason}; train it again")
    try:
        facts = PlannerFacts.model_validate_json(content["facts"])
    except ValidationError:
        raise _damaged(path, "its facts are not whole") from None
    encoder = _encoder(content)
    labels, width = len(facts.labels), encoder.width
    weights, bias = _array(content["weights"], (labels, width)), _array(content["bias"], (labels,))
    return TrainedPlanner(facts, encoder, weights, bias)


def _encoder(content: Mapping[str, Any]) -> Encoder:
    from emoagents.support.planner.encode import Encoder, Vocabulary

    terms = {name: _lines(content["terms"][name]) for name in BLOCKS}
    found = {name: Vocabulary(terms[name], _array(content["idf"][name], (len(terms[name]),))) for name in BLOCKS}
    return Encoder(found, _lines(content["names"]))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()


def _array(given: Any, shape: tuple[int, ...]) -> Array:
    """Return an array of finite numbers.

    Raises:
        ValueError: it is something else, or of another shape.
    """
    import numpy as np

    if not isinstance(given, np.ndarray) or given.dtype != np.float64 or given.shape != shape:
        raise ValueError("an array does not fit")
    if not np.isfinite(given).all():
        raise ValueError("an array holds what is not a number")
    return given
