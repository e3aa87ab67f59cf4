"""Which support strategies arms choose, how well, and which they prefer (Kang et al., ACL 2024).

Importing this loads scipy and statsmodels.

Raises:
    MissingExtraError: the extra "evaluation" is not installed.
"""

from emoagents.evaluation.extra import require_evaluation

require_evaluation()

from emoagents.evaluation.support.analyse import FEW, analyse_support  # noqa: E402
from emoagents.evaluation.support.choices import SUITE  # noqa: E402
from emoagents.evaluation.support.findings import (  # noqa: E402
    METRICS,
    Estimate,
    ReferenceRow,
    SupportArm,
    SupportDifference,
    SupportFindings,
)

__all__ = [
    "FEW",
    "METRICS",
    "SUITE",
    "Estimate",
    "ReferenceRow",
    "SupportArm",
    "SupportDifference",
    "SupportFindings",
    "analyse_support",
]
