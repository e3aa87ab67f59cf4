"""Tuning a strategy: its prompts by an optimiser, its parameters by a search; data, metrics and feedback of both."""
