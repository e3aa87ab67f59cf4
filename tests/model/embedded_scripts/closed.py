"""After the engine closed, a call is refused with an error of this library."""

import asyncio

from emoagents.errors import ModelCallError
from emoagents.model.embedded import embedded_backend
from emoagents.model.embedded.engine import ENGINE
from emoagents.model.request import Request

HELLO = Request(messages=[{"role": "user", "content": "hi"}], max_tokens=3)
ENGINE.start()
ENGINE.close()
ENGINE.close()
try:
    asyncio.run(embedded_backend().call(HELLO, 1))
except ModelCallError as error:
    print("ok" if "ending" in str(error) and not error.retryable else error)
