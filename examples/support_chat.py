"""A support dialogue over three turns: what it keeps in memory, and what the crisis guard does. No medical device.

uv run examples/support_chat.py
"""

import asyncio

from langgraph.checkpoint.memory import InMemorySaver

from emoagents import Context, SupportDialogue

app = SupportDialogue(locale="GB").compile(checkpointer=InMemorySaver())
SAID = [
    "Hi. I lost my job last week, and I haven't told my wife yet.",
    "I keep thinking that she will be ashamed of me.",
    "Some nights I think they would all be better off without me.",
]


async def main() -> None:
    thread = {"configurable": {"thread_id": "ann"}}
    for text in SAID:
        context = Context(max_tokens=60, seed=1)
        state = await app.ainvoke({"messages": [("user", text)]}, thread, context=context)
        reply = state["messages"][-1]
        made = reply.response_metadata["support"]  # kept with the message, sent to no model
        print(f"> {text}")
        print(f"[{made.get('strategy') or reply.response_metadata['stopped_by']} · {made.get('stage', '-')}]")
        print(f"{reply.text}\n")
    history = [m.response_metadata["support"] for m in state["messages"] if m.type == "ai"]
    print("strategies:", *(made.get("strategy", "(crisis guard)") for made in history), sep="\n  ")
    print("emotions:", " -> ".join(f"{m['emotion']} {m['intensity']}/5" for m in history if "emotion" in m))


asyncio.run(main())
