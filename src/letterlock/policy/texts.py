"""The text a member is asked to agree to: rendered wholly from a setting's scope, never written.

It says who, what, what of it is sensitive, what for and from when, that no is the answer until a
yes is given, that no is as easy as yes, and that everyone in a message must have said yes. Every
name stands beside its id, so two scopes never share a text: whatever changes the scope or its words
changes the hash, and an agreement to the old text ends (docs/spec/decision.md). The order in which
a scope is written does not count. A language is rendered only where everything has words in it;
there is no fallback.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from letterlock.domain import Recipient, RecipientClass, Setting, covers, sha256
from letterlock.errors import PolicyError

Words: TypeAlias = Mapping[str, Mapping[str, str]]
"""What things are called: id, then language; each text is one line (document.py sees to it)."""

_SKELETONS: Final[Mapping[str, str]] = {
    "de": """\
{title}

Dies ist eine Frage an Sie. Solange Sie nicht ja sagen, gilt nein.

Wer die Daten nutzen würde
{who}

Was genutzt würde
{what}{sensitive}

Wozu
{why}

Ab wann
- Nur was nach Ihrem Ja entsteht.
- Früheres nur, wenn Sie nach diesem Zeitraum gesondert gefragt werden und auch dazu ja sagen.

Ihre Antwort
- Nein gilt, solange Sie nichts sagen.
- Sie können jederzeit nein sagen, auch nach einem Ja, und ebenso einfach.
- Woran mehrere Personen beteiligt sind, etwa eine Nachricht, wird nur genutzt, wenn jede von \
ihnen ja gesagt hat.
""",
    "en": """\
{title}

This is a question to you. Until you say yes, the answer is no.

Who would use the data
{who}

What would be used
{what}{sensitive}

What for
{why}

From when on
- Only what is made after your yes.
- Anything earlier only if you are asked for that period separately and say yes to that too.

Your answer
- No is the answer for as long as you say nothing.
- You can say no at any time, also after a yes, and just as easily.
- Where several people take part in something, such as a message, it is used only if every one of \
them has said yes.
""",
}

LANGUAGES: Final = tuple(_SKELETONS)
"""The languages in which a text can be rendered."""

_CLASSES: Final[Mapping[str, Mapping[RecipientClass, str]]] = {
    "de": {
        RecipientClass.CONTROLLER: "betreibt den Dienst",
        RecipientClass.AFFILIATE: "ein Unternehmen der Gruppe, die den Dienst betreibt",
        RecipientClass.THIRD_PARTY: "ein Unternehmen außerhalb der Gruppe, die den Dienst betreibt",
    },
    "en": {
        RecipientClass.CONTROLLER: "which runs the service",
        RecipientClass.AFFILIATE: "a company of the group that runs the service",
        RecipientClass.THIRD_PARTY: "a company outside the group that runs the service",
    },
}

CATEGORIES: Final[Mapping[str, Mapping[str, str]]] = {
    "employment": {"de": "Stellen und Bewerbungen", "en": "jobs and job applications"},
    "pay": {"de": "Gehalt und Bezahlung", "en": "pay"},
    "intellectual_property": {"de": "geistiges Eigentum", "en": "intellectual property"},
    "health": {"de": "Gesundheit", "en": "health"},
    "racial_or_ethnic_origin": {
        "de": "rassische oder ethnische Herkunft",
        "en": "racial or ethnic origin",
    },
    "political_opinions": {"de": "politische Meinungen", "en": "political opinions"},
    "religious_or_philosophical_beliefs": {
        "de": "religiöse oder weltanschauliche Überzeugungen",
        "en": "religious or philosophical beliefs",
    },
    "trade_union_membership": {
        "de": "Zugehörigkeit zu einer Gewerkschaft",
        "en": "membership of a trade union",
    },
    "genetic": {"de": "genetische Daten", "en": "genetic data"},
    "biometric": {
        "de": "biometrische Daten, an denen Sie zu erkennen sind",
        "en": "biometric data by which you can be recognised",
    },
    "sex_life": {"de": "Sexualleben", "en": "sex life"},
    "sexual_orientation": {"de": "sexuelle Orientierung", "en": "sexual orientation"},
}
"""The closed list of what is sensitive, and what it is called (R31; GDPR Art. 9 from health on)."""

_SENSITIVE: Final[Mapping[str, str]] = {
    "de": """

Was daran sensibel ist
{lines}
- Dafür zählt nur ein ausdrückliches Ja, das jedes davon nennt. Jedes wird Ihnen einzeln genannt.\
""",
    "en": """

What is sensitive in it
{lines}
- For this, only an explicit yes counts, one that names each of these. Each is asked by itself.\
""",
}

_PATTERN: Final = {"de": "alles unter {0}, das ist:", "en": "everything under {0}, which is:"}


def render(  # noqa: PLR0913, PLR0917 - all that a text is rendered from
    setting: Setting,
    language: str,
    purposes: Words,
    data_classes: Words,
    recipients: Mapping[str, Recipient],
    sensitive: Mapping[str, Collection[str]],
) -> str:
    """Render what a member sees of `setting`: the same scope and words give the same text.

    Raises PolicyError if anything in the scope has no words in `language`: nothing is left out.
    """
    if language not in _SKELETONS:
        raise PolicyError(f"no text can be rendered in {language!r}: use {' or '.join(LANGUAGES)}")

    def line(words: Words, name: str) -> str:
        text = words.get(name, {}).get(language)
        if text is None:
            raise PolicyError(f"setting {setting.id}: {name!r} has no text in {language!r}")
        return f"- {text} ({name})"

    def who(name: str) -> str:
        if name not in recipients:
            raise PolicyError(f"setting {setting.id}: {name!r} is not a registered recipient")
        entity = recipients[name]
        return f"- {entity.name}, {_CLASSES[language][entity.recipient_class]} ({name})"

    def what(pattern: str) -> list[str]:
        if not pattern.endswith("*"):
            return [line(data_classes, pattern)]
        covered = [
            line(data_classes, name) for name in sorted(data_classes) if covers(pattern, name)
        ]
        if not covered:
            raise PolicyError(f"setting {setting.id}: {pattern!r} covers no data class")
        return [f"- {_PATTERN[language].format(pattern)}", *(f"  {each}" for each in covered)]

    kinds = [
        each
        for name in sorted(sensitive)
        if any(covers(pattern, name) for pattern in setting.data_classes)
        for each in (
            line(data_classes, name) + ":",
            *(f"  {line(CATEGORIES, category)}" for category in sorted(set(sensitive[name]))),
        )
    ]
    return _SKELETONS[language].format(
        title=setting.title,
        who="\n".join(who(name) for name in sorted(set(setting.recipients))),
        what="\n".join(each for name in sorted(set(setting.data_classes)) for each in what(name)),
        sensitive=_SENSITIVE[language].format(lines="\n".join(kinds)) if kinds else "",
        why="\n".join(line(purposes, name) for name in sorted(set(setting.purposes))),
    )


def text_hash(text: str) -> str:
    """Return the hash by which a policy version lists `text` and a grant names it."""
    return sha256(text.encode())
