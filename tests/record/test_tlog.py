"""The log: its files are the specification's, and no failure makes two logs of it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import logs
from letterlock.errors import InputError, LogError, ProofError, SignatureError
from letterlock.record import merkle, tlog
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.merkle import EMPTY_ROOT, leaf_hash
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.tlog import Reader, entries_path, fsck, tile_path
from logs import ENTRIES, FAULTS, ORIGIN, OUTCOMES, Failed, MemoryStore, log_in, opened
from oracle import merkle as oracle
from oracle import tlog as twin

TREE = merkle.Tree(map(leaf_hash, ENTRIES))


def filled(size, *, published=True):
    """Return a store with a log of the first `size` entries, added in one go."""
    store = MemoryStore()
    log = log_in(store)
    log.integrate(0, ENTRIES[:size])
    if published and size:
        log.publish(log.committed)
    return store


def reader_of(store):
    """Read what is public, as of the public checkpoint."""
    return Reader(store.read, opened(store.public["checkpoint"]))


# ── the files ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("index", "number"),
    [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1000, "x001/000"),
        (1_234_067, "x001/x234/067"),
        (1_000_000_000, "x001/x000/x000/000"),
    ],
)
def test_a_path_is_written_in_groups_of_three_digits(index, number):
    """All groups but the last begin with x."""
    assert tile_path(0, index) == f"tile/0/{number}"
    assert tile_path(63, index, 1) == f"tile/63/{number}.p/1"
    assert entries_path(index) == f"tile/entries/{number}"
    assert entries_path(index, 255) == f"tile/entries/{number}.p/255"
    assert twin.encoded(index) == number


LARGE = [pytest.param(n, marks=pytest.mark.slow) for n in (65_535, 65_536, 65_537, 70_000)]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513, 1000, *LARGE])
def test_the_files_are_those_of_the_definition(size):
    """All of them and no others, byte for byte; read back, they are the entries."""
    entries = [b"%d" % i for i in range(size)]
    store = MemoryStore()
    log = log_in(store)
    log.integrate(0, iter(entries))
    assert store.public == twin.files(entries)
    assert log.root == oracle.mth(entries)
    assert list(Reader(store.read, log.checkpoint).entries(0, size)) == entries
    fsck(store.read, log.checkpoint, paths=store.paths())


@pytest.mark.slow
def test_a_log_of_70_000_entries_has_the_tiles_that_the_specification_counts():
    """273 full tiles and one of 112; one full and one of 17; one of 1."""
    found = set(twin.files([b""] * 70_000))
    assert {p for p in found if p.startswith("tile/0/")} == {
        *(tile_path(0, n) for n in range(273)),
        tile_path(0, 273, 112),
    }
    assert {p for p in found if p.startswith("tile/1/")} == {tile_path(1, 0), tile_path(1, 1, 17)}
    assert {p for p in found if p.startswith("tile/2/")} == {tile_path(2, 0, 1)}


@given(st.lists(st.binary(max_size=5), max_size=300), st.lists(st.integers(0, 300)))
@settings(max_examples=30)
def test_in_whatever_portions_entries_come_the_log_is_the_same(entries, cuts):
    """Its root, its full files and its last partial ones follow from the entries."""
    store = MemoryStore()
    for end in [*sorted(cuts), len(entries)]:
        log_in(store).integrate(0, entries[:end])
    log = log_in(store)
    assert log.root == oracle.mth(entries)
    assert twin.files(entries).items() <= store.public.items()
    assert list(Reader(store.read, log.checkpoint).entries(0, len(entries))) == entries
    fsck(store.read, log.checkpoint, paths=store.paths())


def test_a_batch_ends_where_its_bytes_are_too_many(monkeypatch):
    """Memory is bounded by bytes too; the progress tells of each batch."""
    monkeypatch.setattr(tlog, "_BATCH_BYTES", 100)
    told = []
    log = log_in(MemoryStore())
    log.integrate(0, [b"x" * 60] * 5, told.append)
    assert told == [2, 4, 5]
    assert log.size == 5


def test_an_entry_has_at_most_65_535_bytes():
    """The longest is read back as it was; a longer one stops before anything of it is written."""
    store = MemoryStore()
    log = log_in(store)
    log.integrate(0, [b"x" * 65_535])
    assert Reader(store.read, log.checkpoint).entry(0) == b"x" * 65_535
    before = copy.deepcopy(store.__dict__)
    with pytest.raises(InputError, match="65536 bytes"):
        log.integrate(1, [b"short", b"x" * 65_536])
    assert store.__dict__ == before
    assert log.integrate(1, [b"short"]).size == 2


# ── positions are keys ──────────────────────────────────────────────────────────────────────


def test_what_is_there_already_is_not_added_again():
    """From any place on, the same entries change nothing; beyond them, only new ones are added."""
    store = filled(300)
    log = log_in(store)
    before = copy.deepcopy(store.__dict__)
    for first in (0, 1, 255, 256, 299, 300):
        assert log.integrate(first, ENTRIES[first:300]).size == 300
        assert log.integrate(first, ENTRIES[first : first + 1][: 300 - first]).size == 300
    assert store.__dict__ == before
    assert log.integrate(17, ENTRIES[17:600]).size == 600
    assert log.root == merkle.root(600, TREE.node)


@pytest.mark.parametrize("place", [0, 1, 255, 256, 298, 299])
def test_another_entry_in_a_place_is_refused_and_nothing_is_written(place):
    """Even with new entries after it."""
    store = filled(300)
    log = log_in(store)
    before = copy.deepcopy(store.__dict__)
    other = [*ENTRIES[:place], b"another", *ENTRIES[place + 1 : 400]]
    with pytest.raises(LogError, match=f"another entry {place} "):
        log.integrate(0, other)
    assert store.__dict__ == before
    assert log.integrate(0, ENTRIES[:400]).size == 400


@pytest.mark.parametrize("first", [-1, 301, 10_000])
def test_no_place_is_left_out(first):
    """The next entry follows the last one."""
    log = log_in(filled(300))
    with pytest.raises(LogError, match="next entry is 300"):
        log.integrate(first, ENTRIES[:1])


def test_an_interrupted_call_keeps_whole_batches(monkeypatch):
    """Whoever interrupts: the source of entries, or who is told of progress."""
    monkeypatch.setattr(tlog, "_BATCH", 256)

    def some(count):
        yield from ENTRIES[:count]
        raise KeyboardInterrupt

    log = log_in(MemoryStore())
    with pytest.raises(KeyboardInterrupt):
        log.integrate(0, some(600))
    assert log.size == 512

    def stop(size):
        raise KeyboardInterrupt(size)

    with pytest.raises(KeyboardInterrupt):
        log.integrate(0, ENTRIES[:2000], stop)
    assert log.size == 768
    assert log.integrate(0, ENTRIES[:2000]).root == merkle.root(2000, TREE.node)


# ── the writer ──────────────────────────────────────────────────────────────────────────────


def test_an_empty_log_has_the_empty_root_and_no_files():
    """Nothing is committed for nothing."""
    store = MemoryStore()
    log = log_in(store)
    assert (log.size, log.root, log.committed) == (0, EMPTY_ROOT, None)
    assert log.integrate(0, []) == Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert store.public == {}
    fsck(store.read, log.checkpoint)


def test_a_checkpoint_that_the_signer_did_not_sign_is_not_committed():
    """Not one of another tree, of another log, or by another key."""
    other = SecretSigner(ORIGIN, Kind.ED25519, bytes(32))
    elsewhere = SecretSigner("elsewhere", Kind.ED25519, bytes(32))

    def signed_by(signer, change):
        return lambda c: logs.checkpoints.sign(change(c), [signer], 0).encode()

    store = MemoryStore()
    larger = signed_by(logs.SIGNER, lambda c: Checkpoint(c.origin, c.size + 1, c.root))
    with pytest.raises(LogError, match="another checkpoint"):
        log_in(store, larger).integrate(0, ENTRIES[:3])
    stranger = signed_by(other, lambda c: c)
    with pytest.raises(SignatureError):
        log_in(store, stranger).integrate(0, ENTRIES[:3])
    assert store.checkpoint is None
    name = signed_by(elsewhere, lambda c: Checkpoint("elsewhere", c.size, c.root))
    log = tlog.Log(
        store,
        ORIGIN,
        name,
        lambda n: logs.checkpoints.opened(logs.notes.parse(n), [elsewhere.verifier])[0],
    )
    with pytest.raises(LogError, match="checkpoint of 'elsewhere'"):
        log.integrate(0, ENTRIES[:3])
    assert store.checkpoint is None
    assert store.public == {}


def test_only_what_the_log_was_can_be_published():
    """Not a larger tree, another one of the same size, or an older one than is public."""
    store = filled(300)
    log = log_in(store)
    log.integrate(300, ENTRIES[300:520])
    for checkpoint in (
        Checkpoint(ORIGIN, 520, bytes(32)),
        Checkpoint(ORIGIN, 521, merkle.root(521, TREE.node)),
        Checkpoint(ORIGIN, 0, bytes(32)),
    ):
        with pytest.raises(LogError, match="another root, or are not there"):
            log.publish(logs.sign(checkpoint))
    with pytest.raises(LogError, match="300 entries is public"):
        log.publish(logs.sign(Checkpoint(ORIGIN, 299, merkle.root(299, TREE.node))))
    assert opened(store.public["checkpoint"]).size == 300
    log.publish(logs.sign(Checkpoint(ORIGIN, 400, merkle.root(400, TREE.node))))
    assert opened(store.public["checkpoint"]).size == 400
    log.publish(log.committed)
    log.publish(log.committed)
    assert {path for path in store.public if not path.startswith("tile")} == {
        "checkpoint", "checkpoints/300", "checkpoints/400", "checkpoints/520"
    }  # fmt: skip


def test_partial_files_go_when_the_full_ones_are_public():
    """A reader of an older checkpoint finds their content in the full ones."""
    store = filled(300)
    old = opened(store.public["checkpoint"])
    log = log_in(store)
    log.integrate(300, ENTRIES[300:520])
    log.publish(store.public["checkpoint"])
    assert entries_path(1, 44) in store.public  # who reads as of 300 needs it still
    assert tile_path(0, 1, 44) in store.public
    log.publish(log.committed)
    assert entries_path(1, 44) not in store.public
    assert tile_path(0, 1, 44) not in store.public
    assert tile_path(1, 0, 1) in store.public
    assert list(Reader(store.read, old).entries(0, 300)) == ENTRIES[:300]
    fsck(store.read, old)
    fsck(store.read, log.checkpoint, paths=store.paths())


def test_the_log_proves_its_entries_and_its_past_at_every_size():
    """From tiles, the same hashes as from a tree in memory."""
    log = log_in(filled(700))
    for size in (1, 255, 256, 257, 600, 700):
        tree = merkle.Tree(map(leaf_hash, ENTRIES[:size]))
        for index in {0, size // 2, size - 1, max(size - 2, 0)}:
            assert log.inclusion(index, size) == tree.inclusion(index)
            assert log.consistency(index, size) == tree.consistency(index)
    for asked in (log.inclusion, log.consistency):
        with pytest.raises(ProofError, match="700 entries, not 701"):
            asked(0, 701)


def test_a_writer_does_not_go_on_from_files_that_are_not_what_was_committed():
    """It opens with the right edge proven."""
    for path in (tile_path(0, 1, 44), tile_path(1, 0, 1), entries_path(1, 44)):
        for data in (None, b"", b"\0" * 32, b"\0" * 1408):
            store = filled(300)
            store.public.pop(path)
            if data is not None:
                store.public[path] = data
            with pytest.raises(LogError):
                log_in(store)


# ── faults ──────────────────────────────────────────────────────────────────────────────────

COMMITS = {
    ("commit", "kept"),
    *((f, o) for f in ("entries", "hashes", "unstage") for o in OUTCOMES),
}
"""The writes that, failing so, leave the batch committed."""


@pytest.mark.parametrize("again", ["restarted", "same process"])
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("fault", ["stage", "commit", "entries", "hashes", "unstage"])
def test_after_a_failed_write_a_batch_is_there_or_not(fault, outcome, again):
    """Committed is there, not committed is not; the same call then ends in the same log."""
    store = filled(300)
    log = log_in(store)
    store.fails = {fault: outcome}
    with pytest.raises(Failed, match=fault):
        log.integrate(300, ENTRIES[300:600])
    assert list(Reader(store.read, opened(store.public["checkpoint"])).entries(0, 300))
    if again == "restarted":
        log = log_in(store)
        assert log.size == (600 if (fault, outcome) in COMMITS else 300)
        assert store.kept_aside == {}
    assert log.integrate(300, ENTRIES[300:600]).root == merkle.root(600, TREE.node)
    assert store.kept_aside == {}
    log.publish(log.committed)
    fsck(store.read, log.checkpoint, paths=store.paths())
    assert list(reader_of(store).entries(0, 600)) == ENTRIES[:600]


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("fault", ["copy", "publish", "drop"])
def test_a_failed_publication_can_be_repeated(fault, outcome):
    """The public checkpoint is the old one or the new one, and the files of it are there."""
    store = filled(300)
    log = log_in(store)
    log.integrate(300, ENTRIES[300:600])
    store.fails = {fault: outcome}
    with pytest.raises(Failed, match=fault):
        log.publish(log.committed)
    public = opened(store.public["checkpoint"])
    assert public.size == (
        300 if fault == "copy" or (fault, outcome) == ("publish", "lost") else 600
    )
    fsck(store.read, public)
    log_in(store).publish(log.committed)
    assert opened(store.public["checkpoint"]).size == 600
    fsck(store.read, log.checkpoint, paths=store.paths())


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("fault", ["unstage", "entries", "hashes"])
def test_a_recovery_that_fails_is_repeated(fault, outcome):
    """As often as it takes."""
    store = filled(300)
    store.fails = {"entries": "lost"}
    with pytest.raises(Failed):
        log_in(store).integrate(300, ENTRIES[300:600])
    for _ in range(2):
        store.fails = {fault: outcome}
        with pytest.raises(Failed):
            log_in(store)
        if not store.kept_aside:
            break
    store.fails = {}
    assert log_in(store).size == 600
    fsck(store.read, log_in(store).checkpoint, paths=store.paths())


def test_publishing_after_a_failed_write_recovers_first():
    """So what is made public is on the disk."""
    store = filled(300)
    log = log_in(store)
    store.fails = {"hashes": "lost"}
    with pytest.raises(Failed):
        log.integrate(300, ENTRIES[300:600])
    log.publish(store.checkpoint)
    fsck(store.read, opened(store.public["checkpoint"]), paths=store.paths())
    assert log.size == 600


class Sequencer(RuleBasedStateMachine):
    """Any order of additions, publications, failures and restarts."""

    @initialize()
    def begin(self):
        """Start an empty log."""
        self.store = MemoryStore()
        self.log = log_in(self.store)
        self.acknowledged = 0
        self.published = 0

    def tried(self, act, faults):
        """Do something with these writes failing."""
        self.store.fails = dict(faults)
        try:
            act()
        finally:
            self.store.fails = {}

    def attempt(self, act, faults):
        """Say whether it was acknowledged."""
        try:
            self.tried(act, faults)
        except Failed:
            return False
        return True

    faults = st.dictionaries(st.sampled_from(FAULTS), st.sampled_from(OUTCOMES), max_size=3)

    @rule(count=st.integers(0, 600), back=st.integers(0, 300), faults=faults)
    def add(self, count, back, faults):
        """Add what follows in the ledger, some of it perhaps again."""
        first = max(self.log.size - back, 0)
        end = min(self.log.size + count, len(ENTRIES))
        if self.attempt(lambda: self.log.integrate(first, ENTRIES[first:end]), faults):
            assert self.log.size >= end
            self.acknowledged = max(self.acknowledged, end)

    @rule(back=st.integers(1, 300), faults=faults)
    def fork(self, back, faults):
        """Try to put another entry in a place that is taken."""
        place = self.log.size - back
        if place < 0:
            return
        before = self.store.checkpoint
        with pytest.raises(LogError):
            self.tried(lambda: self.log.integrate(place, [b"another", b"and more"]), faults)
        assert self.store.checkpoint == before

    @rule(faults=faults)
    def publish(self, faults):
        """Publish what is committed."""
        if self.log.committed is None:
            return
        note = self.log.committed
        if self.attempt(lambda: self.log.publish(note), faults):
            self.published = opened(note).size

    @rule(faults=faults)
    def restart(self, faults):
        """Begin anew from what was kept, however often that fails."""
        self.attempt(lambda: log_in(self.store), faults)
        self.log = log_in(self.store)
        assert self.store.kept_aside == {}
        fsck(self.store.read, self.log.checkpoint, paths=self.store.paths())

    @invariant()
    def there_is_one_log(self):
        """Every committed checkpoint is of the one sequence of entries, and they only grow."""
        sizes = []
        for note in self.store.every_commit:
            checkpoint = opened(note)
            assert checkpoint.root == merkle.root(checkpoint.size, TREE.node)
            sizes.append(checkpoint.size)
        assert sizes == sorted(set(sizes))

    @invariant()
    def what_was_acknowledged_is_committed(self):
        """No acknowledged entry is lost, and after recovery each has its proof."""
        committed = opened(self.store.checkpoint).size if self.store.checkpoint else 0
        assert committed >= self.acknowledged
        recovered = copy.deepcopy(self.store)
        log = log_in(recovered)
        for index in {0, self.acknowledged // 2, self.acknowledged - 1} & set(
            range(self.acknowledged)
        ):
            proof = log.inclusion(index, log.size)
            merkle.verify_inclusion(log.root, leaf_hash(ENTRIES[index]), index, log.size, proof)
            assert Reader(recovered.read, log.checkpoint).entry(index) == ENTRIES[index]

    @invariant()
    def what_is_public_can_be_read(self):
        """Every entry under the public checkpoint, before any recovery."""
        if "checkpoint" in self.store.public:
            reader = reader_of(self.store)
            assert reader.size >= self.published
            assert list(reader.entries(0, reader.size)) == ENTRIES[: reader.size]


TestSequencer = Sequencer.TestCase
TestSequencer.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)


class SlowSequencer(Sequencer):
    """The same, for longer."""


TestSlowSequencer = pytest.mark.slow(SlowSequencer.TestCase)
TestSlowSequencer.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


# ── reading what nobody need trust ──────────────────────────────────────────────────────────


def test_a_reader_proves_what_it_hands_out():
    """Entries, proofs and nodes are those of the tree."""
    reader = reader_of(filled(3000))
    assert reader.entry(0) == ENTRIES[0]
    assert reader.entry(2999) == ENTRIES[2999]
    assert list(reader.entries(250, 520)) == ENTRIES[250:520]
    assert list(reader.entries(7, 7)) == []
    for index in (0, 255, 256, 2815, 2816, 2999):
        assert reader.leaf(index) == leaf_hash(ENTRIES[index])
        proof = reader.inclusion(index)
        merkle.verify_inclusion(
            reader.checkpoint.root, leaf_hash(ENTRIES[index]), index, 3000, proof
        )
        old = merkle.root(index, TREE.node)
        merkle.verify_consistency(
            old, index, reader.checkpoint.root, 3000, reader.consistency(index)
        )


def test_a_reader_keeps_a_bounded_number_of_tiles(monkeypatch):
    """The one that was not asked for longest goes first; nothing proven is read again till then."""
    monkeypatch.setattr(tlog, "_KEPT", 2)
    store, asked = filled(1100), []

    def read(path):
        asked.append(path)
        return store.read(path)

    reader = Reader(read, opened(store.public["checkpoint"]))
    for index in (0, 1, 0, 2, 0, 1):
        reader.leaf(index * 256)
    tiles = [path for path in asked if not path.startswith(("tile/1", "tile/0/004"))]
    assert tiles == [tile_path(0, 0), tile_path(0, 1), tile_path(0, 2), tile_path(0, 1)]


@pytest.mark.parametrize(("first", "end"), [(-1, 5), (5, 4), (0, 301), (300, 301)])
def test_there_are_no_entries_beyond_the_last(first, end):
    """Nor before the first."""
    reader = reader_of(filled(300))
    with pytest.raises(LogError, match="not among the 300"):
        list(reader.entries(first, end))
    with pytest.raises((LogError, ProofError)):
        reader.leaf(300)
    with pytest.raises(ProofError):
        reader.inclusion(300)


@pytest.mark.parametrize("step", [499, pytest.param(17, marks=pytest.mark.slow)])
def test_nothing_of_a_changed_file_is_ever_handed_out(step):
    """Each file of a log: missing, cut, lengthened, a bit changed in every `step`th byte."""
    store = filled(600)
    checkpoint = opened(store.public["checkpoint"])
    for path, data in twin.files(ENTRIES[:600]).items():
        changes = [None, b"", data[:-1], data + b"\0", data * 2, data[2:]]
        changes += [
            data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
            for at in range(0, len(data), step)
        ]
        for changed in changes:
            read = {**store.public, path: changed}.get
            with pytest.raises(LogError):
                fsck(read, checkpoint)
            reader = Reader(read, checkpoint)
            handed_out = 0
            for index in range(0, 600, 29):
                try:
                    assert reader.entry(index) == ENTRIES[index]
                    handed_out += 1
                except LogError:
                    pass
            assert handed_out < 600


@given(st.binary(max_size=40))
def test_a_bundle_is_read_strictly(data):
    """Only a LogError escapes, and what is read is written in one way."""
    try:
        entries = [entry for _, entry in tlog._entries_in("x", data)]  # noqa: SLF001
    except LogError:
        return
    assert tlog._bundle_of(entries) == data  # noqa: SLF001


@given(st.text(alphabet="tile/0123x.pentris", max_size=30) | st.just("tile/0/x000/001"))
def test_a_path_is_read_strictly(path):
    """What is read is written in one way."""
    parsed = tlog._parse_path(path)  # noqa: SLF001
    if parsed is not None:
        assert tlog._path(*parsed) == path  # noqa: SLF001


# ── checking everything ─────────────────────────────────────────────────────────────────────


def flipped(data, at):
    """Return bytes with one bit of one of them changed."""
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def found(store, **keys):
    """Return what is said of a log of 70,000 or 600 entries."""
    with pytest.raises(LogError) as caught:
        fsck(store.read, opened(store.public["checkpoint"]), **keys)
    return str(caught.value)


EDITS = [
    # path, byte changed, what is said
    (tile_path(0, 0), 33, "tile/0/000: from byte 33 on, not what is under it"),
    (tile_path(0, 1), 8191, "tile/0/001: from byte 8191 on, not what is under it"),
    (tile_path(0, 2, 88), 5, "tile/0/002.p/88: from byte 5 on, not what is under it"),
    (tile_path(1, 0, 2), 40, "tile/1/000.p/2: from byte 40 on, not what is under it"),
    (entries_path(0), 3, "tile/entries/000: from byte 2 on, not the entries"),
    (entries_path(0), 0, "tile/entries/000: from byte 0 on, not the entries"),
    (entries_path(2, 88), 50, "tile/entries/002.p/88: from byte 33 on, not the entries"),
]


@pytest.mark.parametrize(("path", "at", "said"), EDITS)
def test_a_check_names_the_file_and_the_first_bad_byte(path, at, said):
    """Of an entry, the byte that the entry begins at."""
    store = filled(600)
    assert store.public[path]
    store.public[path] = flipped(store.public[path], at)
    assert found(store).startswith(said)


@pytest.mark.parametrize("path", [path for path, _, _ in EDITS])
def test_a_check_names_what_is_missing_cut_or_longer(path):
    """By its path."""
    whole = filled(600)
    for changed in (None, whole.public[path][:-1], whole.public[path] + b"\0\0"):
        store = copy.deepcopy(whole)
        if changed is None:
            del store.public[path]
        else:
            store.public[path] = changed
        assert found(store).startswith(f"{path}: ")


def test_a_check_names_the_checkpoint_if_all_files_agree_with_one_another():
    """They are of another log then, or it was changed."""
    store = filled(600)
    for size, root in ((600, bytes(32)), (0, bytes(32))):
        store.public["checkpoint"] = logs.sign(Checkpoint(ORIGIN, size, root))
        assert found(store).startswith("checkpoint: the tiles lead to")
    store.public["checkpoint"] = logs.sign(Checkpoint(ORIGIN, 601, bytes(32)))
    assert found(store).startswith("tile/0/002.p/89: missing")


def test_a_check_names_the_tile_where_a_whole_branch_was_changed():
    """Entries and their tile agree, the tile above does not agree with them."""
    store, other = filled(600), MemoryStore()
    log_in(other).integrate(0, [b"another", *ENTRIES[1:600]])
    for path in (tile_path(0, 0), entries_path(0)):
        store.public[path] = other.public[path]
    assert found(store) == "tile/0/000: not the tile that was signed"


def test_a_check_goes_down_from_the_root_through_every_level():
    """A log with tiles of three levels, a full one among those of the second."""
    store = MemoryStore()
    log = log_in(store)
    log.integrate(0, [b"%d" % i for i in range(66_000)])
    log.publish(log.committed)
    told = []
    fsck(store.read, log.checkpoint, told.append, paths=store.paths())
    assert told == sorted(told)
    assert told[-1] == 66_000
    whole = dict(store.public)
    for path, at, said in [
        (tile_path(1, 0), 70, "tile/1/000: from byte 70 on, not what is under it"),
        (tile_path(1, 1, 1), 1, "tile/1/001.p/1: from byte 1 on, not what is under it"),
        (tile_path(2, 0, 1), 31, "tile/2/000.p/1: from byte 31 on, not what is under it"),
        (tile_path(0, 200), 64, "tile/0/200: from byte 64 on, not what is under it"),
    ]:
        store.public = {**whole, path: flipped(whole[path], at)}
        assert found(store).startswith(said)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tile/0/003", "beyond the 600 entries"),
        ("tile/0/002", "beyond the 600 entries"),
        ("tile/0/002.p/89", "beyond the 600 entries"),
        ("tile/2/000.p/1", "beyond the 600 entries"),
        ("tile/entries/x001/000", "beyond the 600 entries"),
        ("tile/0/x000/000", "not a file of a log"),
        ("tile/0/000.p/256", "not a file of a log"),
        ("tile/0/000.p/0", "not a file of a log"),
        ("tile/00/000", "not a file of a log"),
        ("tile/0/000.bak", "not a file of a log"),
        ("tile/0/000.p/7", "from byte 0 on, not what was signed"),
        ("tile/entries/001.p/7", "from byte 0 on, not what was signed"),
    ],
)
def test_a_check_names_files_that_do_not_belong_there(path, said):
    """If it is told which there are."""
    store = filled(600)
    store.public[path] = b"\xff" * (32 * 7)
    assert found(store, paths=sorted(store.paths())).startswith(f"{path}: {said}")


def test_a_check_of_a_log_without_a_partial_tile_of_entries():
    """512 entries: two full tiles, and above them one of width 2."""
    store = filled(512)
    store.public[tile_path(1, 0, 2)] = flipped(store.public[tile_path(1, 0, 2)], 63)
    assert found(store).startswith("tile/1/000.p/2: from byte 63 on, not what is under it")


def test_a_partial_file_of_an_earlier_size_may_stay():
    """If it holds what the full one begins with."""
    store = filled(600)
    store.public |= twin.files(ENTRIES[:300])
    fsck(store.read, opened(store.public["checkpoint"]), paths=store.paths())
    store.public[entries_path(1, 44)] += b"\0\0"
    end = len(store.public[entries_path(1, 44)]) - 2
    said = found(store, paths=store.paths())
    assert said == f"tile/entries/001.p/44: from byte {end} on, not what was signed"


def test_what_does_not_continue_what_is_public_is_not_published():
    """A writer that lost its own folder, and was told other entries, publishes nothing."""
    store = MemoryStore()
    log = log_in(store)
    log.integrate(0, ENTRIES[:5])
    log.publish(log.committed)
    store.checkpoint = None
    anew = log_in(store)
    anew.integrate(0, [b"another", *ENTRIES[1:7]])
    with pytest.raises(LogError, match="to publish this would deny them"):
        anew.publish(anew.committed)
    assert opened(store.read(tlog.CHECKPOINT)).size == 5
