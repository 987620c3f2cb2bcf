"""Broken promises, planted in good policies: each is found, and where nothing is planted, nothing.

The operators (faults.py) and the good policies (drawn.py) were written from the requirements, not
from the check. What they plant may be found in more than one way; that it is found at its file, its
lines and under its requirement is what counts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from letterlock.policy.document import check
from letterlock.policy.toml import Finding
from policy.drawn import Policy, draw
from policy.faults import HARMLESS_CHANGES, OPERATORS, Fault, add_rules, exposed, plant, unlike

NAME = "policies/drawn"


def is_found(policy: Policy, fault: Fault, findings: Iterable[Finding]) -> bool:
    """Say whether a finding names the requirement, the file, the lines and the word."""
    first, last = 0, 1 << 40
    if fault.at.place is not None:
        _, first, last = policy.lines[fault.at.place]
    return any(
        (not fault.at.file or f.file == f"{NAME}/{fault.at.file}")
        and first <= f.line <= last
        and fault.at.says in f.message
        and (
            not fault.operator.requirements
            or fault.operator.requirements & {*f.requirement.split(", ")}
        )
        for f in findings
    )


def assert_well_formed(files: dict[str, bytes], findings: Iterable[Finding]) -> None:
    """Check that findings lead somewhere: to a file of the folder, and to a line that it has."""
    for f in findings:
        folder, _, file = f.file.rpartition("/")
        assert folder == NAME, f
        lines = files.get(file, b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
        assert 1 <= f.line <= lines, f
        assert f.message, f
        assert f.mend, f
        assert "\n" not in str(f), f


def faults_of(seeds: Iterable[int]) -> None:
    """Plant one to three faults for each seed; fail with a count by operator if one is missed."""
    planted: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    examples: list[str] = []
    for seed in seeds:
        rng = random.Random(seed)
        policy = draw(seed)
        names = rng.sample(sorted(OPERATORS), len(OPERATORS))
        names.insert(0, sorted(OPERATORS)[seed % len(OPERATORS)])
        faults = plant(policy, rng, list(dict.fromkeys(names)), rng.randint(1, 3))
        files = policy.files()
        _, findings = check(files, NAME)
        assert_well_formed(files, findings)
        for fault in faults:
            planted[fault.operator.name] += 1
            if not is_found(policy, fault, findings):
                missed[fault.operator.name] += 1
                examples.append(_told(seed, policy, files, fault, findings))
    counts = [f"{planted[n] - missed[n]:5} of {planted[n]:4}  {n}" for n in sorted(OPERATORS)]
    assert not missed, "\n".join(["missed:", *examples[:12], "found:", *counts])


def _told(
    seed: int, policy: Policy, files: dict[str, bytes], fault: Fault, findings: list[Finding]
) -> str:
    """Tell what was missed, as it was written."""
    place = policy.lines.get(fault.at.place, ("", 0, 0))
    lines = files.get(place[0], b"").decode(errors="replace").split("\n")[place[1] - 1 : place[2]]
    head = f"{seed} {fault.operator.name}: {fault.at.file}:{place[1]} {fault.at.says!r}"
    return "\n".join([head, *(f"    {line}" for line in lines), *(f"  > {f}" for f in findings)])


def controls_of(seeds: Iterable[int]) -> None:
    """Check policies in which nothing is wrong, however they are written."""
    wrong: list[str] = []
    for seed in seeds:
        rng = random.Random(seed)
        policy = draw(seed)
        policy.after = rng.sample(HARMLESS_CHANGES, rng.choice([0, 1, 1, 2]))
        files = policy.files()
        document, findings = check(files, NAME)
        if document is None or findings:
            wrong += [f"{seed} {[c.__name__ for c in policy.after]}:", *map(str, findings)]
        else:
            assert document.bodies(0), "what passes can be published"
    assert not wrong, "\n".join(wrong[:60])


def test_a_hundred_good_policies_pass():
    """A check that cries wolf teaches people to look away."""
    controls_of(range(100))


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_kind_of_fault_is_found(name):
    """Each operator's fault, alone in the first good policy that offers a place for it."""
    for seed in range(100):
        policy = draw(seed)
        faults = plant(policy, random.Random(seed), [name], 1)
        if faults:
            files = policy.files()
            _, findings = check(files, NAME)
            assert is_found(policy, faults[0], findings), _told(
                seed, policy, files, faults[0], findings
            )
            return
    pytest.fail("never planted")


def test_faults_do_not_hide_each_other():
    """One to three at once, in a hundred policies."""
    faults_of(range(100))


@pytest.mark.slow
def test_two_thousand_good_policies_pass():
    """The same, of other policies."""
    controls_of(range(2_000))


@pytest.mark.slow
def test_every_fault_in_two_thousand_policies_is_found():
    """The same, of other policies and other combinations."""
    faults_of(range(10_000, 12_000))


def test_the_check_agrees_with_arithmetic():
    """Where contracts differ, or something sensitive needs too little, a clause is found for it."""
    for seed in range(100):
        policy, rng = draw(seed), random.Random(seed)
        add_rules(policy, rng)
        found = {f.requirement for f in check(policy.files(), NAME)[1]}
        assert ("R31" in found) >= exposed(policy), seed
        assert ("R25" in found) >= unlike(policy), seed


SPLICES = (
    b"<!--", b"-->", b"\x00", b"\xff", b"\r", b"\n", b"|", b"`", b"```\n", b"> ", b"- ", b"[", b"]",
    b"<", b"&#0;", b"&#x110000;", b"\\", b"states ", b";", b":", b'"', b"'''", b"=", b"[[", b"\xe2",
    b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\x0b", b"\x0c", b"\x85", b"#",
)  # fmt: skip


def mutate(files: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """Change a few bytes, or lines, or whole files."""
    files = dict(files)
    for _ in range(rng.randint(1, 4)):
        name = rng.choice(list(files))
        data, n = files[name], rng.randint(0, len(files[name]))
        m = min(len(data), n + rng.choice([1, 1, 1, 5, 40, 1000]))
        lines = data.split(b"\n")
        rng.shuffle(lines)
        other = files[rng.choice(list(files))]
        files[name] = rng.choice(
            [
                data[:n] + data[n + 1 :],
                data[:n] + bytes([rng.randrange(256)]) + data[n + 1 :],
                data[:n] + rng.choice(SPLICES) + data[n:],
                data[:n] + rng.choice(SPLICES) * 40 + data[n:],
                data[:n] + data[m:],
                data[:m] + data[n:m] + data[m:],
                b"\n".join(lines),
                data[:n] + other[n:],
            ]
        )
    return files


def fuzz(seeds: Iterable[int]) -> None:
    """Check damaged folders: whatever is found, nothing is raised, and findings lead somewhere."""
    for seed in seeds:
        rng = random.Random(seed)
        files = mutate(draw(seed).files(), rng)
        document, findings = check(files, NAME)
        assert_well_formed(files, findings)
        if document is not None and not findings:
            document.bodies(0)


def test_damage_raises_nothing():
    """A hundred damaged folders."""
    fuzz(range(100))


@pytest.mark.slow
def test_much_damage_raises_nothing():
    """Thousands of damaged folders."""
    fuzz(range(1_000, 4_000))
