"""TOML, read strictly: everything stands on the line on which it was written, whatever it is."""

from __future__ import annotations

import random
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.errors import PolicyError
from letterlock.policy.document import check, read
from letterlock.policy.toml import MAX_DEPTH, Finding, locate


def test_a_finding_is_one_line_that_says_where_what_how_and_why():
    """The requirement is left out where there is none."""
    assert str(Finding("p", 3, "x is y", "write z", "R10")) == "p:3: x is y — write z [R10]"
    assert str(Finding("p", 3, "x is y", "write z")) == "p:3: x is y — write z"


class Writer:
    """Writes TOML at random, nasty but valid, and notes on which line it wrote what."""

    NASTY = ('a"b', "[x]", "k = 1", "#", "'", "]", "}", "\\", ",", "=", "a.b", "", "ü", "[[y]]")

    def __init__(self, seed):
        """Write the document of `seed`."""
        self.rng, self.text, self.lines, self.count = random.Random(seed), "", {(): 1}, 0
        self.table((), "")
        for _ in range(self.rng.randint(0, 4)):
            name, key = self.key()
            array = self.rng.random() < 0.5
            opened, closed = ("[[", "]]") if array else ("[", "]")
            for n in range(self.rng.randint(1, 3) if array else 1):
                path = (name, n) if array else (name,)
                self.say(self.blank())
                self.note((name,), path)
                self.say(opened + self.pad() + key + self.pad() + closed + self.end())
                self.table(path, key)

    def say(self, text):
        """Write `text`."""
        self.text += text

    def note(self, *paths):
        """Note the line that is being written as that of each path that has none."""
        for path in paths:
            self.lines.setdefault(path, self.text.count("\n") + 1)

    def pad(self):
        """Draw blanks that may stand within a line."""
        return self.rng.choice(["", "", " ", "\t "])

    def blank(self):
        """Draw what may stand between statements and elements."""
        return "".join(self.rng.choices(["", "\n", " ", "# [z]\n", '#]"""\n', "\t"], k=2))

    def end(self):
        """Draw the end of a line."""
        return self.rng.choice(["\n", " # x = [\n", "\t\n"])

    def key(self):
        """Draw a new key; return it, and how it is written."""
        self.count += 1
        name, style = f"k{self.count}", self.rng.randint(0, 2)
        if style == 1:
            name += self.rng.choice(self.NASTY)
            return name, self.basic(name)
        if style == 2:
            name += self.rng.choice(["[x]", "#", '"', "=", "\\", "."])
            return name, f"'{name}'"
        return name, name

    def basic(self, text):
        """Write a basic string."""
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def string(self):
        """Draw a string in one of the four ways to write one."""
        text, way = "".join(self.rng.choices(self.NASTY, k=3)), self.rng.randint(0, 3)
        if way == 0:
            return self.basic(text)
        if way == 1:
            return "'" + text.replace("'", "") + "'"
        start, more = self.rng.choice(["", "\n"]), self.rng.choice(["", "\n", "\n[q]\nq = 1\n"])
        if way == 2:
            last = self.rng.choice(["", '"', '""', '\\"""', '""x', "\\\n  "])
            return f'"""{start}{self.basic(text)[1:-1]}{more}{last}"""'
        return f"'''{start}{text.replace(chr(39), '')}{more}{self.rng.choice(['', chr(39)])}'''"

    def table(self, path, header):
        """Write the statements of a table, and perhaps a table below it."""
        for _ in range(self.rng.randint(0, 4)):
            self.say(self.blank())
            self.pair(path, 2)
            self.say(self.end())
        if header and self.rng.random() < 0.4:
            name, key = self.key()
            self.say(self.blank())
            self.note((*path, name))
            self.say(f"[{header}{self.pad()}.{self.pad()}{key}]{self.end()}")
            self.table((*path, name), "")

    def pair(self, path, depth):
        """Write a key, perhaps dotted, and its value."""
        keys = [self.key() for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]
        names = [name for name, _ in keys]
        self.note(*((*path, *names[: n + 1]) for n in range(len(names))))
        dot = f"{self.pad()}.{self.pad()}"
        self.say(dot.join(key for _, key in keys) + f"{self.pad()}={self.pad()}")
        self.value((*path, *names), depth)

    def value(self, path, depth):
        """Write a value."""
        self.note(path)
        way = self.rng.randint(0, 5 if depth else 3)
        if way < 2:
            self.say(self.string())
        elif way < 4:
            plain = ["1", "-1.5e3", "true", "2024-01-01 10:00:00", "2024-01-01T00:00:00.5Z", "inf"]
            self.say(self.rng.choice(plain) + self.pad())
        elif way == 4:
            self.say("[" + self.blank())
            for n in range(count := self.rng.randint(0, 3)):
                self.value((*path, n), depth - 1)
                comma = "," if n + 1 < count or self.rng.random() < 0.5 else ""
                self.say(self.blank() + comma + self.blank())
            self.say("]")
        else:
            self.say("{" + self.pad())
            for n in range(count := self.rng.randint(0, 2)):
                self.pair(path, depth - 1)
                self.say(self.pad() + ("," + self.pad() if n + 1 < count else ""))
            self.say("}")


def paths_of(value, path=()):
    """Yield the path of everything in a document."""
    yield path
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(each, (*path, key))


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_everything_in_any_toml_is_located(seed):
    """Every table, key and element is found, and stands on the line on which it was written."""
    written = Writer(seed)
    assert set(paths_of(tomllib.loads(written.text))) == set(written.lines)
    assert locate(written.text) == written.lines


def test_a_table_stands_where_its_own_header_stands():
    """Not where a table below it stands, if that comes first; an array where it begins."""
    text = "[a.b]\nx = 1\n[a]\ny = 1\n[[c]]\n[[c]]\nz = [\n1,\n[2,\n3]]\n[[c.d]]\n"
    assert locate(text) == {
        (): 1, ("a",): 3, ("a", "b"): 1, ("a", "b", "x"): 2, ("a", "y"): 4, ("c",): 5, ("c", 0): 5,
        ("c", 1): 6, ("c", 1, "z"): 7, ("c", 1, "z", 0): 8, ("c", 1, "z", 1): 9,
        ("c", 1, "z", 1, 0): 9, ("c", 1, "z", 1, 1): 10, ("c", 1, "d"): 11, ("c", 1, "d", 0): 11,
    }  # fmt: skip


@settings(max_examples=300)
@given(st.text(st.sampled_from("[]{}=.,\"'\\#\n\r\t ab1-_:é\0"), max_size=60))
def test_everything_in_what_nearly_is_toml_is_located(text):
    """Wherever tomllib takes it."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(paths_of(tree)) == set(locate(text.replace("\r\n", "\n")))


@given(st.integers(0, 2**32))
def test_any_toml_ends_in_findings(seed):
    """TOML that is no policy: unknown keys, and what is missing."""
    data = Writer(seed).text.encode()
    document, found = check({"policy.toml": data}, "p")
    found = [f for f in found if f.file == "p/policy.toml"]
    assert document is None
    assert {f.message for f in found} >= {"'version' is missing", "'regions' is missing"}
    assert all(f.mend and str(f).isprintable() for f in found)
    assert all(1 <= f.line <= data.count(b"\n") + 1 for f in found)
    with pytest.raises(PolicyError):
        read({"policy.toml": data}, "p")


def test_nesting_is_followed_as_deeply_as_is_said():
    """The bound itself is allowed, one more is not."""
    for depth, message in ((MAX_DEPTH, "'x' is an unknown key"), (MAX_DEPTH + 1, "too deeply")):
        text = "x = " + "[" * (depth - 1) + "1" + "]" * (depth - 1)
        _, found = check({"policy.toml": text.encode()}, "p")
        assert any(message in f.message for f in found)
