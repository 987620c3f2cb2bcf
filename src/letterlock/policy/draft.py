"""policy.md, faq.md and notice.md for a start: each clause in plain words, with its mark. Pure.

What is rendered passes `check` and can be sent to members as it is; an editor makes it better, and
the marks keep saying what the words have to agree with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from letterlock.domain import (
    ANY,
    BEGINNING,
    DAY,
    END,
    Clause,
    Level,
    RecipientClass,
    covers,
    is_training,
    text_of,
)
from letterlock.policy.document import Document
from letterlock.policy.lint import asked, clause_names
from letterlock.policy.places import called
from letterlock.policy.texts import Words


def draft(document: Document, language: str) -> dict[str, str]:
    """Return the texts of `document` in `language`, by the names of their files.

    Raises KeyError for a language that has no words here.
    """
    texts = _Texts(document, _LANGUAGES[language])
    kinds = {"policy": texts.policy, "faq": texts.faq, "notice": texts.notice}
    return {
        name: "\n\n".join(filter(None, kinds[name.partition(".")[0]]())) + "\n"
        for name, each in document.text_names.items()
        if each == language
    }


@dataclass(frozen=True)
class _Language:
    """How a language says things; `{…}` are filled in."""

    name: str
    both: str
    either: str
    levels: Mapping[Level, str]
    words: Mapping[str, str]
    reaches: Mapping[str, str]
    classes: Mapping[RecipientClass, str]
    registered: Mapping[RecipientClass, str]


def _join(parts: Sequence[str], last: str) -> str:
    """Join parts as a sentence does."""
    return last.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


_ENGLISH: Final = _Language(
    "en",
    " and ",
    " or ",
    {
        Level.NOTHING: "{what} may be used{who} {why}. You are not asked for that.",
        Level.NOTICE: "{what} may be used{who} {why} once this policy is in force for you: you "
        "have "
        "been notified, and your time to object is over. You can say no at any time.",
        Level.GRANT: "{what} may be used{who} {why} only if you say yes to that. Until you do, the "
        "answer is no.",
        Level.EXPLICIT_GRANT: "{what} may be used{who} {why} only if you say yes to that "
        "explicitly, "
        "and by name to each sensitive kind of content in it. Until you do, the answer is no.",
        Level.NEVER: "{what} may never be used{who} {why}. No yes changes that.",
    },
    {
        "anything": "anything of yours",
        "something": "{0}",
        "listed": "",
        "any purpose": "for any purpose",
        "purpose": "{0}",
        "each purpose": "to {0}",
        "who": " by {0}",
        "place": "If you live in {0}",
        "contract": "If you have the contract “{0}”",
        "from": "For what was made from {0} on",
        "to": "For what was made before {1}",
        "span": "For what was made from {0} on, and before {1}",
        "policy title": "How your data may be used",
        "policy intro": "This is version {0} of our policy. It says who may use what of yours, "
        "what "
        "for, and what is needed before that. Where two of its rules meet, the stricter one "
        "counts.",
        "who title": "Who it is about",
        "what title": "What is needed",
        "what intro": "Where nothing is said here, the answer is no.",
        "regions title": "Where you live",
        "regions intro": "A place that we do not know is treated as excluded.",
        "contracts title": "What your contract promises",
        "no title": "Saying no",
        "withdrawal": "You can say no at any time, also after a yes, and just as easily. Your no "
        "reaches {0}, within {1} days.",
        "past": "It reaches what was made of your data before, as well as what would be made "
        "later.",
        "when title": "When this takes effect",
        "lead": "This version takes effect no sooner than {0} days after it is published.",
        "window": "For you, it takes effect no sooner than {0} days after you were notified. "
        "Within "
        "that time you can object to it; then the version before it stays in force for you.",
        "faq title": "Questions and answers",
        "faq train": "May my data train AI models?",
        "faq who": "Who could receive data of mine?",
        "faq no": "What happens if I say no?",
        "faq when": "When does this version count for me?",
        "faq nothing": "What if I do nothing?",
        "faq nothing answer": "Then the answer is no.",
        "notice title": "A new version of our policy",
        "notice intro": "You receive this because our policy on the use of data has a new version, "
        "{0}. You need not do anything: where a yes is needed, the answer is no until you give it.",
        "sensitive": "{0}: we treat these as sensitive.",
    },
    {
        "releases": "what we have released for use",
        "recipients": "whoever received it",
        "models": "the models that were trained on it",
        "backups": "our backups",
        "indexes": "our indexes",
        "logs": "our logs",
    },
    {
        RecipientClass.CONTROLLER: "the company that runs this service",
        RecipientClass.AFFILIATE: "companies of our group",
        RecipientClass.THIRD_PARTY: "companies outside our group",
    },
    {
        RecipientClass.CONTROLLER: "{0} runs this service.",
        RecipientClass.AFFILIATE: "{0} is another company of our group.",
        RecipientClass.THIRD_PARTY: "{0} is a company outside our group.",
    },
)

_GERMAN: Final = _Language(
    "de",
    " und ",
    " oder ",
    {
        Level.NOTHING: "{what} darf{who} {why} genutzt werden{listed}. Sie werden dazu nicht "
        "gefragt.",
        Level.NOTICE: "{what} darf{who} {why} genutzt werden, sobald diese Richtlinie für Sie "
        "gilt, "
        "also wenn Sie die Mitteilung erhalten haben und Ihre Frist zum Widerspruch vorbei "
        "ist{listed}. "
        "Sie können jederzeit nein sagen.",
        Level.GRANT: "{what} darf{who} {why} nur genutzt werden, wenn Sie dazu ja sagen{listed}. "
        "Bis "
        "dahin gilt nein.",
        Level.EXPLICIT_GRANT: "{what} darf{who} {why} nur genutzt werden, wenn Sie dazu "
        "ausdrücklich "
        "ja sagen, und zu jeder sensiblen Art von Inhalt einzeln{listed}. Bis dahin gilt nein.",
        Level.NEVER: "{what} darf{who} {why} niemals genutzt werden{listed}. Kein Ja ändert das.",
    },
    {
        "anything": "was von Ihnen stammt,",
        "something": "Folgendes",
        "listed": ": {0}",
        "any purpose": "zu irgendeinem Zweck",
        "purpose": "zum Zweck {0}",
        "each purpose": "„{0}“",
        "who": " durch {0}",
        "place": "Falls Sie in {0} leben",
        "contract": "Falls Sie den Vertrag „{0}“ haben",
        "from": "Für alles, was ab dem {0} entstanden ist",
        "to": "Für alles, was vor dem {1} entstanden ist",
        "span": "Für alles, was ab dem {0} und vor dem {1} entstanden ist",
        "policy title": "Wie Ihre Daten genutzt werden dürfen",
        "policy intro": "Dies ist Fassung {0} unserer Richtlinie. Sie sagt, wer was von Ihnen wozu "
        "nutzen darf, und was vorher nötig ist. Wo zwei Regeln zusammentreffen, gilt die "
        "strengere.",
        "who title": "Um wen es geht",
        "what title": "Was nötig ist",
        "what intro": "Wovon hier nichts steht, dafür gilt nein.",
        "regions title": "Wo Sie leben",
        "regions intro": "Ein Ort, den wir nicht kennen, wird wie ein ausgenommener behandelt.",
        "contracts title": "Was Ihr Vertrag zusagt",
        "no title": "Nein sagen",
        "withdrawal": "Sie können jederzeit nein sagen, auch nach einem Ja, und ebenso einfach. "
        "Ihr "
        "Nein erreicht innerhalb von {1} Tagen: {0}.",
        "past": "Es erreicht auch, was vorher aus Ihren Daten gemacht wurde.",
        "when title": "Wann dies gilt",
        "lead": "Diese Fassung gilt frühestens {0} Tage nach ihrer Veröffentlichung.",
        "window": "Für Sie gilt sie frühestens {0} Tage nachdem Sie die Mitteilung erhalten haben. "
        "In dieser Zeit können Sie widersprechen; dann bleibt für Sie die Fassung davor in Kraft.",
        "faq title": "Fragen und Antworten",
        "faq train": "Dürfen KI-Modelle mit meinen Daten trainiert werden?",
        "faq who": "Wer könnte Daten von mir erhalten?",
        "faq no": "Was geschieht, wenn ich nein sage?",
        "faq when": "Ab wann gilt diese Fassung für mich?",
        "faq nothing": "Was ist, wenn ich nichts tue?",
        "faq nothing answer": "Dann gilt nein.",
        "notice title": "Eine neue Fassung unserer Richtlinie",
        "notice intro": "Sie erhalten dies, weil unsere Richtlinie zur Nutzung von Daten eine neue "
        "Fassung hat: {0}. Sie müssen nichts tun: Wo ein Ja nötig ist, gilt nein, bis Sie es "
        "geben.",
        "sensitive": "{0}: das behandeln wir als sensibel.",
    },
    {
        "releases": "was wir freigegeben haben",
        "recipients": "alle Empfänger",
        "models": "die damit trainierten Modelle",
        "backups": "unsere Sicherungskopien",
        "indexes": "unsere Verzeichnisse",
        "logs": "unsere Protokolle",
    },
    {
        RecipientClass.CONTROLLER: "den Betreiber dieses Dienstes",
        RecipientClass.AFFILIATE: "Unternehmen unserer Gruppe",
        RecipientClass.THIRD_PARTY: "Unternehmen außerhalb unserer Gruppe",
    },
    {
        RecipientClass.CONTROLLER: "{0} betreibt diesen Dienst.",
        RecipientClass.AFFILIATE: "{0} ist ein anderes Unternehmen unserer Gruppe.",
        RecipientClass.THIRD_PARTY: "{0} ist ein Unternehmen außerhalb unserer Gruppe.",
    },
)

_LANGUAGES: Final[Mapping[str, _Language]] = {each.name: each for each in (_ENGLISH, _GERMAN)}

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>&#|!~])")
_OPENING: Final = re.compile(r"^(\d*)([-+=.)])")


def _plain(text: str) -> str:
    """Write words so that Markdown shows them as they are."""
    return _SPECIAL.sub(r"\\\1", text)


def _capital(text: str) -> str:
    """Begin a sentence; what begins it is no list, number or heading."""
    return _OPENING.sub(r"\1\\\2", text[:1].upper() + text[1:])


def _informational(text: str) -> str:
    return f"{text} <!-- informational -->"


@dataclass(frozen=True)
class _Texts:
    """The texts of one document in one language."""

    document: Document
    language: _Language

    def policy(self) -> Iterator[str]:
        """Yield the paragraphs of policy.md."""
        say, document = self.language.words, self.document
        yield f"# {say['policy title']}"
        yield _informational(say["policy intro"].format(document.version))
        yield f"## {say['who title']}"
        yield self._recipients()
        yield f"## {say['what title']}"
        yield _informational(say["what intro"])
        for clause in document.clauses:
            yield self._clause(clause.id, clause)
        for name in document.sensitive:
            words = self._words(document.data_classes, name)
            yield _informational(say["sensitive"].format(_capital(words)))
        yield f"## {say['regions title']}"
        yield _informational(say["regions intro"])
        for clause in document.region_clauses:
            yield self._clause(f"regions.{clause.id}", clause)
        if any(document.contracts.values()):
            yield f"## {say['contracts title']}"
        for contract, clauses in document.contracts.items():
            for clause in clauses:
                yield self._clause(f"contracts.{contract}.{clause.id}", clause, contract)
        yield from self._no("no title")
        yield from self._when("when title")

    def faq(self) -> Iterator[str]:
        """Yield the paragraphs of faq.md: of the clauses, it repeats the policy's on training."""
        say, clauses = self.language.words, self.document.clauses
        yield f"# {say['faq title']}"
        training = [c for c in clauses if any(is_training(p) for p in self._purposes(c))]
        if training:
            yield f"## {say['faq train']}"
        for clause in training:
            yield self._clause(clause.id, clause)
        if all(asked(clause) >= Level.GRANT for clause in clauses):
            yield f"## {say['faq nothing']}"
            yield _informational(say["faq nothing answer"])
        yield f"## {say['faq who']}"
        yield self._recipients()
        yield from self._no("faq no")
        yield from self._when("faq when")

    def notice(self) -> Iterator[str]:
        """Yield the paragraphs of notice.md."""
        say = self.language.words
        yield f"# {say['notice title']}"
        yield _informational(say["notice intro"].format(self.document.version))
        yield from self._when("when title")
        yield f"## {say['what title']}"
        for name, clause in clause_names(self.document):
            contract = name.removesuffix(f".{clause.id}").removeprefix("contracts.")
            yield self._clause(name, clause, contract if name.startswith("contracts.") else "")
        yield from self._no("no title")

    def _recipients(self) -> str:
        """Return who there is, as a list."""
        lines = []
        for r in self.document.recipients.values():
            words = self.language.registered[r.recipient_class].format(_plain(r.name))
            lines.append(f"- {_informational(_capital(words))}")
        return "\n".join(lines)

    def _no(self, title: str) -> Iterator[str]:
        """Yield what an opt-out reaches."""
        withdrawal, say = self.document.withdrawal, self.language.words
        yield f"## {say[title]}"
        if withdrawal is not None:
            reaches = [self.language.reaches.get(each, each) for each in withdrawal.reaches]
            words = say["withdrawal"].format(_join(reaches, self.language.both), withdrawal.days)
            yield f"{words} {say['past']} <!-- states withdrawal -->"

    def _when(self, title: str) -> Iterator[str]:
        """Yield when the policy takes effect."""
        say = self.language.words
        yield f"## {say[title]}"
        yield f"{say['lead'].format(self.document.lead // DAY)} <!-- states lead -->"
        yield f"{say['window'].format(self.document.window // DAY)} <!-- states window -->"

    def _clause(self, name: str, clause: Clause, contract: str = "") -> str:
        """Return a clause in plain words, with its mark; `contract` is the one it belongs to."""
        level, say = asked(clause), self.language.words
        what, listed = say["anything"], ""
        if clause.data_classes != (ANY,):
            classes = [c for c in self.document.data_classes if _covered(clause.data_classes, c)]
            words = [self._words(self.document.data_classes, c) for c in classes]
            joined = _join(words or [*clause.data_classes], self.language.both)
            what, listed = say["something"].format(joined), say["listed"].format(joined)
        why = say["any purpose"]
        if clause.purposes != (ANY,):
            purposes = [
                say["each purpose"].format(self._words(self.document.purposes, p))
                for p in self._purposes(clause)
            ]
            why = say["purpose"].format(_join(purposes or [*clause.purposes], self.language.either))
        who = ""
        if clause.recipients != (ANY,):
            names = [self._recipient(each) for each in clause.recipients]
            who = say["who"].format(_join(names, self.language.either))
        conditions = "".join(f"{each}: " for each in self._conditions(clause, contract))
        first = what if conditions else _capital(what)
        sentence = self.language.levels[level].format(what=first, why=why, who=who, listed=listed)
        return f"{conditions}{sentence} <!-- states {name}: {level.name.lower()} -->"

    def _conditions(self, clause: Clause, contract: str) -> Iterator[str]:
        """Yield when a clause applies at all."""
        say, either = self.language.words, self.language.either
        if clause.jurisdictions != (ANY,):
            places = called(clause.jurisdictions, self.language.name)
            yield say["place"].format(_join(places, either)).replace(" in dem ", " im ")
        contracts = (contract,) if contract else clause.contracts
        if contracts != (ANY,):
            yield say["contract"].format(_join([_plain(each) for each in contracts], either))
        ends = {"from": clause.span.start != BEGINNING, "to": clause.span.end != END}
        if any(ends.values()):
            key = (
                "span" if all(ends.values()) else next(key for key, found in ends.items() if found)
            )
            yield say[key].format(text_of(clause.span.start), text_of(clause.span.end))

    def _purposes(self, clause: Clause) -> list[str]:
        """Return the purposes of a clause that are called anything."""
        return [p for p in self.document.purposes if _covered(clause.purposes, p)]

    def _recipient(self, name: str) -> str:
        if name in self.document.recipients:
            return _plain(self.document.recipients[name].name)
        words = {kind.value: said for kind, said in self.language.classes.items()}
        return words.get(name, name)

    def _words(self, words: Words, name: str) -> str:
        return _plain(words[name].get(self.language.name, name))


def _covered(patterns: Iterable[str], name: str) -> bool:
    return any(covers(pattern, name) for pattern in patterns)
