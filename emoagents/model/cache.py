"""The cache of model answers. Backends are LangGraph's own; the key is ours.

The key holds the whole request, the endpoint and the sample's index, so the k-th sample of a prompt is always the
k-th sample, and a second run of the same work makes no call. Keys and headers of an account are never part of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from emoagents.errors import DataError, MissingExtraError, ParameterError
from emoagents.model.request import Choice, Request, is_secret

__all__ = ["AnswerCache", "AnswerStore", "CacheOpener", "CacheSetting", "answer_keys", "open_cache"]

if TYPE_CHECKING:
    CacheSetting: TypeAlias = "str | Path | AnswerStore | None"
else:
    CacheSetting = str | Path | None  # what can be written as JSON; the other name is not imported here
"""None: no cache. "memory": for this context. "redis://...": that server. Another string: a file. Or a backend, as any
of LangGraph's."""

T = TypeVar("T")

_log = logging.getLogger(__name__)
_NAMESPACE = ("emoagents", "answers")
_FORMAT = 2
_CHOICE = TypeAdapter(Choice)
_PATIENCE = 30.0
"""Seconds to wait for other processes that write to the same file."""
_REDIS_TIMEOUT = 5.0
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


# -- the key -------------------------------------------------------------------------------------------------


def answer_keys(endpoint: str, model: str, request: Request, indices: Iterable[int]) -> dict[int, str]:
    """Return the cache key of each sample: a sha256 in hex over all that decides the answer, and no secret.

    Raises:
        ParameterError: the request can't be written as JSON.
    """
    whole = {
        "format": _FORMAT,
        "endpoint": endpoint,
        "model": model,
        "messages": list(request.messages),
        "sampling": [_float(request.temperature), _float(request.top_p), request.max_tokens, request.stop],
        "seed": request.seed,
        "response_format": _schema(request.response_format) if request.response_format is not None else None,
        "tools": [request.tools, request.tool_choice],
        "logprobs": [request.logprobs, request.top_logprobs],
        "extra": _public(request.extra),
    }
    try:
        text = json.dumps(whole, sort_keys=True, default=_plain, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the request can't be written as JSON: {error}") from None
    common = hashlib.sha256(text.encode())
    return {index: _key(common, index) for index in indices}


def _key(common: hashlib._Hash, index: int) -> str:
    digest = common.copy()
    digest.update(b"#%d" % index)
    return digest.hexdigest()


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)  # 1 and 1.0 ask for the same


@lru_cache(maxsize=256)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _public(v) for k, v in value.items() if not is_secret(str(k))}
    return [_public(v) for v in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return repr(value)


# -- the cache -----------------------------------------------------------------------------------------------


class _JsonSerde:
    """JSON only: what lies in a cache file is data and is never turned into code. Damaged entries read as None."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "json", json.dumps(obj, ensure_ascii=True).encode()

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        with suppress(ValueError, TypeError, RecursionError):
            return json.loads(data[1]) if data[0] == "json" else None


class AnswerStore(Protocol):
    """The part of LangGraph's BaseCache that is used. One whose reads and writes are short says `blocking = False`;
    one without which a run must not go on says `essential = True`."""

    def get(self, keys: Sequence[Any], /) -> Mapping[Any, Any]: ...

    def set(self, pairs: Mapping[Any, tuple[Any, int | None]], /) -> None: ...


@dataclass(slots=True)
class _Turn:
    """Who buys a sample just now, and how many are at it or wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class AnswerCache:
    """Reads and writes samples. A damaged entry or an unreachable backend is a miss and never stops a run.

    Args:
        store: where the samples lie.
        blocking: whether reading and writing may take long, and so needs a thread.
    """

    def __init__(self, store: AnswerStore, *, blocking: bool = True) -> None:
        self._store = store
        self._blocking = blocking
        self._warned = False
        self._buying: dict[str, _Turn] = {}

    @asynccontextmanager
    async def buying(self, keys: Sequence[str]) -> AsyncIterator[bool]:
        """Hold these keys while their samples are bought, so that two who ask for the same pay once.

        Yields whether somebody else held one of them before: then look again. Only for the model loop.
        """
        turns = {key: self._buying.setdefault(key, _Turn()) for key in sorted(keys)}  # one order: no deadlock
        waited = any(turn.users for turn in turns.values())
        for turn in turns.values():
            turn.users += 1
        try:
            async with AsyncExitStack() as held:
                for turn in turns.values():
                    await held.enter_async_context(turn.lock)
                yield waited
        finally:
            for key, turn in turns.items():
                turn.users -= 1
                if not turn.users:
                    del self._buying[key]

    async def get(self, keys: Sequence[str]) -> list[Choice | None]:
        """Return the samples of these keys in order, None for each miss."""
        try:
            found = await self._do(self._store.get, [(_NAMESPACE, k) for k in keys])
        except Exception as error:  # any backend, any fault: the model can still be asked
            self._warn("read", error)
            return [None] * len(keys)
        return [_choice(found.get((_NAMESPACE, k))) for k in keys]

    async def put(self, samples: Mapping[str, Choice]) -> None:
        """Keep samples by key.

        Raises:
            DataError: an essential store can't be written to.
        """
        try:
            await self._do(self._store.set, {(_NAMESPACE, k): (_plain_choice(c), None) for k, c in samples.items()})
        except Exception as error:
            if getattr(self._store, "essential", False):
                raise DataError("the journal of replies", 0, f"can't write to it: {error}") from None
            self._warn("write", error)

    async def _do(self, work: Callable[[Any], T], argument: Any) -> T:
        # the async methods of LangGraph's Redis backend block, so threads are for us to choose
        return await asyncio.to_thread(work, argument) if self._blocking else work(argument)

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("the answer cache can't be used to %s (%s): going on without it", what, error)


def _plain_choice(choice: Choice) -> dict[str, Any]:
    data: dict[str, Any] = _CHOICE.dump_python(choice, warnings=False)  # a sixth of the time of dataclasses.asdict
    return data


def _choice(value: Any) -> Choice | None:
    try:
        return _CHOICE.validate_python(value) if isinstance(value, dict) else None
    except (ValidationError, RecursionError):
        return None


# -- where it lies -------------------------------------------------------------------------------------------


class CacheOpener:
    """Opens the cache of a setting on first use, once for all that share it."""

    def __init__(self, setting: CacheSetting) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._cache: AnswerCache | None = None

    async def open(self) -> AnswerCache | None:
        """Return the cache. See `open_cache`."""
        if self._setting is None or self._cache is not None:
            return self._cache
        return await asyncio.to_thread(self._open_once)

    def _open_once(self) -> AnswerCache | None:
        with self._lock:
            self._cache = self._cache or open_cache(self._setting)
            return self._cache


def open_cache(setting: CacheSetting) -> AnswerCache | None:
    """Return the cache of a setting. Blocks.

    Raises:
        ParameterError: the file can't be made, or the setting is of no known kind.
        MissingExtraError: a Redis address without the redis package.
    """
    if setting is None:
        return None
    if setting == "memory":
        return AnswerCache(_memory(), blocking=False)
    if isinstance(setting, str | Path):
        address = str(setting)
        redis = address.startswith(("redis://", "rediss://", "unix://"))
        return _in_redis(address) if redis else _in_file(address)
    if hasattr(setting, "get") and hasattr(setting, "set"):
        return AnswerCache(setting, blocking=getattr(setting, "blocking", True))
    raise ParameterError(f"cache must be 'memory', a file, a redis:// address or a LangGraph cache, not {setting!r}")


def _memory() -> AnswerStore:
    from langgraph.cache.memory import InMemoryCache

    return InMemoryCache(serde=_JsonSerde())


def _in_file(path: str) -> AnswerCache:
    try:
        file = _file(str(Path(path).expanduser().resolve()))
        file.get([])
    except (OSError, sqlite3.Error, ValueError, RuntimeError) as error:  # an impossible name, or user's home
        reason = getattr(error, "strerror", None) or error
        raise ParameterError(f"cache: can't use the file {path}: {reason}") from None
    return AnswerCache(file)


def _in_redis(address: str) -> AnswerCache | None:
    from langgraph.cache.redis import RedisCache

    try:
        redis = importlib.import_module("redis")
    except ImportError:
        raise MissingExtraError("redis", "a cache in Redis") from None
    try:
        limits = {"socket_timeout": _REDIS_TIMEOUT, "socket_connect_timeout": _REDIS_TIMEOUT}
        client = redis.Redis.from_url(address, **limits)
        client.ping()
    except ValueError:  # its text may hold the password
        raise ParameterError("cache: write a Redis address as redis://HOST:PORT/NUMBER") from None
    except redis.RedisError as error:
        _log.warning("the answer cache in Redis can't be reached (%s): going on without it", error)
        return None
    return AnswerCache(RedisCache(client, serde=_JsonSerde()))


@lru_cache(maxsize=64)
def _file(path: str) -> _File:
    return _File(path)


class _File:
    """An SQLite file for several processes, opened by each on first use, and begun anew where it is damaged."""

    _inherited: ClassVar[list[Any]] = []
    """Connections of a forked child's parent: even to close one would break the parent's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened: tuple[int, int | None, AnswerStore] | None = None

    def get(self, keys: Sequence[Any], /) -> Mapping[Any, Any]:
        return self._use(lambda store: store.get(keys))

    def set(self, pairs: Mapping[Any, tuple[Any, int | None]], /) -> None:
        self._use(lambda store: store.set(pairs))

    def _use(self, work: Callable[[AnswerStore], T]) -> T:
        give_up = time.monotonic() + _PATIENCE
        while True:
            inode = _inode(self._path)
            try:
                return work(self._store(inode))
            except sqlite3.DatabaseError as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code in _DAMAGED:
                    _set_aside(self._path, inode)
                elif code not in _BUSY or time.monotonic() > give_up:
                    raise
                else:  # busy without a wait of SQLite's own: another process makes the file or changes its mode
                    time.sleep(0.02)

    def _store(self, inode: int | None) -> AnswerStore:
        opened = self._opened
        if opened is not None and opened[:2] == (os.getpid(), inode):
            return opened[2]
        if opened is not None and opened[0] != os.getpid():
            self._inherited.append(opened)
        store = _connect(self._path)
        self._opened = (os.getpid(), _inode(self._path), store)
        return store


def _connect(path: str) -> AnswerStore:
    from langgraph.cache.sqlite import SqliteCache

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return SqliteCache(path=path, serde=_JsonSerde())


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


def _set_aside(path: str, inode: int | None) -> None:
    """Rename a damaged file, unless another process has done so; its journals with it, for they would be replayed."""
    from filelock import FileLock

    with FileLock(f"{path}.lock", timeout=_PATIENCE):
        if _inode(path) != inode:
            return
        aside = f"{path}.damaged-{time.time_ns()}"
        for part in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.rename(path + part, aside + part)
    _log.warning("the cache file %s was damaged: it is now %s, and a new one is begun", path, aside)
