"""The proposer of new instructions for `dspy.GEPA` that knows that ours are templates."""

from __future__ import annotations

from typing import Any

from dspy.teleprompt.gepa import InstructionProposer

from emoagents.tuning.guidance import GUIDANCE

__all__ = ["proposer"]


def proposer(*, additional_instructions: str = "", **options: Any) -> InstructionProposer:
    """Return DSPy's own proposer with a word of ours on places as {{question}}, for `dspy.GEPA(instruction_proposer=)`.

    Without it, a model that does not keep the places has them added at the end of what it proposes
    (`emoagents.tuning.prompts.as_template`): nothing breaks, but they stand where nobody put them.

    Args:
        additional_instructions: more to tell it, after ours. options: as of `InstructionProposer`.
    """
    told = "\n\n".join(filter(None, [GUIDANCE, additional_instructions.strip()]))
    return InstructionProposer(additional_instructions=told, **options)
