"""Checked by mypy in .ci/run, never run: what a type checker must accept and reject in users' code."""

from typing import assert_type

from emoagents import Budget, Context, EmotionPrompt, Heart, Result, SelfAggregation, Strategy

result = Heart(rounds=3, verifier=lambda answer: answer == "391").run("What is 17 * 23?", model="openai/gpt-4o-mini")
assert_type(result, Result)
assert_type(result.answer, str)

best = EmotionPrompt("EP02") | SelfAggregation(samples=3)
assert_type(best, Strategy)
deep = Heart(solver=best, verifier="numeric:391", schedule="cycle")
context = Context(model="embedded/smollm2", budget=Budget(calls=20), seed=7)

SelfAggregation(samples="many")  # type: ignore[arg-type]
Heart(round=3)  # type: ignore[call-arg]
EmotionPrompt(placement="middle")  # type: ignore[arg-type]
