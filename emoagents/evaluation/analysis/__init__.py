"""From the records of a comparison to what they show. Importing this loads scipy and statsmodels.

Raises:
    MissingExtraError: the extra "evaluation" is not installed.
"""

from emoagents.evaluation.extra import require_evaluation

require_evaluation()

from emoagents.evaluation.analysis.analyse import FEW, analyse  # noqa: E402

__all__ = ["FEW", "analyse"]
