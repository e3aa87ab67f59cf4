"""The engine listens on no TCP port, and its unix socket can't be reached."""

import os
from pathlib import Path

from emoagents.model.embedded.engine import ENGINE

LISTENING = "0A"

ENGINE.start()
rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{name}").read_text().splitlines()]
ports = {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING}
mine = set()
for descriptor in os.listdir("/proc/self/fd"):
    if os.path.islink(f"/proc/self/fd/{descriptor}"):
        mine.add(os.readlink(f"/proc/self/fd/{descriptor}"))
address = ENGINE._server.listening_address.removeprefix("unix://")
print("ok" if not ports & mine and not os.path.exists(os.path.dirname(address)) else f"open: {address}, {ports & mine}")
