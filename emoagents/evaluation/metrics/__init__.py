"""Exact metrics: what a reply is worth against its references. Pure functions; none of them ever raises on a reply."""

from emoagents.evaluation.metrics.choices import choice, read_choice
from emoagents.evaluation.metrics.indices import index, read_index
from emoagents.evaluation.metrics.induction import (
    contains,
    exact_match,
    exact_set,
    induction_metric,
    normalize_prediction,
    token_f1,
)
from emoagents.evaluation.metrics.labels import label_f1, label_sets_equal, read_labels
from emoagents.evaluation.metrics.numbers import number, number_strict, read_number
from emoagents.evaluation.metrics.objects import read_field, read_objects
from emoagents.evaluation.metrics.score import Metric
from emoagents.evaluation.metrics.squad import answer_words, qa_f1
from emoagents.evaluation.metrics.text import free_text, text_contains, text_exact, text_f1

__all__ = [
    "Metric",
    "answer_words",
    "choice",
    "contains",
    "exact_match",
    "exact_set",
    "free_text",
    "index",
    "induction_metric",
    "label_f1",
    "label_sets_equal",
    "normalize_prediction",
    "number",
    "number_strict",
    "qa_f1",
    "read_choice",
    "read_field",
    "read_index",
    "read_labels",
    "read_number",
    "read_objects",
    "text_contains",
    "text_exact",
    "text_f1",
    "token_f1",
]
