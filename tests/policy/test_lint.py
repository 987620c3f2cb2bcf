"""What texts must not leave out or contradict, and clauses that match together."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.policy.document import check, read

DOCUMENTS = Path(__file__).parent / "documents"
NORTHMAIL, SMALL = (
    {path.name: path.read_bytes() for path in (DOCUMENTS / name).iterdir()}
    for name in ("northmail", "small")
)
YES, OFF, IMPROVE = (
    " <!-- states training-needs-a-yes: grant -->",
    "<!-- states withdrawal -->",
    "<!-- states improvement-needs-a-notice: notice -->",
)


def changed(file, old, new, files=NORTHMAIL):
    """Return the folder with a change in one file."""
    text = files[file].decode()
    assert old in text, old
    return files | {file: text.replace(old, new, 1).encode()}


# What it shows: file, what is replaced by what, the line, what is said, the requirement.
WRONG = {
    "a paragraph without a mark": (
        "policy.md", YES, "", 15, "this paragraph has no mark", "R15"),
    "a clause that the policy leaves out": (
        "policy.md", YES, " <!-- informational -->", 1,
        "clause 'training-needs-a-yes' is not stated", "R15"),
    "a clause that a translation leaves out": (
        "notice.de.md", YES, " <!-- informational -->", 1,
        "clause 'training-needs-a-yes' is not stated", "R15"),
    "a clause of a contract that the notice leaves out": (
        "notice.md", "<!-- states contracts.premium.confidential: never -->",
        "<!-- informational -->", 1, "clause 'contracts.premium.confidential' is not stated",
        "R15"),
    "a clause of the regions that the policy leaves out": (
        "policy.md", "<!-- states regions.excluded: never -->", "<!-- informational -->", 1,
        "clause 'regions.excluded' is not stated", "R15"),
    "a mark of a clause that does not exist": (
        "faq.md", YES, " <!-- states training-needs-nothing: grant -->", 5,
        "there is no clause 'training-needs-nothing'", "R15"),
    "a mark of a contract's clause by its bare name": (
        "policy.md", "contracts.premium.confidential:", "confidential:", 33,
        "there is no clause 'confidential'", "R15"),
    "a faq that says another level": (
        "faq.md", YES, " <!-- states training-needs-a-yes: notice -->", 5,
        "this says notice, and clause 'training-needs-a-yes' grant", "R15"),
    "a policy that says another level": (
        "policy.md", IMPROVE, IMPROVE.replace(": notice", ": nothing"), 19,
        "this says nothing, and clause 'improvement-needs-a-notice' notice", "R15"),
    "a policy that says nothing of opting out": (
        "policy.md", OFF, "<!-- informational -->", 1, "'withdrawal' is not stated", "R33"),
    "a faq that says nothing of opting out": (
        "faq.md", OFF, "<!-- informational -->", 1, "'withdrawal' is not stated", "R33"),
    "a notice that says nothing of opting out": (
        "notice.md", OFF, "<!-- informational -->", 1, "'withdrawal' is not stated", "R33"),
    "a notice that says nothing of the lead time": (
        "notice.md", "<!-- states lead -->", "<!-- informational -->", 1,
        "'lead' is not stated", "R10"),
    "a notice that says nothing of the window": (
        "notice.md", "<!-- states window -->", "<!-- informational -->", 1,
        "'window' is not stated", "R11"),
    "another number of days": (
        "notice.md", "30 days after it", "3 days after it", 7,
        "this says other days than the policy: '3'", "R10"),
    "another number of days for a no": (
        "faq.de.md", "45 Tagen", "145 Tagen", 19, "other days than the policy: '145'", "R33"),
    "what no text may say": (
        "faq.md", "Until you do", "Opting out does not affect training that took place. Until", 5,
        "no text may say that a no leaves earlier training as it is", "R33"),
    "what no heading may say": (
        "notice.de.md", "## Nein sagen", "## Standardmäßig aktiviert", 25,
        "no text may speak of a yes by default", "R2"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "message", "requirement"), WRONG.values(), ids=WRONG
)
def test_a_fault_of_a_text_is_found_on_its_line(  # noqa: PLR0917 - a row of the table
    file, old, new, line, message, requirement
):
    """The document can be read all the same."""
    document, found = check(changed(file, old, new), "p")
    assert document is not None
    (one,) = [f for f in found if message in f.message]
    assert (one.file, one.line, one.requirement) == (f"p/{file}", line, requirement)
    assert one.mend
    assert {f.file for f in found} == {one.file}


def test_a_faq_may_leave_out_clauses():
    """What it marks has to agree; it need not hold everything."""
    faq = f"A no reaches models. {OFF}\n".encode()
    assert check(NORTHMAIL | {"faq.md": faq}, "p")[1] == []


@pytest.mark.parametrize("file", [name for name in NORTHMAIL if name.endswith(".md")])
def test_a_text_that_is_missing_is_found(file):
    """In every language of the document."""
    _, (one,) = check({k: v for k, v in NORTHMAIL.items() if k != file}, "p")
    assert (str(one).split(" — ")[0], one.requirement) == (f"p/{file}:1: there is no {file}", "R15")


@pytest.mark.parametrize("file", ["faq.fr.md", "faq.en.md", "notice.DE.md"])
def test_a_text_too_many_is_found(file):
    """It would be published, and nobody checked it."""
    _, (one,) = check(NORTHMAIL | {file: b"Oui. <!-- informational -->"}, "p")
    assert one.message == f"{file} is no text of this policy"


def test_a_policy_without_english_has_its_first_language_unsuffixed():
    """One whose words are German has policy.md in German."""
    text = SMALL["policy.toml"].decode().replace("\nen = ", "\nde = ")
    assert set(read({"policy.toml": text.encode()}, "p").text_names.values()) == {"de"}
    names = {f.file for f in check({"policy.toml": text.encode()}, "p")[1]}
    assert names == {"p/policy.md", "p/faq.md", "p/notice.md"}


def test_a_folder_without_a_policy_is_one_finding_and_those_of_its_texts():
    """The texts are still looked at."""
    document, found = check({"faq.md": b"hello"}, "folder/")
    assert document is None
    assert [str(f).split(" — ")[0] for f in found] == [
        "folder/faq.md:1: this paragraph has no mark",
        "folder/policy.toml:1: there is no policy.toml",
    ]
    assert check({}, "")[1][0].file == "policy.toml"


def test_texts_are_not_held_against_what_cannot_be_used():
    """What stands in for an unusable value is nobody's rule."""
    files = changed("policy.toml", 'level = "grant"', 'level = "maybe"')
    document, (one,) = check(files, "p")
    assert document is None
    assert "'level' cannot be 'maybe'" in one.message


def test_texts_are_held_against_everything_else():
    """A value that cannot be used hides no other fault, of texts or of clauses."""
    files = changed("policy.toml", "days = 45", "days = 0")
    files = changed("policy.toml", "window_days = 30", 'window_days = "30"', files)
    files = changed("policy.toml", '["DE", "GB"]', '["DE", "GB"]\ncolour = "red"', files)
    files = changed("notice.md", YES, " <!-- states training-needs-a-yes: never -->", files)
    found = [f.message for f in check(files, "p")[1]]
    assert len(found) == 4
    assert any("this says never" in message for message in found)
    tiers = changed("policy.toml", 'elsewhere"\n', 'elsewhere"\ncontracts = ["free"]\n', files)
    assert any(f.requirement == "R25" for f in check(tiers, "p")[1])


def test_findings_are_sorted_by_file_and_line():
    """Whichever part of the lint found them."""
    files = changed("policy.md", YES, "")
    files = changed("faq.md", "# Questions", "Bare.\n\n# Questions", files)
    files = changed("policy.toml", "Tern Models GmbH", "others", files)
    found = check(files, "p")[1]
    files = [f.file.removeprefix("p/") for f in found]
    assert files == ["faq.md", "policy.md", "policy.md", "policy.toml"]
    assert found == sorted(found, key=lambda f: (f.file, f.line))


# ── clauses that match together ─────────────────────────────────────────────────────────────


def clauses(*tables, files=SMALL):
    """Return what is found of a small policy with other clauses, texts aside."""
    text = files["policy.toml"].decode()
    first = text.index("[[clauses]]")
    rest = text[text.index("[settings") :]
    found = "\n".join(f"[[clauses]]\n{table}\n" for table in tables)
    written = (text[:first] + found + rest).encode()
    return [f for f in check({"policy.toml": written}, "p")[1] if f.file == "p/policy.toml"]


def clause(name, level, **conditions):
    """Write a clause."""
    lines = [f'id = "{name}"', f'level = "{level}"']
    lines += [f"{k} = {v}".replace("'", '"') for k, v in conditions.items()]
    return "\n".join(lines)


YES_TO_ALL = clause("yes", "grant")


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        ([YES_TO_ALL, clause("vain", "notice", purposes=["evaluate"])], ["vain"]),
        ([YES_TO_ALL, clause("more", "explicit_grant", purposes=["evaluate"])], []),
        ([YES_TO_ALL, clause("same", "grant", purposes=["train.*"])], []),
        ([clause("no", "never", recipients=["northmail"]), YES_TO_ALL], []),
        ([clause("no", "never"), clause("a", "grant"), clause("b", "notice", purposes=["infer"])],
         ["a", "b"]),
        ([clause("some", "never", purposes=["train.*"]),
          clause("rest", "never", purposes=["evaluate", "infer", "improve.product"]),
          YES_TO_ALL], ["yes"]),
        ([clause("old", "never", to="2020-01-01"),
          clause("new", "explicit_grant", **{"from": "2020-01-01"}), YES_TO_ALL], ["yes"]),
        ([clause("old", "never", to="2020-01-01"), YES_TO_ALL], []),
        ([clause("here", "never", jurisdictions=["US"]), YES_TO_ALL], []),
        ([clause("class", "never", recipients=["controller"]),
          clause("name", "grant", recipients=["northmail"])], ["name"]),
    ],
)  # fmt: skip
def test_a_clause_that_never_decides_is_found(tables, names):
    """Wherever it matches, one clause or several ask strictly more."""
    found = [f.message for f in clauses(*tables) if "never decides" in f.message]
    assert [message.split("'")[1] for message in found] == names


TRAIN = {"purposes": ["train.*"]}


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        ([clause("a", "grant", **TRAIN), clause("b", "never", contracts=["pro"], **TRAIN)], ["b"]),
        ([clause("a", "grant", contracts=["pro"], **TRAIN)], ["a"]),
        ([clause("a", "grant", contracts=["free"], **TRAIN),
          clause("b", "explicit_grant", contracts=["pro"], **TRAIN)], ["a", "b"]),
        ([clause("a", "grant", contracts=["pro"], **TRAIN),
          clause("b", "grant", contracts=["free"], **TRAIN)], ["a", "b"]),
        ([clause("a", "grant", **TRAIN), clause("b", "grant", contracts=["pro"], **TRAIN)], []),
        ([clause("a", "grant", **TRAIN),
          clause("b", "never", contracts=["pro"], purposes=["infer"])], []),
        ([clause("a", "never", **TRAIN), clause("b", "grant", contracts=["pro"], **TRAIN)], []),
    ],
)  # fmt: skip
def test_no_contract_has_weaker_protection_from_training(tables, names):
    """R25: the policy asks the same with each contract, and with none."""
    text = SMALL["policy.toml"].decode() + "\n[contracts.free]\n[contracts.pro]\n"
    found = clauses(*tables, files={"policy.toml": text.encode()})
    assert [f.message.split("'")[1] for f in found if f.requirement == "R25"] == names


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        ([clause("a", "grant", **TRAIN)], ["a"]),
        ([clause("a", "explicit_grant", **TRAIN)], []),
        ([clause("a", "grant", **TRAIN),
          clause("b", "explicit_grant", data_classes=["post.*"])], []),
        ([clause("a", "grant", **TRAIN),
          clause("b", "explicit_grant", jurisdictions=["US"], **TRAIN)], ["a"]),
        ([clause("a", "grant", purposes=["evaluate"])], []),
        ([clause("a", "never", **TRAIN)], []),
    ],
)  # fmt: skip
def test_a_sensitive_class_needs_an_explicit_yes(tables, names):
    """R31: wherever the policy lets training go on it."""
    text = SMALL["policy.toml"].decode()
    text = text.replace('"posts that anyone can read"', '"posts"\nsensitive = ["health"]')
    found = clauses(*tables, files={"policy.toml": text.encode()})
    assert [f.message.split("'")[1] for f in found if f.requirement == "R31"] == names


def test_clauses_that_marks_cannot_tell_apart_are_found():
    """A policy's clause may have dots in its id, and so may a contract."""
    text = SMALL["policy.toml"].decode() + (
        '\n[[regions.clauses]]\nid = "x"\nlevel = "never"\n'
        '[[contracts."a.b".clauses]]\nid = "c"\nlevel = "never"\n'
        '[[contracts.a.clauses]]\nid = "b.c"\nlevel = "never"\n'
    )
    tables = [YES_TO_ALL, clause("regions.x", "never", purposes=["infer"])]
    found = [f for f in clauses(*tables, files={"policy.toml": text.encode()})
             if "marks call" in f.message]  # fmt: skip
    assert [f.message.split("'")[1] for f in found] == ["regions.x", "contracts.a.b.c"]
    assert {f.requirement for f in found} == {"R15"}


def test_a_policy_too_large_to_be_checked_is_not_passed():
    """Neither one of many names nor one of clauses that cut across each other in every way."""
    many = ", ".join(f'"c{n}"' for n in range(3_000))
    words = "".join(f'[data_classes.c{n}]\nen = "x"\n' for n in range(3_000))
    text = SMALL["policy.toml"].decode().replace("[purposes", words + "[purposes")
    table = f'id = "a"\nlevel = "grant"\ndata_classes = [{many}]'
    (one,) = clauses(table, files={"policy.toml": text.encode()})
    assert one.message == "this policy is too large to be checked"

    rng = random.Random(7)
    days = [f"{2000 + n // 28:04}-01-{n % 28 + 1:02}" for n in range(500)]
    crossing = [
        clause(f"c{n}", rng.choice(["grant", "never"]), **{"from": days[n], "to": days[n + 100]},
               purposes=rng.sample(["evaluate", "infer", "train.*"], 2),
               recipients=rng.sample(["northmail", "affiliate", "third_party"], 2),
               jurisdictions=rng.sample(["US", "CA", "MX", "BR"], 2))
        for n in range(400)
    ]  # fmt: skip
    more = "".join(f'[recipients.r{n}]\nname = "R{n}"\nclass = "affiliate"\n' for n in range(90))
    text = SMALL["policy.toml"].decode().replace("{ US = 0 }", "{ US = 0, CA = 0, MX = 0, BR = 0 }")
    text = text.replace("[purposes", more + "[purposes")
    crossing += [clause(f"r{n}", "never", recipients=[f"r{n}"]) for n in range(90)]
    found = clauses(*crossing, files={"policy.toml": text.encode()})
    assert [f.message for f in found if "cut across" in f.message] == [
        "these clauses cut across each other too often to be checked"
    ]


# ── hostile input ───────────────────────────────────────────────────────────────────────────


@settings(max_examples=120)
@given(st.data())
def test_a_damaged_folder_ends_in_findings(data):
    """Cut, doubled or overwritten anywhere, in any of its files, with files lost or swapped."""
    files = dict(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(sorted(SMALL)))
        text = files.get(name, b"")
        at, to = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        what = data.draw(
            st.sampled_from([b"", b"\0", b"\xff", b"<!--", b"-->", b"\n", b"|", text[at : at + 99]])
            | st.binary(max_size=4)
        )
        files[name] = text[:at] + what + text[min(to, at + 40) :]
        if data.draw(st.integers(0, 9)) == 0:
            files[name] = files.pop(data.draw(st.sampled_from(sorted(files))))
    document, found = check(files, "p")
    assert document is not None or found
    assert all(f.message and f.mend and str(f).isprintable() for f in found)
    for f in found:
        text = files.get(f.file.removeprefix("p/"), b"")
        assert 1 <= f.line <= max(text.count(b"\n"), text.count(b"\r")) + 1
    assert found == sorted(found, key=lambda f: (f.file, f.line))
