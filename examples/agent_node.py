"""A strategy as a node in a LangGraph app of your own, with memory and streamed tokens.

uv run examples/agent_node.py
"""

import asyncio

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from emoagents import Context, EmotionPrompt

builder = StateGraph(MessagesState, context_schema=Context)
builder.add_node("think", EmotionPrompt("EP11").graph)
builder.add_edge(START, "think")
app = builder.compile(checkpointer=InMemorySaver())


async def main() -> None:
    thread = {"configurable": {"thread_id": "ann"}}
    for text in ("Say hello to Ann.", "Now say goodbye to her."):
        print(f"> {text}")
        context = Context(max_tokens=30, seed=1, stream=True)
        asked = {"messages": [("user", text)]}
        stream = app.astream(asked, thread, context=context, stream_mode="messages", subgraphs=True)
        async for _, (token, _) in stream:
            print(token.content, end="", flush=True)
        print()
    state = await app.aget_state(thread)
    print(f"{len(state.values['messages'])} messages in the history, none of them a stimulus")


asyncio.run(main())
