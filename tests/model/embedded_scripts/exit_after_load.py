"""End right after loading, with no request of one's own."""

from emoagents.model.embedded.engine import ENGINE

ENGINE.start()
print("ok")
