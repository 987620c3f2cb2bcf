"""The text that a member sees says all of the scope and nothing else, in each language."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.domain import PURPOSES, Recipient, RecipientClass, Setting, covers
from letterlock.errors import PolicyError
from letterlock.policy.texts import CATEGORIES, LANGUAGES, Words, render, text_hash


class World(NamedTuple):
    """What a text is rendered from."""

    setting: Setting
    purposes: Words
    data_classes: Words
    recipients: dict[str, Recipient]
    sensitive: dict[str, list[str]]

    def text(self, language: str = "en") -> str:
        """Render it."""
        return render(self.setting, language, *self[1:])


CLASSES = ("message.direct.inmail", "message.group", "message", "post.public")
PATTERNS = (*CLASSES, "message.*", "message.direct.*", "post.*")
ENTITIES = ("northmail", "labs", "tern")

INMAIL = World(
    Setting("genai", "Data for Generative AI Improvement", ("train.generative",),
            ("message.*", "post.public"), ("northmail", "tern")),
    {"train.generative": {"de": "Modelle trainieren", "en": "train models that generate text"}},
    {
        "message.direct.inmail": {"de": "InMail", "en": "InMail messages you send or receive"},
        "message.group": {"de": "Gruppen", "en": "messages in your groups"},
        "post.public": {"de": "Beiträge", "en": "your public posts"},
    },
    {
        "northmail": Recipient("northmail", "Northmail Inc.", RecipientClass.CONTROLLER),
        "tern": Recipient("tern", "Tern Models GmbH", RecipientClass.THIRD_PARTY),
    },
    {},
)  # fmt: skip

ENGLISH = """\
Data for Generative AI Improvement

This is a question to you. Until you say yes, the answer is no.

Who would use the data
- Northmail Inc., which runs the service (northmail)
- Tern Models GmbH, a company outside the group that runs the service (tern)

What would be used
- everything under message.*, which is:
  - InMail messages you send or receive (message.direct.inmail)
  - messages in your groups (message.group)
- your public posts (post.public)

What for
- train models that generate text (train.generative)

From when on
- Only what is made after your yes.
- Anything earlier only if you are asked for that period separately and say yes to that too.

Your answer
- No is the answer for as long as you say nothing.
- You can say no at any time, also after a yes, and just as easily.
- Where several people take part in something, such as a message, it is used only if every one of \
them has said yes.
"""


def test_the_text_says_who_what_what_for_and_from_when():
    """A golden text: a changed skeleton ends every agreement, so it is changed knowingly."""
    assert INMAIL.text("en") == ENGLISH


def test_each_language_says_the_same_in_its_own_words():
    """Every entry of the scope stands in every language, in as many lines."""
    german = INMAIL.text("de")
    assert set(LANGUAGES) == {"de", "en"}
    assert len(german.splitlines()) == len(ENGLISH.splitlines())
    ids = [re.findall(r"\((\S+)\)$", text, re.MULTILINE) for text in (german, ENGLISH)]
    assert ids[0] == ids[1] != []
    assert "Solange Sie nicht ja sagen, gilt nein." in german
    assert "Gruppen (message.group)" in german


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_wording_is_neutral(language):
    """Nothing praises, warns, hurries or thanks, and nothing is written in capitals."""
    text = INMAIL.text(language).lower()
    pushy = (
        "recommend empfehl benefit vorteil better besser please bitte thank dank hurry today miss"
    )
    assert not any(word in text.split() for word in pushy.split())
    assert "!" not in text
    assert not re.search(r"[A-ZÄÖÜ]{3,}", INMAIL.text(language).replace(INMAIL.setting.title, ""))


def test_the_hash_is_that_of_the_utf_8_bytes():
    """Anyone can compute it: sha256sum of the text as shown."""
    assert text_hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert text_hash("für\n") == "81b1966cad6335bdbb67def8e2e7bbbcfdc5851d80f541791879d182bb66fab2"


LINES = st.text(
    st.characters(categories=("L", "N", "P", "S", "Zs"), max_codepoint=0x2FF),
    min_size=1,
    max_size=8,
).filter(lambda s: s.isprintable() and s.strip() == s)
TEXTS = st.sampled_from(["a", "b", "a (post.public)", "a, which runs the service", "{who}"]) | LINES


def words(keys):
    """Draw what each of `keys` is called, in every language."""
    return st.fixed_dictionaries(
        {key: st.fixed_dictionaries(dict.fromkeys(LANGUAGES, TEXTS)) for key in keys}
    )


def some(options):
    """Draw a scope's list, in any order, with repetitions."""
    return st.lists(st.sampled_from(options), min_size=1, max_size=3).map(tuple)


WORLDS = st.builds(
    World,
    st.builds(
        Setting, st.sampled_from(["s", "t"]), TEXTS, some(PURPOSES), some(PATTERNS), some(ENTITIES)
    ),
    words(PURPOSES),
    words(CLASSES),
    st.fixed_dictionaries(
        {
            e: st.builds(Recipient, st.just(e), TEXTS, st.sampled_from(RecipientClass))
            for e in ENTITIES
        }
    ),
    st.dictionaries(
        st.sampled_from(CLASSES), st.lists(st.sampled_from(sorted(CATEGORIES)), min_size=1)
    ),
)


def scope(world, language):
    """Return all that a text in `language` has to tell apart, and nothing else."""
    setting = world.setting
    return (
        language,
        setting.title,
        {p: world.purposes[p][language] for p in setting.purposes},
        {
            pattern: {c: world.data_classes[c][language] for c in CLASSES if covers(pattern, c)}
            for pattern in setting.data_classes
        },
        {r: world.recipients[r] for r in setting.recipients},
        {
            (c, kind)
            for c, kinds in world.sensitive.items()
            for kind in kinds
            if any(covers(pattern, c) for pattern in setting.data_classes)
        },
    )


@given(WORLDS, WORLDS, st.sampled_from(LANGUAGES), st.data())
def test_scope_and_words_change_the_hash_and_nothing_else_does(one, other, language, data):
    """Two worlds share a text exactly if they agree in scope and in its words."""
    fields = data.draw(st.sets(st.sampled_from(World._fields)))
    mixed = World(*(getattr(other if f in fields else one, f) for f in World._fields))
    parts = data.draw(st.sets(st.sampled_from(Setting.__slots__)))
    setting = replace(one.setting, **{p: getattr(other.setting, p) for p in parts})
    for world, said in ((mixed, language), (one._replace(setting=setting), language), (one, "de")):
        same = scope(one, language) == scope(world, said)
        hashes = text_hash(one.text(language)), text_hash(world.text(said))
        assert (hashes[0] == hashes[1]) is same


@given(WORLDS, st.randoms(use_true_random=False))
def test_the_order_of_a_scope_does_not_count(world, rng):
    """Lists of a setting are sets: shuffled or repeated entries leave the text as it is."""
    setting = world.setting
    shuffled = {
        key: tuple(rng.sample(getattr(setting, key) * 2, k=2 * len(getattr(setting, key))))
        for key in ("purposes", "data_classes", "recipients")
    }
    assert world._replace(setting=replace(setting, **shuffled)).text() == world.text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purposes": ("evaluate",)}, "'evaluate' has no text in 'de'"),
        ({"data_classes": ("profile",)}, "'profile' has no text in 'de'"),
        ({"data_classes": ("profile.*",)}, "'profile.*' covers no data class"),
        ({"recipients": ("nobody",)}, "'nobody' is not a registered recipient"),
    ],
)
def test_what_has_no_words_is_not_left_out(change, message):
    """A scope that cannot be said in full is not said at all, and no language stands in."""
    world = INMAIL._replace(
        setting=replace(INMAIL.setting, **change), purposes={"evaluate": {"en": "measure"}}
    )
    with pytest.raises(PolicyError, match=re.escape(message)):
        world.text("de")


def test_a_class_without_words_is_not_left_out_of_a_pattern():
    """A pattern lists every class that it covers, or nothing is rendered."""
    bare = {**INMAIL.data_classes, "message.chat": {"en": "chat"}}
    assert "  - chat (message.chat)" in INMAIL._replace(data_classes=bare).text("en")
    with pytest.raises(PolicyError, match=r"'message.chat' has no text in 'de'"):
        INMAIL._replace(data_classes=bare).text("de")


def test_an_unknown_language_is_refused():
    """There is no fallback to another language."""
    with pytest.raises(PolicyError, match="'fr': use de or en"):
        INMAIL.text("fr")


SENSITIVE = """\
What is sensitive in it
- InMail messages you send or receive (message.direct.inmail):
  - jobs and job applications (employment)
  - health (health)
- For this, only an explicit yes counts, one that names each of these. Each is asked by itself.

What for
"""


def test_what_is_sensitive_is_named_and_asked_for_explicitly():
    """In each language; what lies outside the scope is not."""
    world = INMAIL._replace(
        sensitive={"message.direct.inmail": ["health", "employment"], "profile": ["pay"]}
    )
    text = world.text()
    assert SENSITIVE in text
    assert text.replace(SENSITIVE, "What for\n") == ENGLISH
    german = world.text("de")
    assert len(german.splitlines()) == len(text.splitlines())
    assert "ausdrückliches Ja" in german


def test_categories_are_called_something_in_each_language():
    """The closed list, and no category outside it."""
    assert len(CATEGORIES) == 12
    assert all(set(words) == set(LANGUAGES) for words in CATEGORIES.values())
    world = INMAIL._replace(sensitive={"message.group": ["jobs"]})
    with pytest.raises(PolicyError, match="'jobs' has no text in 'en'"):
        world.text()
