"""An agent that answers with an emotional stimulus and three aggregated samples."""

from emoagents import EmotionPrompt, SelfAggregation

graph = (EmotionPrompt("EP02") | SelfAggregation(samples=3)).graph
