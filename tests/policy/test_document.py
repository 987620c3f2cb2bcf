"""A policy's folder: what is good says what it says; what is wrong is found, on its own line."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from letterlock.domain import (
    DAY,
    END,
    Clause,
    Level,
    Recipient,
    RecipientClass,
    Setting,
    Span,
    Withdrawal,
    time_of,
)
from letterlock.errors import PolicyError
from letterlock.ledger import Event, fold_rules
from letterlock.policy.document import check, read
from letterlock.policy.texts import text_hash
from letterlock.policy.toml import MAX_SIZE

GOOD = {
    folder.name: {path.name: path.read_bytes() for path in folder.iterdir()}
    for folder in Path(__file__).parent.glob("documents/*")
}
NORTHMAIL, SMALL = (GOOD[name]["policy.toml"].decode() for name in ("northmail", "small"))
PUBLISHED = time_of("2024-09-18T09:00Z")


def folder(text, name="northmail"):
    """Return a folder whose policy.toml is `text`."""
    return GOOD[name] | {"policy.toml": text if isinstance(text, bytes) else text.encode()}


def only(text):
    """Return a folder with nothing but a policy.toml."""
    return {"policy.toml": text if isinstance(text, bytes) else text.encode()}


def findings(text):
    """Return what is wrong with the policy.toml of a folder."""
    return [f for f in check(folder(text), "p")[1] if f.file == "p/policy.toml"]


# ── what a good document says ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("files", GOOD.values(), ids=GOOD)
def test_a_good_folder_has_no_findings(files):
    """`check` finds nothing, and `read` reads the same; other files may lie beside."""
    assert check(files, "p") == (read(files, "p"), [])
    assert check({**files, "README.md": b"<b>", "world.toml": b"?"}, "p") == (read(files, "p"), [])


def test_a_document_says_what_is_written():
    """Every part of the example arrives as a value."""
    document = read(GOOD["northmail"], "p")
    assert document.version == "2024-09"
    assert (document.lead, document.window) == (30 * DAY, 30 * DAY)
    assert document.effective == time_of("2024-11-20")
    assert document.recipients["tern"] == Recipient(
        "tern", "Tern Models GmbH", RecipientClass.THIRD_PARTY
    )
    assert list(document.data_classes) == ["message.direct.inmail", "message.group", "post.public"]
    assert document.purposes["improve.product"]["de"] == "diesen Dienst verbessern"
    assert document.languages == ("de", "en")
    assert document.withdrawal == Withdrawal(("releases", "recipients", "models", "backups"), 45)
    assert document.sensitive == {"message.group": ("employment", "pay")}
    assert document.clauses[3] == Clause(
        "no-messages-of-2023-elsewhere",
        Level.NEVER,
        data_classes=("message.*",),
        recipients=("third_party",),
        span=Span(time_of("2023-01-01"), time_of("2024-01-01")),
    )
    assert document.settings["ranking"] == Setting(
        "ranking", "Data for Ranking", ("train.ranking",), ("post.public",), ("northmail", "tern")
    )
    assert document.ages == {"US": 0, "US-CA": 0, "US-AL": 19, "DE": 0, "GB": 0}
    assert [c.id for c in document.region_clauses] == ["excluded"]
    assert {k: [c.id for c in v] for k, v in document.contracts.items()} == {
        "free": [],
        "premium": ["confidential"],
    }
    assert document.documents == {name: data.decode() for name, data in GOOD["northmail"].items()}


@pytest.mark.parametrize("files", GOOD.values(), ids=GOOD)
def test_the_ledger_takes_every_event_and_folds_the_same_values(files):
    """Each body is admitted strictly; what is folded from them is what the document says."""
    document = read(files, "p")
    events = []
    for n, (kind, body) in enumerate(document.bodies(PUBLISHED)):
        event = Event(n, PUBLISHED, kind, body)
        event.canonical()
        rules = fold_rules(events, PUBLISHED, admit=event)
        events.append(event)
    assert rules.recipients == document.recipients
    (table,) = rules.regions
    assert (table.ages, table.clauses) == (document.ages, document.region_clauses)
    assert {name: terms[-1].clauses for name, terms in rules.contracts.items()} == (
        document.contracts
    )
    (policy,) = rules.policies
    assert (policy.version, policy.window) == (document.version, document.window)
    assert policy.clauses == document.clauses
    assert policy.data_classes == tuple(document.data_classes)
    assert policy.settings == document.settings
    assert policy.documents == document.documents
    assert policy.sensitive == {name: frozenset(v) for name, v in document.sensitive.items()}
    assert policy.withdrawal == document.withdrawal
    assert policy.texts == {
        (name, language): text_hash(document.text(name, language))
        for name in document.settings
        for language in document.languages
    }


def effective_at(text, published_at):
    """Return when the policy of `text` takes effect."""
    return dict(read(only(text), "p").bodies(published_at))["policy.published"]["effective_at"]


def test_a_policy_takes_effect_after_its_lead_time_or_when_it_says():
    """Without `effective` it is the publication plus the lead time; a later date holds."""
    assert effective_at(SMALL, PUBLISHED) == PUBLISHED + 30 * DAY
    assert effective_at(NORTHMAIL, PUBLISHED) == time_of("2024-11-20")
    hour = SMALL.replace("lead_days", "effective = 2024-12-01T10:00:00+02:00\nlead_days")
    assert effective_at(hour, PUBLISHED) == time_of("2024-12-01T08:00Z")


def test_a_policy_cannot_take_effect_before_its_lead_time_has_passed():
    """R10: the very last moment is taken, a microsecond later is refused with the earliest."""
    latest = time_of("2024-11-20") - 30 * DAY
    assert effective_at(NORTHMAIL, latest) == time_of("2024-11-20")
    with pytest.raises(PolicyError) as caught:
        effective_at(NORTHMAIL, latest + 1)
    assert (caught.value.file, caught.value.line) == ("p/policy.toml", 3)
    assert (
        "version 2024-09 would take effect before its lead time has passed: "
        "earliest is 2024-11-20T00:00:00.000001Z"
    ) in str(caught.value)
    assert str(caught.value).endswith("[R10]")


def test_a_setting_that_cannot_be_said_in_full_cannot_be_published():
    """What `check` finds and a caller overlooks is refused again where the text is rendered."""
    document = read(only(NORTHMAIL.replace('en = "your public posts"', "")), "p")
    with pytest.raises(PolicyError, match=r"'post\.public' has no text in 'en'"):
        document.bodies(PUBLISHED)


# ── what is wrong with a bad one ────────────────────────────────────────────────────────────

TOP = {"# A whole policy": "# here"}

# What it shows: the changes (the line to be found says "here"), what is said, the requirement.
DOUBTFUL = {
    "a purpose outside the closed list": (
        {'"train.*"]': '"train.*",\n"train.all"]  # here'}, "can never match 'train.all'", "R5"),
    "a text for a purpose outside the closed list": (
        {'"train.ranking"]\n': '"train.all"] # here\n'}, "'train.all' is no purpose", "R5"),
    "a setting for a purpose outside the closed list": (
        {'["train.ranking"]\ndata': '["train.all"] # here\ndata'},
        "setting 'ranking' cannot ask for 'train.all'", "R5"),
    "a setting for purposes that it does not name": (
        {'["train.ranking"]\ndata': '["train.*"] # here\ndata'},
        "setting 'ranking' cannot ask for 'train.*'", "R5"),
    "training upon a notice": (
        {'level = "notice"\npurposes = ["improve.product"]': 'level = "notice" # here'},
        "lets training go without a grant", "R3, R22"),
    "training upon nothing in a contract": (
        {'"confidential"\nlevel = "never"': '"confidential"\nlevel = "nothing" # here'},
        "lets training go without a grant", "R3, R22"),
    "a clause about an unregistered data class": (
        {'"never"\ndata_classes = ["message.*"]': '"never"\ndata_classes = ["mail.*"] # here'},
        "can never match 'mail.*'", ""),
    "a clause about an unregistered recipient": (
        {'"northmail-labs",  #': '"northmail-labz",  # here'},
        "can never match 'northmail-labz'", "R28"),
    "a clause about a place outside the table": (
        {'"GB"]': '"US-NY"] # here'}, "can never match 'US-NY'", "R19"),
    "a clause about an unknown contract": (
        {'id = "excluded"': 'id = "excluded"\ncontracts = ["basic"] # here'},
        "can never match 'basic'", ""),
    "a contract's clause about another contract": (
        {'id = "confidential"': 'id = "confidential"\ncontracts = ["free"] # here'},
        "can never match 'free'", ""),
    "a clause of an empty period": (
        {"to = 2024-01-01T00:00:00Z": "to = 2023-01-01 # here"}, "it ends before it begins", ""),
    "two clauses of one name": (
        {'"improvement-needs-a-notice"': '"training-needs-a-yes" # here'},
        "an earlier clause is called 'training-needs-a-yes' too", ""),
    "a setting about which the policy is silent": (
        {'["train.*"]\n\n[[': '["train.ranking"]\n\n[[',
         "[settings.genai]": "[settings.genai] # here"},
        "no clause speaks of 'post.public' for train.generative to 'northmail'", "R4"),
    "a setting with an unregistered data class": (
        {'"message.*", "post.public"]': '"message.*", "post.privat"] # here'},
        "setting 'genai' cannot ask for 'post.privat'", "R4"),
    "a setting for every data class": (
        {'"message.*", "post.public"]': '"message.*", "*"] # here'},
        "setting 'genai' cannot ask for '*'", "R4"),
    "a setting for a class of recipients": (
        {'["northmail", "tern"]': '["northmail", "third_party"] # here'},
        "setting 'ranking' cannot ask for 'third_party'", "R28"),
    "a recipient that is a class": (
        {"[recipients.tern]": "[recipients.affiliate] # here"},
        "'affiliate' is a class of recipients", "R28"),
    "a purpose of a setting without a text": (
        {'[purposes."train.ranking"]': '[purposes."train.safety"]',
         '["train.ranking"]\ndata': '["train.ranking"] # here\ndata'},
        "purpose 'train.ranking' has no text", "R4"),
    "a purpose of a clause without a text": (
        {'["improve.product"]': '["improve.product", "infer"] # here'},
        "purpose 'infer' has no text", "R4"),
    "a text that one language lacks": (
        {'[data_classes."message.group"]\nde': '[data_classes."message.group"] # here\n#'},
        "'message.group' has no text in 'de'", "R4"),
    "a setting for two purposes, of which one trains": (
        {'["train.ranking"]\ndata': '["train.ranking", "improve.product"] # here\ndata'},
        "asks for training together with something else", "R29, R46"),
    "a class of an unknown sensitivity": (
        {'"pay"]': '"jobs"] # here'}, "'jobs' is no category of what is sensitive", "R31"),
    "a sensitive class that a grant lets go": (
        {'a-yes"\nlevel = "grant"': 'a-yes"\nlevel = "grant" # here',
         '\nsensitive = ["employment", "pay"]': "",
         'de = "Ihre öff': 'sensitive = ["health"]\nde = "Ihre öff'},
        "lets training go on 'post.public', which is sensitive", "R31"),
    "no withdrawal": (
        {"[withdrawal]\nreaches":
         "[contracts.x]\n[[contracts.x.clauses]]\nid = 'x'\nlevel='never'\n#",
         "days = 45": "", **TOP}, "'withdrawal' is missing", "R33"),
    "a withdrawal that reaches no models": (
        {'"models", "backups"]': '"backups"] # here'}, "does not reach models", "R33"),
    "a withdrawal that reaches what is nothing": (
        {'"backups"]': '"everything"] # here'}, "cannot reach 'everything'", "R33"),
    "a recipient that is nobody": (
        {'"Tern Models GmbH"': '"Selected partners" # here'},
        "'Selected partners' names no legal entity", "R28"),
    "a recipient with others": (
        {'"Northmail Labs Ltd."': '"Northmail Labs Ltd. and its affiliates" # here'},
        "names no legal entity", "R28"),
    "a clause that never decides": (
        {'[[clauses]]\nid = "groups': '[[clauses]] # here\nid = "vain"\nlevel = "grant"\n'
         'data_classes = ["message.group"]\npurposes = ["train.*"]\n\n[[clauses]]\nid = "groups'},
        "clause 'vain' never decides: wherever it matches, another asks more (", ""),
    "a contract whose members are better protected": (
        {'"no-messages-of-2023-elsewhere"\n':
         '"no-messages-of-2023-elsewhere"\ncontracts = ["premium"] # here\n'},
        "protects some contracts more than others from training", "R25"),
    "a contract whose members alone can be asked": (
        {'"training-needs-a-yes"\n': '"training-needs-a-yes"\ncontracts = ["free"] # here\n'},
        "protects some contracts more than others from training", "R25"),
    "a title that speaks of a default": (
        {'"Data for Ranking"': '"Ranking, on by default" # here'}, "a yes by default", "R2"),
    "words that speak of silence as a yes": (
        {'"improve this service"': '"improve it; by continuing to use it you agree" # here'},
        "take use or silence for a yes", "R12"),
    "a place that is none, in a clause": (
        {'"GB"]': '"US-ZZ"] # here'}, "'US-ZZ' is no place that ISO 3166 knows", "R19"),
    "a group of which the table knows nobody": (
        {'["DE", "GB"]': '["US", "UK"] # here', "GB = 0 }": "FR = 0 }"},
        "can never match 'UK'", "R19"),
    "a text that every language lacks": (
        {"[recipients.northmail]": "[data_classes.profile] # here\n[recipients.northmail]"},
        "'profile' has no text in 'en'", "R4"),
}  # fmt: skip

UNUSABLE = {
    "an unknown key": (
        {'id = "excluded"': 'id = "excluded"\nnote = "…" # here'}, "'note' is an unknown key", ""),
    "an unknown condition": (
        {"jurisdictions = [": "jurisdiction = [ # here\n"},
        "'jurisdiction' is an unknown key", ""),
    "an unknown table": (
        {"[contracts.free]": "[contract.free] # here"}, "'contract' is an unknown key", ""),
    "a language without a skeleton": (
        {'de = "InMail': 'fr = "" # here\nde = "InMail'}, "'fr' is an unknown key", ""),
    "a name with dots outside quotes": (
        {'[data_classes."post.public"]': "[data_classes.post.public] # here"},
        "'public' is an unknown key", ""),
    "an unknown level": (
        {'level = "never"': 'level = "NEVER" # here'}, "'level' cannot be 'NEVER'", ""),
    "no level": (
        {"[[regions.clauses]]": "[[regions.clauses]] # here", 'level = "never"\njur': "jur"},
        "'level' is missing", ""),
    "no clause id": (
        {"[[regions.clauses]]": "[[regions.clauses]] # here", 'id = "excluded"\n': ""},
        "'id' is missing", ""),
    "no version": ({'version = "2024-09"\n': "", **TOP}, "'version' is missing", ""),
    "no lead time": ({"lead_days = 30\n": "", **TOP}, "'lead_days' is missing", "R10"),
    "a lead time of nothing": (
        {"lead_days = 30": "lead_days = 0 # here"}, "'lead_days' cannot be 0", "R10"),
    "an endless lead time": (
        {"lead_days = 30": "lead_days = 3651 # here"}, "'lead_days' cannot be 3651", "R10"),
    "a yes for a lead time": (
        {"lead_days = 30": "lead_days = true # here"}, "'lead_days' cannot be a bool", "R10"),
    "no window": ({"window_days = 30\n": "", **TOP}, "'window_days' is missing", "R11"),
    "a window of nothing": (
        {"window_days = 30": "window_days = -1 # here"}, "'window_days' cannot be -1", "R11"),
    "half a window": (
        {"window_days = 30": "window_days = 0.5 # here"}, "'window_days' cannot be a float", "R11"),
    "a huge number": (
        {"window_days = 30": f"window_days = 0x{'f' * 90} # here"}, "cannot be a int", "R11"),
    "no regional table": (
        {"[regions]\n": "[contracts.x]\n#", "regions.": "contracts.x.", **TOP},
        "'regions' is missing", "R19"),
    "no known place": (
        {"[regions]\njur": "[regions] # here\n#"}, "'jurisdictions' is missing", "R19"),
    "a place that is none": (
        {"jurisdictions = { US = 0": "jurisdictions = { Us = 0", "GB = 0 }": "GB = 0 } # here"},
        "'Us' cannot be a name here", "R19"),
    "a subdivision that is none": (
        {'"US-CA" = 0': '"US-ZZ" = 0', "GB = 0 }": "GB = 0 } # here"},
        "'US-ZZ' cannot be a name here", "R19"),
    "a setting with a default": (
        {'["train.ranking"]\ndata': '["train.ranking"]\ndefault = true # here\ndata'},
        "a setting has no default", "R2"),
    "a withdrawal of nothing": (
        {'["releases", "recipients", "models", "backups"]': "[] # here"},
        "'reaches' cannot be a list", "R33"),
    "a withdrawal without an end": (
        {"days = 45": "days = 91 # here"}, "'days' cannot be 91", "R33"),
    "a withdrawal as a text": (
        {"[withdrawal]\nreaches": 'withdrawal = "all" # here\n[contracts.x]\n#', "days = 45": ""},
        "'withdrawal' cannot be 'all'", "R33"),
    "an age below eighteen": (
        {'"US-AL" = 19': '"US-AL" = 16', "GB = 0 }": "GB = 0 } # here"},
        "'US-AL' cannot be 16", ""),
    "a nameless recipient": (
        {'[recipients.tern]\nname = "Tern Models GmbH"': "[recipients.tern] # here"},
        "'name' is missing", "R28"),
    "a recipient of no class": (
        {'"third_party"\n': '"processor" # here\n'}, "'class' cannot be 'processor'", "R28"),
    "a recipient as a text": (
        {"[recipients.tern]\nname": "[recipients]\ntern", 'class = "third_party"': "",
         '"Tern Models GmbH"': '"Tern Models GmbH" # here'},
        "'tern' cannot be 'Tern Models GmbH'", ""),
    "contracts as a text": (
        {"window_days = 30": 'window_days = 30\ncontracts = "x" # here',
         "[contracts.free]": "", "[contracts.premium]": "", "[[contracts.premium": "[[regions"},
        "'contracts' cannot be 'x'", ""),
    "an id with a blank": (
        {"[settings.genai]": '[settings."gen ai"] # here'}, "'gen ai' cannot be a name here", ""),
    "a pattern as a class": (
        {'."message.group"]': '."message.*"] # here'}, "'message.*' cannot be a name here", ""),
    "two lines of text": (
        {'"Data for Ranking"': '"Data\\nfor" # here'}, "'title' cannot be 'Data\\nfor'", ""),
    "an empty text": ({'"Data for Ranking"': '"" # here'}, "'title' cannot be ''", ""),
    "an empty language": ({'"Ihre öffentlichen Beiträge"': '"" # here'}, "'de' cannot be ''", ""),
    "a list of nobody": (
        {'["northmail", "tern"]': "[] # here"}, "'recipients' cannot be a list", ""),
    "a list of numbers": (
        {'["northmail", "tern"]': "[1] # here"}, "'recipients' cannot be a list", ""),
    "one instead of a list": (
        {'["northmail", "tern"]': '"tern" # here'}, "'recipients' cannot be 'tern'", ""),
    "a clause in single brackets": (
        {"[[regions.clauses]]": "[regions.clauses] # here"}, "'clauses' cannot be a table", ""),
    "a date in quotes": (
        {"2024-11-20": '"2024-11-20" # here'}, "'effective' cannot be '2024-11-20'", ""),
    "a time of day": ({"2024-11-20": "09:00:00 # here"}, "'effective' cannot be a time", ""),
    "a date beyond all dates": (
        {"2024-11-20": "9999-12-31 # here"}, "'effective' cannot be a date", ""),
    "a date before all dates": (
        {"2024-11-20": "0001-01-01T00:00:00+23:59 # here"}, "cannot be a datetime", ""),
    "a version with a blank": (
        {'"2024-09"': '"2024 09" # here'}, "'version' cannot be '2024 09'", ""),
}  # fmt: skip

BROKEN = {
    "a missing bracket": (
        {'["train.ranking"]\ndata': '["train.ranking"\ndata # here'}, "not TOML: Unclosed array"),
    "a key twice": ({"window_days": "lead_days = 1 # here"}, "not TOML: Cannot overwrite a value"),
    "a table twice": ({"[settings.ranking]": "[settings.genai] # here"}, "not TOML: Cannot"),
    "a text without an end": ({'"Data for Ranking"': '"""Data # here'}, "not TOML: "),
    "a date that is none": ({"2024-11-20": "2024-11-31 # here"}, "not TOML: Invalid date"),
    "a control character": ({"2024-11-20": "\0 # here"}, "not TOML: Invalid value"),
    "deep nesting": ({"2024-11-20": "[" * 5000 + " # here"}, "this is nested too deeply"),
    "deep tables": ({"2024-11-20": "{a=" * 5000 + " # here"}, "this is nested too deeply"),
    "a deep key": ({"effective": "e" + ".e" * 5000, "2024-11-20": "1 # here"}, "nested too deeply"),
    "a long number": ({"2024-11-20": "9" * 5000 + " # here"}, "this value is too long"),
}  # fmt: skip


def edited(changes):
    """Apply `changes` to the example, each once; return the text and the line to be found."""
    text = NORTHMAIL
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    return text, next(n for n, line in enumerate(text.split("\n"), 1) if "# here" in line)


@pytest.mark.parametrize(("changes", "message", "requirement"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_should_not_be_published_is_found_on_its_line(changes, message, requirement):
    """The document can still be read; the finding names line, requirement and mend."""
    text, line = edited(changes)
    document, found = check(folder(text), "p")
    assert document == read(folder(text), "p")
    (one,) = [f for f in found if message in f.message]
    assert (one.file, one.line, one.requirement) == ("p/policy.toml", line, requirement)
    assert all(f.mend for f in found)


@pytest.mark.parametrize(("changes", "message", "requirement"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_found_on_its_line(changes, message, requirement):
    """There is no document; `read` raises for the first such thing."""
    text, line = edited(changes)
    document, found = check(folder(text), "p")
    assert document is None
    (one,) = [f for f in found if message in f.message]
    assert (one.line, one.requirement) == (line, requirement)
    assert all(f.mend for f in found)
    with pytest.raises(PolicyError) as caught:
        read(folder(text), "p")
    assert caught.value.line <= line
    assert str(caught.value) in [str(f) for f in found]


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_toml_is_one_finding_on_its_line(changes, message):
    """Nothing more can be said of it; `read` raises the same."""
    text, line = edited(changes)
    document, (one,) = check(folder(text), "p")
    assert document is None
    assert message in one.message
    assert one.line == line
    with pytest.raises(PolicyError) as caught:
        read(folder(text), "p")
    assert str(caught.value) == str(one)


@pytest.mark.parametrize("rest", ['x = "', "x = [1,", "x =", "[x", "x", "x.y."])
def test_a_document_without_an_end_breaks_off_at_its_last_line(rest):
    """Where tomllib only says that the document ended, the line is still right."""
    (one,) = findings(SMALL + rest)
    assert one.line == SMALL.count("\n") + 1
    assert "not TOML" in one.message
    assert one.mend.startswith("correct what stands at ")


def test_a_text_without_an_end_is_found_where_it_begins():
    """Tomllib says "end of document", which may be far below."""
    (one,) = findings('x = """\n\n\n' + SMALL)
    assert one.line == 1


def test_all_findings_are_reported_at_once_and_by_line():
    """Whatever kind they are of, and though one of them alone makes the document unusable."""
    faults = ("training upon a notice", "no window", "an unknown condition", "an empty text")
    changes = {k: v for name in faults for k, v in (DOUBTFUL | UNUSABLE)[name][0].items()}
    document, found = check(folder(edited(changes)[0]), "p")
    assert document is None
    assert [f.line for f in found] == sorted(f.line for f in found)
    said = " ".join(f.message for f in found)
    for part in ("without a grant", "'window_days' is missing", "'jurisdiction' is", "'title'"):
        assert part in said


@pytest.mark.parametrize(
    "name",
    ["a nameless recipient", "a recipient of no class", "an empty language", "contracts as a text",
     "a setting with a default", "a withdrawal as a text", "a withdrawal of nothing",
     "a list of nobody", "no clause id", "no lead time", "no regional table"],
)  # fmt: skip
def test_a_fault_is_found_once(name):
    """Something unusable does not make wrong whatever leans on it."""
    found = findings(edited(UNUSABLE[name][0])[0])
    assert len([f for f in found if "can never match" not in f.message]) == 1


def test_what_is_not_utf_8_or_too_long_is_refused():
    """The line is that of the first byte that cannot be, and a size is given."""
    (one,) = findings(b"version = 1\n\nx = '\xff'")
    assert str(one) == "p/policy.toml:3: this is not UTF-8 — save the file as UTF-8"
    (one,) = findings(b"#" * (MAX_SIZE + 1))
    assert "262,145 bytes long" in one.message
    assert "missing" in findings(b"#" * MAX_SIZE)[0].message


def test_lines_are_counted_alike_whichever_way_they_end():
    """CRLF is one line end, and the document is kept as it was written."""
    text, line = edited(DOUBTFUL["a setting for every data class"][0])
    (one,) = findings(text.replace("\n", "\r\n"))
    assert one.line == line
    kept = read(only(SMALL.replace("\n", "\r\n")), "p").documents["policy.toml"]
    assert kept.count("\r\n") > 20


# ── lines, wherever things stand ────────────────────────────────────────────────────────────

LOOKALIKES = (
    "# [settings.genai]", "", "  ", "# title = 1.5 # here", "\t# \"\"\" ''' ]] }", "#",
)  # fmt: skip


def blocks_of(text):
    """Split a document into its header-led blocks of statements, comments left out."""
    blocks = [["", []]]
    for line in text.splitlines():
        if line.startswith("["):
            blocks.append([line, []])
        elif re.match(r"[\w-]+ = ", line):
            blocks[-1][1].append(line)
        elif line.startswith((" ", "]")):
            blocks[-1][1][-1] += "\n" + line
    return blocks


def scattered(rng):
    """Write the example with everything in another order, spaced and commented at random."""
    first, *others = blocks_of(NORTHMAIL)
    rng.shuffle(others)
    for header, statements in (first, *others):
        yield from rng.sample(LOOKALIKES, k=rng.randint(0, 2))
        yield header + rng.choice(["", "  ", " # [x]"])
        for statement in rng.sample(statements, k=len(statements)):
            yield from rng.sample(LOOKALIKES, k=rng.randint(0, 1))
            key, _, value = statement.partition(" = ")
            key = rng.choice([key, f'"{key}"', f"'{key}'", f"  {key} \t"])
            if value.endswith('"]') and rng.random() < 0.4:
                value = value.replace("[", "[ # [\n").replace(", ", "\n,").replace('"]', '",]')
            elif re.fullmatch(r'"[^"]*"', value) and rng.random() < 0.4:
                value = f'""{value}""'
            yield f"{key}={rng.choice(['', '  '])}{value}"


@pytest.mark.slow
@given(st.integers(0, 2**32))
def test_the_order_of_a_document_does_not_matter(seed):
    """However it is arranged, it is as good; what it says is the same."""
    text = "\n".join(scattered(random.Random(seed)))
    document, found = check(folder(text), "p")
    assert not found
    one = read(GOOD["northmail"], "p")
    for name in ("version", "effective", "recipients", "data_classes", "settings", "ages"):
        assert getattr(document, name) == getattr(one, name)
    assert set(document.clauses) == set(one.clauses)


@pytest.mark.slow
@given(st.integers(0, 2**32), st.integers(0, 10_000))
def test_a_fault_is_found_on_its_line_wherever_it_stands(seed, place):
    """One value, anywhere in a document in any order, becomes 1.5, which nothing here may be."""
    parts = list(scattered(random.Random(seed)))
    values = [n for n, part in enumerate(parts) if re.match(r"\s*[\"'\w-]+\s*=", part)]
    n = values[place % len(values)]
    parts[n] = parts[n].partition("=")[0] + "= 1.5 # the fault"
    text = "\n".join(parts)
    line = next(n for n, each in enumerate(text.split("\n"), 1) if "# the fault" in each)
    assert [f.line for f in findings(text) if f.message.endswith("cannot be a float")] == [line]


# ── hostile input ───────────────────────────────────────────────────────────────────────────


def survives(data):
    """Check that `data` ends in a document or in findings, and in PolicyError alone."""
    files = folder(data, "small")
    document, found = check(files, "p")
    assert document is not None or found
    assert all(f.message and f.mend and str(f).isprintable() for f in found)
    assert found == sorted(found, key=lambda f: (f.file, f.line))
    last = data.count(b"\n") + 1
    assert all(1 <= f.line <= last for f in found if f.file == "p/policy.toml")
    if document is None:
        with pytest.raises(PolicyError):
            read(files, "p")
        return
    assert read(files, "p") == document
    try:
        document.bodies(PUBLISHED)
    except PolicyError as error:
        refused = str(error)
        assert found or refused.endswith("[R10]")


@given(st.binary(max_size=200))
@example(b"")
@example(b"\0")
@example(b"\xef\xbb\xbfversion = '1'")
def test_random_bytes_end_in_findings(data):
    """Whatever the bytes."""
    survives(data)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.text(st.sampled_from("[]{}=.,\"'\\#\n\r\t ab1-_:é\0"), max_size=60))
def test_what_nearly_is_toml_ends_in_findings(text):
    """Text of the signs that mean something in TOML (test_toml.py: where it is found)."""
    survives(text.encode())


@pytest.mark.slow
@settings(max_examples=300)
@given(st.data())
def test_a_damaged_document_ends_in_findings(data):
    """Cut, doubled or overwritten anywhere, a good document stays readable or is refused."""
    text = data.draw(st.sampled_from([SMALL, NORTHMAIL])).encode()
    for _ in range(data.draw(st.integers(1, 4))):
        at, to = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        to = min(to, at + 40)
        what = data.draw(
            st.sampled_from([b"", b"\0", b"\xff", b"1", b"[", b'"', b"*", text[at:to] * 2])
            | st.binary(max_size=4)
        )
        text = text[:at] + what + text[to:]
    survives(text)


VALUES = st.recursive(
    st.sampled_from(["1", "0", '""', '"*"', '"x"', "true", "1.5", "nan", "2024-01-01", "12:00:00"]),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda v: f"[{', '.join(v)}]")
        | inner.map(lambda v: f"{{ en = {v}, id = {v} }}")
    ),
    max_leaves=4,
)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.integers(0, 10_000), VALUES)
def test_any_value_anywhere_ends_in_findings(place, value):
    """A value of any type in the place of any other."""
    blocks = blocks_of(NORTHMAIL)
    statements = [(b, n) for b, (_, lines) in enumerate(blocks) for n in range(len(lines))]
    b, n = statements[place % len(statements)]
    blocks[b][1][n] = blocks[b][1][n].partition("=")[0] + f"= {value}"
    survives("\n".join("\n".join([header, *lines]) for header, lines in blocks).encode())


N = MAX_SIZE - 100
HUGE = {
    "brackets": "[" * N,
    "arrays": "x = " + "[" * N,
    "tables": "x = " + "{x=" * (N // 3),
    "a key": ".x" * (N // 2),
    "a key and its value": "x" + ".x" * (N // 2) + " = 1",
    "a key that breaks off": "x" + ".x" * (N // 2) + ".!",
    "a key in a table": "x = {x" + ".x" * (N // 2),
    "a header": "[x" + ".x" * (N // 2) + "]",
    "a header without an end": "[x" + ".x" * (N // 2),
    "a literal text": "x = '''" + "\n" * N + "'''",
    "a text": 'x = """' + "]\n" * (N // 2) + '"""',
    "a text of quotes": 'x = """' + '""\\"' * (N // 4) + '"""',
    "keys": "".join(f"x{n} = 1\n" for n in range(N // 12)),
    "clauses": "[[clauses]]\nid='x'\n" * (N // 20),
    "elements": "x = [" + "1," * (N // 2) + "]",
    "blank lines": "x = [" + "\n" * N + "]",
    "a comment": "#" * N,
    "NULs": "\0" * N,
    "a number": "x = " + "9" * N,
    "a hexadecimal number": "x = 0x" + "f" * N,
    "quotes": "'" * N,
    "double quotes": '"' * N,
    "backslashes": 'x = "' + "\\" * N,
    "a name": "x" * N,
}


@pytest.mark.slow
@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_what_is_huge_ends_in_findings(text):
    """Neither the stack nor anybody's patience is exhausted."""
    survives(text.encode())


def test_an_open_span_is_not_written():
    """A clause without dates has neither `from` nor `to`, so the ledger reads all of time."""
    (_, policy) = read(only(SMALL), "p").bodies(PUBLISHED)[-1]
    assert policy["clauses"] == [{"id": "a-yes-first", "level": "grant"}]
    half = read(only(SMALL.replace('"grant"', '"grant"\nfrom = 2024-01-01')), "p")
    assert half.clauses[0].span == Span(time_of("2024-01-01"), END)
    (_, policy) = half.bodies(PUBLISHED)[-1]
    assert policy["clauses"][0].keys() == {"id", "level", "from"}


def test_what_is_not_said_is_not_written():
    """A policy of the time before [withdrawal] can be read again; no class of it is sensitive."""
    text = re.sub(r"(?s)\[withdrawal\].*?\n\n", "", SMALL)
    (_, policy) = read(only(text), "p").bodies(PUBLISHED)[-1]
    assert not policy.keys() & {"withdrawal", "sensitive"}
    (_, policy) = read(GOOD["northmail"], "p").bodies(PUBLISHED)[-1]
    assert policy["withdrawal"]["days"] == 45
    assert policy["sensitive"] == {"message.group": ["employment", "pay"]}
