"""The engine listens on no TCP port, and its unix socket can't be reached."""

import os
from pathlib import Path

from emoagents.model.embedded.engine import ENGINE

LISTENING = "0A"

ENGINE.start()
tables = [Path(f"/proc/self/net/{name}").read_text() for name in ("tcp", "tcp6")]
rows = [line.split() for table in tables for line in table.splitlines()]
ports = {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING}
mine = set()
for descriptor in os.listdir("/proc/self/fd"):
    if os.path.islink(f"/proc/self/fd/{descriptor}"):
        mine.add(os.readlink(f"/proc/self/fd/{descriptor}"))
address = ENGINE._server.listening_address.removeprefix("unix://")
reachable = ports & mine or os.path.exists(os.path.dirname(address))
print(f"open: {address}, {ports & mine}" if reachable else "ok")
