"""A release goes from one company to the other and the receipt comes back, in real processes."""

from __future__ import annotations

from pathlib import Path

import companies


def test_a_release_goes_out_and_its_receipt_comes_back(tmp_path: Path):
    """Approved, delivered, received, countersigned and acknowledged: each leaves its event."""
    both = companies.found(tmp_path)
    both.register()
    both.approve(b"Only for training.\n")
    package, letter = both.deliver()
    assert "received release" in both.receive(package, letter)
    assert (both.received / "terms").read_bytes() == b"Only for training.\n"
    sent = both.platform / "releases" / both.release / "outgoing"
    names = sorted(p.relative_to(sent) for p in sent.rglob("*") if p.is_file())
    assert names == sorted(
        p.relative_to(both.received / "outgoing")
        for p in (both.received / "outgoing").rglob("*")
        if p.is_file()
    )
    for name in names:
        assert (sent / name).read_bytes() == (both.received / "outgoing" / name).read_bytes()
    both.acknowledge(both.countersign())
    gate = both.gate()
    (delivery,) = gate.lineage().deliveries.values()
    gate.close()
    assert len(delivery.acknowledged) == 1
