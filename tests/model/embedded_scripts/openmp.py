"""Load the engine, for a look at the OpenMP settings that it then reports on stderr."""

from emoagents.model.embedded.engine import ENGINE

ENGINE.start()
print("ok")
