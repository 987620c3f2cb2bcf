"""Choices from files: a grant counts only with the subject's own act, a refusal always."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import permutations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.domain import (
    BEGINNING,
    DAY,
    END,
    Act,
    Item,
    Party,
    Request,
    Role,
    State,
    text_of,
    time_of,
)
from letterlock.errors import InputError, UsageError
from letterlock.gate import Gate, Loaded
from letterlock.policy.decide import decide
from letterlock.sources.choices import read
from letterlock.sources.records import Row, rows
from workspaces import (
    CHOSE,
    GERMAN,
    JOINED,
    NOW,
    PUBLISHED,
    PURPOSE,
    RECIPIENT,
    YES,
    at,
    columns,
    copy,
    grant,
    introduce,
    member,
    messages,
    people,
    publish,
    refusal,
    rows_of,
    text_of_setting,
    workspace,
    write,
    yes,
)

MEMBERS = ("ann", "bob", "cem")
ASKED = Request(PURPOSE, RECIPIENT)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Give a workspace of members who have chosen nothing yet."""
    folder = tmp_path_factory.mktemp("choices") / "w"
    Gate.create(folder, simulated=True, now=PUBLISHED).close()
    at(folder, PUBLISHED, publish)
    at(folder, JOINED, lambda gate: gate.register_subjects(rows_of(map(member, MEMBERS))))
    at(folder, JOINED, introduce)
    return folder


@pytest.fixture(scope="module")
def known(start):
    """Give its rules, and the hash of the text that members were shown."""
    return at(start, NOW, lambda gate: (gate.rules(), text_of_setting(gate)))


@pytest.fixture
def gate(start, tmp_path):
    """Give a copy of it to choose in."""
    gate = copy(Gate(start), tmp_path / "w")
    yield gate
    gate.close()


def lines(gate, subject):
    """Return what is recorded of somebody's choices."""
    found = gate.state([subject]).subjects.get(subject)
    return () if found is None else found.lines


def counted(loaded, number):
    """Assert that each of `number` rows was recorded, known already, or refused."""
    assert loaded.recorded + loaded.already + len(loaded.refused) == number
    assert len({r.row for r in loaded.refused}) == len(loaded.refused)
    return loaded


def load(gate, records):
    """Load records as a file of them would be."""
    return counted(gate.load_choices(rows_of(records)), len(records))


def answers(state: State) -> list[str]:
    """Return what is decided about a set of items, one after the other."""
    found = []
    for subject in (*MEMBERS, "stranger"):
        for data_class in ("message.direct", "message.group", "post.public"):
            for when in (PUBLISHED, CHOSE, CHOSE + 3 * DAY, NOW):
                party = Party(subject, Role.AUTHOR)
                item = Item("x", data_class, when, (party,), frozenset())
                decision = decide(ASKED, item, state)
                found.append("goes" if decision.allowed else decision.reason.name)
    return found


# ── a grant ───────────────────────────────────────────────────────────────────────────────────


def test_a_grant_is_recorded_with_its_act(gate):
    """Scope, time, channel and text of a grant stand in the ledger as they were given."""
    text = text_of_setting(gate)
    row = grant(
        "ann", text, explicit=True, categories=["pay"], expires="2025-01-01", to="2024-12-31"
    )
    assert load(gate, [row]) == Loaded(recorded=1)
    (line,) = lines(gate, "ann")
    assert (line.act, line.purpose, line.pattern, line.recipient) == (
        Act.GRANT, PURPOSE, "message.*", RECIPIENT,
    )  # fmt: skip
    assert (line.explicit, line.categories, line.text) == (True, {"pay"}, text)
    assert (line.span.start, line.span.end) == (BEGINNING, time_of("2024-12-31"))
    assert line.expires_at == time_of("2025-01-01")
    events = gate.store.events(upto=gate.store.head().index, subjects=["ann"])
    evidence = next(e.body["evidence"] for e in events if e.kind == "choice.made")
    shown = {"text": text, "setting": "genai", "language": "en"}
    assert evidence == {"time": CHOSE, "channel": "web", **shown}


def test_open_ends_are_open(gate):
    """9999-12-31, as databases write "for ever", is neither an error nor a date."""
    row = grant("ann", text_of_setting(gate), to="9999-12-31", expires="9999-12-31")
    assert load(gate, [row]) == Loaded(recorded=1)
    (line,) = lines(gate, "ann")
    assert (line.span.end, line.expires_at) == (END, END)


NOT_GRANTED = {
    "no time": ({"time": None}, "time, channel and the hash"),
    "no channel": ({"channel": None}, "time, channel and the hash"),
    "an empty channel": ({"channel": ""}, "time, channel and the hash"),
    "no text": ({"text": None}, "time, channel and the hash"),
    "an empty text": ({"text": ""}, "time, channel and the hash"),
    "a text nobody published": ({"text": "f" * 64}, "no published setting has the text"),
    "an act in the future": ({"time": text_of(NOW + 1)}, "lies in the future"),
    "an act that is no date": ({"time": "soon"}, "not a date or time"),
    "an act before all time": ({"time": "0001-01-01"}, "not canonical"),
    "a purpose the setting does not ask for": (
        {"purpose": "train.ranking"}, "does not ask for purpose train.ranking"
    ),
    "every purpose": ({"purpose": "*"}, r"does not ask for purpose \*"),
    "a class the setting does not ask for": ({"data_class": "profile"}, "not ask for profile"),
    "every class": ({"data_class": "*"}, r"does not ask for \*"),
    "a wider class": ({"data_class": "post.*"}, r"does not ask for post\.\*"),
    "a recipient the setting does not name": ({"recipient": "sister"}, "does not name recipient"),
    "every recipient": ({"recipient": "*"}, "does not name recipient"),
    "a class of recipients": ({"recipient": "third_party"}, "does not name recipient"),
    "no purpose": ({"purpose": None}, "purpose is missing"),
    "no class": ({"data_class": None}, "data_class is missing"),
    "no recipient": ({"recipient": None}, "recipient is missing"),
    "a period that ends before it begins": (
        {"from": "2024-05-01", "to": "2024-04-01"}, "is no span of time"
    ),
    "a period that is no date": ({"from": "soon"}, "not a date or time"),
    "categories in a text": ({"categories": "pay"}, "must list texts"),
    "a number for a truth": ({"earlier": 1}, "earlier cannot be 1"),
    "an unknown column": ({"colour": "red"}, "unknown colour"),
    "nobody": ({"subject": ""}, "subject cannot be"),
    "an unknown subject": ({"subject": "stranger"}, "not a registered member"),
    "an unknown act": ({"act": "consent"}, "unknown act 'consent'"),
    "no act": ({"act": None}, "act is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_GRANTED)
def test_what_is_not_a_members_own_act_grants_nothing(name, gate):
    """A grant without evidence, beyond its setting or from nobody known is listed, not recorded."""
    change, why = NOT_GRANTED[name]
    text = text_of_setting(gate)
    good = grant("bob", text)
    loaded = load(gate, [{**grant("ann", text), **change}, good])
    assert loaded.recorded == 1
    (refused,) = loaded.refused
    assert refused.row == 1
    with pytest.raises(InputError, match=why):
        raise InputError(refused.why)
    assert not lines(gate, "ann")
    assert not lines(gate, "stranger")
    assert lines(gate, "bob")


@pytest.mark.parametrize("name", NOT_GRANTED)
def test_one_such_choice_made_by_hand_is_an_error(name, gate):
    """What a file's row may not say, the command line may not say either."""
    change, _ = NOT_GRANTED[name]
    row = {**grant("ann", text_of_setting(gate)), **change}
    known = {k: row[k] for k in ("purpose", "data_class", "recipient", "channel", "text")}
    if not set(change) & {"subject", "act", *known} or None in known.values():
        return
    before = gate.store.head()
    with pytest.raises((InputError, UsageError)):
        gate.choose(row["subject"], row["act"], **known)
    assert gate.store.head() == before


# ── a refusal ─────────────────────────────────────────────────────────────────────────────────

GARBAGE = {
    "an unknown purpose": ({"purpose": "train.everything"}, "purpose"),
    "a purpose that is a number": ({"purpose": 5}, "purpose"),
    "a purpose that is a truth": ({"purpose": True}, "purpose"),
    "a purpose that is a list": ({"purpose": ["infer"]}, "purpose"),
    "an empty purpose": ({"purpose": ""}, "purpose"),
    "an unknown class": ({"data_class": "telemetry"}, "data_class"),
    "a pattern amid a word": ({"data_class": "mess*"}, "data_class"),
    "an unknown recipient": ({"recipient": "nobody"}, "recipient"),
    "a period that is no date": ({"from": "soon"}, "period"),
    "a period that is a number": ({"to": 5}, "period"),
    "a period that ends before it begins": ({"from": "2024-05-01", "to": "2024-04-01"}, "period"),
    "a period of no length": ({"from": "2024-05-01", "to": "2024-05-01"}, "period"),
    "a time that is no date": ({"time": "soon"}, "time"),
    "a time that is a number": ({"time": 5}, "time"),
    "a time before all time": ({"time": "0001-01-01"}, "time"),
    "everything at once": (
        {"purpose": [], "data_class": 1, "recipient": {}, "from": True, "time": [], "channel": {}},
        "purpose",
    ),
}  # fmt: skip


@pytest.mark.parametrize("act", ["withdraw", "object"])
@pytest.mark.parametrize("name", GARBAGE)
def test_what_cannot_be_read_of_a_refusal_means_everything(name, act, gate):
    """A refusal whose scope is garbage is recorded as refusing everything there, and listed."""
    change, what = GARBAGE[name]
    row = {
        **refusal("ann", act, purpose=PURPOSE, data_class="message.*", recipient=RECIPIENT),
        **change,
    }
    loaded = load(gate, [row])
    assert (loaded.recorded, loaded.refused) == (1, [])
    (widened,) = loaded.widened
    assert (widened.row, widened.subject) == (1, "ann")
    assert what in widened.why
    (line,) = lines(gate, "ann")
    assert line.act == act
    said = {"purpose": line.purpose, "data_class": line.pattern, "recipient": line.recipient}
    for key, value in said.items():
        assert value == ("*" if key in change else row[key])
    if what == "period" or len(change) > 2:
        assert (line.span.start, line.span.end) == (BEGINNING, END)


@pytest.mark.parametrize("recipient", ["controller", "affiliate", "third_party"])
def test_a_refusal_may_name_a_class_of_recipients(recipient, gate):
    """A no to everybody of a kind is recorded as such; a yes to them is not one."""
    text = text_of_setting(gate)
    loaded = load(
        gate, [refusal("ann", recipient=recipient), grant("bob", text, recipient=recipient)]
    )
    assert (loaded.recorded, loaded.widened) == (1, [])
    assert [line.recipient for line in lines(gate, "ann")] == [recipient]
    assert [problem.subject for problem in loaded.refused] == ["bob"]


def test_a_file_holds_one_line_in_a_row(gate):
    """Several lines of one act are for forms and commands: in a file they are an unknown column."""
    row = grant("ann", text_of_setting(gate), lines=[{"purpose": PURPOSE}])
    (refused,) = load(gate, [row]).refused
    assert refused.why == "unknown lines"


HARMLESS = {
    "no time": {"time": None},
    "a time in the future": {"time": "9999-12-31"},
    "no channel": {"channel": None},
    "an empty channel": {"channel": ""},
    "a channel that is a truth": {"channel": True},
    "a channel that is no text": {"channel": "\ud800"},
    "columns of a grant": {"text": "x", "expires": "soon", "categories": 5, "explicit": "no"},
    "an unknown column": {"colour": "red"},
    "every purpose": {"purpose": "*"},
    "an end beyond all time": {"to": "9999-12-31"},
    "a beginning before all time": {"from": "0001-01-01"},
    "a class nobody can grant": {"data_class": "message.*"},
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_refusal_needs_no_evidence(name, gate):
    """A refusal loads with or without its time, channel or text, and whatever else a row says."""
    loaded = load(gate, [refusal("ann", **HARMLESS[name])])
    assert (loaded.recorded, loaded.refused, loaded.widened) == (1, [], [])
    (line,) = lines(gate, "ann")
    assert (line.act, line.purpose, line.recipient) == (Act.WITHDRAW, "*", "*")
    assert (line.span.start, line.span.end) == (BEGINNING, END)


def test_whoever_refuses_is_known_from_then_on(gate):
    """An unknown subject who refuses becomes a known non-member; the refusal outlives joining."""
    loaded = load(gate, [refusal("stranger"), refusal("stranger", "object"), refusal(77)])
    assert loaded == Loaded(recorded=3)
    assert not gate.state(["stranger"]).subjects["stranger"].member
    assert gate.state(["77"]).subjects["77"].lines
    gate.register_subjects(rows_of([member("stranger")]))
    found = gate.state(["stranger"]).subjects["stranger"]
    assert found.member
    assert [line.act for line in found.lines] == [Act.WITHDRAW, Act.OBJECT]


def test_a_refusal_by_somebody_who_is_only_in_a_table_is_recorded(tmp_path):
    """Whoever a registered table names, but nobody registered, can refuse like anybody."""
    gate = people(tmp_path / "w")
    gate.add_table("mail", write(tmp_path / "t.parquet", messages()), columns())
    assert "stranger" in gate.store.subject_ids()
    load(gate, [refusal("stranger")])
    assert not gate.state(["stranger"]).subjects["stranger"].member
    gate.close()


# ── order ─────────────────────────────────────────────────────────────────────────────────────


def story(text: str) -> list[dict]:
    """Return acts of two people on a few days, some on the same."""
    days = [text_of(CHOSE + n * DAY) for n in range(3)]
    return [
        grant("ann", text, time=days[0]),
        refusal("ann", time=days[1], data_class="message.*"),
        grant("ann", text, time=days[1]),
        grant("ann", text, time=days[2], data_class="message.group"),
        grant("bob", text, time=days[1], earlier=True),
        refusal("bob", "object", time=days[0]),
    ]


def test_the_order_of_the_rows_does_not_matter(start, tmp_path):
    """Whatever the order of a file's rows, the same is decided: what counts is when it was said."""
    gate = Gate(start)
    text = text_of_setting(gate)
    rng = random.Random(3)
    orders = rng.sample(list(permutations(story(text))), 6)
    found = set()
    for n, order in enumerate(orders):
        gate = copy(gate, tmp_path / str(n))
        assert load(gate, list(order)).recorded == 6
        acts = [(line.act, line.pattern, line.earlier) for line in lines(gate, "ann")]
        assert acts == [
            (Act.GRANT, "message.*", False), (Act.GRANT, "message.*", False),
            (Act.WITHDRAW, "message.*", False), (Act.GRANT, "message.group", False),
        ]  # fmt: skip
        found.add(tuple(answers(gate.state(MEMBERS))))
        gate.close()
        gate = Gate(start)
    assert len(found) == 1
    assert {"goes", "WITHDRAWN"} <= set(found.pop())


@given(data=st.data())
@settings(max_examples=60)
def test_order_and_duplicates_do_not_matter(known, data):
    """However a file's rows are shuffled and repeated, the same acts follow in the same order."""
    rules, text = known
    when = st.integers(0, 3).map(lambda n: text_of(CHOSE + n * DAY))
    said = st.one_of(
        st.builds(
            lambda who, t, c: grant(who, text, time=t, data_class=c),
            st.sampled_from(MEMBERS), when, st.sampled_from(["message.*", "post.public"]),
        ),
        st.builds(
            lambda who, act, t: refusal(who, act, time=t),
            st.sampled_from(MEMBERS), st.sampled_from(["withdraw", "object"]), when,
        ),
    )  # fmt: skip
    records = data.draw(st.lists(said, max_size=8))
    again = data.draw(st.permutations([*records, *data.draw(st.lists(st.sampled_from(records)))])
                      if records else st.just([]))  # fmt: skip
    first, second = (read(rows_of(rs), rules, NOW).said for rs in (records, again))

    def acts(said):
        return [json.dumps(s.body, sort_keys=True) for s in said]

    assert set(acts(first)) == set(acts(second))
    for said in (first, second):
        keys = [(s.acted, s.body["act"] != "grant") for s in said]
        assert keys == sorted(keys)


def test_at_the_same_moment_no_counts(start, tmp_path):
    """Of a yes and a no of the same moment the no counts, in one file or two, in either order."""
    gate = Gate(start)
    said = {"yes": grant("ann", text_of_setting(gate)), "no": refusal("ann")}
    for n, files in enumerate((["yes", "no"], ["no", "yes"])):
        for together in (True, False):
            gate = copy(gate, tmp_path / f"{n}-{together}")
            for names in [files] if together else [[name] for name in files]:
                load(gate, [said[name] for name in names])
            assert [line.act for line in lines(gate, "ann")][-1] == Act.WITHDRAW
            assert "goes" not in answers(gate.state(MEMBERS))
            gate.close()
            gate = Gate(start)
    gate.close()


def test_an_older_grant_does_not_answer_a_recorded_refusal(gate):
    """A yes that was said before a no, but comes to light after it, is refused and listed."""
    text = text_of_setting(gate)
    load(gate, [refusal("ann", time=text_of(CHOSE + DAY))])
    late = load(gate, [grant("ann", text), grant("bob", text)])
    assert late.recorded == 1
    (refused,) = late.refused
    assert (refused.row, refused.subject) == (1, "ann")
    assert "already recorded" in refused.why
    assert load(gate, [grant("ann", text, time=text_of(CHOSE + 2 * DAY))]).recorded == 1


def test_an_older_refusal_is_recorded_after_a_grant(gate):
    """A no that comes to light late is recorded all the same: it then counts as the later word."""
    load(gate, [grant("ann", text_of_setting(gate), time=text_of(CHOSE + DAY))])
    assert load(gate, [refusal("ann", time=text_of(CHOSE))]).recorded == 1
    assert [line.act for line in lines(gate, "ann")] == [Act.GRANT, Act.WITHDRAW]


# ── twice ─────────────────────────────────────────────────────────────────────────────────────


def test_a_file_loaded_twice_records_nothing_new(gate):
    """Every act is recorded once, however often its file is loaded."""
    text = text_of_setting(gate)
    said = [*story(text), *yes("cem", text), refusal("stranger"), grant("ann", "no such text")]
    first = load(gate, said)
    assert (first.recorded, first.already, len(first.refused)) == (11, 0, 1)
    head, before = gate.store.head(), answers(gate.state(MEMBERS))
    second = load(gate, said)
    assert (second.recorded, second.already, len(second.refused)) == (0, 11, 1)
    assert gate.store.head() == head
    gate.close()
    later = Gate(gate.folder, now=NOW + 100 * DAY)
    assert load(later, list(reversed(said))).already == 11
    assert answers(later.state(MEMBERS)) == before
    later.close()


def test_a_row_told_twice_in_one_file_is_recorded_once(gate):
    """Duplicates in a file are known already; none of them is lost or counted twice."""
    text = text_of_setting(gate)
    loaded = load(gate, [grant("ann", text)] * 3 + [refusal("bob")] * 2)
    assert (loaded.recorded, loaded.already) == (2, 3)


def test_a_refusal_whose_time_nobody_knows_may_be_a_new_one(gate):
    """A no without a time counts from when it is loaded; loaded again later, it counts again."""
    said = [refusal("ann", time=None)]
    assert load(gate, said).recorded == 1
    load(gate, [grant("ann", text_of_setting(gate), time=text_of(NOW))])
    gate.close()
    later = Gate(gate.folder, now=NOW + DAY)
    assert load(later, said).recorded == 1
    assert lines(later, "ann")[-1].act == Act.WITHDRAW
    later.close()


def test_a_file_that_breaks_off_records_nothing(gate, tmp_path):
    """A file with a broken line is refused whole, before anything of it is recorded."""
    path = tmp_path / "choices.jsonl"
    path.write_text(json.dumps(refusal("ann")) + "\n{\n")
    before = gate.store.head()
    with pytest.raises(InputError, match=r"choices\.jsonl:2"):
        gate.load_choices(rows(path))
    assert gate.store.head() == before


@pytest.mark.parametrize("count", [3, 700])
def test_many_people_choose_at_once(count, start, tmp_path):
    """A file of few people and one of many are treated alike."""
    gate = copy(Gate(start), tmp_path / "w")
    names = [f"m{n}" for n in range(count)]
    gate.register_subjects(rows_of([member(name) for name in names]))
    text = text_of_setting(gate)
    said = [grant(name, text) for name in names] + [refusal(name, time=None) for name in names[::3]]
    first = load(gate, said)
    assert (first.recorded, first.already) == (len(said), 0)
    again = load(gate, said)
    assert (again.recorded, again.already) == (0, len(said))
    assert not again.refused
    late = load(gate, [grant(name, text, channel="paper") for name in names])
    assert (late.recorded, len(late.refused)) == (count - len(names[::3]), len(names[::3]))
    gate.close()


def test_parquet_and_jsonl_say_the_same(start, tmp_path):
    """The same choices from both formats are the same acts: loading the second adds nothing."""
    gate = copy(Gate(start), tmp_path / "w")
    records = [*story(text_of_setting(gate)), refusal("cem", to="2024-03-01")]
    with (tmp_path / "c.jsonl").open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    names = sorted({name for record in records for name in record})
    plain = [{name: record.get(name) for name in names} for record in records]
    table = pa.Table.from_pylist(plain)
    times = pa.array(
        [time_of(t) for t in table.column("time").to_pylist()], pa.timestamp("us", "UTC")
    )
    table = table.set_column(table.column_names.index("time"), "time", times)
    pq.write_table(table, tmp_path / "c.parquet", row_group_size=2)
    assert counted(gate.load_choices(rows(tmp_path / "c.jsonl")), 7).recorded == 7
    assert counted(gate.load_choices(rows(tmp_path / "c.parquet")), 7).already == 7
    gate.close()


# ── anything at all ───────────────────────────────────────────────────────────────────────────

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
COLUMNS = (
    "subject", "act", "purpose", "data_class", "recipient", "from", "to", "earlier", "explicit",
    "categories", "expires", "time", "channel", "text", "colour",
)  # fmt: skip


@given(data=st.data(), act=st.sampled_from(["withdraw", "object"]))
@settings(max_examples=150)
def test_a_refusal_of_somebody_named_always_loads(known, data, act):
    """Whatever stands in its other columns, a refusal by somebody is recorded and never refused."""
    rules, _ = known
    row = data.draw(st.dictionaries(st.sampled_from(COLUMNS), ANYTHING))
    reading = read([Row(1, {**row, "subject": "ann", "act": act})], rules, NOW)
    assert not reading.refused
    (said,) = reading.said
    assert said.body["act"] == act
    assert BEGINNING < said.acted <= NOW


@given(data=st.data())
@settings(max_examples=150)
def test_a_grant_is_read_wholly_or_not_at_all(known, data):
    """A grant with anything unreadable in it is refused with a reason; nothing else is raised."""
    rules, text = known
    change = data.draw(st.dictionaries(st.sampled_from(COLUMNS), ANYTHING, min_size=1))
    reading = read([Row(1, {**grant("ann", text), **change, "act": "grant"})], rules, NOW)
    assert len(reading.said) + len(reading.refused) == 1
    assert not reading.widened
    assert all(r.why for r in reading.refused)


@pytest.mark.parametrize("seed", range(6))
def test_every_row_is_accounted_for(seed, start, tmp_path):
    """Recorded, known already and refused add up to the rows of any file, loaded twice."""
    rng = random.Random(seed)
    gate = copy(Gate(start), tmp_path / "w")
    text = text_of_setting(gate)
    records = []
    for _ in range(80):
        who = rng.choice([*MEMBERS, "stranger", "", None, 7])
        day = text_of(CHOSE + rng.randrange(4) * DAY)
        row = rng.choice([grant(who, text, time=day), refusal(who, time=day)])
        if rng.random() < 0.3:
            row[rng.choice(COLUMNS)] = rng.choice([None, "", 5, True, "soon", ["x"], "2024-01-01"])
        records.append(row)
    first, second = load(gate, records), load(gate, records)
    assert first.recorded
    assert Counter(r.row for r in first.refused) <= Counter(r.row for r in second.refused)
    gate.close()


def test_one_choice_by_hand_is_the_same_as_a_row(tmp_path):
    """What `choose` records decides like a row of a file, and an error records nothing."""
    gate = workspace(tmp_path / "w")
    before = gate.plan(PURPOSE, RECIPIENT)
    gate.choose(YES[0], "withdraw", purpose="*", data_class="*", recipient="*", channel="desk")
    after = gate.plan(PURPOSE, RECIPIENT)
    assert after.released < before.released
    with pytest.raises(InputError, match="unknown act"):
        gate.choose(YES[0], "agree", purpose="*", data_class="*", recipient="*", channel="desk")
    gate.choose(
        GERMAN, "grant", purpose=PURPOSE, data_class="message.*", recipient=RECIPIENT,
        channel="desk", text=text_of_setting(gate), explicit=True, categories=["pay"],
    )  # fmt: skip
    assert lines(gate, GERMAN)[-1].categories == {"pay"}
    gate.close()
