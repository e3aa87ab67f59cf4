"""The steps of a staged strategy: what a stage reads, asks, and makes of the answer."""
