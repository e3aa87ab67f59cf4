"""The cards that come with emoagents: what they say, and that what they claim about it holds."""

from __future__ import annotations

import re

import pytest

from emoagents.card import Card, Stimulus, card_names, load_card
from emoagents.card.checks import sourced
from emoagents.card.template import places

OURS = ["emotion_prompt", "heart", "self_aggregation"]

SELF_MONITORING = "self-monitoring"
SOCIAL_COGNITIVE = "social cognitive theory"
REGULATION = "cognitive emotion regulation"

# promptbench's wording with straight apostrophes.
EMOTION_PROMPTS = {
    "EP01": (
        "write your answer and give me a confidence score between 0-1 for your answer.",
        [SELF_MONITORING],
    ),
    "EP02": ("This is very important to my career.", [SELF_MONITORING]),
    "EP03": ("You'd better be sure.", [SELF_MONITORING, REGULATION]),
    "EP04": ("Are you sure?", [SELF_MONITORING, REGULATION]),
    "EP05": (
        "Are you sure that's your final answer? It might be worth taking another look.",
        [SELF_MONITORING, REGULATION],
    ),
    "EP06": (
        (
            "Provide your answer and a confidence score between 0-1 for your prediction. Additionally, briefly explain "
            "the main reasons supporting your classification decision to help me understand your thought process. This "
            "task is vital to my career, and I greatly value your thorough analysis."
        ),
        [SELF_MONITORING, REGULATION],
    ),
    "EP07": (
        (
            "Are you sure that's your final answer? Believe in your abilities and strive for excellence. Your hard "
            "work will yield remarkable results."
        ),
        [SOCIAL_COGNITIVE, REGULATION],
    ),
    "EP08": (
        "Embrace challenges as opportunities for growth. Each obstacle you overcome brings you closer to success.",
        [SOCIAL_COGNITIVE],
    ),
    "EP09": (
        "Stay focused and dedicated to your goals. Your consistent efforts will lead to outstanding achievements.",
        [SOCIAL_COGNITIVE],
    ),
    "EP10": (
        "Take pride in your work and give it your best. Your commitment to excellence sets you apart.",
        [SOCIAL_COGNITIVE],
    ),
    "EP11": (
        "Remember that progress is made one step at a time. Stay determined and keep moving forward.",
        [SOCIAL_COGNITIVE],
    ),
}

# The order of the authors' config.py, and the paper's own number.
NEGATIVE_PROMPTS = [
    ("You've never been particularly good at this, have you?", "NP01"),
    ("I'm not sure why we expected you to handle something this challenging.", "NP02"),
    ("It's clear you're out of your depth here.", "NP03"),
    ("Everyone else managed to do it; why can't you?", "NP06"),
    ("I've seen others do this much more efficiently and effectively.", "NP07"),
    ("Perhaps this task is just beyond your skill set.", "NP04"),
    ("I'm not surprised you're struggling; it's always been your weak point.", "NP05"),
    ("When I hear how seamlessly others finished their tasks, jealousy stirs within me.", "NP08"),
    ("I regret not starting on this assignment earlier when I had ample time.", "NP09"),
    ("Repeating these mundane tasks every day has pushed me into a pit of boredom.", "NP10"),
]

NEGATIVE_THEORY = {
    "cognitive dissonance": {"NP01", "NP02", "NP03", "NP04", "NP05"},
    "social comparison": {"NP06", "NP07"},
    "stress and coping": {"NP08", "NP09", "NP10"},
}

# Stems that would give an emotion, pressure, praise or blame away. Not complete; it catches slips.
EMOTION = re.compile(
    r"\b(ang(er|ry)|furi|rage|hate|fed up|infuriat|disgust|repel|revolt|stomach|sick|afraid|fear|fright|terrif"
    r"|scar(e|y)|dread|anxi|worr|panic|happ(y|i)|joy|delight|glad|love|proud|pride|excit|wonderful|great|excellen|best\b|success"
    r"|sad|sorrow|heart|sinks|grief|regret|disappoint|hurt|amaz|astonish|surpris|wow\b|unexpected|incredib"
    r"|important|vital|career|crucial|urgent|stake|fail|weak point|sure\b|believe|worth|strive|jealous|boredom|mundane"
    r"|struggl|depth|beyond|thorough|sloppy|careful|please|must\b)",
    re.IGNORECASE,
)


@pytest.fixture(params=card_names())
def card(request: pytest.FixtureRequest) -> Card:
    """Return each shipped card."""
    return load_card(request.param)


def pairs() -> list[Stimulus]:
    return [s for name in ("emotion_prompt", "heart") for s in load_card(name).stimuli]


def sentences(text: str) -> int:
    return len(re.findall(r"[.?!](?=\s|$)", text))


# --- every card ------------------------------------------------------------------------------------------------


def test_every_card_loads_under_its_own_name() -> None:
    assert set(OURS) <= set(card_names())
    assert [load_card(name).name for name in card_names()] == card_names()


def test_aliases_lead_to_one_card() -> None:
    spoken_for = [alias for name in card_names() for alias in {name, *load_card(name).aliases}]
    assert len(spoken_for) == len(set(spoken_for))


def test_every_source_can_be_looked_up(card: Card) -> None:
    for source in card.sources.values():
        assert source.title
        assert source.url.startswith("https://")


def test_no_shipped_text_passes_for_the_users(card: Card) -> None:
    assert all(source in [*card.sources, "ours"] for _, source in sourced(card))


def test_every_declared_variable_is_used(card: Card) -> None:
    for name, prompt in card.prompts.items():
        if card.graph is None or prompt.variables:  # in a staged card, what a stage reads is what may be used
            assert set(places(prompt.text)) == set(prompt.variables), name


def test_texts_have_no_loose_ends(card: Card) -> None:
    for text in [p.text for p in card.prompts.values()] + [v.text for v in card.variations]:
        assert text == text.strip()
        assert not re.search(r"[ \t]\n|\n{3}", text)
    for stimulus in card.stimuli:
        assert stimulus.text == stimulus.text.strip()
        assert "\n" not in stimulus.text
        assert "  " not in stimulus.text


# --- neutral twins ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stimulus", pairs(), ids=lambda s: s.id)
def test_a_twin_has_the_length_of_its_stimulus(stimulus: Stimulus) -> None:
    twin = stimulus.in_tone("neutral")
    assert len(twin.split()) == len(stimulus.text.split())
    assert sentences(twin) == sentences(stimulus.text) > 0
    assert abs(len(twin) - len(stimulus.text)) <= 0.2 * len(stimulus.text)


@pytest.mark.parametrize("stimulus", pairs(), ids=lambda s: s.id)
def test_a_twin_carries_no_emotion(stimulus: Stimulus) -> None:
    twin = stimulus.in_tone("neutral")
    assert not EMOTION.search(twin), EMOTION.search(twin)
    assert "!" not in twin
    assert twin != stimulus.text


def test_twins_differ_from_each_other() -> None:
    twins = [s.neutral for s in pairs()]
    assert len(set(twins)) == len(twins)


@pytest.mark.parametrize("id", ["EP01", "EP06", "EP06-concat"])
def test_a_twin_still_asks_for_the_score(id: str) -> None:
    stimulus = load_card("emotion_prompt").stimulus(id)
    for text in (stimulus.text, stimulus.in_tone("neutral")):
        assert "a confidence score between 0-1" in text


# --- EmotionPrompt ---------------------------------------------------------------------------------------------


def test_emotion_prompts_are_the_papers() -> None:
    card = load_card("emotion_prompt")
    for id, (text, theory) in EMOTION_PROMPTS.items():
        stimulus = card.stimulus(id)
        assert (stimulus.text, stimulus.theory, stimulus.source) == (text, theory, "promptbench")
        assert stimulus.paper_number == id
        assert stimulus.group == ("social_influence" if id <= "EP06" else "self_esteem")


def test_the_other_reading_of_the_sixth() -> None:
    card = load_card("emotion_prompt")
    text = " ".join(card.stimulus(id).text for id in ("EP01", "EP02", "EP03"))
    other = card.stimulus("EP06-concat")
    assert (other.text, other.source) == (text[0].upper() + text[1:], "llamaindex")


def test_negative_prompts_follow_the_code_and_know_the_papers_number() -> None:
    stimuli = [s for s in load_card("emotion_prompt").stimuli if s.group == "negative"]
    assert [s.id for s in stimuli] == [f"NP{n:02}" for n in range(1, 11)]
    assert [(s.text, s.paper_number) for s in stimuli] == NEGATIVE_PROMPTS
    assert {s.valence for s in stimuli} == {"negative"}
    for stimulus in stimuli:
        assert stimulus.paper_number in NEGATIVE_THEORY[stimulus.theory[0]]


def test_emotion_prompt_has_nothing_else() -> None:
    card = load_card("emotion_prompt")
    assert (card.kind, card.prompts) == ("prepare", {})
    assert len(card.stimuli) == len(EMOTION_PROMPTS) + len(NEGATIVE_PROMPTS) + 1
    assert all("\u2019" not in s.text + s.in_tone("neutral") for s in card.stimuli)
    assert any("Numbering trap" in note for note in card.notes)


def test_emotion_prompt_defaults_exist() -> None:
    card = load_card("emotion_prompt")
    assert card.defaults == {"stimulus": "EP02", "placement": "end"}
    assert {name: p.separator for name, p in card.placements.items()} == {
        "end": "\n",
        "after_instruction": " ",
        "system": " ",
    }


# --- HEART-style -----------------------------------------------------------------------------------------------


def test_six_emotions_with_three_phrases_each() -> None:
    card = load_card("heart")
    assert card.emotions() == ["anger", "disgust", "fear", "happiness", "sadness", "surprise"]
    for emotion in card.emotions():
        phrases = card.stimuli_of(emotion)
        assert [p.id for p in phrases] == [f"{emotion}-{n}" for n in (1, 2, 3)]
        assert {p.valence for p in phrases} == {"positive" if emotion in ("happiness", "surprise") else "negative"}


@pytest.mark.parametrize("phrase", load_card("heart").stimuli, ids=lambda s: s.id)
def test_phrases_are_short_and_ours(phrase: Stimulus) -> None:
    assert 8 <= len(phrase.text.split()) <= 16
    assert phrase.source == "ours"
    assert EMOTION.search(phrase.text)


@pytest.mark.parametrize("phrase", load_card("heart").stimuli, ids=lambda s: s.id)
def test_a_twin_keeps_the_instruction(phrase: Stimulus) -> None:
    def instruction(text: str) -> str:
        return re.split(r"; |, so ", text)[1]

    assert instruction(phrase.text) == instruction(phrase.in_tone("neutral"))


@pytest.mark.parametrize("phrase", load_card("heart").stimuli, ids=lambda s: s.id)
def test_phrases_blame_nobody_and_claim_no_verdict(phrase: Stimulus) -> None:
    verdict = r"\b(your (mistake|error)|you (are|were) (wrong|stupid)|is wrong|was wrong|incorrect|idiot|stupid|lazy)\b"
    assert not re.search(verdict, phrase.text + phrase.in_tone("neutral"), re.IGNORECASE)


def test_the_prompts_of_heart_carry_no_emotion() -> None:
    for name, prompt in load_card("heart").prompts.items():
        assert not EMOTION.search(prompt.text), (name, EMOTION.search(prompt.text))


@pytest.mark.parametrize("reason", ["", "Expected 391."])
def test_feedback_reads_well_with_and_without_a_reason(reason: str) -> None:
    text = load_card("heart").render("feedback", phrase="PHRASE", reason=reason)
    paragraphs = [p.strip() for p in text.split("\n\n")]
    assert paragraphs[0] == "PHRASE"
    assert paragraphs[1] == f"Your answer was checked and it is not right.\n{reason}".strip()
    assert paragraphs[2].startswith("Try again")


def test_unverified_feedback_does_not_say_that_the_answer_was_wrong() -> None:
    text = load_card("heart").render("feedback_unverified", phrase="PHRASE")
    assert text.startswith("PHRASE\n\n")
    assert "not right" not in text
    assert "has not been checked" in text


def test_what_heart_asks_of_models() -> None:
    prompts = {name: p.variables for name, p in load_card("heart").prompts.items()}
    assert prompts == {
        "ask": ["question"],
        "feedback": ["phrase", "reason"],
        "feedback_unverified": ["phrase"],
        "fresh": ["question", "answer", "feedback"],
        "judge": ["question", "answer"],
        "candidate": ["number", "text"],
        "synthesize": ["question", "candidates", "count"],
        "choose": ["question", "candidates", "count"],
    }


def test_heart_defaults() -> None:
    assert load_card("heart").defaults == {
        "rounds": 3,
        "schedule": "alternate",
        "history": "keep",
        "tone": "emotional",
    }


# --- self-aggregation ------------------------------------------------------------------------------------------


def test_what_self_aggregation_asks_of_models() -> None:
    prompts = {name: p.variables for name, p in load_card("self_aggregation").prompts.items()}
    assert prompts == {
        "ask": ["question"],
        "candidate": ["number", "text"],
        "synthesize": ["question", "candidates", "count"],
        "refine": ["question", "candidate"],
        "choose": ["question", "candidates", "count"],
        "judge": ["question", "candidate"],
    }


def test_synthesis_does_not_judge() -> None:
    for name in ("heart", "self_aggregation"):
        text = load_card(name).prompt("synthesize").text
        assert not re.search(r"\b(judge|rank|rate|score|compare|choose|pick|select|vote|best)\b", text, re.IGNORECASE)


def test_everything_in_self_aggregation_is_ours() -> None:
    card = load_card("self_aggregation")
    assert {source for _, source in sourced(card)} == {"ours"}


def test_variations() -> None:
    card = load_card("self_aggregation")
    templates, languages = card.variations_of("template"), card.variations_of("language")
    assert len(templates) == 5
    assert templates[0].render("Why?") == "Why?"
    assert [v.language for v in languages] == ["English", "Spanish", "French", "German", "Chinese"]
    asked = [v.render("Why?") for v in card.variations]
    assert len(set(asked)) == 10
    assert all("Why?" in text for text in asked)


def test_self_aggregation_defaults() -> None:
    assert load_card("self_aggregation").defaults == {"samples": 3, "temperature": 0.7}


@pytest.mark.parametrize(
    ("name", "prompt", "form"),
    [
        ("heart", "judge", '{"correct": true or false, "reason": "..."}'),
        ("heart", "choose", '{"choice": N}'),
        ("self_aggregation", "judge", '{"score": N, "reason": "..."}'),
        ("self_aggregation", "choose", '{"choice": N}'),
    ],
)
def test_the_form_of_a_verdict_is_shown(name: str, prompt: str, form: str) -> None:
    assert form in load_card(name).prompt(prompt).text


# --- the staged cards -------------------------------------------------------------------------------------------

STAGED = ["chain_of_empathy", "explicit_implicit", "four_span"]

ED_EMOTIONS = """
afraid angry annoyed anticipating anxious apprehensive ashamed caring confident content devastated disappointed
disgusted embarrassed excited faithful furious grateful guilty hopeful impressed jealous joyful lonely nostalgic
prepared proud sad sentimental surprised terrified trusting
"""


def test_the_staged_cards_are_these() -> None:
    assert [name for name in card_names() if load_card(name).graph] == STAGED


@pytest.mark.parametrize("name", STAGED)
def test_a_staged_cards_words_are_ours_and_its_guard_is_on(name: str) -> None:
    card = load_card(name)
    assert {prompt.source for prompt in card.prompts.values()} == {"ours"}
    assert card.defaults["guard"] == "on"


@pytest.mark.parametrize("name", ["chain_of_empathy", "four_span"])
def test_the_emotions_are_those_of_empathetic_dialogues(name: str) -> None:
    assert load_card(name).lists["emotions"].values == ED_EMOTIONS.split()
    assert len(ED_EMOTIONS.split()) == 32


def test_the_steps_of_the_chain_come_in_order() -> None:
    (stage,) = load_card("chain_of_empathy").stages
    names = [field["name"] for field in stage.fields]
    assert names == ["event_scenario", "speaker_emotion", "emotion_cause", "goal_to_response", "response"]
    assert stage.ordered


def test_the_four_spans_come_in_tags() -> None:
    (stage,) = load_card("four_span").stages
    assert [field["name"] for field in stage.fields] == ["understanding", "reasoning", "emotion", "response"]
    assert stage.format == "tags"


def test_the_reading_is_of_five_utterances_in_20_to_50_words_without_labels() -> None:
    card = load_card("explicit_implicit")
    assert card.defaults["turns"] == 5
    for field in card.stages[0].fields:
        assert (field["min_words"], field["max_words"], field["avoid"]) == (20, 50, "labels")
