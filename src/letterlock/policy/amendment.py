"""The text by which a person lifts what her own contract forbids: rendered wholly from its scope.

As with a setting's text, whatever changes the scope or its words changes the hash, and every name
stands beside its id. It lifts a prohibition and says yes to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from letterlock.domain import (
    END,
    Amendment,
    Recipient,
    RecipientClass,
    Span,
    covers,
    text_of,
)
from letterlock.errors import PolicyError
from letterlock.policy.texts import Words

_SKELETONS: Final[Mapping[str, str]] = {
    "de": """\
Änderung Ihres Vertrags ({contract})

Ihr Vertrag verbietet, was hier steht. Dies ist eine Frage an Sie: Nur wenn Sie unterschreiben, \
verbietet er genau dies nicht mehr. Alles andere verbietet er weiterhin.

Wer die Daten nutzen würde
{who}

Was genutzt würde
{what}

Wozu
{why}

Aus welchem Zeitraum
{when}

Was Ihre Unterschrift tut
- Sie ändert den Vertrag. Ein Ja zur Nutzung ist sie nicht: danach werden Sie gesondert gefragt.
- Solange Sie nicht unterschreiben, bleibt Ihr Vertrag, wie er ist.
- Nein sagen können Sie jederzeit, auch danach, und ebenso einfach.
- Woran mehrere Personen beteiligt sind, etwa eine Nachricht, wird nur genutzt, wenn jede von \
ihnen ja gesagt hat.
""",
    "en": """\
Change of your contract ({contract})

Your contract forbids what is said here. This is a question to you: if you sign it, your contract \
stops forbidding exactly this. It goes on forbidding everything else.

Who would use the data
{who}

What would be used
{what}

What for
{why}

From which period
{when}

What your signature does
- It changes the contract. It is no yes to the use: you are asked for that separately.
- As long as you do not sign, your contract stays as it is.
- You can say no at any time, also after it, and just as easily.
- Where several people take part in something, such as a message, it is used only if every one of \
them has said yes.
""",
}

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

_PATTERN: Final = {"de": "alles unter {0}, das ist:", "en": "everything under {0}, which is:"}

_PERIODS: Final = {
    "de": (
        "- Nur was seit {0} entstanden ist oder noch entsteht.",
        "- Nur was seit {0} und vor {1} entstanden ist oder entsteht.",
    ),
    "en": (
        "- Only what was or will be made from {0} on.",
        "- Only what was or will be made from {0} on and before {1}.",
    ),
}


def render(
    amendment: Amendment,
    language: str,
    purposes: Words,
    data_classes: Words,
    recipients: Mapping[str, Recipient],
) -> str:
    """Render what a person signs: the same scope and words give the same text.

    Raises PolicyError if anything in the scope has no words in `language`: nothing is left out.
    """
    if language not in _SKELETONS:
        listed = " or ".join(_SKELETONS)
        raise PolicyError(f"no text can be rendered in {language!r}: use {listed}")
    if amendment.recipient not in recipients:
        raise PolicyError(f"{amendment.recipient!r} is not a registered recipient")
    covered = [name for name in sorted(data_classes) if covers(amendment.pattern, name)]
    if not covered:
        raise PolicyError(f"{amendment.pattern!r} covers no data class")

    def line(words: Words, name: str) -> str:
        text = words.get(name, {}).get(language)
        if text is None:
            raise PolicyError(f"{name!r} has no text in {language!r}")
        return f"- {text} ({name})"

    entity = recipients[amendment.recipient]
    what = [line(data_classes, name) for name in covered]
    if amendment.pattern not in covered:  # two patterns that cover the same never share a text
        below = [f"  {each}" for each in what]
        what = [f"- {_PATTERN[language].format(amendment.pattern)}", *below]
    return _SKELETONS[language].format(
        contract=amendment.contract,
        who=f"- {entity.name}, {_CLASSES[language][entity.recipient_class]} ({entity.id})",
        what="\n".join(what),
        why=line(purposes, amendment.purpose),
        when=_when(amendment.span, language),
    )


def _when(span: Span, language: str) -> str:
    open_ended, closed = _PERIODS[language]
    period = open_ended if span.end >= END else closed
    return period.format(text_of(span.start), text_of(span.end))
