"""The metrics against hand-made cases whose expectations follow the official rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.evaluation import metrics
from emoagents.evaluation.metrics import normalize_prediction, read_choice, read_labels, read_number
from emoagents.evaluation.tasks.goemotions import EKMAN, LABELS, ekman


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cold", "cold"),
        ("  cold \n", "cold"),
        ("cold\nbecause hot is not", "cold"),
        ("Cold. Really.", "cold"),
        ("3.5", "3"),
        ("ninety-four", "ninety four"),
        ("one hundred and twenty-two", "one hundred twenty two"),
        ("Sentence 1: It rained.", "it rained"),
        ("Sentence 2: A and B", "a b"),
        ('"cold"!', "cold"),
        ("well-being, and so on", "well being so on"),
        ("cold -", "cold  "),
        ("...", ""),
        ("", ""),
    ],
)
def test_normalize_prediction(text: str, expected: str) -> None:
    assert normalize_prediction(text) == expected


def test_normalize_prediction_keeps_case_where_told() -> None:
    assert normalize_prediction("Cold.", lowercase=False) == "Cold"


@pytest.mark.parametrize(
    ("reply", "targets", "value"),
    [
        ("cold", ["cold"], 1),
        ("COLD!", ["cold"], 1),
        ("cold. It is the opposite of hot.", ["cold"], 1),
        ("cold\n\nExplanation: hot", ["cold"], 1),
        ("The opposite is cold", ["cold"], 0),
        ("no", ["not the same", "no", "false"], 1),
        ("not the same", ["same", "yes", "true"], 0),
        ("one hundred twenty two", ["one hundred and twenty-two"], 1),
        ("The artist was mentioned by the professor", ["The artist was mentioned by the professor."], 1),
        ("-5", ["5"], 0),  # a hyphen becomes a space, and the authors do not strip again
        ("-5", ["-5"], 1),
        ("3.5", ["3.7"], 1),  # and ends the sentence at the point
        ("\ncold", ["cold"], 1),
        ("Output: cold", ["cold"], 0),
        ("cold dry", ["cold", "dry"], 0),
        ("", ["cold"], 0),
        ("cold", [], 0),
        ("Sentence 1: It rained.", ["It rained."], 1),
        ("it  rained", ["it rained"], 0),
        ("colds", ["cold"], 0),
        ("un-fortunate", ["unfortunate"], 0),
    ],
)
def test_exact_match(reply: str, targets: list[str], value: float) -> None:
    assert metrics.exact_match(reply, targets).value == value


@pytest.mark.parametrize(
    ("reply", "targets", "value"),
    [
        ("are red", ["are red"], 1),
        ("red are", ["are red"], 1),
        ("are red", ["are red", "red things"], 1),
        ("red", ["are red"], 2 / 3),
        ("things that are red", ["are red"], 2 / 3),
        ("red red", ["red"], 2 / 3),
        ("blue", ["are red"], 0),
        ("", ["are red"], 0),
        ("...", ["are red"], 0),
        ("are red. And blue.", ["are red"], 1),
        ("are red\nblue", ["are red"], 1),
        ("They Are RED!", ["are red"], 0.8),
        ("a b c d", ["a b"], 2 / 3),
        ("a b", ["a b c d"], 2 / 3),
        ("a b c", ["c d e"], 1 / 3),
        ("a and b", ["a b"], 1),
        ("a-b", ["a b"], 1),
        ("x", ["y", "x z"], 2 / 3),
        ("x", [], 0),
        ("a a b", ["a b b"], 2 / 3),
    ],
)
def test_token_f1(reply: str, targets: list[str], value: float) -> None:
    assert metrics.token_f1(reply, targets).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("beetle, bear, kangaroo, bird", 1),
        ("bird bear beetle kangaroo", 1),
        ("Bird, Bear, Beetle, and Kangaroo", 1),
        ("bird, bear and beetle, kangaroo.", 1),
        ("bird, bird, bear, beetle, kangaroo", 1),
        ("bird\nbear\nbeetle\nkangaroo", 0),  # only the first line counts
        ("bird, bear, beetle", 0),
        ("bird, bear, beetle, kangaroo, bike", 0),
        ("The animals: bird, bear, beetle, kangaroo", 0),
        ("bird; bear; beetle; kangaroo", 1),
        ("bird-bear-beetle-kangaroo", 1),
        ("bird/bear/beetle/kangaroo", 0),
        ("[bird, bear, beetle, kangaroo]", 1),
        ("birds, bear, beetle, kangaroo", 0),
        ("", 0),
        (".", 0),
        ("BEETLE BEAR KANGAROO BIRD", 1),
        ("bird,bear,beetle,kangaroo", 0),  # commas vanish, so the words run together
        ('"bird", "bear", "beetle", "kangaroo"', 1),
        ("bird, bear, beetle, kangaroo. No bike.", 1),
    ],
)
def test_exact_set(reply: str, value: float) -> None:
    assert metrics.exact_set(reply, ["beetle, bear, kangaroo, bird"]).value == value


@pytest.mark.parametrize(
    ("reply", "targets", "value"),
    [
        ("large", ["large"], 1),
        ("Large.", ["large"], 1),
        ("A synonym is large", ["large"], 1),
        ("large, huge, great", ["large"], 1),
        ("enlarge", ["large"], 0),
        ("larger", ["large"], 0),
        ("huge. Also large.", ["large"], 0),
        ("huge\nlarge", ["large"], 0),
        ("very large indeed", ["very large"], 1),
        ("large, very", ["very large"], 0),
        ("huge", ["large", "huge"], 1),
        ("", ["large"], 0),
        ("8th", ["8th"], 1),
        ("the 8th one", ["8th"], 1),
        ("18th", ["8th"], 0),
        ("well-known", ["well known"], 1),
        ("well known", ["well-known"], 1),
        ("LARGE", ["Large"], 1),
        ("(large)", ["large"], 1),
        ("x", [], 0),
    ],
)
def test_contains(reply: str, targets: list[str], value: float) -> None:
    assert metrics.contains(reply, targets).value == value


def test_the_authors_metric_of_each_task() -> None:
    names = [
        "antonyms",
        "common_concept",
        "informal_to_formal",
        "orthography_starts_with",
        "taxonomy_animal",
        "synonyms",
    ]
    assert [metrics.induction_metric(n)[0] for n in names] == [
        "exact_match",
        "f1",
        "f1",
        "exact_set",
        "exact_set",
        "contains",
    ]


def test_an_empty_reply_is_unparsed() -> None:
    assert metrics.exact_match(" ...", ["cold"]).unparsed
    assert not metrics.exact_match("hot", ["cold"]).unparsed


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("#### 18", "18"),
        ("16 - 7 = 9\n#### 18", "18"),
        ("#### $18", "18"),
        ("####18.", "18"),
        ("#### 1,234", "1234"),
        ("#### 18.00", "18"),
        ("#### -5", "-5"),
        ("#### 18 dollars, of 20", "18"),
        ("#### 12\n...no:\n#### 13", "13"),
        ("#### 1. Count\nThere are 4.\n#### 2. Add\nIt makes 7.", "7"),
        ("#### Step 1:\n5 + 5 = 10", "10"),
        ("The answer is 18.", "18"),
        ("She makes $1,234.50.", "1234.5"),
        ("First 3, then 4, so 12", "12"),
        ("**18**", "18"),
        ("\\boxed{18}", "18"),
        ("x=18%", "18"),
        ("-$5", "-5"),
        ("−5", "-5"),
        ("10-18", "18"),
        (".5", "0.5"),
        ("eighteen", None),
        ("", None),
        ("####", None),
        ("v2x", None),
        ("0.0", "0"),
        ("It is 1 000 in all, 1,000.00!", "1000"),
    ],
)
def test_read_number(reply: str, expected: str | None) -> None:
    said = read_number(reply)
    assert said == expected or (said is not None and expected is not None and float(said) == float(expected))


@pytest.mark.parametrize(
    ("reply", "value", "unparsed"),
    [
        ("#### 18", 1, False),
        ("so #### 18.", 0, False),  # the publisher's pattern takes the point along
        ("#### 1,8", 1, False),
        ("#### 18.00", 0, False),
        ("####18", 0, True),
        ("The answer is 18", 0, True),
        ("#### 17\n#### 18", 0, False),
        ("#### $18", 0, True),
    ],
)
def test_number_strict(reply: str, value: float, unparsed: bool) -> None:
    score = metrics.number_strict(reply, ["18"])
    assert (score.value, score.unparsed) == (value, unparsed)


def test_numbers_are_equal_as_decimals() -> None:
    assert metrics.number("18.00", ["18"]).value == 1
    assert metrics.number("$1,000.", ["1000"]).value == 1
    assert metrics.number("18.01", ["18"]).value == 0
    assert metrics.number("none", ["18"]).unparsed


OPTIONS = ("Promise to keep the secret", "Inform their parents", "Confront the bullies", "I ask a counselor")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("**B**", "B"),
        ("B)", "B"),
        ("Answer: B", "B"),
        ("**Answer:** (B)", "B"),
        ("The answer is (B).", "B"),
        ("the answer is B because it is kind", "B"),
        ("The best choice is option C.", "C"),
        ("Option D", "D"),
        ("Inform their parents", "B"),
        ("inform their parents.", "B"),
        ("(B) Inform their parents", "B"),
        ("Answer: B Inform their parents", "B"),
        ("I would inform their parents, since it helps.", "B"),
        ('{"answer": "B"}', "B"),
        ('```json\n{"reason": "(A) is wrong", "answer": "C"}\n```', "C"),
        ("{'answer': 'Confront the bullies'}", "C"),
        ("\\boxed{D}", "D"),
        ("$\\boxed{\\text{D}}$", "D"),
        ("(A) is rash, (C) is rude. The answer is B.", "B"),
        ("The answer is A. No: the answer is C.", "C"),
        ("(A) might do, (B) too.\n\nC", "C"),
        ("B\n\n(A) is rash and (C) is rude.", "B"),
        ("A is the best answer.", "A"),
        ("I choose (D) over (A).", "D"),
        ("I would not choose A; (B) it is.", "B"),
        ("Answer: A", "A"),
        ("The answer is A, clearly.", "A"),
        ("Answer: I ask a counselor", "D"),
        ("It must be C", "C"),
        ("Sure! C", "C"),
        ("Thus, D.", "D"),
        ("So, I would tell them", None),
        ("Answer - C", "C"),
        ("选项C", "C"),
        ("C。", "C"),
        ("正确答案是：C", "C"),
        ("我认为是C", "C"),
        ("不是C", None),
        ("答案：B", "B"),
        ("答案是（C）。", "C"),
        ("我选B因为好", "B"),
        ("A friend should be loyal.", None),
        ("I think a talk would help.", None),
        ("The answer is a promise of help", None),
        ("(A) or (B)", None),
        ("The answer is A or B.", None),
        ("Both (A) and (C) are fine", None),
        ("Promise to keep the secret, or inform their parents", None),
        ("E", None),
        ("(F)", None),
        ("", None),
        ("no idea", None),
        ("Options:\n(A) x\n(B) y\nAnswer:\n(B)", "B"),
    ],
)
def test_read_choice(reply: str, expected: str | None) -> None:
    assert read_choice(reply, OPTIONS) == expected


def test_an_option_within_another_does_not_count() -> None:
    options = ("Gratitude & Joy", "Joy", "Anger")
    assert read_choice("She'd feel gratitude & joy", options) == "A"
    assert read_choice("She'd feel joy", options) == "B"
    assert read_choice("It is enjoyable", options) is None
    assert read_choice("她感到高兴", ("高兴", "生气")) == "A"


@pytest.mark.parametrize("letter", "ABCD")
def test_every_letter_is_read_alike(letter: str) -> None:
    for form in ("{}", "({})", "{}.", "{}) ", "Answer: {}", "Answer: {} is right", "I pick {}.", "Option {}", "**{}**"):
        assert read_choice(form.format(letter), OPTIONS) == letter
    assert read_choice(f"I believe {letter} really", OPTIONS) is None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("joy", ("joy",)),
        ("Joy.", ("joy",)),
        ("joy, love", ("joy", "love")),
        ("love, joy", ("joy", "love")),
        ("love and joy", ("joy", "love")),
        ('["love", "joy"]', ("joy", "love")),
        ("- joy\n- love", ("joy", "love")),
        ("Emotions: joy", ("joy",)),
        ("It could be anger.\nAnswer: sadness", ("sadness",)),
        ("The emotion is fear", ("fear",)),
        ("neutral", ("neutral",)),
        ("ANNOYANCE", ("annoyance",)),
        ("enjoyment", ()),
        ("approval", ("approval",)),
        ("disapproval", ("disapproval",)),
        ("joyful", ()),
        ("", ()),
        ("no label", ()),
        ("**gratitude**", ("gratitude",)),
        ("Answer: none of the above; joy", ("joy",)),
        ("joy. Labels: unknown", ("joy",)),
        ("optimism/pride", ("optimism", "pride")),
    ],
)
def test_read_labels(reply: str, expected: tuple[str, ...]) -> None:
    assert read_labels(reply, LABELS) == expected


def test_label_scores() -> None:
    assert metrics.label_f1(("joy",), ("joy", "love")).value == pytest.approx(2 / 3)
    assert metrics.label_f1((), ("joy",)).unparsed
    assert metrics.label_sets_equal(("love", "joy"), ("joy", "love")).value == 1
    assert metrics.label_sets_equal(("joy",), ("joy", "love")).value == 0


def test_each_label_has_one_ekman_class() -> None:
    assert sorted(label for labels in EKMAN.values() for label in labels) == sorted(LABELS)
    assert LABELS[25] == "sadness"
    assert LABELS[15] == "gratitude"
    assert len(LABELS) == 28
    assert ekman(["love", "annoyance", "anger"]) == ("anger", "joy")


@pytest.mark.parametrize(
    ("metric", "reply", "targets", "value"),
    [
        (metrics.text_exact, " Paris. ", ["paris"], 1),
        (metrics.text_exact, "3.5", ["3.7"], 0),
        (metrics.text_exact, "It is Paris", ["Paris"], 0),
        (metrics.text_exact, "?", ["?"], 1),
        (metrics.text_contains, "It is Paris, France", ["Lima", "paris"], 1),
        (metrics.text_contains, "It is Lima", ["Paris"], 0),
        (metrics.text_f1, "the red rose", ["red rose"], 0.8),
        (metrics.free_text, "So the answer is True.", ["True"], 1),
        (metrics.free_text, "] ) }", ["] ) }"], 1),
        (metrics.free_text, "The answer is  apple fig pear", ["apple fig pear"], 1),
        (metrics.free_text, "**Answer:** valid", ["valid"], 1),
        (metrics.free_text, "invalid", ["valid"], 0),
        (metrics.free_text, "The answer is:\nTrue.\n\nThat is all.", ["True"], 1),
        (metrics.free_text, "The answer is False. The answer is True", ["True"], 1),
    ],
)
def test_free_text(metric: metrics.Metric, reply: str, targets: list[str], value: float) -> None:
    assert metric(reply, targets).value == pytest.approx(value)


REPLY_METRICS: list[metrics.Metric] = [
    metrics.exact_match,
    metrics.token_f1,
    metrics.exact_set,
    metrics.contains,
    metrics.number,
    metrics.number_strict,
    metrics.text_exact,
    metrics.text_contains,
    metrics.text_f1,
    metrics.free_text,
]
REPLIES = st.text() | st.text(alphabet="AB ab(){}#-−.,:$0123456789answeri\n\"'*\\_或和答案是")


@given(st.sampled_from(REPLY_METRICS), REPLIES, st.lists(REPLIES, max_size=3))
def test_no_reply_breaks_a_metric(metric: metrics.Metric, reply: str, targets: list[str]) -> None:
    score = metric(reply, targets)
    assert 0 <= score.value <= 1
    assert not (score.unparsed and score.value)


@given(REPLIES, st.lists(st.text(min_size=1), min_size=1, max_size=30))
def test_no_reply_breaks_the_reading_of_a_choice(reply: str, options: list[str]) -> None:
    letter = read_choice(reply, options)
    assert letter is None or ord(letter) - ord("A") < len(options)
    assert len(read_labels(reply, LABELS)) <= len(LABELS)


WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2)


@given(
    st.sampled_from([m for m in REPLY_METRICS if "number" not in m.__name__]), st.lists(WORDS, min_size=1, max_size=4)
)
def test_the_gold_answer_scores_one(metric: metrics.Metric, words: list[str]) -> None:
    gold = " ".join(words)
    assert metric(gold, ["else", gold]).value == pytest.approx(1)


@given(
    st.integers(-(10**20), 10**20), st.sampled_from(["#### {}", "#### {:,}", "it is {:,}.", "{}.00", "$\\boxed{{{}}}$"])
)
def test_a_gold_number_scores_one(gold: int, form: str) -> None:
    assert metrics.number(form.format(gold), [str(gold)]).value == 1


@given(st.integers(0, 25), st.sampled_from(["({})", "{}", "Answer: {}", '{{"answer": "{}"}}', "The answer is ({})."]))
def test_a_gold_letter_scores_one(place: int, form: str) -> None:
    letter = chr(ord("A") + place)
    assert metrics.choice(form.format(letter), [f"option number {n}" for n in range(26)], letter).value == 1


@given(st.sets(st.sampled_from(LABELS), min_size=1))
def test_gold_labels_score_one(gold: set[str]) -> None:
    said = read_labels(", ".join(gold), LABELS)
    assert metrics.label_f1(said, gold).value == metrics.label_sets_equal(said, gold).value == 1
