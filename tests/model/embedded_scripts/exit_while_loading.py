"""End while a background thread loads the weights."""

import sys
import threading
import time

from emoagents.model.embedded.engine import ENGINE

threading.Thread(target=ENGINE.start, daemon=True).start()
while "xllamacpp" not in sys.modules:
    time.sleep(0.01)
assert not ENGINE.running
print("ok")
