"""The crisis guard: looks at what a person wrote before anybody answers, and has a calm, fixed reply ready.

guard = CrisisGuard(locale="de-AT")
sign = guard.look(["Ich kann nicht mehr.", "Ich will mich umbringen."])
if sign is not None:
    print(guard.reply(sign))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from emoagents.support.crisis.disguises import readings
from emoagents.support.crisis.helplines import HelplineCard, load_helplines
from emoagents.support.crisis.locale import Locale, parse_locale
from emoagents.support.crisis.model import Ask, asked, language_of
from emoagents.support.crisis.needles import grams
from emoagents.support.crisis.patterns import Compiled, Patterns, load_patterns
from emoagents.support.crisis.reply import is_reply, reply_to
from emoagents.support.crisis.sign import ModelSign, Sign

__all__ = ["CrisisGuard"]

_EVERYWHERE = "en"


@dataclass(frozen=True)
class CrisisGuard:
    """Finds signs of crisis and replies to them. It is no diagnosis and no medical device: see docs/crisis.md.

    Attributes:
        locale: where people write from, as "de-AT", "en_US.UTF-8", "US" or "de"; decides help lines and language.
            "auto": the language of what was found, and international lines besides those of its main countries.
        patterns: a file of your own that replaces the shipped patterns, or adds to them with `extends = true`.
        helplines: the same for help lines and replies.

    Raises:
        ParameterError: the locale is not known. CardError: a file does not load.
    """

    locale: str = "auto"
    patterns: str | Path | None = None
    helplines: str | Path | None = None

    def __post_init__(self) -> None:
        # Loaded at once: whoever deploys a guard that can't work must hear of it before anybody needs it.
        self._place, self._loaded  # noqa: B018

    def look(self, texts: Sequence[str]) -> Sign | None:
        """Return the most severe sign in what a person wrote in this turn, None where there is none.

        Args:
            texts: one or several messages, oldest first. They are looked at alone and joined: a sign may be split.
        """
        return next(self._signs(texts), None)

    def signs(self, texts: Sequence[str]) -> list[Sign]:
        """Return every sign in what a person wrote, the most severe first, at most one for each pattern."""
        return list(self._signs(texts))

    def _signs(self, texts: Sequence[str]) -> Iterator[Sign]:
        views = [(view, grams(view)) for view in self._views(texts)]
        for compiled in self._loaded.ordered:
            found = next((text for view, triples in views if (text := compiled.find(view, triples)) is not None), None)
            if found is not None:
                yield self._sign(compiled, found, texts)

    def reply(self, sign: Sign) -> str:
        """Return the fixed reply to a sign, with help lines, in the locale's language or else in the sign's."""
        return reply_to(sign, self._place, self._helplines)

    def is_reply(self, text: str) -> bool:
        """Return whether a text is one of this guard's replies, to whatever sign and in whatever language."""
        return is_reply(text, self._helplines)

    async def model_sign(self, texts: Sequence[str], ask: Ask) -> ModelSign:
        """Return a model's word on what a person wrote; a check that fails is "not judged", never "no sign".

        Args:
            ask: takes messages in OpenAI's format and a pydantic model, and returns a Completion of it.

        Raises:
            UsageError: the caller's mistake, as an unknown model. All other failures are in the result.
        """
        return await asked(_messages(texts), ask, self._loaded, self._place.language or "en")

    @cached_property
    def _loaded(self) -> Patterns:
        return load_patterns(self.patterns)

    @cached_property
    def _helplines(self) -> HelplineCard:
        return load_helplines(self.helplines)

    @cached_property
    def _place(self) -> Locale:
        return parse_locale(self.locale, self._helplines)

    def _views(self, texts: Sequence[str]) -> list[str]:
        """Return all readings of the texts and of all of them together, each once, in pieces."""
        given = _messages(texts)
        together = [" ".join(given)] if len(given) > 1 else []
        card = self._loaded.card
        read = (reading for text in [*given, *together] for reading in readings(text, card.masked, card.spelled))
        return list(dict.fromkeys(read))

    def _sign(self, compiled: Compiled, text: str, texts: Sequence[str]) -> Sign:
        pattern, language = compiled.pattern, compiled.pattern.language
        if language == _EVERYWHERE:  # "kms" and its like are written in all languages
            language = language_of(" ".join(_messages(texts)), self._loaded.card.languages, language)
        return Sign(pattern.category, pattern.id, language, text)


def _messages(texts: Sequence[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)
