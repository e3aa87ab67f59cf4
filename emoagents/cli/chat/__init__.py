"""`emoagents chat`: a conversation with a strategy, kept in a file. Imported when the command's work begins."""

from __future__ import annotations

from emoagents.cli.chat.talk import chat

__all__ = ["chat"]
