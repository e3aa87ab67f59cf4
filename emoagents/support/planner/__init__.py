"""Which strategy comes next: a small classifier beside the language model, and what it has to beat.

Kang et al. (ACL 2024) found an external planner to be the strongest lever on preference bias. Theirs are fine-tuned
language models; this one is a linear model over words and structure that trains in seconds on one core. Importing this
loads neither NumPy nor scikit-learn.
"""

from emoagents.support.planner.baselines import FunctionPlanner, MajorityPlanner, UniformPlanner
from emoagents.support.planner.facts import PlannerFacts, Scores, Validation
from emoagents.support.planner.folds import CrossFitted, cross_fit
from emoagents.support.planner.make import make_planner
from emoagents.support.planner.protocol import Planner, choice
from emoagents.support.planner.train import train
from emoagents.support.planner.trained import TrainedPlanner

__all__ = [
    "CrossFitted",
    "FunctionPlanner",
    "MajorityPlanner",
    "Planner",
    "PlannerFacts",
    "Scores",
    "TrainedPlanner",
    "UniformPlanner",
    "Validation",
    "choice",
    "cross_fit",
    "make_planner",
    "train",
]
