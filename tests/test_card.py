"""Cards as a mechanism: rendering, overriding, and the sentences that say what is wrong."""

from __future__ import annotations

import ast
import copy
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emoagents.card import Card, card_names, cards_dir, load, load_card, open_card, override_card, place_in, read_toml
from emoagents.errors import CardError, ParameterError, UnknownNameError

NASTY = [
    "{{question}}",
    "{{a}}",
    "{{b}}",
    "{{",
    "}}",
    "{a}",
    "{a.__class__}",
    "{{a.__class__}}",
    "{{ a }}",
    "$a",
    "${a}",
    "$$",
    "%s",
    "%(a)s",
    "\\g<0>",
    "\\1",
    "\\",
    "</question>",
    "<response number='1'>",
    "\x00\x07\x1b[31m",
    "\r\n\t ",
    "\u202e\ufeff\u2028",
    "\ud800",
    "🫀",
]

relaxed = settings(deadline=None)  # the machine is shared

texts = st.one_of(st.text(), st.lists(st.sampled_from(NASTY)).map("".join))


def make(**changes: Any) -> Card:
    """Return a small card."""
    data: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "summary": "A card for tests.",
        "kind": "answer",
        "sources": {"paper": {"title": "A paper"}},
        "defaults": {"rounds": 3, "nested": {"x": 1, "y": 2}},
        "prompts": {
            "ask": {
                "text": "Q: {{question}}\n{{hint}}",
                "variables": ["question", "hint"],
                "source": "paper",
            },
            "json": {"text": '{"a": {{a}}} {{{a}}} $a ${a} %s {a}', "variables": ["a"], "source": "ours"},
        },
        "placements": {"end": {"separator": "\n", "source": "paper"}},
        "stimuli": [
            {
                "id": "S1",
                "text": "One.",
                "neutral": "Two.",
                "source": "paper",
                "emotion": "joy",
                "valence": "positive",
            },
            {"id": "S2", "text": "Three.", "source": "ours", "emotion": "anger"},
            {"id": "S3", "text": "Four.", "source": "ours", "emotion": "joy"},
        ],
        "variations": [
            {"id": "plain", "kind": "template", "text": "{{question}}", "source": "ours"},
            {
                "id": "de",
                "kind": "language",
                "language": "German",
                "text": "Denk: {{question}}",
                "source": "ours",
            },
        ],
    }
    return Card.model_validate({**data, **changes})


BASE = make()


def failure(source: Any, base: Card = BASE) -> CardError:
    """Return the error of an override that has to fail, after checking that it names file, key and reason."""
    with pytest.raises(CardError) as caught:
        override_card(base, source)
    error = caught.value
    assert error.path
    assert error.reason
    assert str(error) == f"card {error.path}: " + (f"{error.key}: " if error.key else "") + error.reason
    assert "pydantic" not in str(error)
    assert "ValidationError" not in str(error)
    return error


def is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- rendering -------------------------------------------------------------------------------------------------


@relaxed
@given(question=texts, hint=texts)
@example(question="{{hint}}", hint="{{question}}")
def test_values_survive_byte_for_byte(question: str, hint: str) -> None:
    assert BASE.render("ask", question=question, hint=hint) == "Q: " + question + "\n" + hint


@relaxed
@given(
    parts=st.lists(
        st.one_of(
            st.tuples(st.just("text"), st.text(st.characters(exclude_characters="{", exclude_categories=["Cs"]))),
            st.tuples(st.just("place"), st.sampled_from(["a", "b", "self", "mapping", "prompt_name", "_x9"])),
        ),
        min_size=1,
    ),
    value=texts,
)
def test_a_template_is_filled_in_one_pass(parts: list[tuple[str, str]], value: str) -> None:
    values = {name: f"{name}:{value}" for kind, name in parts if kind == "place"}
    template = "".join(part if kind == "text" else f"{{{{{part}}}}}" for kind, part in parts)
    expected = "".join(part if kind == "text" else values[part] for kind, part in parts)
    if template:
        prompts = {"p": {"text": template, "variables": sorted(values), "source": "ours"}}
        assert make(prompts=prompts).render("p", **values) == expected


@relaxed
@given(value=texts)
def test_variations_ask_the_question_as_it_is(value: str) -> None:
    assert BASE.variation("de").render(value) == "Denk: " + value


@relaxed
@given(value=texts)
def test_single_braces_and_other_template_languages_are_plain_text(value: str) -> None:
    expected = f'{{"a": {value}}} {{{value}}} $a ${{a}} %s {{a}}'
    assert BASE.render("json", a=value) == expected


def test_numbers_are_written_as_numbers() -> None:
    assert BASE.render("ask", question=3, hint=0.5) == "Q: 3\n0.5"


def test_nothing_of_a_value_is_read_but_its_text() -> None:
    class Watched(str):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"{name} was read")

        def __format__(self, spec: str) -> str:
            raise AssertionError("formatted")

    assert BASE.render("ask", question=Watched("Why?"), hint="") == "Q: Why?\n"


def test_a_missing_value_is_an_error_and_a_spare_one_is_not() -> None:
    with pytest.raises(CardError) as caught:
        BASE.render("ask", question="Why?", other="x")
    assert str(caught.value) == "card small: prompts.ask: no value for {{hint}}"
    assert BASE.render("ask", question="Why?", hint="", other="x") == "Q: Why?\n"


def test_none_counts_as_missing() -> None:
    with pytest.raises(CardError, match="no value for"):
        BASE.render("ask", question="Why?", hint=None)  # type: ignore[arg-type]


# --- looking up ------------------------------------------------------------------------------------------------


def test_look_up_ignores_case() -> None:
    assert BASE.stimulus("s1").text == "One."
    assert BASE.placement("END").separator == "\n"
    assert [s.id for s in BASE.stimuli_of("Joy")] == ["S1", "S3"]


def test_an_unknown_name_says_what_was_meant() -> None:
    with pytest.raises(UnknownNameError, match="unknown stimulus 'S11'; did you mean S1"):
        BASE.stimulus("S11")
    for look_up in (BASE.stimulus, BASE.prompt, BASE.placement, BASE.variation, BASE.stimuli_of):
        with pytest.raises(UnknownNameError):
            look_up("nothing like it")


def test_emotions_keep_their_order() -> None:
    assert BASE.emotions() == ["joy", "anger"]


def test_variations_of_one_kind() -> None:
    assert [v.id for v in BASE.variations_of("language")] == ["de"]


def test_tone() -> None:
    assert BASE.stimulus("S1").in_tone("emotional") == "One."
    assert BASE.stimulus("S1").in_tone("neutral") == "Two."
    with pytest.raises(ParameterError, match="'S2' has no neutral twin"):
        BASE.stimulus("S2").in_tone("neutral")


# --- loading ---------------------------------------------------------------------------------------------------


def test_names_and_aliases() -> None:
    assert {"emotion_prompt", "heart", "self_aggregation"} <= set(card_names())
    for name in ("self_aggregation", "Self-Aggregation", "SelfAggregation", "gsa"):
        assert load_card(name).name == "self_aggregation"


def test_unknown_strategy() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_card("hart")
    assert str(caught.value) == "unknown strategy 'hart'; did you mean heart?"


@pytest.mark.parametrize("name", ["../heart", "/etc/passwd", "heart.toml", "", "\0"])
def test_a_name_is_not_a_path(name: str) -> None:
    with pytest.raises(UnknownNameError):
        load_card(name)


def test_a_loaded_card_is_the_callers_own() -> None:
    load_card("heart").defaults["rounds"] = 99
    assert load_card("heart").defaults["rounds"] == 3


def test_cards_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        BASE.name = "other"


def test_cards_lie_in_the_package_or_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "emoagents"
    package.mkdir()
    monkeypatch.setattr(load, "__file__", str(package / "card" / "load.py"))
    assert cards_dir() == tmp_path / "strategies"
    (package / "cards").mkdir()
    assert cards_dir() == package / "cards"


@pytest.mark.parametrize("file", sorted(Path(load.__file__).parent.glob("*.py")), ids=lambda p: p.name)
def test_its_modules_import_nothing_slow(file: Path) -> None:
    allowed = {"pydantic", "pydantic_core", "emoagents"} | set(sys.stdlib_module_names)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= allowed
    ours = {name for name in imported if name.startswith("emoagents")}
    assert {name for name in ours if not name.startswith("emoagents.card.")} <= {"emoagents.errors", "emoagents.fields"}


# --- overriding ------------------------------------------------------------------------------------------------


def test_tables_merge_by_key(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        title = "Mine"
        [defaults]
        rounds = 5
        nested.y = 3
        [prompts.ask]
        text = "{{question}}?"
        [sources.me]
        title = "Me"
        """,
    )
    card = override_card(BASE, path)
    assert (card.name, card.title) == ("small", "Mine")
    assert card.defaults == {"rounds": 5, "nested": {"x": 1, "y": 3}}
    assert card.prompts["ask"].variables == ["question", "hint"]
    assert card.render("ask", question="Why", hint="unused") == "Why?"
    assert card.prompts["json"] == BASE.prompts["json"]
    assert set(card.sources) == {"paper", "me"}


def test_stimuli_merge_by_id() -> None:
    card = override_card(BASE, {"stimuli": [{"id": "s2", "neutral": "Five."}, {"id": "mine", "text": "Six."}]})
    assert [s.id for s in card.stimuli] == ["S1", "S2", "S3", "mine"]
    assert card.stimulus("S2").model_dump() == {**BASE.stimulus("S2").model_dump(), "neutral": "Five."}
    assert card.stimulus("mine").source == "user"


def test_replace_drops_the_shipped_list() -> None:
    card = override_card(BASE, {"replace": ["stimuli"], "stimuli": [{"id": "S1", "text": "Mine."}]})
    assert [(s.id, s.text, s.neutral) for s in card.stimuli] == [("S1", "Mine.", None)]
    assert card.variations == BASE.variations
    assert override_card(BASE, {"replace": ["variations"]}).variations == []


def test_a_changed_text_is_no_longer_the_papers() -> None:
    changes: dict[str, Any] = {
        "stimuli": [{"id": "S1", "text": "Mine."}],
        "prompts": {"ask": {"text": "Mine: {{question}}"}},
        "placements": {"end": {"separator": " "}},
    }
    card = override_card(BASE, changes)
    assert card.stimulus("S1").source == card.prompt("ask").source == card.placement("end").source == "user"
    kept = override_card(BASE, {"stimuli": [{"id": "S1", "text": "One!", "source": "paper"}]})
    assert kept.stimulus("S1").source == "paper"
    noted = override_card(BASE, {"stimuli": [{"id": "S1", "note": "Liked."}]})
    assert noted.stimulus("S1").source == "paper"


def test_a_prompt_may_use_fewer_variables() -> None:
    card = override_card(BASE, {"prompts": {"ask": {"text": "{{question}}", "variables": ["question"]}}})
    assert card.render("ask", question="Why?", hint="unused") == "Why?"


def test_a_card_is_taken_whole() -> None:
    shorter = override_card(BASE, {"replace": ["stimuli"], "stimuli": [{"id": "only", "text": "Only."}]})
    assert override_card(BASE, shorter) is shorter


def test_a_card_of_another_strategy_does_not_fit() -> None:
    error = failure(load_card("self_aggregation"), base=load_card("heart"))
    assert (error.path, error.key) == ("self_aggregation", "prompts.refine")
    assert failure(load_card("heart"), base=load_card("emotion_prompt")).key == "kind"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "notepad.toml"
    path.write_bytes(b'\xef\xbb\xbftitle = "Mine"\r\n')
    assert override_card(BASE, str(path)).title == "Mine"


@relaxed
@given(text=texts.filter(is_unicode).filter(bool), rounds=st.integers())
def test_any_text_may_be_a_stimulus(text: str, rounds: int) -> None:
    card = override_card(BASE, {"stimuli": [{"id": "mine", "text": text}], "defaults": {"rounds": rounds}})
    assert card.stimulus("mine").text == text
    assert card.defaults["rounds"] == rounds
    assert card.stimuli[:3] == BASE.stimuli


def test_an_empty_override_changes_nothing() -> None:
    for name in card_names():
        assert override_card(load_card(name), {}) == load_card(name)


def test_a_copy_of_a_card_overrides_nothing() -> None:
    for name in card_names():
        card = load_card(name)
        assert override_card(card, cards_dir() / f"{name}.toml") == card


# --- what can be wrong -----------------------------------------------------------------------------------------

STIMULUS = {"id": "x", "text": "Text."}

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"promts": {}}, "promts", "unknown key; did you mean prompts?"),
    ({"stimuli": [{**STIMULUS, "txt": "T"}]}, "stimuli.x.txt", "unknown key; did you mean text?"),
    ({"stimuli": [{"id": "x", "txt": "T"}]}, "stimuli.x.txt", "unknown key; did you mean text?"),
    ({"sources": {"s": {"title": "T", "yaer": 1}}}, "sources.s.yaer", "unknown key; did you mean year?"),
    ({"prompts": {"ask": {"txt": "T"}}}, "prompts.ask.txt", "unknown key; did you mean text?"),
    ({"title": 3}, "title", "must be a string, not a number"),
    ({"title": True}, "title", "must be a string, not a boolean"),
    ({"notes": "one"}, "notes", "must be a list, not a string"),
    ({"notes": ["one", 2]}, "notes[1]", "must be a string, not a number"),
    ({"stimuli": {"x": 1}}, "stimuli", "must be a list, not a table"),
    ({"defaults": []}, "defaults", "must be a table, not a list"),
    ({"prompts": {"ask": 3}}, "prompts.ask", "must be a table, not a number"),
    (
        {"sources": {"s": {"title": "T", "year": "2024"}}},
        "sources.s.year",
        "must be a whole number, not a string",
    ),
    ({"stimuli": [{"id": "x"}]}, "stimuli.x.text", "missing"),
    ({"stimuli": [{"text": "T"}]}, "stimuli[0].id", "missing"),
    ({"stimuli": ["x"]}, "stimuli[0].id", "missing"),
    ({"stimuli": [{"id": 1, "text": "T"}]}, "stimuli[0].id", "must be a string"),
    ({"stimuli": [{"id": "x", "text": ""}]}, "stimuli.x.text", "must not be empty"),
    ({"stimuli": [{"id": "x", "text": "\ud800"}]}, "stimuli.x.text", "is not valid Unicode"),
    ({"stimuli": [STIMULUS, {**STIMULUS, "id": "X"}]}, "stimuli.X", "this id stands twice"),
    (
        {"stimuli": [{**STIMULUS, "valence": "good"}]},
        "stimuli.x.valence",
        "must be 'positive', 'negative' or 'neutral', not 'good'",
    ),
    (
        {"stimuli": [{**STIMULUS, "source": "papr"}]},
        "stimuli.x.source",
        "'papr' is not declared in [sources]; did you mean paper?",
    ),
    ({"sources": {"ours": {"title": "T"}}}, "sources.ours", "this name is built in; choose another"),
    (
        {"prompts": {"ask": {"text": "{{qestion}}"}}},
        "prompts.ask.text",
        "{{qestion}} is not a variable of this prompt; did you mean question?",
    ),
    (
        {"prompts": {"ask": {"variables": ["question", "hints"]}}},
        "prompts.ask.text",
        "{{hint}} is not a variable of this prompt; did you mean hints?",
    ),
    (
        {"prompts": {"ask": {"text": "T", "variables": ["hints"]}}},
        "prompts.ask.variables",
        "the strategy gives no 'hints'; did you mean hint?",
    ),
    (
        {"prompts": {"aks": {"text": "T"}}},
        "prompts.aks",
        "the strategy has no such entry; did you mean ask?",
    ),
    ({"prompts": {"solver.ask": {"text": "T"}}}, "prompts.solver.ask", "a prompt's name has no dot"),
    (
        {"placements": {"start": {"separator": ""}}},
        "placements.start",
        "the strategy has no such entry; there are end",
    ),
    (
        {"variations": [{"id": "v", "kind": "template", "text": "T"}]},
        "variations.v.text",
        "does not ask the question",
    ),
    (
        {"variations": [{"id": "v", "kind": "language", "text": "{{question}}"}]},
        "variations.v.language",
        "missing; a variation of kind 'language' names its language",
    ),
    ({"kind": "prepare"}, "kind", "must stay 'answer', as in the card 'small'"),
    ({"kind": "ask"}, "kind", "must be 'prepare' or 'answer', not 'ask'"),
    ({"replace": "stimuli"}, "replace", "must be a list, not a string"),
    ({"replace": ["prompts"]}, "replace", "cannot replace 'prompts'; there are stimuli, variations, stages"),
]


@pytest.mark.parametrize(("source", "key", "reason"), WRONG, ids=[f"{n}-{w[1]}" for n, w in enumerate(WRONG)])
def test_an_error_names_key_and_reason(source: dict[str, Any], key: str, reason: str) -> None:
    error = failure(source)
    assert (error.path, error.key) == ("(given in code)", key)
    assert error.reason.startswith(reason)


@pytest.mark.parametrize("place", ["{{ question }}", "{{question }}", "{{question.upper}}", "{{question|upper}}"])
def test_a_place_that_is_none_does_not_reach_the_model(place: str) -> None:
    error = failure({"prompts": {"ask": {"text": f"Q: {place}"}}})
    assert error.reason == f"{place!r} is not a variable; write {{{{name}}}} and nothing else inside"


def test_the_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "[defaults]\nrounds = 1\n[prompts.ask]\ntext = 5\n")
    assert str(failure(path)) == f"card {path}: prompts.ask.text: must be a string, not a number"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'title = "a"\nkind answer\n', "not valid TOML: Expected '=' after a key"),
        (b'title = "a"\ntitle = "b"\n', "not valid TOML: Cannot overwrite a value"),
        (b"title = '\xff'", "not UTF-8 text (at byte 9)"),
        (b"x = " + b"[" * 100_000, "not valid TOML: nested too deeply"),
    ],
)
def test_files_that_are_no_cards(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    error = failure(path)
    assert error.path == str(path)
    assert error.reason.startswith(reason)


def test_a_toml_error_says_the_line(tmp_path: Path) -> None:
    assert "line 2" in failure(write(tmp_path, 'title = "a"\nkind answer\n')).reason


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert failure(tmp_path / "none.toml").reason == "cannot be read: No such file or directory"
    assert failure(str(tmp_path)).reason.startswith("cannot be read: ")
    assert failure("null\0byte").reason.startswith("cannot be read: ")
    assert failure("~no-such-user/card.toml").reason.startswith("cannot be read: ")


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
words = st.sampled_from([*Card.model_fields, "replace", "id", "text", "source", "ask", "end", "S1", "x", "variables"])
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@relaxed
@given(source=st.dictionaries(words, values, max_size=4))
def test_whatever_is_given_the_answer_is_a_card_or_a_card_error(source: dict[str, Any]) -> None:
    try:
        card = override_card(BASE, source)
    except CardError:
        failure(source)
    else:
        assert set(card.prompts) == set(BASE.prompts)


def test_others_read_toml_files_and_name_places_in_them(tmp_path: Path) -> None:
    data = read_toml(write(tmp_path, '[[rubrics]]\nid = "fluency"\n[[rubrics.levels]]\nname = "good"\n'))
    assert place_in(("rubrics", 0, "levels", 0, "text"), data) == "rubrics.fluency.levels[0].text"
    assert place_in((), data) == ""


# --- staged cards ----------------------------------------------------------------------------------------------

STAGED: dict[str, Any] = {
    "name": "stages",
    "graph": "staged",
    "reply": "answer_text",
    "lists": {"moods": {"values": ["calm", "tense"]}},
    "prompts": {
        "look": {"text": "{{question}} {{moods}}"},
        "each": {"text": "{{number}} {{item}} {{mood}}"},
        "last": {"text": "{{mood}} {{thought}} {{conversation}}"},
        "user": {"text": "U {{text}}"},
        "assistant": {"text": "A {{text}}"},
    },
    "stages": [
        {
            "id": "look",
            "prompt": "look",
            "fields": [{"name": "mood", "choices": "moods"}, {"name": "n", "type": "list"}],
        },
        {"id": "other", "prompt": "look", "fields": [{"name": "score", "type": "integer"}]},
        {"id": "each", "prompt": "each", "reads": ["look"], "for_each": "n", "fields": [{"name": "thought"}]},
        {"id": "end_stage", "prompt": "last", "reads": ["look", "each"], "fields": [{"name": "answer_text"}]},
    ],
}


def staged(place: str, value: Any) -> dict[str, Any]:
    """Return a staged card with another value at a place such as "stages.each.reads" or "prompts.look.text"."""
    card = copy.deepcopy(STAGED)
    *path, last = place.split(".")
    table: Any = card
    for key in path:
        table = next(e for e in table if key in (e.get("id"), e.get("name"))) if isinstance(table, list) else table[key]
    if value is None:
        del table[last]
    else:
        table[last] = value
    return card


WRONG_STAGES: list[tuple[str, Any, str, str]] = [
    ("graph", "stagd", "graph", "must be 'staged', not 'stagd'"),
    ("kind", "prepare", "kind", "must be 'answer' in a card with graph"),
    ("stages", [], "stages", "missing; a card with graph"),
    ("stages.each.promt", "x", "stages.each.promt", "unknown key; did you mean prompt?"),
    ("stages.each.prompt", None, "stages.each.prompt", "missing"),
    ("stages.each.prompt", "eech", "stages.each.prompt", "the card has no prompt 'eech'; did you mean each?"),
    ("stages.each.system", "rule", "stages.each.system", "the card has no prompt 'rule'"),
    ("stages.each.id", "look", "stages.look", "this id stands twice"),
    ("stages.each.id", "no name", "stages.no name.id", "must be a name of letters"),
    ("stages.each.id", "trace", "stages.trace.id", "'trace' is the graph's own name"),
    ("stages.each.reads", ["lok"], "stages.each.reads", "there is no stage 'lok' before it; did you mean look?"),
    ("stages.each.reads", ["end_stage"], "stages.each.reads", "'end_stage' comes later"),
    ("stages.each.reads", ["each"], "stages.each.reads", "'each' is the stage itself"),
    ("stages.each.reads", ["look", "look"], "stages.each.reads", "'look' stands twice"),
    ("stages.each.for_each", "m", "stages.each.for_each", "'m' is no list that this stage reads"),
    ("stages.each.for_each", "mood", "stages.each.for_each", "'mood' is no list; "),
    ("stages.each.fields.thought.type", "list", "stages.each.fields.thought.type", "a list for each text of a list"),
    ("stages.each.fields.thought.name", "mood", "stages.each.fields.mood.name", "the stage 'look' has a field of this"),
    ("stages.each.fields.thought.name", "question", "stages.each.fields.question.name", "is the name of a variable"),
    ("stages.each.fields.thought.name", "moods", "stages.each.fields.moods.name", "is the name of a list"),
    ("stages.each.fields.thought.name", "two words", "stages.each.fields.two words.name", "must be a name of letters"),
    ("stages.each.fields.thought.kind", "x", "stages.each.fields.thought.kind", "unknown key; there are name"),
    ("stages.each.fields.thought.minimum", 1, "stages.each.fields.thought", "minimum is for a number or a list"),
    ("stages.each.fields", [{"type": "text"}], "stages.each.fields[0].name", "missing"),
    ("stages.look.fields.mood.choices", "mods", "stages.look.fields.mood.choices", "the card has no list 'mods'; did"),
    ("stages.look.fields.mood.choices", [1], "stages.look.fields.mood.choices[0]", "must be a string, not a number"),
    ("stages.each.format", "xml", "stages.each.format", "must be 'json', 'tags' or 'text', not 'xml'"),
    ("stages.look.format", "text", "stages.look.format", "'text' takes one field of type 'text', or none"),
    ("stages.end_stage.ordered", "yes", "stages.end_stage.ordered", ""),
    ("stages.each.temperature", -1, "stages.each.temperature", "input should be greater than or equal to 0"),
    ("stages.each.max_tokens", 0, "stages.each.max_tokens", "input should be greater than or equal to 1"),
    ("stages.each.when", {"field": "moo", "is": ["calm"]}, "stages.each.when.field", "'moo' is no field that this"),
    (
        "stages.each.when",
        {"field": "score", "is": [1]},
        "stages.each.when.field",
        "'score' is no field that this stage reads; it is of the stage 'other', which `reads` does not name",
    ),
    ("stages.each.when", {"field": "mood"}, "stages.each.when", "needs the values that the field `is`, or is `not`"),
    ("stages.each.when", {"field": "mood", "iss": []}, "stages.each.when.iss", "unknown key; did you mean is?"),
    (
        "stages.each.when",
        {"field": "mood", "is": ["cam"]},
        "stages.each.when.is",
        "'cam' is none of the choices of 'mood'",
    ),
    (
        "stages.each.when",
        {"field": "mood", "not": [1]},
        "stages.each.when.not",
        "'mood' is of type 'text', and can't be a",
    ),
    (
        "stages.end_stage.when",
        {"field": "mood", "is": ["calm"]},
        "stages.end_stage.when",
        "the last stage gives the answer",
    ),
    ("stages.end_stage.optional", True, "stages.end_stage.optional", "the last stage gives the answer"),
    ("stages.end_stage.for_each", "n", "stages.end_stage.for_each", "the last stage gives the answer"),
    ("reply", None, "reply", "missing; name the field of 'end_stage'"),
    ("reply", "answer_txt", "reply", "'answer_txt' is no field; the answer is a field of the last stage, 'end_stage'"),
    ("reply", "mood", "reply", "'mood' is a field of 'look'; the answer is a field of the last stage"),
    ("stages.end_stage.fields.answer_text.type", "integer", "reply", "'answer_text' is of type 'integer'"),
    ("prompts.look.text", "{{mood}}", "prompts.look.text", "the stage 'look' can't read {{mood}}"),
    ("prompts.look.text", "{{item}}", "prompts.look.text", "the stage 'look' can't read {{item}}"),
    ("prompts.look.text", "{{ mood }}", "prompts.look.text", "'{{ mood }}' is not a variable"),
    (
        "prompts.each.text",
        "{{score}}",
        "prompts.each.text",
        "the stage 'each' can't read {{score}}; it is of the stage",
    ),
    (
        "prompts.look",
        {"text": "{{question}}", "variables": ["x"]},
        "prompts.look.text",
        "{{question}} is not a variable",
    ),
    ("prompts.user", None, "prompts.user", "missing; the conversation is written with the prompts user and assistant"),
    ("prompts.user.text", "{{txt}}", "prompts.user.text", "{{txt}} can't be used here; did you mean text?"),
    ("prompts.listed", {"text": "{{x}}"}, "prompts.listed.text", "{{x}} can't be used here; there are number, item"),
    ("lists.moods.values", ["calm", "Calm"], "lists.moods.values", "'calm' stands twice"),
    ("lists.moods.values", [], "lists.moods.values", ""),
    ("lists.moods.source", "paper", "lists.moods.source", "'paper' is not declared in [sources]"),
    ("lists.item", {"values": ["x"]}, "lists.item", "can't be a list's name"),
]


def test_a_staged_card_needs_only_its_stages() -> None:
    card = open_card(STAGED)
    assert (card.kind, card.prompt("look").source, card.lists["moods"].source) == ("answer", "user", "user")


@pytest.mark.parametrize(
    ("place", "value", "key", "reason"), WRONG_STAGES, ids=[f"{n}-{w[0]}" for n, w in enumerate(WRONG_STAGES)]
)
def test_a_mistake_in_stages_names_key_and_reason(place: str, value: Any, key: str, reason: str) -> None:
    with pytest.raises(CardError) as caught:
        open_card(staged(place, value))
    assert (caught.value.path, caught.value.key) == ("(given in code)", key)
    assert reason in caught.value.reason
    assert "pydantic" not in str(caught.value)


def test_an_empty_text_is_a_condition_where_the_field_can_be_empty() -> None:
    when = {"field": "mood", "not": [""]}
    with pytest.raises(CardError, match="none of the choices"):
        open_card(staged("stages.each.when", when))
    card = staged("stages.each.when", when)
    card["stages"][0]["optional"] = True
    assert open_card(card).stages[2].when is not None


@pytest.mark.parametrize("name", ["copy", "json", "schema", "dict", "validate", "model_fields"])
def test_names_that_a_pydantic_model_has_are_no_fields(name: str) -> None:
    ending = {"id": "last", "prompt": "ask", "fields": [{"name": name}]}
    card = {"graph": "staged", "reply": name, "prompts": {"ask": {"text": "{{question}}"}}}
    for stage, key in (
        (ending, f"stages.last.fields.{name}.name"),
        ({"id": name, "prompt": "ask"}, f"stages.{name}.id"),
    ):
        with pytest.raises(CardError, match=f"'{name}' can't be a field's name; choose another") as caught:
            open_card({**card, "stages": [stage]})
        assert caught.value.key == key


def test_other_cards_have_no_stages() -> None:
    for key in ("stages", "reply", "lists"):
        assert failure({key: STAGED[key]}).reason.startswith(('is for a card with graph = "staged"', "'user' is"))


def test_stages_merge_by_id() -> None:
    base = open_card(STAGED)
    card = override_card(
        base,
        {
            "stages": [
                {"id": "Each", "when": {"field": "mood", "is": ["tense"]}, "max_tokens": 9},
                {"id": "final", "prompt": "final", "reads": ["end_stage"]},
            ],
            "reply": "final",
            "prompts": {"final": {"text": "Again: {{answer_text}}"}},
            "lists": {"moods": {"values": ["tense", "glad"]}},
        },
    )
    assert [stage.id for stage in card.stages] == ["look", "other", "each", "end_stage", "final"]
    assert (card.stages[2].max_tokens, card.stages[2].for_each) == (9, "n")
    assert card.stages[2].when is not None
    assert card.stages[2].when.is_ == ["tense"]
    assert card.prompt("final").source == "user"
    assert override_card(card, {"stages": [{"id": "each", "max_tokens": 3}]}).stages[2].when == card.stages[2].when
    assert [s.id for s in override_card(base, {"replace": ["stages"], "stages": STAGED["stages"]}).stages] == [
        s.id for s in base.stages
    ]
    with pytest.raises(CardError, match=r"stages\.each\.when\.is: 'calm' is none of the choices"):
        override_card(card, {"stages": [{"id": "each", "when": {"field": "mood", "is": ["calm"]}}]})
    with pytest.raises(CardError, match="graph: must stay 'staged'"):
        override_card(base, load_card("heart"))


stage_words = st.sampled_from(
    ["look", "each", "mood", "n", "moods", "question", "item", "end_stage", "answer_text", ""]
)


@relaxed
@given(
    reads=st.lists(stage_words, max_size=3),
    for_each=st.none() | stage_words,
    field=st.dictionaries(st.sampled_from(["name", "type", "choices", "minimum", "avoid"]), scalars | stage_words),
    when=st.dictionaries(st.sampled_from(["field", "is", "not"]), st.lists(scalars, max_size=2) | stage_words),
    text=st.lists(stage_words.map(lambda w: f"{{{{{w}}}}}")).map(" ".join),
)
def test_any_stage_is_taken_or_told_what_is_wrong(
    reads: Any, for_each: Any, field: dict[str, Any], when: dict[str, Any], text: str
) -> None:
    card = staged("stages.each.reads", reads)
    card["prompts"]["each"]["text"] = text or "x"
    card["stages"][2] |= {"fields": [field], "when": when, "for_each": for_each}
    told: CardError | None = None
    try:
        assert open_card(card).stages[2].reads == reads
    except CardError as error:
        told = error
    assert told is None or (told.key and "pydantic" not in str(told))
