"""mapping.toml: strict, complete, and nothing in it lets an account id into a release."""

from __future__ import annotations

import random

import pytest

from letterlock.errors import InputError, LetterlockError
from letterlock.sources.mapping import Mapping, mapping_of, read_mapping
from workspaces import MAPPING, columns

FULL = """\
[columns]
id = "id"
created_at = "at"
author = ["sender", "delegate"]
recipients = ["to", "cc"]
members = "group"
payload = ["subject", "body"]
[data_class]
value = "message.direct"
[sensitive]
column = "categories"
[quotes]
text = "body"
data_class = "message.direct"
thread = "thread"
name = "display"
"""

REFUSED = {
    "no id": (FULL.replace('id = "id"\n', ""), "needs id, created_at and author"),
    "no time": (FULL.replace('created_at = "at"\n', ""), "needs id, created_at and author"),
    "no author": (FULL.replace('author = ["sender", "delegate"]\n', ""), "needs id, created_at"),
    "an empty author": (FULL.replace('["sender", "delegate"]', '""'), "must name columns"),
    "an author that is a number": (FULL.replace('["sender", "delegate"]', "5"), "name columns"),
    "an id that is a list": (FULL.replace('id = "id"', 'id = ["id"]'), "cannot be"),
    "no class": (FULL.replace('value = "message.direct"\n', ""), "exactly one of value, column"),
    "two classes": (FULL.replace("value =", 'column = "kind"\nvalue ='), "exactly one of value"),
    "an empty class": (FULL.replace('value = "message.direct"', 'value = ""'), "exactly one of"),
    "sensitivity unsaid": (FULL.replace('column = "categories"\n', ""), "what is not known denies"),
    "sensitivity none, but false": (
        FULL.replace('column = "categories"', "none = false"), "none and unknown take true"
    ),
    "sensitivity twice": (
        FULL.replace('column = "categories"', "none = true\nunknown = true"), "exactly one of none"
    ),
    "quotes unsaid": (FULL.replace('text = "body"\n', ""), "exactly one of none, column, text"),
    "quotes none, but a name": (FULL.replace('text = "body"', 'none = "no"'), "take true"),
    "an unknown key": (FULL + 'colour = "red"\n', r"unknown \[quotes\] colour"),
    "an unknown table": (FULL + "[colours]\nred = 1\n", r"unknown \[colours\] red"),
    "a value for a table": ('shade = "red"\n' + FULL, r"unknown \[shade\] is no table"),
    "a value for a needed table": ("columns = 3\n" + FULL.partition("[data")[2], "not TOML|needs"),
    "the id as payload": (FULL.replace('["subject", "body"]', '["id"]'), "names accounts"),
    "an author as payload": (FULL.replace('["subject", "body"]', '["delegate"]'), "names accounts"),
    "a recipient as payload": (FULL.replace('["subject", "body"]', '"cc"'), "names accounts"),
    "a member as payload": (FULL.replace('["subject", "body"]', '"group"'), "names accounts"),
    "quoted ids as payload": (
        FULL.replace('text = "body"', 'column = "body"'), "body names accounts"
    ),
    "no TOML": ("[columns", "not TOML"),
    "a number without end": (FULL + "x = " + "1" * 5000, "not TOML"),
    "nesting without end": (FULL + "x = " + "[" * 5000, "not TOML"),
    "no text": (FULL + "\0", "not TOML"),
}  # fmt: skip


def test_a_full_mapping_says_what_it_says():
    """Every key lands where it belongs; one column or a list of them mean the same."""
    mapping = columns(FULL)
    assert mapping == Mapping(
        id="id", created_at="at", author=("sender", "delegate"), recipients=("to", "cc"),
        members=("group",), payload=("subject", "body"), data_class="message.direct",
        data_class_column="", sensitive="column", sensitive_column="categories", quotes="text",
        quote_source="body", quote_class="message.direct", thread="thread", name="display",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[data_class]\ncolumn = "kind"', {"data_class": "", "data_class_column": "kind"}),
        ('[data_class]\nvalue = "post"', {"data_class": "post", "data_class_column": ""}),
        ("[sensitive]\nnone = true", {"sensitive": "none", "sensitive_column": ""}),
        ("[sensitive]\nunknown = true", {"sensitive": "unknown", "sensitive_column": ""}),
        ('[sensitive]\ncolumn = "s"', {"sensitive": "column", "sensitive_column": "s"}),
        ("[quotes]\nnone = true", {"quotes": "none", "quote_source": ""}),
        ('[quotes]\ncolumn = "q"', {"quotes": "column", "quote_source": "q"}),
        ('[quotes]\ntext = "t"', {"quotes": "text", "quote_source": "t"}),
    ],
)
def test_each_thing_can_be_said_in_each_way(text, what):
    """Class, sensitivity and quotes each have their ways of being said."""
    table = text.split("\n", 1)[0]
    parts = MAPPING.split("\n\n")
    given = "\n".join(text if part.startswith(table) else part for part in parts)
    mapping = columns(given)
    assert {key: getattr(mapping, key) for key in what} == what


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_said_right_is_refused(name):
    """A mapping that leaves something open, or says it twice, is refused with a reason."""
    text, why = REFUSED[name]
    with pytest.raises(InputError, match=why) as caught:
        columns(text)
    assert str(caught.value).startswith("mapping.toml")


@pytest.mark.parametrize("text", [FULL, MAPPING])
def test_a_mapping_survives_being_written_down(text):
    """What the index records of a mapping reads back as the same mapping."""
    mapping = columns(text)
    assert mapping_of(mapping.record()) == mapping


@pytest.mark.parametrize("record", [{}, {"id": "x"}, [], None, {**columns().record(), "more": 1}])
def test_what_is_no_mapping_is_not_read_as_one(record):
    """A damaged record of a mapping is an InputError."""
    with pytest.raises(InputError):
        mapping_of(record)


def test_a_column_may_say_several_things():
    """What a payload column also says about its row is not forgotten."""
    mapping = columns(MAPPING.replace('["subject", "body"]', '["body", "kind", "created_at"]'))
    assert {
        ("created_at", "created_at"),
        ("kind", "data_class_column"),
        ("kind", "payload"),
    } <= set(mapping.columns())


@pytest.mark.parametrize("seed", range(200))
def test_only_our_errors_escape_from_a_garbled_mapping(seed):
    """Bytes flipped, cut and doubled at random give a mapping or an InputError, nothing else."""
    rng = random.Random(seed)
    data = bytearray(FULL.encode())
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data))
        change = rng.randrange(3)
        if change == 0:
            data[at] = rng.randrange(256)
        elif change == 1:
            del data[at : at + rng.randint(1, 30)]
        else:
            data[at:at] = data[at : at + rng.randint(1, 30)]
    try:
        found = read_mapping(bytes(data), "mapping.toml")
    except LetterlockError:
        return
    assert mapping_of(found.record()) == found
