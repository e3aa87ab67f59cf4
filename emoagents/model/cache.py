"""The cache of model answers. Backends are LangGraph's own; the key is ours.

The key holds the whole request, the endpoint and the sample's index, so the k-th sample of a prompt is always the
k-th sample, and a second run of the same work makes no call. Keys and headers of an account are never part of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, TypeAdapter, ValidationError

from emoagents.errors import MissingExtraError, ParameterError
from emoagents.model.request import Choice, Request

if TYPE_CHECKING:
    from langgraph.cache.base import BaseCache

__all__ = ["AnswerCache", "CacheSetting", "answer_key", "open_cache"]

CacheSetting: TypeAlias = "str | Path | BaseCache[Any] | None"
"""None: no cache. "memory": for this context. "redis://...": that server. Another string: a file. Or a backend."""

_log = logging.getLogger(__name__)
_NAMESPACE = ("emoagents", "answers")
_FORMAT = 1
_SECRET = re.compile(r"api_?key|secret|password|authorization|headers|credential|aws_|(^|_)token$", re.IGNORECASE)
_CHOICE = TypeAdapter(Choice)
_OPENING = 10.0


def answer_key(endpoint: str, model: str, request: Request, index: int) -> str:
    """Return the cache key of one sample: a sha256 in hex over all that decides the answer, and no secret."""
    schema = request.response_format
    whole = {
        "format": _FORMAT,
        "endpoint": endpoint,
        "model": model,
        "messages": list(request.messages),
        "sampling": [request.temperature, request.top_p, request.max_tokens, list(request.stop), request.seed],
        "response_format": schema.model_json_schema() if schema is not None else None,
        "tools": [list(request.tools), request.tool_choice],
        "logprobs": [request.logprobs, request.top_logprobs],
        "extra": _public(request.extra),
        "index": index,
    }
    text = json.dumps(whole, sort_keys=True, ensure_ascii=True, default=_plain, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _public(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if not _SECRET.search(k)}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    return repr(value)


class _JsonSerde:
    """JSON only: what lies in a cache file is data and is never turned into code. Damaged entries read as None."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "json", json.dumps(obj, ensure_ascii=True).encode()

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        try:
            return json.loads(data[1]) if data[0] == "json" else None
        except (ValueError, TypeError):
            return None


class AnswerCache:
    """Reads and writes samples. A damaged entry or an unreachable backend is a miss and never stops a run."""

    def __init__(self, backend: BaseCache[Any], *, blocking: bool = True) -> None:
        self._backend = backend
        self._blocking = blocking
        self._warned = False

    async def get(self, keys: Sequence[str]) -> list[Choice | None]:
        """Return the samples of these keys in order, None for each miss."""
        try:
            found = await self._do(self._backend.get, [(_NAMESPACE, k) for k in keys])
        except Exception as error:  # any backend, any fault: the model can still be asked
            self._warn("read", error)
            return [None] * len(keys)
        return [_choice(found.get((_NAMESPACE, k))) for k in keys]

    async def put(self, samples: Mapping[str, Choice]) -> None:
        """Keep samples by key."""
        try:
            await self._do(self._backend.set, {(_NAMESPACE, k): (asdict(c), None) for k, c in samples.items()})
        except Exception as error:
            self._warn("write", error)

    async def _do(self, work: Callable[[Any], Any], argument: Any) -> Any:
        # the async methods of LangGraph's Redis backend block, so threads are for us to choose
        return await asyncio.to_thread(work, argument) if self._blocking else work(argument)

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("the answer cache can't be used to %s (%s): going on without it", what, error)


def _choice(value: Any) -> Choice | None:
    try:
        return _CHOICE.validate_python(value) if isinstance(value, dict) else None
    except ValidationError:
        return None


def open_cache(setting: CacheSetting) -> AnswerCache | None:
    """Return the cache of a setting.

    Raises:
        ParameterError: the file can't be made, or the setting is of no known kind.
        MissingExtraError: a Redis address without the redis package.
    """
    if setting is None:
        return None
    if setting == "memory":
        return _in_memory()
    if isinstance(setting, str | Path):
        address = str(setting)
        redis = address.startswith(("redis://", "rediss://"))
        return AnswerCache(_open_redis(address) if redis else _open_file(_absolute(address)))
    if hasattr(setting, "get") and hasattr(setting, "set"):
        return AnswerCache(setting)
    raise ParameterError(f"cache must be 'memory', a file, a redis:// address or a LangGraph cache, not {setting!r}")


def _in_memory() -> AnswerCache:
    from langgraph.cache.memory import InMemoryCache

    return AnswerCache(InMemoryCache(serde=_JsonSerde()), blocking=False)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


@lru_cache(maxsize=16)
def _open_file(path: str) -> BaseCache[Any]:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return _connect(path)
    except OSError as error:
        raise ParameterError(f"cache: can't use the file {path}: {error.strerror or error}") from None
    except sqlite3.OperationalError as error:
        raise ParameterError(f"cache: can't use the file {path}: {error}") from None
    except sqlite3.DatabaseError:
        aside = f"{path}.damaged-{int(time.time())}"
        Path(path).rename(aside)
        _log.warning("the cache file %s was damaged: it is now %s, and a new one is begun", path, aside)
        return _connect(path)


def _connect(path: str) -> BaseCache[Any]:
    from langgraph.cache.sqlite import SqliteCache

    give_up = time.monotonic() + _OPENING
    while True:
        try:
            return SqliteCache(path=path, serde=_JsonSerde())
        except sqlite3.OperationalError as error:  # another process is switching the new file to WAL
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def _open_redis(address: str) -> BaseCache[Any]:
    from langgraph.cache.redis import RedisCache

    try:
        import redis  # type: ignore[import-not-found,unused-ignore]  # an extra
    except ImportError:
        raise MissingExtraError("redis", "a cache in Redis") from None
    return RedisCache(redis.Redis.from_url(address), serde=_JsonSerde())
