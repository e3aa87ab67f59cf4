"""`python -m emoagents`: the same as the command `emoagents`."""

from __future__ import annotations

import sys

from emoagents.cli import main

if __name__ == "__main__":
    sys.exit(main())
