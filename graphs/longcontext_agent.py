"""An agent for long texts and long conversations: retrieves, interprets, ranks again, answers. A crisis guard stands
before what a person says."""

from emoagents import CoEM

graph = CoEM(ranker="hybrid").graph
