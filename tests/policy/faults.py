"""Fault operators: each plants one broken promise in a good policy, and says where it is found.

They were written from the requirements before there was a lint, so they say what it has to find and
not what it finds. An operator returns None where a policy offers no place for its fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from policy.drawn import (
    CLASSES,
    INFORMATIONAL,
    LEVELS,
    PURPOSES,
    Block,
    Grid,
    Group,
    Mark,
    Policy,
    Rule,
    Text,
    draw_rule,
    listed,
    plain,
    quoted,
    sentence,
)


@dataclass(frozen=True)
class At:
    """Where a fault stands: a file, perhaps a part of it, perhaps a word the finding must use."""

    file: str = ""
    place: object = None
    says: str = ""


Plant = Callable[[Policy, random.Random], At | None]


@dataclass(frozen=True)
class Operator:
    """A kind of fault: one of `requirements` is named where it is found, any if there is none.

    Two operators that share an area could undo each other; one that is `alone` could hide others.
    """

    name: str
    requirements: frozenset[str]
    areas: frozenset[str]
    alone: bool
    plant: Plant


@dataclass(frozen=True)
class Fault:
    """A planted fault."""

    operator: Operator
    at: At


OPERATORS: dict[str, Operator] = {}


def operator(
    requirements: str = "", *, area: str = "", alone: bool = False
) -> Callable[[Plant], Plant]:
    """Register an operator under its function's name."""

    def register(plant: Plant) -> Plant:
        name = plant.__name__
        wanted = frozenset(requirements.split())
        areas = frozenset((area or name).split())
        OPERATORS[name] = Operator(name, wanted, areas, alone, plant)
        return plant

    return register


def plant(policy: Policy, rng: random.Random, names: list[str], wanted: int) -> list[Fault]:
    """Plant up to `wanted` faults of the operators called `names`, in their order."""
    faults: list[Fault] = []
    areas: set[str] = set()
    for name in names:
        each = OPERATORS[name]
        if len(faults) == wanted or each.areas & areas or (each.alone and faults):
            continue
        at = each.plant(policy, rng)
        if at is not None:
            areas |= each.areas
            faults.append(Fault(each, at))
            if each.alone:
                break
    return faults


TOML = "policy.toml"


def _table(*path: str, says: str = "") -> At:
    return At(TOML, path, says)


def _state(policy: Policy, rng: random.Random, rule: Rule) -> None:
    """State a clause that a fault brings in, in every text: nothing else is wrong with it."""
    for text in policy.texts:
        block = Block(sentence(policy, rule, text.language), [Mark(rule)])
        _insert(rng, text, Group("paragraph", [block]))


def _insert(rng: random.Random, text: Text, group: Group) -> None:
    text.groups.insert(rng.randint(1, len(text.groups)), group)


def _some_text(policy: Policy, rng: random.Random, *kinds: str) -> Text:
    return rng.choice([t for t in policy.texts if not kinds or t.kind in kinds])


# ── what clauses come to together ───────────────────────────────────────────────────────────


def exposed(policy: Policy) -> bool:
    """Say whether training on something sensitive needs less than an explicit grant somewhere."""
    grid = Grid(policy, policy.rules)
    needed = grid.top(policy.rules)[[bool(policy.data[name]) for name in grid.data]][:, :3]
    return bool(((needed >= 0) & (needed < LEVELS.index("explicit_grant"))).any())


def unlike(policy: Policy) -> bool:
    """Say whether training needs less of one contract than of another, or of none."""
    top = Grid(policy, policy.rules).top(policy.rules)[:, :3]
    top[top < 0] = len(LEVELS) - 1
    return bool((top != top[:, :, :, :, :1]).any())


def add_rules(policy: Policy, rng: random.Random) -> None:
    """Add clauses of any kind, so that the whole may be unsound."""
    for name in rng.sample(["one", "two", "three"], rng.randint(1, 3)):
        rule = draw_rule(policy, rng, name, "")
        if policy.contracts and rng.random() < 0.4:
            many = rng.randint(1, len(policy.contracts))
            rule.contracts = rng.sample(sorted(policy.contracts), many)
        policy.rules.insert(rng.randint(0, len(policy.rules)), rule)
    if rng.random() < 0.3:
        policy.data[rng.choice(list(policy.data))] = ["pay"]


# ── what is not asked, or asked too little ──────────────────────────────────────────────────


@operator("R3 R22", area="clauses")
def training_below_a_grant(policy: Policy, rng: random.Random) -> At:
    """A clause lets training go although nobody has said yes."""
    rule = rng.choice([r for r in policy.every_rule() if _trains(r)])
    rule.level = rng.choice(LEVELS[:2])
    return _table(*rule.table)


def _trains(rule: Rule) -> bool:
    return rule.purposes is None or any(p.startswith("train") for p in rule.purposes)


@operator("R2", area="setting")
def a_default_in_a_setting(policy: Policy, rng: random.Random) -> At:
    """A setting comes with an answer."""
    name = rng.choice(list(policy.settings))
    policy.edits["settings", name, "default"] = rng.choice(
        ["true", '"on"', "1", "false", '"grant"']
    )
    return _table("settings", name, says="default")


@operator("R29 R46", area="setting")
def bundled_purposes(policy: Policy, rng: random.Random) -> At | None:
    """One yes would train and do something else too."""
    name, setting = rng.choice(list(policy.settings.items()))
    more = [p for p in policy.why if p not in setting["purposes"] and _foreseen(policy, p)]
    training = [p for p in PURPOSES[:3] if p in {*more, *setting["purposes"]}]
    if not more or not training:
        return None
    setting["purposes"] = [*setting["purposes"], rng.choice(more)]
    if not any(p in PURPOSES[:3] for p in setting["purposes"]):
        setting["purposes"].append(training[0])
    return _table("settings", name)


def _foreseen(policy: Policy, purpose: str) -> bool:
    return any(_speaks_of(rule, purpose) and plain(rule) for rule in policy.rules)


def _speaks_of(rule: Rule, purpose: str) -> bool:
    whole = "train.*" if purpose.startswith("train.") else purpose
    return rule.purposes is None or bool({purpose, whole} & {*rule.purposes})


@operator("R31", area="clauses")
def a_sensitive_class_at_a_grant(policy: Policy, rng: random.Random) -> At | None:
    """A class is declared sensitive, and a plain yes would do for training on it."""
    if rng.random() < 0.5:
        return _loosened(policy, "level", "grant")
    name = rng.choice(list(policy.data))
    if not policy.data[name]:
        policy.data[name] = [rng.choice(["pay", "health", "employment", "intellectual_property"])]
        if exposed(policy):
            return At(TOML)
        policy.data[name] = []
    return None


@operator("R31", area="clauses")
def sensitive_only_in_some_cases(policy: Policy, rng: random.Random) -> At | None:
    """The explicit yes is asked for in one place, of one time or for one recipient only."""
    policy.why.setdefault("train.ranking", {"en": "train to sort", "de": "zum Ordnen"})
    changes = {
        "jurisdictions": [rng.choice(list(policy.ages))],
        "start": date(2024, 1, 1),
        "end": date(2024, 1, 1),
        "purposes": ["train.ranking"],
        "recipients": [rng.choice(list(policy.recipients))],
    }
    return _loosened(policy, *rng.choice(list(changes.items())))


def _loosened(policy: Policy, key: str, value: object) -> At | None:
    """Change the clause on sensitive data, if that lets something sensitive go upon a grant."""
    for rule in policy.rules:
        if rule.key == "sensitive-needs-more":
            before = getattr(rule, key)
            setattr(rule, key, value)
            if exposed(policy):
                return At(TOML)
            setattr(rule, key, before)
    return None


@operator(area="clauses")
def an_unknown_sensitive_category(policy: Policy, rng: random.Random) -> At:
    """A category that is not on the closed list protects nothing."""
    name = rng.choice(list(policy.data))
    wrong = ["salary", "Health", "sex life", "intellectual-property", "", "*"]
    policy.edits["data_classes", name, "sensitive"] = rng.choice(
        [listed([rng.choice(wrong)]), listed(["pay", rng.choice(wrong)]), "[]", "true", '"pay"']
    )
    return _table("data_classes", name)


@operator("R25", area="clauses")
def weaker_for_one_contract(policy: Policy, rng: random.Random) -> At | None:
    """The policy asks more, or less, of one contract than of another: some are protected less."""
    if not policy.contracts or policy.rules[0].level != "grant":
        return None
    if any(_trains(r) for r in policy.rules[1:] if r.key != "sensitive-needs-more"):
        return None
    if all(policy.data.values()):
        return None
    contract = rng.choice(list(policy.contracts))
    if rng.random() < 0.3:
        policy.rules[0].contracts = [contract]
        return At(TOML)
    level = rng.choice(LEVELS[3:])
    rule = Rule("better-for-some", level, purposes=["train.*"], contracts=[contract])
    policy.rules.append(rule)
    _state(policy, rng, rule)
    return At(TOML)


# ── withdrawal ──────────────────────────────────────────────────────────────────────────────


@operator("R33", area="withdrawal")
def no_withdrawal(policy: Policy, rng: random.Random) -> At:
    """The document does not say what an opt-out reaches."""
    del rng
    policy.dropped.add(("withdrawal",))
    return At(TOML)


@operator("R33", area="withdrawal")
def withdrawal_without_models(policy: Policy, rng: random.Random) -> At:
    """An opt-out leaves models as they are."""
    return _reaches_less(policy, rng, "models")


@operator("R33", area="withdrawal")
def withdrawal_without_recipients(policy: Policy, rng: random.Random) -> At:
    """An opt-out does not reach those who received the data."""
    return _reaches_less(policy, rng, "recipients")


@operator("R33", area="withdrawal")
def withdrawal_without_releases(policy: Policy, rng: random.Random) -> At:
    """An opt-out does not reach what was released."""
    return _reaches_less(policy, rng, "releases")


def _reaches_less(policy: Policy, rng: random.Random, word: str) -> At:
    wrong = rng.choice(["", "", word[:-1], word.upper(), "future_" + word])
    policy.reaches = [wrong if each == word else each for each in policy.reaches]
    policy.reaches = [each for each in policy.reaches if each]
    return _table("withdrawal")


@operator("R33", area="withdrawal")
def withdrawal_reaches_nothing(policy: Policy, rng: random.Random) -> At:
    """An opt-out reaches nothing, or something that is no list."""
    value = rng.choice(["[]", '"everything"', None, '["*"]', "true"])
    policy.edits["withdrawal", "reaches"] = value
    return _table("withdrawal")


@operator("R33", area="withdrawal")
def withdrawal_takes_too_long(policy: Policy, rng: random.Random) -> At:
    """The deadline of an opt-out is missing, or none."""
    value = rng.choice(["0", "91", "1000", "-1", '"30"', "30.5", "true", None])
    policy.edits["withdrawal", "days"] = value
    return _table("withdrawal")


@operator("R33", area="stated")
def withdrawal_not_stated(policy: Policy, rng: random.Random) -> At:
    """One of the texts keeps silent about what an opt-out reaches."""
    text = _some_text(policy, rng)
    for block in text.blocks():
        if any(mark.words == "states withdrawal" for mark in block.marks):
            others = [mark for mark in block.marks if mark.words != "states withdrawal"]
            block.marks = others or [INFORMATIONAL]
    return At(text.file, None, "withdrawal")


# ── lead time, window ───────────────────────────────────────────────────────────────────────


@operator("R10", area="lead")
def no_lead_time(policy: Policy, rng: random.Random) -> At:
    """The version could take effect on the day it is published."""
    policy.edits["lead_days",] = rng.choice([None, "0", "-30", "3651", '"30"', "0.5"])
    return At(TOML)


@operator("R11", area="window")
def no_objection_window(policy: Policy, rng: random.Random) -> At:
    """Nobody would have time to object."""
    policy.edits["window_days",] = rng.choice([None, "0", "-30", "3651", '"30"', "true"])
    return At(TOML)


# ── who ─────────────────────────────────────────────────────────────────────────────────────


@operator("R28", area="recipients setting clauses")
def a_recipient_without_a_name(policy: Policy, rng: random.Random) -> At:
    """A legal entity that is not named."""
    name = rng.choice(list(policy.recipients))
    policy.edits["recipients", name, "name"] = rng.choice([None, '""', '" "', "1", '"two\\nlines"'])
    return _table("recipients", name)


@operator("R28", area="recipients setting clauses")
def a_recipient_without_a_class(policy: Policy, rng: random.Random) -> At:
    """Nobody can tell how near a recipient stands."""
    name = rng.choice(list(policy.recipients))
    wrong = [None, '"partner"', '"Third_party"', '""', '["affiliate"]']
    policy.edits["recipients", name, "class"] = rng.choice(wrong)
    return _table("recipients", name)


@operator("R28", area="recipients setting clauses")
def a_recipient_that_is_a_class(policy: Policy, rng: random.Random) -> At:
    """A legal entity is called what a whole class is called."""
    name = rng.choice(CLASSES)
    policy.recipients[name] = ("Anybody Ltd.", name)
    return _table("recipients", name)


@operator("R28", area="setting")
def a_class_of_recipients_in_a_setting(policy: Policy, rng: random.Random) -> At:
    """A setting asks for a yes to whoever comes."""
    name = rng.choice(list(policy.settings))
    policy.settings[name]["recipients"] = [
        *policy.settings[name]["recipients"],
        rng.choice([*CLASSES, "*"]),
    ]
    return _table("settings", name)


@operator("R28", area="setting")
def an_unknown_recipient_in_a_setting(policy: Policy, rng: random.Random) -> At:
    """A setting asks for a yes to somebody whom the document does not name."""
    name = rng.choice(list(policy.settings))
    policy.settings[name]["recipients"] = ["nobody"]
    return _table("settings", name, says="nobody")


@operator("R28", area="clauses")
def an_unknown_recipient_in_a_clause(policy: Policy, rng: random.Random) -> At:
    """A clause speaks of somebody whom the document does not name."""
    rule = rng.choice(policy.every_rule())
    rule.recipients = [*(rule.recipients or list(policy.recipients)), "nobody"]
    return _table(*rule.table, says="nobody")


# ── what for, what, in which words ──────────────────────────────────────────────────────────


_NO_PURPOSES = ("train.video", "training", "train", "Train.generative", "marketing")


@operator("R5")
def a_purpose_that_is_not_on_the_list(policy: Policy, rng: random.Random) -> At:
    """A purpose nobody will find in the one list there is."""
    wrong = rng.choice(_NO_PURPOSES)
    policy.why[wrong] = {"en": "something else", "de": "etwas anderes"}
    return _table("purposes", wrong)


@operator("R5", area="setting")
def a_setting_for_no_purpose(policy: Policy, rng: random.Random) -> At:
    """A setting asks for a purpose that is not on the list."""
    name = rng.choice(list(policy.settings))
    policy.settings[name]["purposes"] = [rng.choice(_NO_PURPOSES)]
    return _table("settings", name)


@operator("R5", area="clauses")
def a_clause_for_no_purpose(policy: Policy, rng: random.Random) -> At:
    """A clause speaks of a purpose that is not on the list."""
    rule = rng.choice(policy.every_rule())
    rule.purposes = [*(rule.purposes or ["train.*", "evaluate"]), rng.choice(_NO_PURPOSES)]
    policy.why.setdefault("evaluate", {"en": "measure", "de": "messen"})
    return _table(*rule.table)


@operator("R4", area="words setting")
def a_purpose_without_words(policy: Policy, rng: random.Random) -> At | None:
    """A setting asks for something that is called nothing."""
    named = {p for s in policy.settings.values() for p in s["purposes"]} & {*policy.why}
    if not named:
        return None
    policy.dropped.add(("purposes", name := rng.choice(sorted(named))))
    return At(TOML, None, name)


@operator("R4", area="words")
def a_missing_translation(policy: Policy, rng: random.Random) -> At | None:
    """Something is called nothing in a language the document uses."""
    if len(policy.languages) == 1:
        return None
    paths = [("data_classes", n) for n in policy.data] + [("purposes", n) for n in policy.why]
    path = rng.choice(paths)
    if len(paths) == 1:
        return None
    policy.edits[*path, rng.choice(policy.languages)] = None
    return At(TOML, path)


@operator("R4", area="setting")
def a_setting_that_no_clause_foresees(policy: Policy, rng: random.Random) -> At | None:
    """A yes is asked for, and silence denies."""
    unforeseen = [p for p in PURPOSES[3:] if not any(_speaks_of(r, p) for r in policy.rules)]
    if not unforeseen:
        return None
    purpose = rng.choice(unforeseen)
    policy.why.setdefault(purpose, {"en": "something more", "de": "etwas mehr"})
    policy.settings["in-vain"] = {
        "title": "In vain",
        "purposes": [purpose],
        "data_classes": [rng.choice(list(policy.data))],
        "recipients": [rng.choice(list(policy.recipients))],
    }
    return _table("settings", "in-vain")


@operator("R4", area="setting")
def a_setting_for_unknown_data(policy: Policy, rng: random.Random) -> At:
    """A setting asks for everything, or for what nobody has described."""
    name = rng.choice(list(policy.settings))
    policy.settings[name]["data_classes"] = [rng.choice(["*", "diary", "diary.*", "messages"])]
    return _table("settings", name)


@operator(area="setting")
def a_setting_with_an_unknown_key(policy: Policy, rng: random.Random) -> At:
    """A setting says something that nobody would read."""
    name = rng.choice(list(policy.settings))
    key = rng.choice(["text", "en", "checked", "contracts", "purpose"])
    policy.edits["settings", name, key] = quoted("We only improve the service")
    return _table("settings", name, says=key)


# ── clauses ─────────────────────────────────────────────────────────────────────────────────


@operator(area="clauses")
def two_clauses_of_one_id(policy: Policy, rng: random.Random) -> At:
    """A mark could mean either."""
    lists = [policy.rules, policy.region_rules, *policy.contracts.values()]
    first = rng.choice([rule for rules in lists for rule in rules])
    rules = next(rules for rules in lists if first in rules)
    second = Rule("second", "never", first.home, id=first.id, end=date(1999, 1, 1))
    rules.append(second)
    return At(TOML, None, first.id)


@operator(area="clauses")
def a_misspelt_condition(policy: Policy, rng: random.Random) -> At:
    """A clause would match more than was meant."""
    rule = rng.choice(policy.every_rule())
    key = rng.choice(["purpose", "data_class", "recipient", "jurisdiction", "until", "since"])
    policy.edits[*rule.table, key] = '["evaluate"]'
    return _table(*rule.table, says=key)


@operator(alone=True)
def a_misspelt_level(policy: Policy, rng: random.Random) -> At:
    """A clause asks for nothing that exists."""
    rule = rng.choice(policy.every_rule())
    value = rng.choice(["yes", "Grant", "explicit grant", "consent", "", "deny"])
    policy.edits[*rule.table, "level"] = rng.choice([quoted(value), "2", None])
    return _table(*rule.table)


@operator(area="clauses")
def a_clause_that_ends_before_it_begins(policy: Policy, rng: random.Random) -> At:
    """A clause can never match."""
    rule = rng.choice(policy.every_rule())
    rule.start, rule.end = date(2024, 9, 18), rng.choice([date(2024, 9, 18), date(2003, 1, 1)])
    return _table(*rule.table)


@operator(area="clauses")
def a_clause_that_never_decides(policy: Policy, rng: random.Random) -> At | None:
    """Wherever it matches, another clause of the same source asks strictly more."""
    rules = rng.choice([policy.rules, policy.region_rules, *policy.contracts.values()])
    strict = [r for r in rules if LEVELS.index(r.level) >= 3]
    if not strict:
        return None
    above = rng.choice(strict)
    rule = Rule("idle", "grant", above.home)
    for key in ("data_classes", "purposes", "recipients", "jurisdictions", "contracts"):
        setattr(rule, key, getattr(above, key))
    rule.start, rule.end = above.start, above.end
    if rule.data_classes is None and rng.random() < 0.5:
        rule.data_classes = [rng.choice(list(policy.data))]
    if rule.jurisdictions is None and rng.random() < 0.5:
        rule.jurisdictions = [rng.choice(list(policy.ages))]
    rules.append(rule)
    _state(policy, rng, rule)
    return _table(*rule.table)


@operator(area="clauses")
def a_clause_about_unknown_data(policy: Policy, rng: random.Random) -> At:
    """A clause speaks of a class that nobody has described."""
    rule = rng.choice(policy.every_rule())
    wrong = rng.choice(["diary", "mesage.*", "diary.*"])
    rule.data_classes = [*(rule.data_classes or list(policy.data)), wrong]
    return _table(*rule.table, says=wrong)


@operator(area="clauses")
def a_clause_about_an_unknown_contract(policy: Policy, rng: random.Random) -> At:
    """A clause speaks of a contract that there is none of, or that is not its own."""
    rule = rng.choice(policy.every_rule())
    rule.contracts = [*(rule.contracts or policy.contracts), "platinum"]
    return _table(*rule.table, says="platinum")


@operator(area="marks")
def a_clause_that_takes_anothers_name(policy: Policy, rng: random.Random) -> At | None:
    """Two clauses would be marked by the same words, so one of them need not be stated."""
    others = [*policy.region_rules, *(r for rules in policy.contracts.values() for r in rules)]
    taken = [rule.name for rule in others]
    if not taken:
        return None
    rule = Rule("taken", "never", id=rng.choice(taken), purposes=["train.*"], end=date(1999, 1, 1))
    policy.rules.append(rule)
    return At()


# ── where ───────────────────────────────────────────────────────────────────────────────────


@operator("R19", area="clauses")
def a_misspelt_place(policy: Policy, rng: random.Random) -> At:
    """An exclusion of a place that there is not excludes nobody."""
    rule = rng.choice(policy.every_rule())
    wrong = rng.choice(["EUU", "Germany", "UKK", "de", "ZZ", "US-QQ"])
    rule.jurisdictions = [*(rule.jurisdictions or [next(iter(policy.ages))]), wrong]
    return _table(*rule.table, says=wrong)


@operator("R19", area="regions clauses")
def no_regional_table(policy: Policy, rng: random.Random) -> At:
    """Nobody knows which places are excluded."""
    del rng
    policy.dropped.add(("regions",))
    policy.dropped |= {rule.table for rule in policy.region_rules}
    return At(TOML)


@operator(area="regions clauses")
def a_child_may_be_an_adult(policy: Policy, rng: random.Random) -> At:
    """An age below the floor of eighteen."""
    place = rng.choice(list(policy.ages))
    policy.ages[place] = rng.choice([13, 16, 18, -1, 200])
    return At(TOML)


# ── marks ───────────────────────────────────────────────────────────────────────────────────

_PLAIN = {
    "en": ["We use everything that people wrote.", "All messages may be used.", "We like clarity."],
    "de": ["Wir nutzen alles, was jemand schrieb.", "Alle Nachrichten zählen.", "Alles ist klar."],
}


def _unmarked(rng: random.Random, text: Text) -> Block:
    return Block(rng.choice(_PLAIN[text.language]))


def _plant_block(policy: Policy, rng: random.Random, kind: str) -> At:
    text = _some_text(policy, rng)
    block, other = _unmarked(rng, text), Block("Fine.", [INFORMATIONAL])
    blocks = rng.choice([[block], [block, other], [other, block]])
    _insert(rng, text, Group(kind, blocks))
    return At(text.file, block)


@operator("R15")
def an_unmarked_paragraph(policy: Policy, rng: random.Random) -> At:
    """A paragraph that states nobody knows what."""
    return _plant_block(policy, rng, "paragraph")


@operator("R15")
def an_unmarked_list_item(policy: Policy, rng: random.Random) -> At:
    """The same in a list."""
    return _plant_block(policy, rng, rng.choice(["list", "numbered"]))


@operator("R15")
def an_unmarked_table_row(policy: Policy, rng: random.Random) -> At:
    """The same in a table."""
    return _plant_block(policy, rng, "table")


@operator("R15")
def an_unmarked_quotation(policy: Policy, rng: random.Random) -> At:
    """The same in a quotation."""
    return _plant_block(policy, rng, "quote")


@operator("R15")
def an_unmarked_nested_item(policy: Policy, rng: random.Random) -> At:
    """An item is marked, what stands below it is not."""
    text = _some_text(policy, rng)
    block = _unmarked(rng, text)
    block.depth = 1
    above = Block("Fine.", [INFORMATIONAL])
    _insert(rng, text, Group(rng.choice(["list", "numbered"]), [above, block]))
    return At(text.file, block)


@operator("R15")
def an_unmarked_part_of_an_item(policy: Policy, rng: random.Random) -> At:
    """An item has two paragraphs, and one mark."""
    text = _some_text(policy, rng)
    marked = "Fine. <!-- informational -->"
    first, second = rng.choice([(marked, "Everything."), ("Everything.", marked)])
    block = Block(rng.choice([f"- {first}\n\n  {second}", f"> - {first}\n>\n>   {second}"]))
    _insert(rng, text, Group("raw", [block]))
    return At(text.file, block)


@operator("R33 R10 R11", area="statements stated lead window withdrawal")
def other_days_in_a_text(policy: Policy, rng: random.Random) -> At | None:
    """A text promises another time than the rules keep."""
    text = _some_text(policy, rng)
    facts = {"states withdrawal": policy.days, "states lead": policy.lead}
    facts["states window"] = policy.window
    blocks = [b for b in text.blocks() if len(b.marks) == 1 and b.marks[0].words in facts]
    if not blocks:
        return None
    block = rng.choice(blocks)
    days = facts[block.marks[0].words]
    block.text = block.text.replace(f" {days} ", f" {days + rng.choice([1, 60, 1000])} ")
    return At(text.file, block)


@operator("R15", area="statements")
def another_level_in_the_policy(policy: Policy, rng: random.Random) -> At | None:
    """The policy says one thing, the rules another."""
    return _shift(rng, _some_text(policy, rng, "policy"))


@operator("R15", area="statements")
def another_level_in_the_notice(policy: Policy, rng: random.Random) -> At | None:
    """The notice says one thing, the rules another."""
    return _shift(rng, _some_text(policy, rng, "notice"))


@operator("R15", area="statements")
def another_level_in_the_faq_only(policy: Policy, rng: random.Random) -> At | None:
    """The FAQ carries a term that policy and rules do not have."""
    return _shift(rng, _some_text(policy, rng, "faq"))


def _shift(rng: random.Random, text: Text) -> At | None:
    blocks = [b for b in text.blocks() if any(m.rule for m in b.marks)]
    if not blocks:
        return None
    block = rng.choice(blocks)
    which = rng.choice([n for n, m in enumerate(block.marks) if m.rule])
    block.marks[which] = Mark(block.marks[which].rule, shift=rng.randint(1, 4))
    rule = block.marks[which].rule
    return At(text.file, block, rule.id if rule else "")


@operator("R15")
def another_level_in_a_heading(policy: Policy, rng: random.Random) -> At:
    """A heading states a rule, and states it wrongly."""
    text, rule = _some_text(policy, rng), rng.choice(policy.rules)
    block = Block("What holds", [Mark(rule, shift=rng.randint(1, 4))])
    _insert(rng, text, Group(rng.choice(["heading", "setext"]), [block]))
    return At(text.file, block, rule.id)


@operator("R15")
def a_mark_without_a_clause(policy: Policy, rng: random.Random) -> At:
    """A text states a rule that there is not."""
    text = _some_text(policy, rng)
    names = ["no-such-clause", "regions.no-such", "contracts.no-such.thing", "policy.x", "Lead"]
    names += [rule.id for rule in policy.region_rules if rule.id not in _ids(policy)]
    names += [f"clauses.{rule.id}" for rule in policy.rules]
    name = rng.choice(names)
    block = Block("A rule.", [Mark(words=f"states {name}: {rng.choice(LEVELS)}")])
    kind = rng.choice(["paragraph", "list", "table", "heading"])
    _insert(rng, text, Group(kind, [block]))
    return At(text.file, block, name)


def _ids(policy: Policy) -> set[str]:
    return {rule.id for rule in policy.rules}


@operator("R15")
def a_mark_that_cannot_be_read(policy: Policy, rng: random.Random) -> At:
    """A comment that is nearly a mark."""
    text, rule = _some_text(policy, rng), rng.choice(policy.rules)
    good = f"{rule.name}: {rule.level}"
    words = [
        f"states {rule.name}",
        f"states {rule.name}:",
        f"states {rule.name} {rule.level}",
        f"state {good}",
        f"states: {good}",
        f"states {rule.name}: {rule.level}, always",
        f"states {rule.name}: whatever",
        "information",
        "informational, mostly",
        "TODO",
        "states",
        "states ;",
        f"states {good}; and more",
    ]
    block = Block("A rule.", [Mark(words=rng.choice(words))])
    _insert(rng, text, Group(rng.choice(["paragraph", "list", "quote", "table"]), [block]))
    return At(text.file, block)


@operator("R15", area="statements")
def a_clause_the_policy_leaves_out(policy: Policy, rng: random.Random) -> At:
    """A rule that the policy does not state."""
    return _leave_out(policy, rng, "policy")


@operator("R15", area="statements")
def a_clause_the_notice_leaves_out(policy: Policy, rng: random.Random) -> At:
    """A rule that the notice does not state."""
    return _leave_out(policy, rng, "notice")


def _leave_out(policy: Policy, rng: random.Random, kind: str) -> At:
    text, rule = _some_text(policy, rng, kind), rng.choice(policy.every_rule())
    text.remove(lambda block: block.states(rule) and len(block.marks) == 1)
    for block in text.blocks():
        block.marks = [m for m in block.marks if m.rule is not rule]
    return At(text.file, None, rule.id)


@operator("R15", area="statements")
def a_clause_stated_nowhere(policy: Policy, rng: random.Random) -> At:
    """A rule that only the machine would read."""
    home, rules = rng.choice(
        [("", policy.rules), ("regions.", policy.region_rules)]
        + [(f"contracts.{name}.", rules) for name, rules in policy.contracts.items()]
    )
    rule = Rule("unsaid", "explicit_grant", home, purposes=["train.*"], end=date(1999, 1, 1))
    rules.append(rule)
    return At(policy.text("policy").file, None, "unsaid")


# ── what Markdown can hide ──────────────────────────────────────────────────────────────────

_HIDING = (
    "<div hidden>\n\nAll messages may be used. <!-- informational -->\n\n</div>",
    "<details>\n<summary>More</summary>\nAll messages may be used.\n</details>",
    "<p>All messages may be used.</p>",
    'Fine. <span style="display:none">All messages may be used.</span> <!-- informational -->',
    "Fine.<br>All messages may be used. <!-- informational -->",
    "<script>document.body.textContent = 'All messages may be used.'</script>",
    "<style>p { display: none }</style>",
    "<!-- All messages may be used. -->",
    "<!--\n\nAll messages may be used.\n\n-->",
    "<!-- informational --> All messages may be used.",
    "<!-- informational\n--> All messages may be used.",
    "All messages may be used. <!-- informational",
    "<!-- informational -->\n<!-- informational --> All messages may be used.",
    "<?php echo 'All messages may be used.' ?>",
    "<![CDATA[All messages may be used.]]>",
    "<!DOCTYPE html>",
)
_UNREAL = (
    "All messages may be used. `<!-- informational -->`",
    "All messages may be used. ``<!-- informational -->``",
    "All messages may be used. \\<!-- informational -->",
    "All messages may be used. &lt;!-- informational --&gt;",
    "All messages may be used. <!- informational ->",
    'All messages may be used. [x](https://example.org "<!-- informational -->")',
    "All messages may be used. [<!-- informational --](https://example.org)",
    "All messages may be used. <!-- informational --> And private ones.",
    "All messages may be used. <!-- informational --> [And more](https://example.org)",
    "<!-- informational -->\n\nAll messages may be used.",
    "1. <!-- informational -->\n\n   All messages may be used.",
    "| Rule | |\n|---|---|\n| All messages | may be used |",
    "| Rule <!-- informational --> |\n|---|\n| All messages may be used |",
    "| Rule <!-- informational --> |\n|---|\n| Fine <!-- informational --> |\nAll messages too.",
)
_CODE = (
    "```\nAll messages may be used. <!-- informational -->\n```",
    "~~~ text\nAll messages may be used.\n~~~",
    "***\n\n    All messages may be used. <!-- informational -->",
    "- Fine. <!-- informational -->\n\n      All messages may be used.",
    "> ```\n> All messages may be used.\n> ```",
)
_IMAGES = (
    "![All messages may be used](rule.png) <!-- informational -->",
    "Fine. ![](data:image/png;base64,AAAA) <!-- informational -->",
    "[![x](rule.png)](https://example.org) <!-- informational -->",
    "![All messages may be used][rule] <!-- informational -->\n\n[rule]: rule.png",
)


_DEEP = (
    ">" * 20 + " All messages may be used.",
    "> " * 40 + "All messages may be used.",
    "- " * 10 + "All messages may be used.",
    "1. " * 15 + "All messages may be used.",
    "> - " * 9 + "All messages may be used.",
)
_TITLES = (
    'Fine [x](https://example.org "All messages may be used.") <!-- informational -->',
    "Fine [x](<https://example.org> 'On by default.') <!-- informational -->",
    'Fine [x]. <!-- informational -->\n\n[x]: https://example.org "All messages may be used."',
    "Fine[^1]. <!-- informational -->\n\n[^1]: x (All messages may be used.)",
    "Fine[^1]. <!-- informational -->\n\n[^1]: Everything",
    "[x]: https://example.org 'All messages\nmay be used.'",
)
_HEADS = (
    "| All messages may be used. |\n|---|",
    "| | All messages may be used. |\n|---|---|\n| 1 | Fine. <!-- informational --> |",
    "## All messages may be used.",
    "All messages may be used;\nand all posts.\n===",
    "#### All messages may be used!",
)


def _raw(policy: Policy, rng: random.Random, sources: tuple[str, ...], *, last: bool = False) -> At:
    text = _some_text(policy, rng)
    block = Block(rng.choice(sources))
    text.groups.insert(
        len(text.groups) if last else rng.randint(1, len(text.groups)), Group("raw", [block])
    )
    return At(text.file, block)


@operator("R15")
def raw_html(policy: Policy, rng: random.Random) -> At:
    """HTML hides from the reader what the text says, or from the check."""
    return _raw(policy, rng, _HIDING, last=True)


@operator("R15", area="statements")
def a_comment_that_swallows_a_statement(policy: Policy, rng: random.Random) -> At | None:
    """The rule is written and marked, and no reader will see it."""
    text = _some_text(policy, rng, "policy", "notice")
    groups = [
        (group, mark.rule)
        for group in text.groups
        for block in group.blocks
        for mark in block.marks
        if mark.rule and group.kind == "paragraph"
    ]
    if not groups:
        return None
    group, rule = rng.choice(groups)
    others = [b for b in text.blocks() if b not in group.blocks]
    if any(block.states(rule) for block in others):
        return None
    at = text.groups.index(group)
    text.groups.insert(at + 1, Group("raw", [Block("-->")]))
    text.groups.insert(at, Group("raw", [Block("<!--")]))
    return At(text.file)


@operator("R15")
def a_mark_that_is_none(policy: Policy, rng: random.Random) -> At:
    """What looks like a mark is text, or stands elsewhere than at the end."""
    return _raw(policy, rng, _UNREAL)


@operator("R15")
def a_paragraph_that_is_nested_too_deeply(policy: Policy, rng: random.Random) -> At:
    """A parser that stops at some depth would pass over what stands below it."""
    return _raw(policy, rng, _DEEP)


@operator("R15 R2")
def words_in_the_title_of_a_link(policy: Policy, rng: random.Random) -> At:
    """A reader sees it beside the link, or at the foot of the page; no mark can follow it."""
    return _raw(policy, rng, _TITLES)


@operator("R15")
def a_heading_that_states_a_rule(policy: Policy, rng: random.Random) -> At:
    """A heading, or the head of a table, is a whole sentence and has no mark."""
    return _raw(policy, rng, _HEADS)


@operator("R15")
def a_code_block(policy: Policy, rng: random.Random) -> At:
    """A rule, or a mark, stands in a block of code."""
    return _raw(policy, rng, _CODE)


@operator("R15", alone=True)
def an_unclosed_code_block(policy: Policy, rng: random.Random) -> At:
    """A block of code takes the rest of the text with it."""
    return _raw(policy, rng, ("```\nAll messages may be used.", "~~~~\n~~~\nAll"))


@operator("R15")
def an_image(policy: Policy, rng: random.Random) -> At:
    """A picture says what no check can read."""
    return _raw(policy, rng, _IMAGES)


# ── what no text may say ────────────────────────────────────────────────────────────────────

PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "R33": {
        "en": (
            "Your choice to opt out will not affect training that took place before.",
            "Models trained before your withdrawal will not be changed.",
            "We cannot remove your data from models that have already been trained.",
            "The opt-out is not retroactive.",
            "Once a model is trained, your data stays in it even if you opt out.",
            "Withdrawal does not affect models already trained on your data.",
            "Objecting has no influence on training that is already completed.",
            "Opt-outs apply to future training only.",
            "Turning this off will not undo training that has happened.",
            "It won't affect the training that's already been done.",
            "Opting out does not affect training that has already taken place.",
            "Opting out doesn't affect training that has already taken place.",
            "Opting out will not affect any training that has already taken place.",
            "Your opt-out does not affect training that already took place.",
            "Withdrawing your consent has no effect on training that was already carried out.",
            "Turning the setting off does not affect past training.",
            "If you opt out, models that were already trained stay as they are.",
            "An opt-out applies only going forward and does not reach earlier training.",
            "Training completed before you opt out remains unaffected.",
            "Data taken before you opt out stays in our models.",
        ),
        "de": (
            "Ihr Widerspruch gilt nicht für Training, das schon stattgefunden hat.",
            "Das Ausschalten wirkt sich nicht auf bereits abgeschlossenes Training aus.",
            "Modelle, die vor Ihrem Widerspruch trainiert wurden, bleiben unverändert.",
            "Der Widerspruch wirkt nur für die Zukunft.",
            "Bereits erfolgtes Training wird bei Widerspruch nicht rückgängig gemacht.",
            "Ein Widerspruch wirkt sich nicht auf Training aus, das bereits stattgefunden hat.",
            "Der Widerspruch hat keine Auswirkung auf bereits erfolgtes Training.",
            "Der Widerruf berührt bereits durchgeführtes Training nicht.",
            "Bereits abgeschlossenes Training bleibt von Ihrem Widerspruch unberührt.",
            "Die Abmeldung gilt nur für die Zukunft und nicht für früheres Training.",
            "Bereits trainierte Modelle bleiben unverändert.",
        ),
    },
    "R12": {
        "en": (
            "Continuing to use Northmail means you accept the new terms.",
            "Your use of the service after this date constitutes acceptance.",
            "If you do nothing, you consent.",
            "By logging in, you agree to the new policy.",
            "Dismissing this banner means you agree.",
            "By continuing to use the service you agree to these terms.",
            "By continuing to use our products after that date, you accept the changes.",
            "Your continued use of the service means that you accept this policy.",
            "If you continue to use the service, you agree to the new version.",
            "Continued use counts as acceptance.",
            "By using the service you consent to this.",
            "If you say nothing, you agree.",
        ),
        "de": (
            "Nutzen Sie den Dienst weiter, gelten die Änderungen als angenommen.",
            "Mit der Nutzung unserer Dienste stimmen Sie zu.",
            "Ihr Schweigen gilt als Zustimmung.",
            "Wer sich anmeldet, erklärt sich einverstanden.",
            "Durch die weitere Nutzung des Dienstes stimmen Sie den Änderungen zu.",
            "Mit der weiteren Nutzung erklären Sie sich einverstanden.",
            "Wenn Sie den Dienst weiterhin nutzen, stimmen Sie der neuen Fassung zu.",
            "Indem Sie den Dienst weiter nutzen, akzeptieren Sie dies.",
            "Die fortgesetzte Nutzung gilt als Zustimmung.",
        ),
    },
    "R13": {
        "en": (
            "If you don't like the changes, delete your account.",
            "Members who object must leave the service.",
            "The only way to opt out is to delete your account.",
            "You may terminate your account if you disagree.",
            "If you do not agree, close your account.",
            "If you object to the changes, you may close your account.",
            "If you object, you can always delete your account.",
            "You can object by closing your account.",
            "Your only choice is to close your account.",
        ),
        "de": (
            "Wenn Sie das nicht möchten, löschen Sie bitte Ihr Konto.",
            "Ein Widerspruch ist nur durch Kündigung Ihres Kontos möglich.",
            "Wenn Sie nicht einverstanden sind, schließen Sie Ihr Konto.",
            "Wenn Sie widersprechen, können Sie Ihr Konto schließen.",
            "Sie können widersprechen, indem Sie Ihr Konto löschen.",
            "Wer nicht zustimmt, muss sein Konto schließen.",
        ),
    },
    "R14": {
        "en": (
            "We reserve the right to change this policy at any time without notice.",
            "Changes may be made with no prior notification.",
            "We may not notify you of every change.",
            "We are not obliged to tell you about changes.",
            "We may change these purposes without notice.",
            "We may change these purposes without prior notice.",
            "These terms may change without further notice.",
            "We may begin at any time without notifying you.",
            "New purposes may be added without telling you.",
        ),
        "de": (
            "Änderungen sind jederzeit ohne vorherige Benachrichtigung möglich.",
            "Wir müssen Sie über Änderungen nicht informieren.",
            "Wir können diese Zwecke ohne Ankündigung ändern.",
            "Wir können diese Zwecke ohne vorherige Ankündigung ändern.",
            "Diese Regeln können ohne vorherige Mitteilung geändert werden.",
            "Neue Zwecke können ohne Vorankündigung dazukommen.",
            "Wir können damit beginnen, ohne Sie zu informieren.",
        ),
    },
    "R2": {
        "en": (
            "The toggle is set to on by default.",
            "All members are opted in automatically.",
            "This setting is pre-selected.",
            "Your data is used unless you turn this off.",
            "The feature is active unless you disable it.",
            "By default we train on your posts.",
            "The setting is on by default.",
            "This setting defaults to on.",
            "The setting is switched on by default.",
            "It is enabled by default for every member.",
            "You are enrolled by default.",
            "By default, the setting is turned on.",
            "We use your posts unless you opt out.",
            "We use your posts unless you object.",
        ),
        "de": (
            "Alle Mitglieder sind automatisch angemeldet.",
            "Die Option ist vorausgewählt.",
            "Ihre Daten werden genutzt, solange Sie die Einstellung nicht ausschalten.",
            "Der Schalter steht von Anfang an auf ein.",
            "Die Einstellung ist standardmäßig eingeschaltet.",
            "Die Einstellung ist standardmäßig aktiviert.",
            "Standardmäßig ist die Einstellung an.",
            "Wir nutzen Ihre Beiträge, sofern Sie nicht widersprechen.",
            "Wir nutzen Ihre Beiträge, es sei denn, Sie widersprechen.",
            "Die Einstellung ist voreingestellt.",
        ),
    },
}


def disguises(phrase: str, rng: random.Random) -> str:
    """Write a phrase as somebody might who knows that a pattern looks for it."""
    words = phrase.split(" ")
    n = rng.randrange(1, len(words))

    def around(sign: str) -> str:
        return " ".join([*words[:n], f"{sign}{words[n].rstrip('.,')}{sign}", *words[n + 1 :]])

    def joined(sign: str) -> str:
        return " ".join(words[:n]) + sign + " ".join(words[n:])

    return rng.choice(
        [
            phrase,
            phrase,
            phrase.upper(),
            phrase.replace("'", "’").replace(" ", "  ", 1),
            joined("\n"),
            joined("\\\n"),
            joined("\N{NO-BREAK SPACE}"),
            joined("&nbsp;"),
            joined(" \N{ZERO WIDTH SPACE}"),
            joined(" \N{COMBINING GRAPHEME JOINER}"),
            joined("\N{BRAILLE PATTERN BLANK}"),
            phrase.replace("o", "\N{CYRILLIC SMALL LETTER O}"),
            phrase.replace("a", "\N{CYRILLIC SMALL LETTER A}"),
            around("**"),
            around("*"),
            around("`"),
            joined(" <!-- informational --> "),
            " ".join([*words[:n], f"[{' '.join(words[n:])}](https://example.org)"]),
            " ".join(
                [*words[:n], words[n][:1] + "\N{SOFT HYPHEN}" + words[n][1:], *words[n + 1 :]]
            ),
            "".join(f"&#{ord(c)};" if c == words[n][0] else c for c in phrase),
            f"Dear member: {phrase} Thank you.",
        ]
    )


def _say(policy: Policy, rng: random.Random, requirement: str, *, disguised: bool = False) -> At:
    """Plant a phrase in some text, whatever that paragraph's mark says."""
    text = _some_text(policy, rng)
    phrase = rng.choice(PHRASES[requirement][text.language])
    if disguised:
        phrase = disguises(phrase, rng)
    rule = rng.choice(policy.rules)
    kind = rng.choice(["paragraph", "list", "numbered", "table", "quote", "heading", "setext"])
    block = Block(phrase, [rng.choice([INFORMATIONAL, Mark(rule), Mark(words="states window")])])
    if kind == "heading" and rng.random() < 0.5:
        block.marks = []
    _insert(rng, text, Group(kind, [block]))
    return At(text.file, block)


@operator("R33")
def past_training_is_left_untouched(policy: Policy, rng: random.Random) -> At:
    """A text says that an opt-out does not reach what was trained."""
    return _say(policy, rng, "R33")


@operator("R12")
def use_counts_as_agreement(policy: Policy, rng: random.Random) -> At:
    """A text takes use for a yes."""
    return _say(policy, rng, "R12")


@operator("R13")
def leaving_is_the_only_objection(policy: Policy, rng: random.Random) -> At:
    """A text shows those who object the door."""
    return _say(policy, rng, "R13")


@operator("R14")
def change_without_notice(policy: Policy, rng: random.Random) -> At:
    """A text lets purposes change unannounced."""
    return _say(policy, rng, "R14")


@operator("R2")
def on_by_default(policy: Policy, rng: random.Random) -> At:
    """A text says that the setting is on."""
    return _say(policy, rng, "R2")


@operator("R33 R12 R13 R14 R2 R15")
def a_disguised_phrase(policy: Policy, rng: random.Random) -> At:
    """One of these, broken over lines, emphasised, linked or written in entities."""
    return _say(policy, rng, rng.choice(list(PHRASES)), disguised=True)


@operator("R33 R12 R13 R14 R2 R4", area="setting title")
def a_title_that_says_so(policy: Policy, rng: random.Random) -> At:
    """A phrase stands in the title of a setting, the first thing that a member sees."""
    name, language = rng.choice(list(policy.settings)), rng.choice(policy.languages)
    policy.settings[name]["title"] = rng.choice(PHRASES[rng.choice(list(PHRASES))][language])
    return _table("settings", name)


@operator("R33 R12 R13 R14 R2 R4", area="words")
def words_that_say_so(policy: Policy, rng: random.Random) -> At:
    """A phrase stands in what a purpose or a data class is called, and so in every consent text."""
    language = rng.choice(policy.languages)
    phrase = rng.choice(PHRASES[rng.choice(list(PHRASES))][language])
    key, words = rng.choice([("data_classes", policy.words), ("purposes", policy.why)])
    if not words:
        key, words = "data_classes", policy.words
    name = rng.choice(list(words))
    words[name] = words[name] | {language: phrase}
    return _table(key, name)


# ── files ───────────────────────────────────────────────────────────────────────────────────


@operator("R15 R4", alone=True)
def a_missing_text(policy: Policy, rng: random.Random) -> At:
    """A folder without its policy, FAQ or notice, in one of its languages."""
    text = _some_text(policy, rng)
    policy.after.append(lambda files: files.pop(text.file) and None)
    return At(text.file)


@operator("R15", alone=True)
def an_empty_text(policy: Policy, rng: random.Random) -> At:
    """A text that states nothing."""
    text, content = (
        _some_text(policy, rng, "policy", "notice"),
        rng.choice([b"", b"\n\n", b"# Hi\n"]),
    )
    policy.after.append(lambda files: files.update({text.file: content}))
    return At(text.file)


@operator(alone=True)
def no_policy_at_all(policy: Policy, rng: random.Random) -> At:
    """Texts without rules."""
    del rng
    policy.after.append(lambda files: files.pop(TOML) and None)
    return At(TOML)


@operator(alone=True)
def a_text_nobody_checks(policy: Policy, rng: random.Random) -> At:
    """A translation into a language of which nothing is known."""
    name = rng.choice(["policy.fr.md", "faq.xx.md", "notice.zh.md"])
    content = b"Nous utilisons tout.\n"
    policy.after.append(lambda files: files.update({name: content}))
    return At(name)


@operator(alone=True)
def a_binary_file(policy: Policy, rng: random.Random) -> At:
    """A file that is not text."""
    name = rng.choice([TOML, *(text.file for text in policy.texts)])
    content = rng.choice([b"\xff\xfe\x00p", b"\x89PNG\r\n\x1a\n\x00", bytes(range(256)), b"\xc3"])
    content = rng.choice([content, b"Fine. <!-- informational -->\n" + content])
    policy.after.append(lambda files: files.update({name: content}))
    return At(name)


@operator(alone=True)
def a_huge_file(policy: Policy, rng: random.Random) -> At:
    """A file that nobody reads to its end."""
    name = rng.choice([TOML, *(text.file for text in policy.texts)])
    line = rng.choice([b"# all\n", b"> > - all\n", b"| all | all |\n", b"[[[[[[", b"all ***"])
    policy.after.append(lambda files: files.update({name: line * (1 + (1 << 20) // len(line))}))
    return At(name)


@operator(alone=True)
def not_toml(policy: Policy, rng: random.Random) -> At:
    """A policy.toml that cannot be read."""
    line = rng.choice([b"[settings\n", b"lead_days = 30\n", b"x = \n", b'y = "\n', b"[[clauses]\n"])
    policy.after.append(lambda files: files.update({TOML: files[TOML] + b"version = 1\n" + line}))
    return At(TOML)


# ── what is no fault ────────────────────────────────────────────────────────────────────────


def _carriage_returns(files: dict[str, bytes]) -> None:
    files.update({name: data.replace(b"\n", b"\r\n") for name, data in files.items()})


def _byte_order_marks(files: dict[str, bytes]) -> None:
    files.update({n: b"\xef\xbb\xbf" + data for n, data in files.items() if n.endswith(".md")})


def _blanks_at_the_ends(files: dict[str, bytes]) -> None:
    marked = {n: d.replace(b"-->\n", b"-->  \t\n") for n, d in files.items() if n.endswith(".md")}
    files.update(marked)


def _wide_marks(files: dict[str, bytes]) -> None:
    files.update(
        {
            name: data.replace(b"<!-- ", b"<!--   ").replace(b"; ", b";  ")
            for name, data in files.items()
            if name.endswith(".md")
        }
    )


def _rules_between(files: dict[str, bytes]) -> None:
    files.update({n: data + b"\n\n***\n" for n, data in files.items() if n.endswith(".md")})


HARMLESS_CHANGES: tuple[Callable[[dict[str, bytes]], None], ...] = (
    _carriage_returns,
    _byte_order_marks,
    _blanks_at_the_ends,
    _wide_marks,
    _rules_between,
)
"""Ways to write a folder that change nothing in what it says."""
