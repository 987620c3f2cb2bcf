"""Good policy folders, drawn from a seed and written by this module alone.

Nothing of the product writes them: their words, their layout and the arithmetic that tells whether
their clauses are sound are this module's own, so that a control that passes shows something.
A `Policy` is a model that faults change (faults.py); `files` writes it as a folder, `lines` tells
where a part of it came to stand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

LEVELS = ("nothing", "notice", "grant", "explicit_grant", "never")
PURPOSES = (
    "train.generative",
    "train.ranking",
    "train.safety",
    "evaluate",
    "infer",
    "improve.product",
)
KINDS = ("policy", "faq", "notice")
CLASSES = ("controller", "affiliate", "third_party")
CATEGORIES = (
    "employment",
    "pay",
    "intellectual_property",
    "health",
    "racial_or_ethnic_origin",
    "political_opinions",
    "religious_or_philosophical_beliefs",
    "trade_union_membership",
    "genetic",
    "biometric",
    "sex_life",
    "sexual_orientation",
)
# A few members stand for each group; PLACES are the keys a table may have.
GROUPS = {"EU": ("DE", "FR", "IT"), "EEA": ("DE", "FR", "IT", "NO"), "UK": ("GB",)}

_DATA = {
    "message.direct": ("messages to one person", "Nachrichten an eine Person"),
    "message.direct.inmail": ("InMail messages", "InMail-Nachrichten"),
    "message.group": ("messages in groups", "Nachrichten in Gruppen"),
    "post.public": ("public posts", "öffentliche Beiträge"),
    "post.comment": ("comments on posts", "Kommentare zu Beiträgen"),
    "profile": ("the profile", "das Profil"),
    "telemetry.driving": ("driving data", "Fahrdaten"),
    "telemetry.location": ("places of the vehicle", "Orte des Fahrzeugs"),
    "search.history": ("searches", "Suchanfragen"),
    "photo": ("photos", "Fotos"),
}
_WHY = {
    "train.generative": ("train models that write", "Modelle trainieren, die schreiben"),
    "train.ranking": ("train models that sort", "Modelle trainieren, die ordnen"),
    "train.safety": ("train models that find abuse", "Modelle trainieren, die Missbrauch finden"),
    "evaluate": ("measure models", "Modelle messen"),
    "infer": ("answer with a model", "mit einem Modell antworten"),
    "improve.product": ("improve this service", "diesen Dienst verbessern"),
}
_NAMES = ("Northmail Inc.", "Tern Models GmbH", "Acme Labs Ltd.", "Ibis & Söhne KG", "Kite S.A.")
LANGUAGES = ("en", "de")


# ── the model ───────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False)
class Rule:
    """A clause: `key` finds it whatever its id becomes; `home` is how marks begin to name it."""

    key: str
    level: str
    home: str = ""
    id: str = ""
    data_classes: list[str] | None = None
    purposes: list[str] | None = None
    recipients: list[str] | None = None
    jurisdictions: list[str] | None = None
    contracts: list[str] | None = None
    start: date | None = None
    end: date | None = None

    def __post_init__(self) -> None:
        """Call it by its key, unless said otherwise."""
        self.id = self.id or self.key

    @property
    def name(self) -> str:
        """Return what a mark calls it."""
        return self.home + self.id

    @property
    def table(self) -> tuple[str, ...]:
        """Return the path of its table: its list, and its key."""
        return (*self.home.split(".")[:-1], "clauses", self.key)


@dataclass(eq=False)
class Mark:
    """What a block says of itself: the clause it states, or `words` as they stand."""

    rule: Rule | None = None
    words: str = ""
    shift: int = 0

    def __str__(self) -> str:
        """Write it; a shift makes the level a wrong one."""
        if self.rule is None:
            return self.words
        level = LEVELS[(LEVELS.index(self.rule.level) + self.shift) % len(LEVELS)]
        return f"states {self.rule.name}: {level}"


INFORMATIONAL = Mark(words="informational")


@dataclass(eq=False)
class Block:
    """One paragraph, list item, table row or heading, with its marks; raw ones stand as written."""

    text: str
    marks: list[Mark] = field(default_factory=list)
    depth: int = 0

    def states(self, rule: Rule) -> bool:
        """Say whether a mark of it names `rule`."""
        return any(mark.rule is rule for mark in self.marks)


@dataclass(eq=False)
class Group:
    """Blocks that stand together, and as what: paragraph, list, table, quote, heading, raw."""

    kind: str
    blocks: list[Block]


@dataclass(eq=False)
class Text:
    """One text in one language."""

    kind: str
    language: str
    file: str
    groups: list[Group]

    def blocks(self) -> list[Block]:
        """Return every block, in order."""
        return [block for group in self.groups for block in group.blocks]

    def remove(self, gone: Callable[[Block], bool]) -> int:
        """Remove blocks, and groups that are left empty; return how many blocks."""
        before = len(self.blocks())
        for group in self.groups:
            group.blocks = [block for block in group.blocks if not gone(block)]
        self.groups = [group for group in self.groups if group.blocks]
        return before - len(self.blocks())


@dataclass(eq=False)
class Policy:
    """A folder before it is written; `edits` overwrite single values of policy.toml."""

    seed: int
    languages: list[str]
    lead: int
    window: int
    reaches: list[str]
    days: int
    recipients: dict[str, tuple[str, str]]
    data: dict[str, list[str]]
    words: dict[str, dict[str, str]]
    why: dict[str, dict[str, str]]
    rules: list[Rule]
    settings: dict[str, dict[str, Any]]
    ages: dict[str, int]
    region_rules: list[Rule]
    contracts: dict[str, list[Rule]]
    texts: list[Text] = field(default_factory=list)
    edits: dict[tuple[str, ...], str | None] = field(default_factory=dict)
    dropped: set[tuple[str, ...]] = field(default_factory=set)
    after: list[Callable[[dict[str, bytes]], None]] = field(default_factory=list)
    lines: dict[object, tuple[str, int, int]] = field(default_factory=dict)

    def every_rule(self) -> list[Rule]:
        """Return the clauses of policy, regional table and contracts."""
        of_contracts = [rule for rules in self.contracts.values() for rule in rules]
        return [*self.rules, *self.region_rules, *of_contracts]

    def text(self, kind: str, language: str = "") -> Text:
        """Return the text of a kind, in the first language unless said otherwise."""
        language = language or first_language(self.languages)
        return next(t for t in self.texts if (t.kind, t.language) == (kind, language))

    def files(self) -> dict[str, bytes]:
        """Write the folder."""
        self.lines = {}
        written = {"policy.toml": _toml(self)} | {t.file: _markdown(self, t) for t in self.texts}
        files = {name: text.encode() for name, text in written.items()}
        for change in self.after:
            change(files)
        return files


def first_language(languages: Sequence[str]) -> str:
    """Return the language whose files have no suffix."""
    return "en" if "en" in languages else languages[0]


# ── drawing ─────────────────────────────────────────────────────────────────────────────────


def draw(seed: int) -> Policy:
    """Draw a good policy: every clause decides somewhere, and nothing in it breaks a promise."""
    rng = random.Random(seed)
    languages = rng.choice([["en"], ["de"], ["en", "de"], ["en", "de"]])
    data = {name: list[str]() for name in rng.sample(sorted(_DATA), rng.randint(2, 8))}
    for name in rng.sample(sorted(data), rng.randint(0, min(3, len(data) - 1))):
        data[name] = rng.sample(CATEGORIES, rng.randint(1, 4))
    ids = rng.sample(["northmail", "tern", "acme.labs", "ibis", "kite_2"], rng.randint(1, 5))
    recipients = {name: (rng.choice(_NAMES), CLASSES[n % 3]) for n, name in enumerate(ids)}
    ages = _ages(rng)
    contracts = {
        name: list[Rule]()
        for name in rng.sample(["free", "premium", "business", "family"], rng.randint(0, 3))
    }
    policy = Policy(
        seed=seed,
        languages=languages,
        lead=rng.choice([1, 14, 30, 90, 3650]),
        window=rng.choice([1, 14, 30, 90, 3650]),
        reaches=_reaches(rng),
        days=rng.choice([1, 7, 30, 90]),
        recipients=recipients,
        data=data,
        words={name: dict(zip(LANGUAGES, _DATA[name], strict=True)) for name in data},
        why={},
        rules=[],
        settings={},
        ages=ages,
        region_rules=[],
        contracts=contracts,
    )
    _draw_rules(policy, rng)
    used = {p for rule in policy.every_rule() for p in rule.purposes or ()} & set(PURPOSES)
    _draw_settings(policy, rng)
    used |= {purpose for each in policy.settings.values() for purpose in each["purposes"]}
    policy.why = {
        purpose: dict(zip(LANGUAGES, _WHY[purpose], strict=True))
        for purpose in PURPOSES
        if purpose in used or rng.random() < 0.2
    }
    policy.texts = [_draw_text(policy, rng, kind, each) for kind in KINDS for each in languages]
    return policy


def _reaches(rng: random.Random) -> list[str]:
    more = rng.sample(["backups", "indexes", "logs"], rng.randint(0, 3))
    return rng.sample(["releases", "recipients", "models", *more], 3 + len(more))


def _ages(rng: random.Random) -> dict[str, int]:
    """Draw a regional table without a place that is listed twice."""
    europe = rng.choice([["EU"], ["EEA"], ["DE"], ["DE", "FR"], []])
    britain = rng.choice([["UK"], ["GB"], []])
    others = rng.sample(["US", "US-CA", "CH", "CA", "HK", "CN", "BR"], rng.randint(1, 5))
    ages = dict.fromkeys([*europe, *britain, *others], 0)
    if rng.random() < 0.5:
        ages["US-AL"] = 19
    return ages


def _draw_rules(policy: Policy, rng: random.Random) -> None:
    """Draw clauses for all three sources; what would make the whole unsound is drawn again."""
    sensitive = sorted(name for name, categories in policy.data.items() if categories)
    base = rng.choice(["grant", "grant", "explicit_grant"])
    training = rng.choice([["train.*"], list(PURPOSES[:3])])
    policy.rules = [Rule("training-needs-a-yes", base, purposes=training)]
    if sensitive and base == "grant":
        rule = Rule("sensitive-needs-more", "explicit_grant", purposes=["train.*"])
        rule.data_classes = sensitive
        policy.rules.append(rule)
    _some_rules(policy, rng, policy.rules, "", rng.randint(0, 5))
    _some_rules(policy, rng, policy.region_rules, "regions.", rng.randint(0, 3))
    for contract, rules in policy.contracts.items():
        _some_rules(policy, rng, rules, f"contracts.{contract}.", rng.randint(0, 2))


_NAMED = ("confidential", "excluded", "no-past", "a_yes_first", "abroad", "2024.extra", "kept")


def _some_rules(
    policy: Policy, rng: random.Random, rules: list[Rule], home: str, wanted: int
) -> None:
    for name in rng.sample(_NAMED, wanted):
        for _ in range(8):
            rules.append(draw_rule(policy, rng, name, home))
            if sound(policy, rules, own=not home):
                break
            rules.pop()


def draw_rule(policy: Policy, rng: random.Random, name: str, home: str) -> Rule:
    """Draw one clause; conditions are few, or nothing would ever match all of them."""
    rule = Rule(name, rng.choice(LEVELS), home)
    rule.purposes = rng.choice(
        [["train.*"], ["train.generative"], ["evaluate"], ["infer"], ["infer", "evaluate"]]
    )
    if rule.level in LEVELS[:2]:
        rule.purposes = rng.choice([["evaluate"], ["infer"]])
    if home and rule.level in LEVELS[2:] and rng.random() < 0.5:
        rule.purposes = None
    if rng.random() < 0.4:
        rule.data_classes = rng.sample(sorted(_patterns(policy)), 1)
    if rng.random() < 0.4:
        classes = {each for _, each in policy.recipients.values()}
        rule.recipients = rng.sample(sorted({*policy.recipients, *classes}), 1)
    if rng.random() < (0.8 if home == "regions." else 0.3):
        places = _known_places(policy)
        rule.jurisdictions = rng.sample(places, rng.randint(1, min(3, len(places))))
    training = any(p.startswith("train.") for p in rule.purposes or PURPOSES)
    if policy.contracts and not home and not training and rng.random() < 0.6:
        rule.contracts = rng.sample(sorted(policy.contracts), 1)
    if rng.random() < 0.3:
        rule.start = date(rng.randint(2003, 2023), rng.randint(1, 12), 1)
        rule.end = rng.choice([None, date(2024, rng.randint(1, 12), 28)])
    elif rng.random() < 0.2:
        rule.end = date(2024, 9, 18)
    return rule


def _patterns(policy: Policy) -> set[str]:
    heads = {name.rpartition(".")[0] for name in policy.data if "." in name}
    return {*policy.data, *(f"{head}.*" for head in heads)}


def _known_places(policy: Policy) -> list[str]:
    """Return what a clause may name: keys, and what stands in a group that is a key."""
    places = set(policy.ages)
    places |= {"DE", "FR"} if {"EU", "EEA"} & places else set()
    places |= {"EU"} if "EEA" in places else set()
    return sorted(places | ({"UK", "GB"} if {"UK", "GB"} & places else set()))


def _draw_settings(policy: Policy, rng: random.Random) -> None:
    """Draw settings, each of which asks for something that could be granted."""
    for name in rng.sample(["genai", "ranking", "quality", "cars-2"], rng.randint(1, 3)):
        purposes = [rng.choice(PURPOSES[:3])]
        both = ["infer", "evaluate"]
        if rng.random() < 0.2 and all(
            any(r.purposes and each in r.purposes and plain(r) for r in policy.rules)
            for each in both
        ):
            purposes = both
        policy.settings[name] = {
            "title": rng.choice(["Data for Generative AI Improvement", "Ihre Daten für KI"]),
            "purposes": purposes,
            "data_classes": rng.sample(sorted(_patterns(policy)), rng.randint(1, 2)),
            "recipients": rng.sample(sorted(policy.recipients), rng.randint(1, 1)),
        }
        if not _answerable(policy, policy.settings[name]):
            del policy.settings[name]
    if not policy.settings:
        policy.rules[0].level = "explicit_grant"
        policy.rules = policy.rules[:1]
        policy.settings["genai"] = {
            "title": "Data for AI",
            "purposes": ["train.generative"],
            "data_classes": [min(policy.data)],
            "recipients": sorted(policy.recipients),
        }


def plain(rule: Rule) -> bool:
    """Say whether only purposes narrow a clause."""
    narrowed = (rule.data_classes, rule.recipients, rule.jurisdictions, rule.contracts)
    return not any(narrowed) and rule.start is rule.end is None


# ── what clauses come to ────────────────────────────────────────────────────────────────────


def sound(policy: Policy, rules: list[Rule], *, own: bool) -> bool:
    """Say whether each clause decides somewhere, contracts are alike, and sensitive is asked."""
    grid = Grid(policy, rules)
    boxes = [grid.box(rule) for rule in rules]
    top = grid.top(rules)
    if not all(
        (box & (top == LEVELS.index(rule.level))).any()
        for box, rule in zip(boxes, rules, strict=True)
    ):
        return False
    if not own:
        return True
    needed = np.where(top < 0, len(LEVELS) - 1, top)[:, :3]
    sensitive = [n for n, name in enumerate(grid.data) if policy.data[name]]
    alike = bool((needed == needed[:, :, :, :, :1]).all())
    return alike and bool((needed[sensitive] >= LEVELS.index("explicit_grant")).all())


def _answerable(policy: Policy, setting: dict[str, Any]) -> bool:
    """Say whether everything that a setting asks for could be granted by somebody."""
    grid = Grid(policy, policy.rules)
    top = grid.top(policy.rules)
    needed = np.where(top < 0, len(LEVELS) - 1, top)
    patterns = setting["data_classes"]
    asked = [n for n, c in enumerate(grid.data) if any(within(p, c) for p in patterns)]
    return all(
        needed[c, PURPOSES.index(p), grid.recipients.index(r)].min() < len(LEVELS) - 1
        for c in asked
        for p in setting["purposes"]
        for r in setting["recipients"]
    )


def within(pattern: str, name: str) -> bool:
    """Say whether a pattern covers a name."""
    return pattern in ("*", name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))


class Grid:
    """Every request that could differ: class × purpose × recipient × place × contract × time."""

    def __init__(self, policy: Policy, rules: list[Rule]) -> None:
        """Span the grid for `rules`."""
        self.policy = policy
        self.data, self.recipients = list(policy.data), list(policy.recipients)
        self.places: list[str | None] = [None]
        for key in policy.ages:
            self.places += GROUPS.get(key, (key,))
        self.contracts = [None, *policy.contracts]
        cuts = {each for rule in rules for each in (rule.start, rule.end) if each}
        self.times = [date.min, *sorted(cuts)]

    def box(self, rule: Rule) -> Any:
        """Return where a clause matches, as an array that spreads over the grid."""
        classes = {name: kind for name, (_, kind) in self.policy.recipients.items()}
        home = rule.home.split(".")
        contracts = [home[1]] if home[0] == "contracts" else rule.contracts
        data, purposes, who = rule.data_classes, rule.purposes, rule.recipients
        places = rule.jurisdictions
        axes = [
            [not data or any(within(p, c) for p in data) for c in self.data],
            [not purposes or any(within(p, c) for p in purposes) for c in PURPOSES],
            [not who or bool({r, classes[r]} & {*who}) for r in self.recipients],
            [not places or _stands_in(place, places) for place in self.places],
            [not contracts or each in contracts for each in self.contracts],
            [(rule.start or date.min) <= t < (rule.end or date.max) for t in self.times],
        ]
        box = np.array(axes[0])
        for axis in axes[1:]:
            box = np.logical_and.outer(box, np.array(axis))
        return box

    def top(self, rules: list[Rule]) -> Any:
        """Return the highest level that matches, -1 for silence."""
        shape = [self.data, PURPOSES, self.recipients, self.places, self.contracts, self.times]
        top = np.full([len(axis) for axis in shape], -1)
        for rule in rules:
            top = np.maximum(top, np.where(self.box(rule), LEVELS.index(rule.level), -1))
        return top


def _stands_in(place: str | None, patterns: list[str]) -> bool:
    covered = {each for p in patterns for each in GROUPS.get(p, (p,))}
    return place is not None and any(place == p or place.startswith(p + "-") for p in covered)


# ── words ───────────────────────────────────────────────────────────────────────────────────

_TITLES = {
    "en": {"policy": "How data is used", "faq": "Questions", "notice": "What will change"},
    "de": {"policy": "Wozu Daten genutzt werden", "faq": "Fragen", "notice": "Was sich ändert"},
}
_ASKED = {
    "en": {
        "nothing": "nobody is asked",
        "notice": "we tell you beforehand",
        "grant": "we need your yes",
        "explicit_grant": "we need your explicit yes",
        "never": "this is never done",
    },
    "de": {
        "nothing": "niemand wird gefragt",
        "notice": "wir sagen es Ihnen vorher",
        "grant": "wir brauchen Ihr Ja",
        "explicit_grant": "wir brauchen Ihr ausdrückliches Ja",
        "never": "das geschieht nie",
    },
}
# True of a good policy, and near to what may not be said: none of these is a fault.
HARMLESS = {
    "en": [
        "This page says what may be done with data, and by whom.",
        "You can opt out at any time, and it takes one step.",
        "Opting out also reaches training that has already taken place: those models are deleted.",
        "If you object, you keep your account and every part of the service.",
        "Using the service is not an answer to this question.",
        "Silence means no, and a closed window means no.",
        "We send a notice to every member, and then wait.",
        "See [the list of companies](https://example.org/list) and <https://example.org/faq>.",
        "A yes is *yours* to give & to take back; see `genai` in your **settings**.",
        "Messages need a yes of everyone who wrote or read them.",
        "You may close the window without an answer, which counts as no.",
        "Until you say yes, the setting is off.",
        "Opting out reaches training that has already taken place.",
        "A no reaches models that were trained before it.",
        "If you object, nothing else changes for you.",
        "You can object without closing your account.",
        "Nobody has to close their account to object.",
        "We give notice 30 days before anything changes.",
        "The setting is off until you say yes.",
        "Continued use is never taken as a yes.",
        "Silence is not a yes.",
        "Unless you object to this version, it counts for you after 30 days.",
        "Training stops when you withdraw, and models trained on your data are deleted.",
        "If you do nothing, the answer is no.",
        "You may delete your account at any time.",
        "Before you opt out, read what it reaches.",
        "Your account stays as it is if you object.",
        "The withdrawal of a yes does not cost anything.",
        "What you write in the future is only used after a yes.",
    ],
    "de": [
        "Hier steht, was mit Daten geschehen darf und wer es tun darf.",
        "Sie können jederzeit nein sagen, und ein Schritt genügt.",
        "Ein Widerspruch erreicht auch Training, das bereits stattgefunden hat: es wird gelöscht.",
        "Wenn Sie widersprechen, behalten Sie Ihr Konto und jeden Teil des Dienstes.",
        "Den Dienst zu nutzen ist keine Antwort auf diese Frage.",
        "Schweigen heißt nein.",
        "Wir senden jedem Mitglied eine Mitteilung und warten dann.",
        "Siehe [die Liste der Firmen](https://example.org/liste) und <https://example.org/faq>.",
        "Ein Ja geben *Sie*, & Sie nehmen es zurück; siehe `genai` in den **Einstellungen**.",
        "Nachrichten brauchen das Ja aller, die sie schrieben oder lasen.",
        "Bis Sie ja sagen, ist die Einstellung aus.",
        "Ein Widerspruch reicht auch zu bereits trainierten Modellen.",
        "Sie müssen Ihr Konto nicht schließen, um zu widersprechen.",
        "Schweigen gilt nie als Ja.",
        "Wenn Sie dieser Fassung nicht widersprechen, gilt sie für Sie nach 30 Tagen.",
        "Ohne Ihr Ja geschieht nichts.",
        "Wenn Sie widersprechen, bleibt Ihr Konto bestehen.",
        "Bereits trainierte Modelle werden gelöscht, wenn Sie nein sagen.",
    ],
}
_WITHDRAWAL = {
    "en": "A no reaches releases, recipients and models within {0} days.",
    "de": "Ein Nein erreicht Auszüge, Empfänger und Modelle binnen {0} Tagen.",
}
_LEAD = {
    "en": "This takes effect {0} days after it was published.",
    "de": "Dies gilt {0} Tage nach der Veröffentlichung.",
}
_WINDOW = {
    "en": "You have {0} days to object after your notice.",
    "de": "Nach der Mitteilung haben Sie {0} Tage Zeit zu widersprechen.",
}


def sentence(policy: Policy, rule: Rule, language: str) -> str:
    """Say in words what a clause asks."""
    at = LANGUAGES.index(language)
    what = [_DATA[p][at] if p in _DATA else p.replace("*", r"\*") for p in rule.data_classes or ()]
    why = [_WHY[p][at] for p in rule.purposes or () if p in _WHY]
    who = [policy.recipients[r][0] for r in rule.recipients or () if r in policy.recipients]
    parts = [", ".join(part) for part in (what, why, who, rule.jurisdictions or ()) if part]
    said = "; ".join(parts) or ("Whatever it is" if language == "en" else "Was immer es ist")
    return f"{said[0].upper()}{said[1:]}: {_ASKED[language][rule.level]}."


def _draw_text(policy: Policy, rng: random.Random, kind: str, language: str) -> Text:
    """Draw one text: what it has to state and some more, in paragraphs, lists and tables."""
    blocks: list[Block] = []
    for rule in policy.every_rule():
        if kind == "faq" and rng.random() < 0.4:
            continue
        blocks.append(Block(sentence(policy, rule, language), [Mark(rule)]))
        if rng.random() < 0.2:
            blocks.append(Block(sentence(policy, rule, language), [Mark(rule)]))
    for words, days, name in (
        (_WITHDRAWAL, policy.days, "withdrawal"),
        (_LEAD, policy.lead, "lead"),
        (_WINDOW, policy.window, "window"),
    ):
        blocks.append(Block(words[language].format(days), [Mark(words=f"states {name}")]))
    harmless = rng.sample(HARMLESS[language], rng.randint(1, 6))
    blocks += [Block(text, [INFORMATIONAL]) for text in harmless]
    rng.shuffle(blocks)
    suffix = "" if language == first_language(policy.languages) else f".{language}"
    groups = [Group("heading", [Block(_TITLES[language][kind])]), *_laid_out(rng, blocks)]
    return Text(kind, language, f"{kind}{suffix}.md", groups)


def _laid_out(rng: random.Random, blocks: list[Block]) -> Iterator[Group]:
    """Lay blocks out in paragraphs, lists, tables and quotes, with headings between."""
    if len(blocks) > 1 and rng.random() < 0.3:
        last = blocks.pop()
        blocks[0].text += " " + last.text
        blocks[0].marks = [m for m in (*blocks[0].marks, *last.marks) if m is not INFORMATIONAL]
        blocks[0].marks = blocks[0].marks or [INFORMATIONAL]
    while blocks:
        many = rng.randint(1, 4)
        group, blocks = blocks[:many], blocks[many:]
        form = rng.choice(["paragraph"] * 3 + ["list", "numbered", "table", "quote"])
        if rng.random() < 0.2:
            heading = Block(rng.choice(["Data", "Models", "You", "More"]))
            if rng.random() < 0.3:
                heading.marks = [INFORMATIONAL]
            yield Group(rng.choice(["heading", "setext"]), [heading])
        if form in {"list", "numbered"}:
            for n, block in enumerate(group):
                block.depth = min(n, rng.randint(0, 1))
        yield Group(form, group)


# ── writing Markdown ────────────────────────────────────────────────────────────────────────


def _markdown(policy: Policy, text: Text) -> str:
    """Write a text, noting the lines of each block."""
    rng = random.Random(f"{policy.seed}/{text.file}")
    lines: list[str] = []
    for group in text.groups:
        lines += [] if not lines else [""]
        if group.kind == "table":
            head = "Rule" if text.language == "en" else "Regel"
            lines += [f"| | {head} <!-- informational --> |", "|---|---|"]
        for n, block in enumerate(group.blocks):
            written = _written(rng, group.kind, block, n)
            policy.lines[block] = (text.file, len(lines) + 1, len(lines) + len(written))
            lines += written
            if group.kind in {"paragraph", "quote"} and n < len(group.blocks) - 1:
                lines.append(">" if group.kind == "quote" else "")
    return "\n".join(lines) + rng.choice(["", "\n", "\n\n"])


def _written(rng: random.Random, kind: str, block: Block, n: int) -> list[str]:
    """Write one block as lines."""
    if kind == "raw":
        return block.text.split("\n")
    marks = list(map(str, block.marks))
    comments = f"<!-- {'; '.join(marks)} -->" if rng.random() < 0.5 else ""
    comments = comments or " ".join(f"<!-- {mark} -->" for mark in marks)
    if kind in {"heading", "setext"}:
        flat = " ".join([*block.text.replace("\\\n", " ").split("\n"), *[comments] * bool(marks)])
        return [f"## {flat}"] if kind == "heading" else [flat, "---"]
    if kind == "table":
        flat = block.text.replace("\\\n", " ").replace("\n", " ").replace("|", r"\|")
        return [f"| {n + 1} | {flat} {comments} |" if marks else f"| {n + 1} | {flat} |"]
    lines = block.text.split("\n")
    if len(lines) == 1 and rng.random() < 0.3 and "`" not in block.text and "<" not in block.text:
        words = block.text.split(" ")
        cut = rng.randint(0, len(words))
        if cut < len(words) and words[cut][:1].isalpha():
            lines = [" ".join(words[:cut]), " ".join(words[cut:])] if cut else lines
    lines[-1] += f" {comments}" if marks else ""
    bullets = {"list": "- ", "numbered": f"{n + 1}. ", "quote": "> ", "paragraph": ""}
    bullet = bullets[kind]
    if kind == "quote":
        return [bullet + line for line in lines]
    indent = "   " * block.depth if bullet else ""
    bullet = "1. " if kind == "numbered" and block.depth else bullet
    return [indent + (" " * len(bullet) if at else bullet) + line for at, line in enumerate(lines)]


# ── writing TOML ────────────────────────────────────────────────────────────────────────────


def quoted(value: str) -> str:
    """Quote a text as TOML."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed(values: Sequence[str]) -> str:
    """Write a list of names as TOML."""
    return "[" + ", ".join(map(quoted, values)) + "]"


def _key(name: str) -> str:
    return quoted(name) if "." in name else name


_Tables = Iterator[tuple[tuple[str, ...], str, dict[str, str]]]


def _tables(policy: Policy) -> _Tables:
    """Yield each table: its path, its header, its keys."""
    yield (
        (),
        "",
        {
            "version": quoted(f"2026-{policy.seed}"),
            "lead_days": str(policy.lead),
            "window_days": str(policy.window),
        },
    )
    reach = {"reaches": listed(policy.reaches), "days": str(policy.days)}
    yield ("withdrawal",), "[withdrawal]", reach
    for name, (entity, kind) in policy.recipients.items():
        values = {"name": quoted(entity), "class": quoted(kind)}
        yield ("recipients", name), f"[recipients.{_key(name)}]", values
    for name, categories in policy.data.items():
        texts = {each: quoted(policy.words[name][each]) for each in policy.languages}
        texts |= {"sensitive": listed(categories)} if categories else {}
        yield ("data_classes", name), f"[data_classes.{_key(name)}]", texts
    for name, words in policy.why.items():
        texts = {each: quoted(words[each]) for each in policy.languages}
        yield ("purposes", name), f"[purposes.{_key(name)}]", texts
    for rule in policy.rules:
        yield rule.table, "[[clauses]]", _of_rule(rule)
    for name, setting in policy.settings.items():
        values = {"title": quoted(setting["title"])}
        values |= {k: listed(v) for k, v in setting.items() if k != "title"}
        yield ("settings", name), f"[settings.{_key(name)}]", values
    ages = ", ".join(f"{_key(place)} = {age}" for place, age in policy.ages.items())
    yield ("regions",), "[regions]", {"jurisdictions": f"{{ {ages} }}"}
    for rule in policy.region_rules:
        yield rule.table, "[[regions.clauses]]", _of_rule(rule)
    for name, rules in policy.contracts.items():
        if not rules or policy.seed % 2:
            yield ("contracts", name), f"[contracts.{name}]", {}
        for rule in rules:
            yield rule.table, f"[[contracts.{name}.clauses]]", _of_rule(rule)


def _of_rule(rule: Rule) -> dict[str, str]:
    keys = ("data_classes", "purposes", "recipients", "jurisdictions", "contracts")
    values = {"id": quoted(rule.id), "level": quoted(rule.level)}
    values |= {key: listed(v) for key in keys if (v := getattr(rule, key)) is not None}
    values |= {"from": rule.start.isoformat()} if rule.start else {}
    return values | ({"to": rule.end.isoformat()} if rule.end else {})


def _toml(policy: Policy) -> str:
    """Write policy.toml, noting the lines of each table."""
    rng = random.Random(f"{policy.seed}/policy.toml")
    lines = ["# drawn"] if rng.random() < 0.5 else []
    for path, header, values in _tables(policy):
        if path in policy.dropped:
            continue
        start = len(lines) + 1
        lines += [header] if header else []
        added = {p[-1]: v for p, v in policy.edits.items() if p[:-1] == path and v is not None}
        for key, value in (values | added).items():
            if policy.edits.get((*path, key), value) is None:
                continue
            lines.append(f"{key} = {value}" + rng.choice(["", "", "  # why not"]))
        policy.lines[path] = ("policy.toml", start, len(lines))
        lines += [""] * rng.randint(0, 2)
    return "\n".join(lines) + "\n"
