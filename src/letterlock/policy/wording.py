"""Words that no text may hold, whatever the mark beside them says: English and German. Pure.

A phrase is found where all its words stand in one sentence. It is a net for what policies are known
to say, not a reading of what they mean: marks and two persons' approval are for that. Some good
sentences are caught too ("nothing changes without notice"); they can be written another way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple


class Phrase(NamedTuple):
    """Words that no text may hold: all of `words` in one sentence, and not `unless`."""

    requirement: str
    message: str
    mend: str
    words: tuple[re.Pattern[str], ...]
    unless: re.Pattern[str] | None = None


def _phrase(
    requirement: str, message: str, mend: str, *words: str, unless: str | None = None
) -> Phrase:
    # At the beginning of a word, or of the "n't" of one.
    patterns = tuple(re.compile(rf"(?:\b|(?=n't))(?:{each})") for each in words)
    but = None if unless is None else re.compile(rf"(?:\b|(?=n't))(?:{unless})")
    return Phrase(requirement, message, mend, patterns, but)


_OPT_OUT: Final = (
    r"opt(?:ing|ed|s)?[ -]?outs?\b|object|withdr[ae]w|refus|saying no\b|your no\b"
    r"|(?:turn|switch)\w*\s(?:\w+\s){0,4}off\b"
)
_GONE: Final = (
    r"already|past\b|(?:previous|earlier|prior)\w*\b(?! version| policy| one| notice)"
    r"|t[ao]k(?:en|ing) place|took place|retroactiv|before (?:you|your|that|then|it)\b"
    r"|(?:has|have|had) (?:happened|occurred|been (?:done|completed|finished|trained))|happened"
)
_NICHT: Final = r"nicht|kein"
_WIDERSPRUCH: Final = (
    r"widers?pr[uü]ch|widersprech|widerruf|abmeld|opt-?out|ablehn|deaktivier|ausschalt"
)
_BEREITS: Final = r"bereits|schon\b|vergangen|bisherig|früher|zuvor\b|vorherig|rückwirk"

_REACHES_PAST: Final = (
    "R33",
    "no text may say that a no leaves earlier training as it is",
    "say what an opt-out reaches: releases, recipients and models",
)
_CONSENT_BY_USE: Final = (
    "R12",
    "no text may take use or silence for a yes",
    "say that nothing but a yes is a yes",
)
_LEAVE: Final = (
    "R13",
    "no text may offer closing the account as the way to object",
    "say how to object and stay",
)
_UNANNOUNCED: Final = (
    "R14",
    "no text may speak of going without notice",
    "say when notice is given, and how long before",
)
_DEFAULT: Final = (
    "R2",
    "no text may speak of a yes by default",
    "say that the answer is no until the member says yes",
)

# The lawfulness of what was done before a withdrawal (GDPR Art. 7(3)) is another thing.
_LAWFUL: Final = r"lawful|legality|rechtm(?:ä|ae)(?:ß|ss)ig"

PHRASES: Final = (
    _phrase(
        *_REACHES_PAST,
        _OPT_OUT,
        r"(?:not|cannot|never|nor|no longer)\s(?:\w+\s){0,2}(?:affect|appl[yi]|extend|undo|change"
        r"|alter|impact|influence|reverse|reach|remove|concern|cover)"
        r"|\w+n't\s(?:\w+\s){0,2}(?:affect|apply|extend|undo|change|alter|impact|influence|reverse"
        r"|reach|remove|concern|cover)",
        rf"{_GONE}|affect \w*\s?(?:training|models?\b)",
        unless=_LAWFUL,
    ),
    _phrase(
        *_REACHES_PAST,
        _GONE,
        r"(?:not|never|cannot)\s(?:\w+\s){0,2}(?:affected|undone|reversed|retrained|deleted|removed"
        r"|withdrawn|erased|reached|changed|recalled|influenced)|unaffected|untouched"
        r"|(?:remains?|stays?|kept) (?:in|part|as)\b|unchanged",
        r"train|model|releas|disclos|shared|recipient",
        unless=_LAWFUL,
    ),
    _phrase(
        *_REACHES_PAST,
        _OPT_OUT,
        r"(?:has|have|with) no (?:\w+ )?(?:effect|impact|influence)|no retroactive|not retroactive",
        rf"{_GONE}|future|training|models?\b",
        unless=_LAWFUL,
    ),
    _phrase(
        *_REACHES_PAST,
        _OPT_OUT,
        r"only\b|going forward",
        r"future|going forward|from then on|new (?:data|training)|subsequent",
        unless=r"not only|reaches",
    ),
    _phrase(
        *_REACHES_PAST,
        _WIDERSPRUCH,
        rf"(?:{_NICHT})[^.!?]*?\b(?:{_BEREITS}|trainiert|erfolgt)",
        r"auswirk|wirk|betr[ie]ff|berühr|erstreck|gilt|gelten|beeinfluss|rückgängig|erfass"
        r"|einfluss|rückwirk",
        unless=_LAWFUL,
    ),
    _phrase(
        *_REACHES_PAST,
        _BEREITS,
        r"unberührt|unverändert|nicht (?:\w+ ){0,3}(?:berührt|betroffen|rückgängig|gelöscht"
        r"|entfernt"
        r"|beeinflusst|erfasst|zurückgeholt)",
        r"\w*training|trainiert|\w*modelle?|weitergegeben|empfänger",
        unless=_LAWFUL,
    ),
    _phrase(
        *_REACHES_PAST,
        _WIDERSPRUCH,
        r"nur\b|ausschließlich|lediglich|allein\b",
        r"zukunft|künftig|zukünftig|fortan|ab dann",
        unless="nicht nur",
    ),
    _phrase(
        *_REACHES_PAST,
        _WIDERSPRUCH,
        rf"(?:berühr|betr[ie]ff|erfass|beeinfluss|änder)(?:(?!\bund\b)[^.!?,])*\b(?:{_BEREITS}|erfolgt"
        r"|durchgeführt|trainiert)(?:(?!\bund\b)[^.!?,])*\bnicht\b",
        unless=_LAWFUL,
    ),
    _phrase(
        *_CONSENT_BY_USE,
        r"by (?:using|accessing|visiting|opening|browsing|staying|logging|signing)",
        r"you (?:agree|accept|consent|acknowledge)|constitut|deemed",
        unless=r"nothing|not|never",
    ),
    _phrase(
        *_CONSENT_BY_USE,
        r"(?:fortgesetzte|weitere|fortdauernde)\w* (?:be)?nutzung",
        r"(?:gilt|gelten|zählt|verstanden|gewertet) als|bedeutet|als (?:zustimmung|einwilligung)",
        unless=r"kein|nicht|nie",
    ),
    _phrase(*_CONSENT_BY_USE, r"(?:by|in) continuing to (?:use|access|visit|browse)"),
    _phrase(
        *_CONSENT_BY_USE,
        r"continued (?:use|access)|continu\w+ (?:to use|using)|keep using|(?:do|say|does"
        r"|says) nothing"
        r"|silence|(?:not|n't) (?:object|respond|reply|answer|opt out)",
        r"constitut|means?\b|counts? as|signif|indicat|impl(?:y|ies)|deemed|(?:taken|treated) as"
        r"|amounts? to"
        r"|you (?:agree|accept|consent|have (?:agreed|accepted|consented))",
        unless=r"(?:means?|counts? as|is|you agree to|you accept|you consent to|you have agreed to"
        r"|be) (?:a )?"
        r"(?:no\b|nothing|not\b)|(?:not|never|n't) (?:mean|count|constitut|signif|impl|amount|be "
        r"|taken|treated|deemed)",
    ),
    _phrase(*_CONSENT_BY_USE,
        r"(?:durch|mit|bei) (?:\w+ )?(?:weitere[rn]?"
        r"|fortgesetzte[rn]?) (?:be)?nutzung",
    ),
    _phrase(
        *_CONSENT_BY_USE,
        r"weiter(?:hin)?\s(?:\w+\s){0,3}(?:nutz|verwend|benutz)|weiter(?:nutz|verwend)|schweig"
        r"|nichts (?:sagen|tun)",
        r"stimmen|einverstanden|akzeptier|zustimm|zugestimmt|willigen|einwillig",
        unless=r"kein|nicht als|niemals|nie\b",
    ),
    _phrase(
        *_LEAVE,
        r"(?:clos|delet|deactivat|cancel|terminat|leav)\w* (?:your|their|the|an|his|her"
        r"|my) (?:\w+ )?account",
        r"object|disagree|(?:not|n't) (?:agree|accept|want|wish|consent)|opt(?:ing)?[ -]?out|refus"
        r"|declin"
        r"|only (?:way|option|choice)|by (?:clos|delet|deactivat|cancel|terminat)",
        unless=r"without (?:having to |needing to )?(?:clos|delet|deactivat|cancel|terminat|leav)"
        r"|(?:not|never|nobody|no one|n't)\s(?:\w+\s){0,3}(?:clos|delet|deactivat|cancel|terminat"
        r"|leav)|no need to",
    ),
    _phrase(
        *_LEAVE,
        r"\w*konto|\w*account",
        r"\w*schließ|\w*lösch|kündig|auflös|deaktivier",
        r"nicht einverstanden|nicht zustimm|widersprech|widerspr[uü]ch|ablehn|nicht (?:möcht|woll"
        r"|akzeptier)",
        unless=r"ohne\b|niemand|(?:müssen|brauchen)\s(?:\w+\s){0,5}nicht",
    ),
    _phrase(
        *_UNANNOUNCED,
        r"with(?:out|\sno)\s(?:(?:any|prior|further|advance|previous|additional|separate"
        r"|individual|other|giving"
        r"|sending|you|us|first|a|special|specific)\s)*(?:notice|notification|notifying|informing"
        r"|telling|announc)",
    ),
    _phrase(*_UNANNOUNCED,
        r"(?:not|n't) (?:be )?(?:required|obliged|obligated) to (?:notify"
        r"|inform|tell)",
    ),
    _phrase(
        *_UNANNOUNCED,
        r"ohne\s(?:(?:vorherige|vorige|weitere|gesonderte|jede|jegliche|erneute|eine|besondere|sie"
        r"|euch|dich|"
        r"vorher|zuvor|darüber|davon|zu)\s)*(?:vor)?(?:ankündigung|mitteilung|benachrichtigung"
        r"|hinweis"
        r"|information|informier|benachrichtig|unterricht|nachricht|warnung)|unangekündigt",
    ),
    _phrase(
        *_DEFAULT,
        r"(?:on|enabled|activated|active|allowed|in|enrolled|selected|ticked|checked|included"
        r"|permitted|used)"
        r"[ -]by[ -]default|default[ -]on\b|defaults? to (?:on|yes|enabled|allow|opt|true|active)"
        r"|default(?: \w+)?(?: is|:) (?:on|yes|enabled|allow|true|active)"
        r"|by default,?\s(?:\w+\s){0,4}(?:on|enabled|activated|active|opted|enrolled|selected"
        r"|ticked|included)\b"
        r"|by default,?\s(?:we|it|they)\s(?:may\s|will\s)?(?:use|share|train|disclose)",
    ),
    _phrase(
        *_DEFAULT,
        r"(?:unless|until)\s(?:and until\s)?(?:you|members?|they"
        r"|users?)\s(?:\w+\s){0,3}?(?:opts?[ -]?(?:ed )?out"
        r"|opted out|(?:turn|switch)\w*\s(?:\w+\s){0,3}off|(?:turn|switch)\w* off|disable"
        r"|deactivate|untick|uncheck"
        r"|say otherwise)|pre-?(?:ticked|checked|selected|enabled|activated)"
        r"|automatically (?:enrol|opted|included|enabled|activated|switched on|turned on)",
    ),
    _phrase(
        *_DEFAULT,
        r"standardm(?:ä|ae)(?:ß|ss)ig\s(?:\w+\s){0,4}(?:an|ein|aktiv\w*|eingeschaltet|angeschaltet"
        r"|freigegeben"
        r"|ausgewählt|erlaubt|genutzt|verwendet)\b|voreingestellt|voraus?gewählt|vorangekreuzt"
        r"|vorab angekreuzt"
        r"|vorbelegt|automatisch (?:aktiviert|eingeschaltet|einbezogen|angemeldet)"
        r"|(?:es sei denn|außer),?\s(?:dass\s|wenn\s)?sie\s(?:\w+\s){0,6}?(?:\w*schalten|\w*aus\b"
        r"|ab\b|deaktivieren"
        r"|abwählen|abmelden)|(?:solange|sofern|wenn"
        r"|falls)\ssie\s(?:\w+\s){0,5}nicht\s(?:\w+\s){0,2}"
        r"(?:ausschalten|abschalten|deaktivieren|abwählen|abmelden|ausgeschaltet|deaktiviert)",
    ),
    _phrase(
        *_DEFAULT,
        r"unless (?:and until )?(?:you|members?|they|users?) (?:\w+ )?objects?\b",
        r"us(?:e|es|ed|ing)\b|shar(?:e|ed|ing)\b|train|disclos|process",
        unless=r"effect|in force|version",
    ),
    _phrase(
        *_DEFAULT,
        r"(?:es sei denn|außer),?\s(?:dass\s|wenn\s)?sie\s(?:\w+\s){0,4}widers?prech"
        r"|(?:sofern|solange|wenn|falls)\ssie\s(?:\w+\s){0,4}nicht\s(?:\w+\s){0,2}widers?prech",
        r"\w*nutz|\w*verwend|trainier|weiterg[ei]b|\w*verarbeit",
        unless=r"fassung|kraft|gilt\b",
    ),
    _phrase(
        *_REACHES_PAST,
        r"(?:cannot|can't|unable to|impossible to)\s(?:\w+\s){0,2}(?:remove|delete|erase|undo|take"
        r"|retrain|recall|reverse)",
        rf"{_GONE}|trained",
        r"train|model|recipient|releas",
        unless=_LAWFUL,
    ),
    _phrase(
        *_REACHES_PAST,
        _OPT_OUT,
        r"(?:data|messages|posts|content|it|they)\s(?:\w+\s){0,2}(?:stays?|remains?) (?:in|part)\b",
        r"train|model",
    ),
    _phrase(
        *_REACHES_PAST,
        r"(?:\w+n't|not|never)\s(?:\w+\s){0,2}(?:affect|undo|reach|reverse|change|apply to"
        r"|extend to)\s(?:\w+\s){0,3}(?:training|models?)\b",
        _GONE,
        unless=_LAWFUL,
    ),
    _phrase(
        *_REACHES_PAST,
        rf"vor (?:ihrem|dem|einem|ihrer|der)\s(?:\w+\s){{0,2}}(?:{_WIDERSPRUCH}|nein\b)",
        r"unberührt|unverändert|erhalten|bestehen",
        r"\w*training|trainiert|\w*modelle?",
        unless=_LAWFUL,
    ),
    _phrase(
        *_CONSENT_BY_USE,
        r"(?:your|any|further|subsequent) use\b|(?:dismiss|clos|ignor|scroll|logg|sign|visit|us"
        r"|open|stay)ing\b",
        r"means? (?:that )?you (?:agree|accept|consent)|constitut\w+ (?:your )?(?:accept|agree"
        r"|consent)|(?:counts? as|implies) (?:an? |your )?(?:yes|accept|agree|consent)",
        unless=r"nothing|not|never|nor|no\b",
    ),
    _phrase(
        *_CONSENT_BY_USE,
        r"\w*nutz\w*\s(?:\w+\s){0,4}weiter|weiter\w*\s(?:\w+\s){0,3}nutz|schweig|\w*nutzung",
        r"als (?:angenommen|akzeptiert|zustimmung|einwilligung|ihr ja|ein ja)",
        unless=r"nicht|kein|nie",
    ),
    _phrase(
        *_CONSENT_BY_USE,
        r"(?:durch|mit|bei) (?:der|die|dem|das|ihrer|ihre|ihrem) (?:nutzung|benutzung|nutzen"
        r"|anmeldung|anmelden|besuch)"
        r"|(?:wer|wenn sie|indem sie)\s(?:\w+\s){0,4}(?:anmelde|einlogg|\w*nutz|besuch|verwende)",
        r"einverstanden|akzeptier|stimm\w*\s(?:\w+\s){0,4}zu\b|willig\w*\s(?:\w+\s){0,4}ein\b",
        unless=r"nicht|kein|nie",
    ),
    _phrase(
        *_LEAVE,
        r"(?:clos|delet|deactivat|cancel|terminat|leav)\w* your (?:\w+ )?account|(?:must"
        r"|ha(?:ve|s) to|should|may|can) (?:leave|stop using|quit) (?:the|our|this)"
        r" (?:service|platform|site|network|product)",
        r"object|disagree|refus|declin|opts? out|(?:not|n't) (?:agree|accept|consent"
        r"|like|want|approve)",
        unless=r"(?:not|never|nobody|no one|n't)\s(?:\w+\s){0,3}(?:clos|delet|deactivat|cancel"
        r"|terminat|leav|stop|quit)|without|no need",
    ),
    _phrase(
        *_UNANNOUNCED,
        r"(?:(?:may|might|will|do|need|shall) not|won't|don't|needn't)\s(?:always "
        r"|have to |need to )*(?:notify|inform|tell) (?:you|members|users)\b",
    ),
    _phrase(
        *_UNANNOUNCED,
        r"(?:sie|ihnen|mitglieder\w*)\b",
        r"nicht (?:\w+ )?(?:informieren|benachrichtigen|unterrichten)\b",
        r"änderung|geändert|neue|zweck",
    ),
    _phrase(
        *_DEFAULT,
        r"(?:opted|enrolled|signed|switched|turned|enabled|activated|included)(?: in| on| up)?"
        r" automatically|von (?:anfang|beginn) an\s(?:\w+\s){0,3}(?:an|ein|eingeschaltet|aktiv)\b",
    ),
)  # fmt: skip
"""What no text may say, in English and German, whatever the mark beside it says."""

_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+")
# Quotation marks and dashes, as typed and as typeset.
_SIGNS: Final = str.maketrans("\u2018\u2019\u2010\u2011\u2013\u2014", "''----")
# Letters that look like Latin ones (Cyrillic, Greek), and blanks that are letters to Unicode.
_ALIKE: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u04bb\u0501\u051b\u03bf\u03bd\u03c1"
    "\u03b1\u03b9\u0131\u115f\u1160\u2800",
    "aeopcyxisjhdqovpaii   ",
)


def phrases(text: str) -> Iterator[Phrase]:
    """Yield one phrase per requirement that `text` breaks; invisible signs hide nothing."""
    plain = unicodedata.normalize("NFKC", text).lower()
    if not plain.isascii():
        seen = (c for c in plain if unicodedata.category(c) not in {"Cf", "Mn", "Me"})
        plain = "".join(seen).translate(_SIGNS).translate(_ALIKE)
    plain = " ".join(plain.split())
    found: dict[str, Phrase] = {}
    for sentence in _SENTENCE.split(plain):
        for phrase in PHRASES:
            if phrase.requirement not in found and _says(sentence, phrase):
                found[phrase.requirement] = phrase
    yield from found.values()


def _says(sentence: str, phrase: Phrase) -> bool:
    return all(pattern.search(sentence) for pattern in phrase.words) and not (
        phrase.unless is not None and phrase.unless.search(sentence)
    )
