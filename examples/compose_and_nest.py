"""Strategies pipe (one prepares, one answers) and nest (one solves for the other). A budget covers all of it.

uv run examples/compose_and_nest.py
"""

from emoagents import Budget, Context, EmotionPrompt, Heart, SelfAggregation

stimulated = EmotionPrompt(("EP02", "EP09")) | SelfAggregation(samples=2)
deep = Heart(solver=stimulated, verifier="numeric:391", rounds=2, schedule="cycle")

context = Context(max_tokens=40, seed=3, budget=Budget(calls=10))
result = deep.run("What is 17 * 23? Give the number only.", context=context)

print(f"{deep.title} over ({stimulated.title}): expected {deep.expected_calls()}")
for event in result.trace:
    if event["event"] == "verdict":
        print(f"round {event['round']} ({event['emotion'] or 'first try'}): {event['text'][:60]!r} -> {event['ok']}")
print(f"answer: {result.answer!r}, stopped by {result.stopped_by}, verified: {result.verified}")
for node, usage in result.usage_by_node.items():
    print(f"  {node:<20} {usage.calls} calls, {usage.prompt_tokens + usage.completion_tokens} tokens")
