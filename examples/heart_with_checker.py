"""HEART-style retries with a checker of your own: what it returns is the reason that the model is told.

uv run examples/heart_with_checker.py
"""

from emoagents import Context, Heart


def is_short_and_has_a_moon(answer: str) -> str:
    """Return what is wrong, or nothing."""
    if len(answer.split()) > 40:
        return "It has more than forty words."
    if "moon" not in answer.lower():
        return "The word moon is missing."
    return ""


heart = Heart(verifier=is_short_and_has_a_moon, rounds=4, history="fresh")
result = heart.run("Write one sentence about the night sky.", context=Context(max_tokens=50, seed=2))

for event in result.trace:
    if event["event"] == "feedback":
        print(f"  [{event['emotion']}] {event['text'].splitlines()[0]}")
    elif event["event"] == "verdict":
        print(f"round {event['round']}: {'right' if event['ok'] else event['reason']}\n  {event['text']!r}")
print(f"\n{result.answer}\n(verified: {result.verified}, {result.usage.calls} calls)")
