"""The notice of a policy version: what a member is sent, whole, in one language. Pure.

First come the authors' own words (notice.md, its marks taken out), then what follows from the
version alone: when it was published, when it takes effect, how long one may object and how, and the
text of every setting. The same version always gives the same text, so its hash says what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from letterlock.domain import DAY, PolicyVersion, RecipientClass, text_of
from letterlock.errors import PolicyError
from letterlock.policy.document import Document
from letterlock.policy.texts import text_hash

_COMMENT: Final = re.compile(r"\s*<!--.*?-->", re.DOTALL)

_SKELETONS: Final[Mapping[str, str]] = {
    "de": """\
Version {version} der Richtlinie

- Veröffentlicht: {published} (UTC).
- Wirksam frühestens: {effective} (UTC), und für Sie erst {days} nach der Zustellung dieser \
Mitteilung, wenn das später ist.
- Bis dahin gilt für Sie die Version davor, wenn es eine gibt.

Wie Sie widersprechen
- Sagen Sie {controllers}, dass Sie Version {version} widersprechen, auf jedem Weg, auf dem Sie \
dort jemanden erreichen. Ein Grund ist nicht nötig.
- Sie haben dafür diese {days} Zeit, bevor die Version für Sie wirksam werden kann, und können \
auch danach jederzeit widersprechen.
- Solange Ihr Widerspruch steht, gelten diese und spätere Versionen nicht für Sie. Es bleibt die \
Version davor.
- Nichts zu sagen ist keine Zustimmung. Wo ein Ja nötig ist, gilt nein, bis Sie ja sagen.

{settings}
""",
    "en": """\
Version {version} of the policy

- Published: {published} (UTC).
- In effect: {effective} (UTC) at the earliest, and for you not until {days} after this notice was \
delivered to you, if that is later.
- Until then the version before it stays in force for you, if there is one.

How to object
- Tell {controllers} that you object to version {version}, in any way in which you can reach \
somebody there. No reason is needed.
- You have these {days} before the version can take effect for you, and you may object at any time \
after that too.
- While your objection stands, this version and later ones do not hold for you. The version before \
it does.
- Saying nothing is no agreement. Where a yes is needed, the answer is no until you say yes.

{settings}
""",
}

_DAYS: Final = {"de": ("{0} Tag", "{0} Tage"), "en": ("{0} day", "{0} days")}
_NOBODY: Final = {"de": "dem Absender", "en": "the sender"}
_SETTINGS: Final = {
    "de": (
        "Mit dieser Version wird nichts gefragt.",
        "Wonach Sie gefragt werden können, im Wortlaut. Diese Mitteilung fragt nicht danach.",
    ),
    "en": (
        "Nothing is asked with this version.",
        "What you may be asked, word for word. This notice does not ask it.",
    ),
}


def texts(document: Document, version: PolicyVersion) -> dict[str, str]:
    """Return the whole notice of a published version in each of its languages.

    Raises PolicyError if a setting's text is not the one that was published.
    """
    languages = document.languages or ("en",)
    plain = "en" if "en" in languages else languages[0]
    found = {}
    for language in languages:
        name = "notice.md" if language == plain else f"notice.{language}.md"
        prose = without_marks(version.documents.get(name, ""))
        rendered = _rendered(document, version, language)
        found[language] = f"{prose}\n\n---\n\n{rendered}" if prose else rendered
    return found


def without_marks(markdown: str) -> str:
    """Take the marks, which no reader sees, out of a text."""
    return _COMMENT.sub("", markdown.replace("\r\n", "\n")).strip()


def _rendered(document: Document, version: PolicyVersion, language: str) -> str:
    days = version.window // DAY
    nothing, word_for_word = _SETTINGS[language]
    asked = list(_asked(document, version, language))
    return _SKELETONS[language].format(
        version=version.version,
        published=text_of(version.published_at),
        effective=text_of(version.effective_at),
        days=_DAYS[language][days != 1].format(days),
        controllers=_controllers(document) or _NOBODY[language],
        settings="\n\n".join([word_for_word, *asked]) if asked else nothing,
    )


def _asked(document: Document, version: PolicyVersion, language: str) -> Iterable[str]:
    for setting in sorted(version.settings):
        text = document.text(setting, language)
        if text_hash(text) != version.texts.get((setting, language)):
            raise PolicyError(
                f"version {version.version}, setting {setting}: the text in {language!r} is not "
                "the one that was published, so no notice can show it"
            )
        yield f"[{setting}]\n\n{text.strip()}"


def _controllers(document: Document) -> str:
    return ", ".join(
        document.recipients[name].name
        for name in sorted(document.recipients)
        if document.recipients[name].recipient_class is RecipientClass.CONTROLLER
    )
