"""Comparisons on Ray: attempts sharded over actors, which may run on many machines. Needs the extra `ray`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emoagents.errors import MissingExtraError
from emoagents.evaluation.fleet import Fleet, WorkerDied

if TYPE_CHECKING:
    from emoagents.evaluation.remote import Reply, Setup

__all__ = ["RayWorkers", "begin"]

_CALLS = 1000
"""Attempts that one actor has at hand at most; how many there really are is the driver's to say."""


class RayWorkers(Fleet[Any]):
    """Attempts made by Ray actors. Records come back to the driver, which alone writes them; raw replies lie in the
    comparison's folder, so actors of other machines need it on a file system that they share.

    Joins the cluster that `RAY_ADDRESS` names or that the process is already in, else begins one on this machine.

    Args:
        setup: what each actor needs.
        size: how many actors.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, setup: Setup, size: int) -> None:
        super().__init__(size)
        self._ray = _imported()
        self._setup = setup.model_dump(mode="json")
        self._size = size
        self._began = False

    async def __aenter__(self) -> RayWorkers:
        self._began = begin(self._size)
        return self

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        if self._began:
            self._ray.shutdown()

    async def start(self) -> Any:
        """Start an actor."""
        actor = self._ray.remote(_Actor).options(num_cpus=1, max_concurrency=_CALLS, max_restarts=0)
        return actor.remote(self._setup)

    async def send(self, worker: Any, unit: Mapping[str, Any]) -> Reply:
        """Send a unit and wait for the reply."""
        try:
            reply: Reply = await worker.answer.remote(unit)
        except self._ray.exceptions.RayActorError as error:
            raise WorkerDied from error
        return reply

    async def stop(self, worker: Any) -> None:
        """End an actor."""
        self._ray.kill(worker)


def begin(workers: int) -> bool:
    """Join the cluster that there is, else begin one on this machine with room for so many workers.

    Returns whether anything was begun or joined; False where this process was in a cluster already.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    ray = _imported()
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
    else:  # only for this machine, so that no firewall has a say
        cpus = max(workers, os.cpu_count() or 1)
        ray.init(num_cpus=cpus, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
    return True


class _Actor:
    """What runs on the worker's side."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        from emoagents.evaluation.remote import Hand, Setup

        self._hand = Hand(Setup.model_validate(setup))

    async def answer(self, unit: Mapping[str, Any]) -> Reply:
        return await self._hand.answer(unit)

    def pid(self) -> int:
        return os.getpid()


def _imported() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise MissingExtraError("ray", "a comparison on Ray") from None
    return ray
