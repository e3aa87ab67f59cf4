"""Where no unix socket can be had (too long a path), the local port refuses callers without the key."""

import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from emoagents.model.embedded.engine import ENGINE

with tempfile.TemporaryDirectory() as folder:
    long = Path(folder) / ("x" * 120)
    long.mkdir()
    tempfile.tempdir = str(long)
    ENGINE.start()
    tempfile.tempdir = None

url = ENGINE._server.listening_address
try:
    urllib.request.urlopen(f"{url}/v1/chat/completions", data=b"{}", timeout=5).close()
    print("open to everybody")
except urllib.error.HTTPError as error:
    print("ok" if error.code == 401 else f"status {error.code}")
    error.close()
