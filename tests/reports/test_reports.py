"""Reports say what is recorded, and of everything else that it is not known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt

from letterlock.domain import canonical, sha256, time_of
from letterlock.errors import UsageError
from letterlock.evidence import entries
from letterlock.gate import Gate
from letterlock.gate.offline import check_statement
from letterlock.ledger import Draft
from letterlock.lineage import openlineage
from letterlock.record import quorum
from letterlock.record.merkle import leaf_hash
from letterlock.record.prooffile import parse as parse_proof
from letterlock.release import manifest
from letterlock.reports import ab2013, learned, regulator, training_summary
from letterlock.reports.form import Basis, Field, Form, Section, Table, plain, table
from workspaces import (
    GERMAN,
    MEMBERS,
    NO,
    NOW,
    POLICY,
    PURPOSE,
    RECIPIENT,
    at,
    members,
    people,
    publish,
    withdraw,
    workspace,
)

HOSTILE = "<script>alert(1)</script> | [x](javascript:1) `a` \x1b[31m\n# owned &amp; *b*"
PRINTABLE = "<script>alert(1)</script> | [x](javascript:1) `a` &amp; *b*"
MODEL, TUNED = sha256(b"weights"), sha256(b"tuned")
GRANT = "ab" * 16
YEAR = time_of("2024-01-01"), time_of("2025-01-01")


def trained(digest: str, name: str, sources: list[dict[str, Any]]) -> Draft:
    """Return the event that registers a model."""
    body = {"model": digest, "name": name, "owner": RECIPIENT, "sources": sources}
    return Draft("model.trained", {**body, "files": 1, "bytes": 10, "note": ""})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with a release, delivered, a model of it and one tuned from that."""
    folder = tmp_path_factory.mktemp("reports") / "w"
    gate = workspace(folder)
    built = gate.build(PURPOSE, RECIPIENT)
    body = {
        "release": built.release, "recipient": RECIPIENT, "purpose": PURPOSE, "version": 0,
        "manifest": sha256(manifest.content(built.folder)), "grant": GRANT, "key": "age1x",
        "terms": "", "feed": "", "expires": NOW + 1,
    }  # fmt: skip
    gate.record_linked(Draft("release.delivered", body))
    gate.record_linked(trained(MODEL, "tern-1", [{"release": built.release, "version": 0}]))
    gate.record_linked(trained(TUNED, PRINTABLE, [{"model": MODEL, "how": "fine-tune"}]))
    gate.publish_log()
    gate.close()
    return folder, built


@pytest.fixture
def gate(made):
    """Open that workspace."""
    gate = Gate(made[0], now=NOW)
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Make a workspace with nothing in it."""
    folder = tmp_path_factory.mktemp("empty") / "w"
    Gate.create(folder, simulated=True).close()
    return folder


def fields(form: Form) -> dict[tuple[str, str], Field]:
    """Return every field by the number of its section and its label."""
    return {(s.number, f.label): f for s in form.sections for f in s.fields}


def cells(form: Form, number: str, label: str) -> list[dict[str, Any]]:
    """Return the rows of a table in a form."""
    field = next(
        f for s in form.sections if s.number == number for f in s.fields if f.label == label
    )
    assert isinstance(field.value, Table)
    return field.record()["value"]


def forms(gate: Gate) -> Iterator[Form]:
    """Return every form that can be made."""
    yield gate.record_of_processing()
    for model in gate.lineage().models:
        yield gate.training_summary(model)
        yield gate.training_documentation(model)


# ── what every form has to be ───────────────────────────────────────────────────────────────


def test_every_field_is_recorded_or_said_not_to_be(gate):
    """No field is empty: it has a value, or a sentence why there is none."""
    for form in forms(gate):
        for (number, label), field in fields(form).items():
            assert field.label, number
            assert field.value != "", label
            assert field.value != (), label
            if field.basis is not Basis.REGISTRY:
                assert isinstance(field.value, str), label
        assert any(f.basis is Basis.UNKNOWN for f in fields(form).values())


def test_page_and_record_are_of_one_form(gate):
    """Each label of the record stands on the page; the record is canonical JSON."""
    for form in forms(gate):
        record, page = form.record(), form.page()
        assert json.loads(canonical(record)) == record
        for section in record["sections"]:
            assert plain(section["title"]) in page
            assert all(f"**{plain(f['label'])}" in page for f in section["fields"])


def test_the_same_registry_gives_the_same_report(gate):
    """Nothing of the moment or of chance is in a report."""
    assert [f.page() for f in forms(gate)] == [f.page() for f in forms(gate)]


def test_nobody_is_named_in_a_report(gate):
    """No account id stands in any form, nor in what a regulator is given."""
    pages = [canonical(f.record()).decode() for f in forms(gate)]
    pages += [canonical(gate.regulator_export("US", *YEAR)).decode()]
    for name in MEMBERS:
        assert not any(f'"{name}"' in page or f" {name} " in page for page in pages), name


def test_a_workspace_with_nothing_says_so(empty):
    """Without policy, people and releases a report is made all the same, and owns to it."""
    gate = Gate(empty)
    found = fields(gate.record_of_processing())
    assert found["(a)", "Controller"].basis is Basis.UNKNOWN
    assert found["(b)", "Purposes"].basis is Basis.UNKNOWN
    assert found["(d)", "Recipients"].value == "none recorded"
    assert found["(f)", "Obligations open"].value == 0
    record = gate.regulator_export("EU", *YEAR)
    assert not any(record[k] for k in ("policies", "holds", "notices", "choices", "releases"))
    assert "none recorded" in regulator.page(record)
    with pytest.raises(UsageError, match="no registered model is called 'x'"):
        gate.training_summary("x")
    gate.close()


# ── words of others ─────────────────────────────────────────────────────────────────────────


def test_hostile_words_are_shown_and_do_nothing():
    """Markdown shows them as they were, on one line: no markup, no link, no heading of theirs."""
    field = table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, 1]])
    listed = Field(HOSTILE, (HOSTILE, "- a", "1. b", "+ c", "    d", "---", "2024-03-03"))
    form = Form(
        "x", HOSTILE, (HOSTILE,), "log", "now", 0, (Section("1", HOSTILE, (field, listed)),)
    )
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(form.page())
    flat = [*tokens, *(c for t in tokens for c in t.children or ())]
    kinds = {token.type for token in flat}
    assert not kinds & {
        "html_block",
        "html_inline",
        "link_open",
        "code_inline",
        "em_open",
        "fence",
        "code_block",
    }
    headings = [t for t in tokens if t.type == "heading_open"]
    assert len(headings) == 2
    texts = ["".join(c.content for c in t.children) for t in tokens if t.type == "inline"]
    shown = HOSTILE.replace("\x1b", "\\u001b").replace("\n", "\\u000a")
    assert texts.count(shown) >= 4
    assert {"- a", "1. b", "+ c", "---", "2024-03-03"} <= set(texts)
    assert "- 2024-03-03" in form.page()
    assert "\x1b" not in form.page()


def test_a_model_may_be_called_anything(gate):
    """A hostile name of a model stands in its report and opens nothing."""
    form = gate.training_summary(TUNED)
    assert plain(PRINTABLE) in form.page()
    assert "<script>" not in form.page()
    assert form.record()["about"][0] == f"For the model {PRINTABLE}, digest {TUNED}."


# ── the model's reports ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [MODEL, TUNED])
def test_the_summarys_figures_are_the_manifests(made, gate, model):
    """Rows, people, bytes and classes are those of the release, also through another model."""
    record, form = made[1].record, gate.training_summary(model)
    (size,) = cells(form, "1.3", "Size in another unit, of user data alone")
    assert size["rows"] == record["counts"]["released"]
    assert size["people"] == record["members"]
    assert size["bytes of Parquet"] == sum(f["bytes"] for f in record["files"])
    (release,) = cells(form, "2.4", "Releases it learned from")
    assert (release["purpose"], release["to"]) == (PURPOSE, "Tern Models GmbH")
    assert release["tables"] == "mail"
    expected = {f"{k}: {v:,} rows" for k, v in record["counts"]["by_class"].items()}
    found = fields(form)
    assert set(found["2.4", "Data classes, with rows of each"].value) == expected
    withheld = {r["reason"]: r["items"] for r in cells(form, "3.3", "Items withheld, by reason")}
    assert withheld == record["counts"]["by_reason"]


def test_the_summary_has_every_section_of_the_template(gate):
    """The headings are those of the template, in its order; what is not known is marked so."""
    form = gate.training_summary("tern-1")
    numbers = [s.number for s in form.sections]
    assert numbers == [
        "1", "1.1", "1.2", "1.3", "2", "2.1", "2.2", "2.2.1", "2.2.2", "2.3", "2.4", "2.5", "2.6",
        "3", "3.1", "3.2", "3.3",
    ]  # fmt: skip
    for section in form.sections:
        if section.number in {"2.1", "2.2.1", "2.2.2", "2.3", "2.5", "2.6", "3.1", "3.2"}:
            assert section.fields
            assert all(f.basis is Basis.UNKNOWN for f in section.fields), section.number


def test_dependencies_are_told_with_how(gate):
    """A tuned model names what it was tuned from; the first one depends on none."""
    (row,) = cells(gate.training_summary(TUNED), "1.2", "Model dependencies")
    assert row == {"how": "fine-tune", "model": "tern-1", "digest": MODEL}
    found = fields(gate.training_summary(MODEL))
    assert found["1.2", "Model dependencies"].value == "none recorded"


def test_the_period_is_that_of_the_items(made, gate):
    """From and to are the first and last item's times in the shards."""
    first, last = learned.made_between(made[1].folder)
    assert time_of("2024-02-01") <= first < last < NOW
    (row,) = cells(gate.training_documentation(MODEL), "(10)", "Items were made")
    assert (time_of(row["from"]), time_of(row["to"])) == (first, last)


def test_a_release_whose_files_are_gone_has_no_known_period(tmp_path):
    """What cannot be read is not guessed."""
    assert learned.made_between(tmp_path) is None
    data = tmp_path / manifest.OUTGOING / "data" / "mail"
    data.mkdir(parents=True)
    (data / "shard-00000.parquet").write_bytes(b"PAR1")
    assert learned.made_between(tmp_path) is None


def test_ab_2013_has_its_twelve_items(made, gate):
    """Each of the twelve has an answer or is said not to be known; counts are the manifest's."""
    form, record = gate.training_documentation(TUNED), made[1].record
    assert [s.number for s in form.sections] == [f"({n})" for n in range(1, 13)]
    assert all(s.fields for s in form.sections)
    found = fields(form)
    assert found["(3)", "Data points in all (rows)"].value == record["counts"]["released"]
    types = {r["class"]: r["rows"] for r in cells(form, "(4)", "Data classes")}
    assert types == record["counts"]["by_class"]
    assert found["(7)", "Personal information"].value.startswith("yes")
    (handed,) = cells(form, "(11)", "First handed over, and registered as learned from")
    (delivery,) = gate.lineage().deliveries.values()
    assert time_of(handed["first handed over to its developer"]) == delivery.time


def test_a_model_that_learned_from_nothing_here_is_not_said_to_have(gate):
    """Without a release behind it the answer is not known, and never no."""
    told = learned.Told(learned.model_of(gate.lineage(), MODEL), (), ())
    form = training_summary.summary(told, gate.rules(), "log", 1)
    (used,) = [f for (n, label), f in fields(form).items() if n == "2.4" and "services" in label]
    assert used.basis is Basis.UNKNOWN
    found = fields(ab2013.documentation(told, gate.rules(), "log", 1))
    assert found["(7)", "Personal information"].basis is Basis.UNKNOWN


@pytest.mark.parametrize("name", ["", "0" * 64, "nobody"])
def test_a_model_is_named_exactly(gate, name):
    """Neither nothing nor something unknown names a model."""
    with pytest.raises(UsageError, match="no registered model"):
        gate.training_summary(name)


# ── the record of processing ────────────────────────────────────────────────────────────────


def test_recipients_are_told_by_name_and_class(made, gate):
    """With how many releases and deliveries each has, from the lineage; no country is known."""
    rows = {r["id"]: r for r in cells(gate.record_of_processing(), "(d)", "Recipients")}
    assert rows[RECIPIENT] == {
        "id": RECIPIENT, "name": "Tern Models GmbH", "class": "third party",
        "releases": 1, "deliveries": 1, "country": "not recorded",
    }  # fmt: skip
    assert rows["own"]["releases"] == 0
    assert made[1].record["recipient"]["name"] == rows[RECIPIENT]["name"]


def test_people_are_counted_where_they_live(gate):
    """All members are there, by place; nobody is counted twice."""
    rows = cells(gate.record_of_processing(), "(c)", "People on record")
    assert {r["said to live in"]: r["members"] for r in rows} == {"US": 9, "DE": 1}
    assert sum(r["members"] + r["others"] for r in rows) == len(members())


def test_an_opt_outs_days_are_the_policys(tmp_path):
    """The newest policy in force says within how many days; an older one no more."""
    folder = tmp_path / "w"
    people(folder).close()
    later = POLICY.replace(b'version = "1"', b'version = "2"').replace(b"days = 30", b"days = 14")
    at(folder, NOW, lambda gate: publish(gate, later))
    soon = at(folder, NOW, lambda gate: gate.record_of_processing())
    after = at(folder, NOW + 10**12, lambda gate: gate.record_of_processing())
    assert fields(soon)["(f)", "After an opt-out"].value.startswith("within 30 days")
    assert fields(after)["(f)", "After an opt-out"].value.startswith("within 14 days")


# ── the regulator's export ──────────────────────────────────────────────────────────────────


def test_every_event_it_speaks_of_is_proved(made, gate):
    """Each entry leads to the log's root by its proof, checked by the log's policy."""
    record = gate.regulator_export("US", *YEAR)
    policy = quorum.parse((made[0] / "log.policy").read_bytes())
    assert len(record["events"]) >= 5
    for each in record["events"]:
        proof, entry = parse_proof(each["proof"].encode()), each["entry"].encode()
        proof.check(leaf_hash(entry), policy)
        assert proof.index == each["index"]
        assert entries.read(entry).index == each["index"]
    (delivery,) = record["deliveries"]
    kinds = {e["index"]: json.loads(e["entry"])["kind"] for e in record["events"]}
    assert kinds[delivery["event"]] == "release.delivered"


def test_the_counts_are_those_of_the_region(gate):
    """Choices of people elsewhere are not counted; of a German one there is her own alone."""
    us, de = (gate.regulator_export(code, *YEAR) for code in ("US", "DE"))
    eu = gate.regulator_export("EU", *YEAR)
    granted = {"act": "grant", "purpose": PURPOSE, "place_not_known": 0}
    assert {**granted, "recorded": 32, "people": 8} in us["choices"]
    assert [*de["choices"]] == [{**granted, "recorded": 4, "people": 1}]
    assert eu["choices"] == de["choices"]
    assert de["notices"] == [{"version": "1", "recorded": 1, "people": 1, "place_not_known": 0}]
    (regional,) = de["regions"]
    assert [clause["id"] for clause in regional["clauses"]] == ["excluded"]
    (elsewhere,) = us["regions"]
    assert elsewhere["clauses"] == []
    assert GERMAN in MEMBERS
    assert NO in MEMBERS


def test_a_hold_is_told_where_it_concerns_the_region(tmp_path):
    """A German hold is in Germany's and the Union's export, and not in that of the US."""
    folder = tmp_path / "w"
    people(folder).close()
    clause = {"id": "stop", "level": "never", "jurisdictions": ["DE"]}
    body = {"hold": "de-1", "order": "by the authority", "clauses": [clause]}
    at(folder, NOW, lambda gate: gate.record([Draft("hold.set", body)]))
    span = NOW - 1, NOW + 10**9
    found = {
        code: at(folder, NOW, lambda gate, code=code: gate.regulator_export(code, *span))
        for code in ("DE", "EU", "US", "DE-BY")
    }
    assert [h["hold"] for h in found["DE"]["holds"]] == ["de-1"]
    assert [h["hold"] for h in found["EU"]["holds"]] == ["de-1"]
    assert [h["hold"] for h in found["DE-BY"]["holds"]] == ["de-1"]
    assert found["US"]["holds"] == []
    assert found["DE"]["events"][-1]["proof"] is None
    assert "by the authority" in regulator.page(found["DE"])


def test_a_period_holds_what_lies_in_it(gate, made):
    """What was sealed before or after is not in it; the policy that held then is."""
    before = gate.regulator_export("US", time_of("2023-01-01"), time_of("2023-06-01"))
    assert not before["releases"]
    assert not before["policies"]
    later = gate.regulator_export("US", NOW + 10**9, NOW + 2 * 10**9)
    assert not later["releases"]
    assert not later["choices"]
    assert [p["version"] for p in later["policies"]] == ["1"]
    (release,) = gate.regulator_export("US", *YEAR)["releases"]
    assert release["counts"] == made[1].record["counts"]
    assert release["people"] == made[1].record["members"]


@pytest.mark.parametrize("code", ["", "Germany", "XX", "eu", "US-ZZ", "*"])
def test_a_region_is_a_place(gate, code):
    """A region that ISO 3166 does not know is refused, and so is a period that is none."""
    with pytest.raises(UsageError, match="is no region"):
        gate.regulator_export(code, *YEAR)
    with pytest.raises(UsageError, match="is no period"):
        gate.regulator_export("US", YEAR[1], YEAR[0])


def test_what_is_owed_stands_in_it_with_its_state(made, tmp_path):
    """After a withdrawal list, duties and new version are told; what was made is as it was."""
    folder = Path(shutil.copytree(made[0], tmp_path / "w"))
    release = made[1].release
    withdraw(folder, "ann")
    at(folder, NOW, lambda gate: gate.publish_drops())
    at(folder, NOW, lambda gate: gate.supersede(release))
    record = at(folder, NOW, lambda gate: gate.regulator_export("US", *YEAR))
    states = {(o["duty"], o["owner"]): o["state"] for o in record["obligations"]}
    assert states["drop", "platform"] == states["supersede", "platform"] == "met"
    assert states["apply", RECIPIENT] == states["forget", RECIPIENT] == "open"
    late = at(folder, NOW + 10**13, lambda gate: gate.regulator_export("US", *YEAR))
    assert "overdue" in {o["state"] for o in late["obligations"]}
    first, second = record["releases"]
    assert (first["version"], second["version"]) == (0, 1)
    assert second["people"] < first["people"]
    assert second["counts"]["released"] < first["counts"]["released"]
    form = at(folder, NOW, lambda gate: gate.training_summary(MODEL))
    (behind,) = cells(form, "3.3", "Drop lists published since it learned")
    assert (behind["version learned from"], behind["newest drop list"]) == (0, 1)
    (size,) = cells(form, "1.3", "Size in another unit, of user data alone")
    assert size["rows"] == made[1].record["counts"]["released"]
    at(folder, NOW, lambda gate: gate.sidecars(release))
    attested = check_statement(folder / "releases" / release, folder / "log.policy")
    assert attested.version == 1


# ── OpenLineage of more than a build ────────────────────────────────────────────────────────


def test_lineage_goes_on_from_the_release_to_the_models(made, gate):
    """Delivery and both models are runs; each one's input is what an earlier one's output is."""
    lineage, release = gate.lineage(), made[1].release
    found = openlineage.run_events(lineage, gate.origin, only={release})
    assert [(e["job"]["name"], e["eventType"]) for e in found] == [
        ("release.build", "START"), ("release.build", "COMPLETE"), ("release.deliver", "START"),
        ("model.train", "START"), ("model.train", "COMPLETE"),
        ("model.train", "START"), ("model.train", "COMPLETE"),
    ]  # fmt: skip
    first, second = found[4], found[6]
    assert [d["name"] for d in first["inputs"]] == [f"release/{release}"]
    assert first["inputs"][0]["namespace"].endswith(f"/recipient/{RECIPIENT}")
    assert second["inputs"] == first["outputs"]
    assert openlineage.run_events(lineage, gate.origin) == found
    assert openlineage.run_events(lineage, gate.origin, only=()) == []


def test_the_events_are_valid_for_their_readers(gate):
    """Each event is one by the schema of OpenLineage."""
    path = Path(__file__).parents[1] / "vectors" / "openlineage" / "RunEvent.json"
    kind = jsonschema.Draft202012Validator
    validator = kind(json.loads(path.read_bytes()), format_checker=kind.FORMAT_CHECKER)
    found = openlineage.run_events(gate.lineage(), gate.origin)
    for event in found:
        validator.validate(event)
    assert len(openlineage.lines(found).splitlines()) == len(found)
