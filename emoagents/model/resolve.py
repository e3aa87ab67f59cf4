"""From a model's name to its backend."""

from __future__ import annotations

import asyncio
import os

from emoagents.errors import ModelConfigError
from emoagents.model.request import Backend

__all__ = ["DEFAULT_MODEL", "default_model", "open_backend", "open_embeddings"]

DEFAULT_MODEL = "embedded/smollm2"


def default_model() -> str:
    """Return the model of a run that names none: `EMOAGENTS_MODEL`, else the embedded one."""
    return os.environ.get("EMOAGENTS_MODEL", "").strip() or DEFAULT_MODEL


async def open_backend(model: str | Backend, *, api_key: str | None = None, api_base: str | None = None) -> Backend:
    """Return the backend of a model.

    Names that begin with "embedded/" or "scripted/" (a JSON file) are this library's own and load no litellm.

    Raises:
        ModelConfigError: no provider has the name, or its key is missing.
        UsageError: the embedded model is not installed, or the script does not load.
    """
    if not isinstance(model, str):
        if not isinstance(model, Backend):
            raise ModelConfigError(f"model must be a name or a Backend, as ScriptedModel, not {type(model).__name__}")
        return model
    provider, _, rest = model.partition("/")
    if not model.strip():
        raise ModelConfigError("the model's name is empty: write PROVIDER/MODEL, as embedded/smollm2")
    if provider == "embedded":
        from emoagents.model.embedded import embedded_backend

        return embedded_backend(model)
    if provider == "scripted":
        from emoagents.model.scripted import ScriptedModel

        return await asyncio.to_thread(ScriptedModel.from_file, rest)
    return await _litellm_backend(model, api_key, api_base)


async def open_embeddings(model: str | Backend, *, api_key: str | None = None, api_base: str | None = None) -> Backend:
    """Return the backend that turns texts into vectors with a model; see `emoagents.model.embedding`.

    Raises:
        ModelConfigError: no provider has the name, or its key is missing.
        UsageError: the embedded model is not installed, or the script does not load.
    """
    if not isinstance(model, str) or not model.strip() or model.startswith("scripted/"):
        return await open_backend(model)
    if model.startswith("embedded/"):
        from emoagents.model.embedded.minilm import minilm_backend

        return minilm_backend(model)
    return await _litellm_backend(model, api_key, api_base, embeds=True)


_OPEN: dict[tuple[object, ...], Backend] = {}
"""Backends of litellm hold what it knows of a model and nothing of a run; to look that up again takes milliseconds."""
_MOST_OPEN = 64
_SURROUNDINGS = ("_API_KEY", "_API_BASE", "_BASE_URL")


async def _litellm_backend(model: str, api_key: str | None, api_base: str | None, *, embeds: bool = False) -> Backend:
    from emoagents.model.litellm_backend import LitellmBackend
    from emoagents.model.litellm_embeddings import LitellmEmbeddings

    kind = LitellmEmbeddings if embeds else LitellmBackend
    around = tuple(sorted(item for item in os.environ.items() if item[0].endswith(_SURROUNDINGS)))
    known = (kind, model, api_key, api_base, around)
    if known not in _OPEN:
        backend: Backend = await kind.open(model, api_key=api_key, api_base=api_base)
        while len(_OPEN) >= _MOST_OPEN:
            _OPEN.pop(next(iter(_OPEN)))
        _OPEN[known] = backend
    return _OPEN[known]
