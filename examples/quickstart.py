"""A question through an emotional stimulus and three aggregated samples.

    uv run examples/quickstart.py "Why is the sky blue?"

No key is needed: without EMOAGENTS_MODEL it runs on the embedded model, which proves the machinery, not the strategy.
"""

import sys

from emoagents import Context, EmotionPrompt, SelfAggregation

question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
strategy = EmotionPrompt("EP02") | SelfAggregation(samples=3)
result = strategy.run(question, context=Context(max_tokens=60, seed=1))

for event in result.trace:
    if event["event"] == "candidate":
        print(f"sample {event['index'] + 1}: {event['text']}\n")
print(f"answer: {result.answer}\n")
print(f"{result.model}: {result.usage.calls} requests, {result.usage.completion_tokens} tokens written")
