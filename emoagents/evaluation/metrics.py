"""Exact metrics: what a reply is worth against its references. Pure functions; none of them ever raises on a reply.

Instruction Induction's rules were written from the authors' `evaluate.py` (orhonovich/instruction-induction, commit
0aa7ba0) after reading it: the order of the normalisation, the metric of each task, the best score over the references,
`set` equality of tokens, and "contains" as a search for the whole reference between word boundaries. Two things are
ours: a reply that is empty after the normalisation is marked as unparsed, and "contains" escapes the reference (the
normalisation leaves nothing in it to escape).

GSM8K's number, the reading of a chosen option and of labels are ours; each function says its rule.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from emoagents.evaluation.task import Score
from emoagents.nodes.extract import normalized

__all__ = [
    "Metric",
    "choice",
    "contains",
    "exact_match",
    "exact_set",
    "free_text",
    "induction_metric",
    "label_f1",
    "label_sets_equal",
    "normalize_prediction",
    "number",
    "number_strict",
    "read_choice",
    "read_labels",
    "read_number",
    "text_contains",
    "text_exact",
    "text_f1",
    "token_f1",
]

Metric: TypeAlias = Callable[[str, Sequence[str]], Score]
"""From a reply and its references to a score."""


# Instruction Induction

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_prediction(prediction: str, lowercase: bool = True) -> str:
    """Return a reply as Instruction Induction compares it: the first sentence of its first line, without punctuation.

    A full stop ends the sentence even within a number or an abbreviation: that is the authors' rule.
    """
    for dropped in (" and ", "Sentence 1:", "Sentence 2:"):
        prediction = prediction.replace(dropped, " ")
    prediction = prediction.strip().split("\n")[0].split(".")[0]
    if lowercase:
        prediction = prediction.lower()
    return prediction.replace("-", " ").translate(_NO_PUNCTUATION)


def exact_match(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the normalised reply is one of the normalised references (Instruction Induction's EM)."""
    return _best(reply, targets, lambda said, gold: float(said == gold))


def exact_set(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where reply and reference have the same set of words (Instruction Induction's exact set)."""
    return _best(reply, targets, lambda said, gold: float(set(said.split()) == set(gold.split())))


def contains(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where a reference stands in the reply as whole words (Instruction Induction's contains)."""
    return _best(reply, targets, lambda said, gold: float(re.search(rf"\b({re.escape(gold)})\b", said) is not None))


def token_f1(reply: str, targets: Sequence[str]) -> Score:
    """Return the F1 of the words, counted with repetitions (Instruction Induction's F1)."""
    return _best(reply, targets, lambda said, gold: _f1(said.split(), gold.split()))


def _best(reply: str, targets: Iterable[str], compare: Callable[[str, str], float]) -> Score:
    said = normalize_prediction(reply)
    value = max((compare(said, normalize_prediction(gold)) for gold in targets), default=0.0)
    return Score(value=value, parsed=said, unparsed=not value and not said.strip())


def _f1(said: Collection[str], gold: Collection[str]) -> float:
    same = sum((Counter(said) & Counter(gold)).values())
    if not same:
        return 0.0
    precision, recall = same / len(said), same / len(gold)
    return 2 * precision * recall / (precision + recall)


_INDUCTION: dict[str, tuple[str, Metric]] = {
    "common_concept": ("f1", token_f1),
    "informal_to_formal": ("f1", token_f1),
    "orthography_starts_with": ("exact_set", exact_set),
    "taxonomy_animal": ("exact_set", exact_set),
    "synonyms": ("contains", contains),
}


def induction_metric(task: str) -> tuple[str, Metric]:
    """Return name and function of the metric that the authors use for one of the 24 tasks."""
    return _INDUCTION.get(task, ("exact_match", exact_match))


# Numbers

_DIGITS = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(rf"(?<![\w.])([-+−]?)\s?[$€£]?({_DIGITS})(?!\w)")
# A heading such as "#### 2. Add them" marks a step, not the answer.
_MARKED_NUMBER = re.compile(rf"####[ \t*$€£\\]*([-+−]?)[ \t]?[$€£]?({_DIGITS})(?!\w)(?![.):]+[ \t]*[^\W\d])")
_OFFICIAL_NUMBER = re.compile(r"#### (\-?[0-9\.\,]+)")


def read_number(text: str) -> str | None:
    """Return the number after the last "####", else the last number in the text; None where there is none.

    Thousands separators, currency signs, a plus sign and trailing zeros are dropped: "$1,234.50." is "1234.5".
    """
    found = _MARKED_NUMBER.findall(text) or _NUMBER.findall(text)
    if not found:
        return None
    sign, digits = found[-1]
    digits = digits.replace(",", "")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return ("-" if sign in ("-", "−") else "") + (digits or "0")


def number(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the reply's number (see `read_number`) equals a reference's as a decimal number: 18.00 is 18."""
    said = read_number(reply)
    if said is None:
        return Score(value=0.0, unparsed=True)
    golds = filter(None, map(read_number, targets))
    return Score(value=float(any(Decimal(said) == Decimal(gold) for gold in golds)), parsed=said)


def number_strict(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the first "#### NUMBER" of the reply is a reference's, letter for letter without commas.

    This is `extract_answer` of GSM8K's own `dataset.py` (openai/grade-school-math, commit 2909d34): no mark, no answer.
    """
    said = _official_number(reply)
    if said is None:
        return Score(value=0.0, unparsed=True)
    golds = (_official_number(gold) or gold.strip().replace(",", "") for gold in targets)
    return Score(value=float(said in golds), parsed=said)


def _official_number(text: str) -> str | None:
    found = _OFFICIAL_NUMBER.search(text)
    return found.group(1).strip().replace(",", "") if found else None


# Free text


def text_exact(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the reply is a reference, apart from case, spaces and outer punctuation."""
    return _compared(reply, targets, lambda said, gold: float(said == gold))


def text_contains(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where a reference stands in the reply, apart from case and spaces; also within a longer word."""
    return _compared(reply, targets, lambda said, gold: float(gold in said))


def text_f1(reply: str, targets: Sequence[str]) -> Score:
    """Return the best F1 of the words of reply and reference, without case and punctuation."""
    return _compared(reply, targets, lambda said, gold: _f1(_words(said), _words(gold)))


def free_text(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the line after the last "answer is", else the whole reply, is a reference: BBH's free form.

    As in the scorers that are in use for it, one closing full stop is dropped. Ours: case, outer quotes, bold marks and
    runs of spaces do not count.
    """
    before, *after = re.split(r"\banswer(?:\s+is|\s*:)", reply, flags=re.IGNORECASE)
    lines = [bare for line in after[-1].splitlines() if (bare := _bare(line))] if after else [_bare(before)]
    said = lines[0] if lines else ""
    value = float(any(said == _bare(gold) for gold in targets))
    return Score(value=value, parsed=said, unparsed=not value and not said)


def _bare(text: str) -> str:
    folded = " ".join(text.casefold().split()).strip("*\"'`: ")
    return folded.removesuffix(".").strip("*\"'` ")


def _words(text: str) -> list[str]:
    return [word for part in text.split() if (word := part.strip(string.punctuation))] or text.split()


def _compared(reply: str, targets: Iterable[str], compare: Callable[[str, str], float]) -> Score:
    said = normalized(reply) or reply.strip()  # "?" is all punctuation, and may be the answer
    value = max((compare(said, normalized(gold) or gold.strip()) for gold in targets), default=0.0)
    return Score(value=value, parsed=said, unparsed=not value and not said)


# Multiple choice

_LEAD = re.compile(r"(?:[\s*_`\"'$\[({<:]|\\[a-z]+)*(?:(?:option|choice|answer|选项)\b[\s*_`\"'$\[({<]*)?", re.I)
_MARK = re.compile(
    r"\b(?:answer|choice|option)(?:\(s\))?[\"'*_`\s]*(?:is|would be|should be|[:=]|[-–—](?=\s))"
    r"|\b(?:must be|has to be|(?:thus|therefore|hence|so|sure)[,:!])|(?<!不)是(?=\s*\(?[A-Z](?![A-Za-z]))"
    r"|(?:答案|选择)[\"'*_`\s]*(?:应该是|应为|应该|是|为|:)|选项(?:是|为)|(?<!不)选择?"
    r"|\\boxed(?=\{)|(?<!not )(?<!n't )(?<!never )\b(?:choose|pick|select|go with)\b",
    re.I,
)
_SAID = re.compile(
    r"(?<![\w'])\(?([A-Z])\)?(?=\s+(?:is|would be|seems|looks)\s+(?:clearly\s+)?(?:the\s+)?"
    r"(?:correct|right|best|most|answer)\b)"
)
_LETTER_END = re.compile(
    r"\s*(?:[)\]}>*_`\".,:;!$]|'(?!\w)|$|\n)|[^\x00-\x7f]|\s+(?:because|since|as|for|so|but|is)\b|\s+[-–—(]"
)
_ONE_OF_TWO = re.compile(r"[)\]*]*\s*(?:,|/|&|\bor\b|\band\b|和|或)\s*(?:option\s+)?\(?[A-Za-z](?![A-Za-z'])")
_NAMED = re.compile(
    r"\(([A-Za-z])\)|^[ \t*_]*([A-Z])[).:](?=\s|\*|$)|\*\*\(?([A-Z])\)?[.:]?\*\*"
    r"|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s+([A-Z])\b|选项\s*([A-Z])(?![A-Za-z])",
    re.M,
)


def choice(reply: str, options: Sequence[str], target: str) -> Score:
    """Return 1 where the option read from the reply has the letter `target`; unparsed where none can be read."""
    said = read_choice(reply, options)
    return Score(value=float(said == target), parsed=said, unparsed=said is None)


def read_choice(reply: str, options: Sequence[str]) -> str | None:
    """Return the letter of the chosen option (A for the first), or None where the reply does not settle on one.

    In this order, the first that can be read: the last marked one ("Answer: B", "the answer is (B)", "B is correct",
    "I choose B", \\boxed{B}, {"answer": "B"}, also in Chinese); a last line, or else a first line, that is one option
    and nothing more; the only option named by its letter, as "(B)" or "B."; the only option whose text is in the
    reply. The words "A" and "I" in a sentence name no option.
    """
    text = unicodedata.normalize("NFKC", reply).replace("’", "'")
    shown = _folded_options(tuple(options))
    found = _marked(text, shown)
    if found is None:
        found = _alone(text, shown)
    if found is None:
        named = _named(text, len(shown))
        found = min(named) if len(named) == 1 else None if named else _by_text(text, shown)
    return None if found is None else string.ascii_uppercase[found]


@lru_cache(maxsize=1024)
def _folded_options(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_folded(unicodedata.normalize("NFKC", option).replace("’", "'")) for option in options[:26])


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _marked(text: str, options: Sequence[str]) -> int | None:
    """Return the option that the last readable mark points at."""
    places = [(m.end(), _head(text[m.end() : m.end() + 400], options)) for m in _MARK.finditer(text)]
    places += [(m.end(), _index(m.group(1), len(options))) for m in _SAID.finditer(text)]
    return next((index for _, index in sorted(places, key=lambda p: p[0], reverse=True) if index is not None), None)


def _head(text: str, options: Sequence[str]) -> int | None:
    """Return the option that a text begins with: by its own text, or by its letter where no sentence goes on."""
    lead = _LEAD.match(text)
    rest = text[lead.end() :] if lead else text
    if (index := _starts_with(_folded(rest), options)) is not None:
        return index
    index = _index(rest[:1], len(options))
    if index is None or _ONE_OF_TWO.match(rest, 1):
        return None
    if _LETTER_END.match(rest, 1) or _starts_with(_folded(rest[1:]), options) == index:
        return index
    return None


def _starts_with(folded: str, options: Sequence[str]) -> int | None:
    """Return the longest option that the text starts with. One letter is no text to go by: it may be a label."""
    for index in sorted(range(len(options)), key=lambda i: -len(options[i])):
        option = options[index]
        if len(option) > 1 and folded.startswith(option) and not _goes_on(folded, len(option)):
            return index
    return None


def _goes_on(text: str, end: int) -> bool:
    """Return whether a word of an alphabet that has spaces between words runs over this place."""
    return all(c.isalnum() and c < "\u2e80" for c in (text[end - 1], text[end : end + 1]))


def _index(letter: str, count: int) -> int | None:
    place = string.ascii_uppercase.find(letter.upper()) if len(letter) == 1 else -1
    return place if 0 <= place < count else None


def _alone(text: str, options: Sequence[str]) -> int | None:
    """Return the option that the last line, or else the first, consists of."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = (_whole_line(line, options) for line in (*lines[-1:], *lines[:1]))
    return next((index for index in found if index is not None), None)


def _whole_line(line: str, options: Sequence[str]) -> int | None:
    bare = line.strip(" 。，\t*_`\"'$<>[]{}().,:;!")
    if len(bare) == 1:
        return _index(bare, len(options))
    plain = normalized(line)
    for index, option in enumerate(options):
        if plain and plain == normalized(option):
            return index
    lettered = re.match(r"\W*([A-Za-z])[).:\]*_]+\s*(.*)", line)
    named = _index(lettered.group(1), len(options)) if lettered else None
    same = lettered and named is not None and normalized(lettered.group(2)) == normalized(options[named])
    return named if same else None


def _named(text: str, count: int) -> set[int]:
    letters = (next(filter(None, m)) for m in _NAMED.findall(text))
    return {index for letter in letters if (index := _index(letter, count)) is not None}


def _by_text(text: str, options: Sequence[str]) -> int | None:
    """Return the only option whose text is in the reply; "anger" within "anger & joy" does not count."""
    folded, found = _folded(text), []
    for index in sorted(range(len(options)), key=lambda i: -len(options[i])):
        places = list(_places(folded, options[index])) if len(options[index]) > 1 else []
        if places:
            found.append(index)
            folded = folded.replace(options[index], "\0")
    return found[0] if len(found) == 1 else None


def _places(text: str, option: str) -> Iterator[int]:
    place = text.find(option)
    while place >= 0:
        end = place + len(option)
        if not _goes_on(text, end) and not (place and _goes_on(text, place)):
            yield place
        place = text.find(option, end)


# Labels

_LABEL_MARK = re.compile(r"\b(?:answer|emotion|label)(?:s|\(s\))?[\"'*_`\s]*(?:is|are|:|=)", re.I)


def read_labels(reply: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that the reply names as whole words, in the order of `labels`; () where it names none.

    After a mark such as "Answer:" or "Emotions:" only what follows the last one counts, if there is a label in it.
    """
    text = unicodedata.normalize("NFKC", reply).casefold()
    return _labels_in(_LABEL_MARK.split(text)[-1], labels) or _labels_in(text, labels)


def _labels_in(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if re.search(rf"(?<![\w-]){re.escape(label.casefold())}(?![\w-])", text))


def label_f1(said: Collection[str], gold: Collection[str]) -> Score:
    """Return the F1 of two sets of labels, of one example (example-based F1); unparsed where nothing was said."""
    value = _f1(set(said), set(gold))
    return Score(value=value, parsed=", ".join(said), unparsed=not said)


def label_sets_equal(said: Collection[str], gold: Collection[str]) -> Score:
    """Return 1 where two sets of labels are the same; unparsed where nothing was said."""
    return Score(value=float(bool(said) and set(said) == set(gold)), parsed=", ".join(said), unparsed=not said)
