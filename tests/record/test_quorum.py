"""Policies: a checkpoint counts if a listed log signed it and enough of the right witnesses did."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letterlock.errors import InputError, ProofError, SignatureError
from letterlock.record import merkle, note, quorum
from letterlock.record.checkpoint import Checkpoint, cosign, sign
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.quorum import Group, LogKey, Policy, Witness
from oracle import notes as oracle

ORIGIN = "log.example"
TIME = 1_700_000_000
LOG = SecretSigner(ORIGIN, Kind.ED25519, bytes([1]) * 32)
LOG6 = SecretSigner(ORIGIN, Kind.MLDSA44, bytes([2]) * 32)
WITNESSES = [
    SecretSigner(f"w{i}.example", Kind.COSIGNATURE, bytes([10 + i]) * 32) for i in range(6)
]
CHECKPOINT = Checkpoint(ORIGIN, 5, bytes(range(32)))
SIGNED = sign(CHECKPOINT, [LOG], TIME)
COSIGNED = [cosign(SIGNED, each, TIME + i) for i, each in enumerate(WITNESSES)]
NAMED = tuple(Witness(b"w%d" % i, each.verifier) for i, each in enumerate(WITNESSES))
ONE = Policy((LogKey(LOG.verifier),), NAMED[:1], (), b"w0")


@st.composite
def grouped(draw):
    """Draw groups of the six witnesses and of each other, each a member at most once."""
    free = [each.name for each in NAMED]
    groups = []
    for i in range(draw(st.integers(0, 4))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        needed = draw(st.integers(1, len(members)))
        groups.append(Group(b"g%d" % i, needed, tuple(members)))
        free = [each for each in free if each not in members] + [groups[-1].name]
    names = [each.name for each in (*NAMED, *groups)]
    return tuple(groups), draw(st.none() | st.sampled_from(names))


@given(grouped(), st.sets(st.integers(0, 5)))
def test_the_quorum_is_what_the_slow_twin_counts(drawn, who):
    """Of n members k, groups within groups: the definition, followed from the top down."""
    groups, asked = drawn
    policy = Policy((LogKey(LOG.verifier),), NAMED, groups, asked)
    data = SIGNED.signed_by(COSIGNED[i] for i in sorted(who)).encode()
    defined = {each.name: (each.needed, each.members) for each in groups}
    seen = {NAMED[i].name for i in who}
    if asked is None or oracle.witnessed(asked, seen, defined):
        trusted = policy.check(data)
        assert trusted.checkpoint == CHECKPOINT
        assert [(name, each.seconds) for name, each in trusted.witnesses] == [
            (f"w{i}", TIME + i) for i in sorted(who)
        ]
    else:
        with pytest.raises(SignatureError, match="did not see this"):
            policy.check(data)
    assert quorum.parse(policy.encode()) == policy


def test_every_subset_of_three_for_every_threshold():
    """A group of three holds for exactly the subsets of at least k."""
    for needed in (1, 2, 3):
        group = Group(b"g", needed, (b"w0", b"w1", b"w2"))
        policy = Policy((LogKey(LOG.verifier),), NAMED[:3], (group,), b"g")
        for chosen in product([False, True], repeat=3):
            lines = [line for line, taken in zip(COSIGNED, chosen, strict=False) if taken]
            data = SIGNED.signed_by(lines).encode()
            if sum(chosen) >= needed:
                assert len(policy.check(data).witnesses) == sum(chosen)
            else:
                with pytest.raises(SignatureError):
                    policy.check(data)


def test_any_listed_key_of_the_log_is_enough_and_none_may_fail():
    """Both are listed; one line is enough, and each line that is there has to hold."""
    policy = Policy((LogKey(LOG.verifier), LogKey(LOG6.verifier)))
    both = sign(CHECKPOINT, [LOG, LOG6], TIME)
    trusted = policy.check(both.encode())
    assert [each.seconds for each in trusted.logs] == [None, TIME]
    for line in both.signatures:
        assert len(policy.check(replace(both, signatures=(line,)).encode()).logs) == 1
    other = sign(replace(CHECKPOINT, size=6), [LOG, LOG6], TIME)
    for i in (0, 1):
        mixed = [both.signatures[0], both.signatures[1]]
        mixed[i] = other.signatures[i]
        with pytest.raises(SignatureError, match="does not hold"):
            policy.check(replace(both, signatures=tuple(mixed)).encode())


def test_a_log_speaks_for_its_own_origin_only():
    """Two logs are listed: neither vouches for the other's checkpoints."""
    other = SecretSigner("other.example", Kind.ED25519, bytes([9]) * 32)
    policy = Policy((LogKey(LOG.verifier), LogKey(other.verifier)))
    stolen = note.sign(CHECKPOINT.text(), [other])
    with pytest.raises(SignatureError, match="no key of the log"):
        policy.check(stolen.encode())
    both = stolen.signed_by(SIGNED.signatures)
    assert [each.verifier for each in policy.check(both.encode()).logs] == [LOG.verifier]


def test_an_empty_log_has_the_root_of_nothing():
    """Whoever signs another one signs what is not so."""
    policy = Policy((LogKey(LOG.verifier),))
    for root, held in ((merkle.EMPTY_ROOT, True), (bytes(32), False)):
        signed = sign(Checkpoint(ORIGIN, 0, root), [LOG], 0).encode()
        if held:
            assert policy.check(signed).checkpoint.size == 0
        else:
            with pytest.raises(ProofError, match="a root of something"):
                policy.check(signed)


def test_what_is_signed_in_the_future_does_not_count():
    """More than five minutes ahead of the given clock; without a clock nobody can tell."""
    policy = replace(ONE, witnesses=NAMED[:2], quorum=b"w1")
    data = SIGNED.signed_by(COSIGNED[:2]).encode()
    assert len(policy.check(data).witnesses) == 2
    assert len(policy.check(data, now=TIME + 1 - 300).witnesses) == 2
    with pytest.raises(SignatureError, match=r"future by our clock: 'w1\.example'"):
        policy.check(data, now=TIME - 300)
    only = replace(policy, quorum=b"w0").check(data, now=TIME - 300)
    assert [name for name, _ in only.witnesses] == ["w0"]
    with pytest.raises(SignatureError, match="no key of the log"):
        Policy((LogKey(LOG6.verifier),)).check(
            sign(CHECKPOINT, [LOG6], TIME).encode(), now=TIME - 301
        )


def test_a_witness_vouches_for_no_extension_line():
    """The log has to sign it itself, with a type that covers it."""
    policy = replace(ONE, logs=(LogKey(LOG.verifier), LogKey(LOG6.verifier)))
    extended = sign(replace(CHECKPOINT, extensions=("more",)), [LOG], TIME)
    seen = extended.signed_by([cosign(extended, each, TIME) for each in (LOG6, WITNESSES[0])])
    assert policy.check(seen.encode()).checkpoint.extensions == ("more",)
    with pytest.raises(SignatureError, match="extension"):
        policy.check(replace(seen, signatures=seen.signatures[1:]).encode())


def test_names_are_octets():
    """They are compared as such, and shown with an escape where they are no text."""
    kelvin = "\u212a".encode()
    policy = replace(
        ONE,
        witnesses=(
            replace(NAMED[0], name=b"K"),
            replace(NAMED[1], name=kelvin),
            replace(NAMED[2], name=b"\xff"),
        ),
        groups=(Group(b"\xfe", 3, (b"K", kelvin, b"\xff")),),
        quorum=b"\xfe",
    )
    assert quorum.parse(policy.encode()) == policy
    trusted = policy.check(SIGNED.signed_by(COSIGNED[:3]).encode())
    assert [name for name, _ in trusted.witnesses] == ["K", "\u212a", "\\xff"]
    with pytest.raises(SignatureError, match=r"\\xfe did not see this: of the witnesses, none"):
        policy.check(SIGNED.encode())


def test_a_name_is_shown_without_doing_anything():
    """What would move a cursor or turn the writing round is escaped."""
    name = "a\u202eb\x9b".encode()
    policy = replace(ONE, witnesses=(replace(NAMED[0], name=name),), quorum=name)
    trusted = policy.check(SIGNED.signed_by(COSIGNED[:1]).encode())
    assert trusted.witnesses[0][0] == r"a\u202eb\x9b"


def test_two_keys_that_look_the_same_are_refused():
    """The same name and key id, and yet another key."""
    one, two = (
        SecretSigner("a.example", Kind.ED25519, seed.to_bytes(32, "big")).verifier
        for seed in (47680, 59280)
    )
    with pytest.raises(InputError, match="same name and key id"):
        Policy((LogKey(one), LogKey(two)))


@pytest.mark.parametrize(
    "change",
    [
        {"witnesses": NAMED[:1] * 2},
        {"witnesses": (NAMED[0], replace(NAMED[1], name=b"w0"))},
        {"witnesses": (replace(NAMED[0], name=b""),), "quorum": None},
        {"witnesses": (replace(NAMED[0], name=b"n" * 256),), "quorum": b"n" * 256},
        {"witnesses": (replace(NAMED[0], name=b"a b"),), "quorum": None},
        {"witnesses": (replace(NAMED[0], name=b"a\nquorum none"),), "quorum": None},
        {"quorum": b"w1"},
        {"quorum": b"none"},
        {"groups": (Group(b"g", 1, (b"g",)),)},
        {"groups": (Group(b"g", 1, (b"h",)), Group(b"h", 1, (b"w0",)))},
        {"groups": (Group(b"g", 0, (b"w0",)),)},
        {"groups": (Group(b"g", 2, (b"w0",)),)},
        {"groups": (Group(b"g", 10**5000, (b"w0",)),)},
        {"groups": (Group(b"g", 1, ()),)},
        {"logs": (LogKey(WITNESSES[1].verifier),)},
        {"witnesses": (Witness(b"w0", LOG.verifier),), "logs": ()},
    ],
)
def test_a_policy_that_contradicts_itself_is_none(change):
    """Made by hand it is held to the same rules as one that is read."""
    with pytest.raises(InputError):
        replace(ONE, **change)


@pytest.mark.parametrize(
    "url", ["", "a b", "a\nb", "\x7f", "\ud800", "a\x85b".encode().decode("latin-1") + " "]
)
def test_an_url_that_cannot_be_written_is_refused(url):
    """Nothing of it becomes a word or a line of its own."""
    with pytest.raises(InputError):
        replace(ONE, logs=(LogKey(LOG.verifier, url),)).encode()


def test_a_name_may_have_255_bytes():
    """The bound itself is allowed."""
    policy = replace(ONE, witnesses=(replace(NAMED[0], name=b"n" * 255),), quorum=b"n" * 255)
    assert quorum.parse(policy.encode()) == policy


def test_urls_are_kept():
    """Of logs and witnesses, in any letters."""
    policy = replace(
        ONE,
        logs=(LogKey(LOG.verifier, "https://журнал.example/"),),
        witnesses=(replace(NAMED[0], url="https://w.example/"),),
    )
    assert quorum.parse(policy.encode()) == policy


def many(count):
    """Make keys of witnesses."""
    return [
        SecretSigner(f"m{i}", Kind.COSIGNATURE, i.to_bytes(32, "big")).verifier
        for i in range(count)
    ]


def test_a_policy_may_have_fifty_of_each():
    """The bound itself is allowed, and one more is not."""
    keys = many(51)
    witnesses = tuple(Witness(b"m%d" % i, key) for i, key in enumerate(keys))
    groups = tuple(Group(b"g%d" % i, 1, (b"m%d" % i,)) for i in range(51))
    policy = Policy((), witnesses[:50], groups[:50], b"g49")
    assert quorum.parse(policy.encode()) == policy
    with pytest.raises(InputError, match="at most 50"):
        replace(policy, witnesses=witnesses)
    with pytest.raises(InputError, match="at most 50"):
        replace(policy, groups=(*groups[:50], Group(b"more", 1, (b"g0",))))
    more = policy.encode() + b"group more any g0\n"
    with pytest.raises(InputError, match=r"line 102 of the policy: .* at most 50"):
        quorum.parse(more)


def test_all_keys_of_the_largest_policy_fit_into_one_note():
    """A note has room for a signature by each."""
    assert 2 * quorum.MAX_LINES <= note.MAX_SIGNATURES


def test_groups_may_stand_fifty_deep():
    """They are counted from the first line on, without recursion."""
    groups = [Group(b"g0", 1, (b"w0",))]
    groups += [Group(b"g%d" % i, 1, (b"g%d" % (i - 1),)) for i in range(1, 50)]
    policy = replace(ONE, groups=tuple(groups), quorum=b"g49")
    assert policy.check(SIGNED.signed_by(COSIGNED[:1]).encode()).witnesses
    with pytest.raises(SignatureError):
        policy.check(SIGNED.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"quorum none\n" * 80_000,
        b"\n" * 1_000_000,
        b"#" * 1_000_000,
        b"group g any" + b" w" * 490_000 + b"\n",
        b"group g any " + b"w" * 490_000 + b"\n",
        b"witness %b %b\n" % (b"w" * 490_000, WITNESSES[0].verifier.vkey.encode()),
        b"quorum " + b"w" * 490_000 + b"\n",
        b"x " * 490_000 + b"\n",
        b"group g " + b"9" * 900_000 + b" w\n",
        b"log " + b"+" * 900_000 + b"\n",
        b"\n" * 1_000_001,
    ],
)
def test_hostile_policies_are_refused_in_few_words(data):
    """However long they are."""
    with pytest.raises(InputError) as caught:
        quorum.parse(data)
    assert len(str(caught.value)) < 500


WORDS = st.sampled_from(
    [
        b"log",
        b"witness",
        b"group",
        b"quorum",
        b"none",
        b"any",
        b"all",
        b"1",
        b"2",
        b"w0",
        b"w1",
        b"g",
        b"#",
        b"\xff",
        b"https://a.example",
        LOG.verifier.vkey.encode(),
        WITNESSES[0].verifier.vkey.encode(),
        WITNESSES[1].verifier.vkey.encode(),
        b"\n",
        b"\n",
        b"\t",
    ]
)
WRITTEN = st.lists(WORDS, max_size=30).map(lambda words: b" ".join(words) + b"\n")
LINES = st.lists(
    st.sampled_from(
        [
            b"log %b\n" % LOG.verifier.vkey.encode(),
            *(b"witness w%d %b\n" % (i, WITNESSES[i].verifier.vkey.encode()) for i in range(3)),
            b"group g any w0 w1\n",
            b"group h all g w2\n",
            b"quorum g\n",
            b"quorum h\n",
            b"quorum none\n",
            b" # x\n",
        ]
    ),
    max_size=8,
).map(b"".join)


@given(st.binary(max_size=80) | WRITTEN | LINES)
@example(b"quorum none\n")
@example(ONE.encode())
def test_what_is_read_is_written_so_that_it_reads_the_same(data):
    """Whatever comes in, a policy or an error of ours comes out."""
    try:
        policy = quorum.parse(data)
    except InputError:
        return
    assert quorum.parse(policy.encode()) == policy
