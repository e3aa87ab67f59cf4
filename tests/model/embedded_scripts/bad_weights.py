"""A file that is no model gives an error of this library, and the process ends well."""

import asyncio
import os
import tempfile

from emoagents.errors import ModelCallError
from emoagents.model.embedded import embedded_backend
from emoagents.model.request import Request

HELLO = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=3)

with tempfile.NamedTemporaryFile(suffix=".gguf") as junk:
    junk.write(b"no weights" * 100)
    junk.flush()
    os.environ["EMOAGENTS_EMBEDDED_GGUF"] = junk.name
    assert embedded_backend().count_tokens(HELLO.messages) > 0
    try:
        asyncio.run(embedded_backend().call(HELLO, 1))
    except ModelCallError as error:
        print("ok" if junk.name in str(error) and not error.retryable else error)
