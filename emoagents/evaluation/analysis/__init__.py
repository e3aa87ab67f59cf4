"""From the records of a comparison to what they show. Importing this loads scipy and statsmodels."""

from emoagents.evaluation.analysis.analyse import FEW, analyse

__all__ = ["FEW", "analyse"]
