"""Real mail through the real command line: register, plan, build, verify, prove; count again.

    bash bench/enron.sh [--share 30] [--seed 1] [--out enron.json]

The Enron corpus (../shared/data/README.md) has no consent in it, so a choice table is made up: of
the addresses that look like a person's, a seeded 30 % grant. Lists, roles and machines cannot, so
nobody registers them. An address counts as a person's if its local part

- has the shape of a name: two or three words of letters (initials too) joined by "." or "_"; or,
  outside the company, one word of three letters or more with up to four digits behind it; and
- holds no word of lists, roles or machines (`NOT_NAMES`: all, team, announcements, no.address …);
- and does not send like a machine: at least 50 messages, half of them with the same subject once
  digits are taken out.

All of it is a heuristic; who is wrongly left out only makes more messages stay.

The mail is from 1997 to 2002, long before any policy here, so silence then needs a grant that asks
for that period separately: each grant has an `earlier` line without a beginning. The workspace is
simulated: the policy's lead time passes by --now.

What is asserted: every command's exit code; released and withheld add up; every sender, recipient
and cc of every released message granted, counted from the Parquet and the choices alone; so did
everyone whose address stands in a quoted "From:" of a released body; no other address is among
them; the release holds exactly these rows; a sample of the withheld names somebody who did not
grant. Nothing of any message or address is printed.

One of those who do not grant says no, and keeps the receipt. Once the log is published, evidence
is made that she is in no release of the table and gave no grant, that one who granted is and did,
and of the release; `letterlock verify` and the verifiers in Go and JavaScript, which share no code
with it, have to accept each file, and to refuse it once a character of it is changed.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import options, report

PURPOSE, RECIPIENT, DATA_CLASS = "train.generative", "acme", "message.direct"
BEGUN, LATER = "2026-01-05", "2026-03-05"
COMPANY: Final = "enron.com"

POLICY: Final = """
version = "1"
lead_days = 30
window_days = 30

[withdrawal]
reaches = ["releases", "recipients", "models"]
days = 30

[recipients.acme]
name = "Acme Inc."
class = "controller"

[data_classes."message.direct"]
en = "e-mail that you send or receive"

[purposes."train.generative"]
en = "train models that generate text"

[[clauses]]
id = "a-yes-first"
level = "grant"

[settings.training]
title = "Mail for training models"
purposes = ["train.generative"]
data_classes = ["message.direct"]
recipients = ["acme"]

[regions]
jurisdictions = { US = 0 }
"""

MAPPING: Final = """
[columns]
id = "message_id"
created_at = "sent_at"
author = "sender"
recipients = ["recipients", "cc"]
payload = ["subject", "body"]

[data_class]
value = "message.direct"

[sensitive]
none = true

[quotes]
text = "body"
thread = "thread_id"
name = "sender_name"
"""

NOT_NAMES: Final = frozenset(
    [
        "accounting",
        "accounts",
        "address",
        "admin",
        "administration",
        "administrator",
        "alert",
        "alerts",
        "all",
        "announce",
        "announcement",
        "announcements",
        "approval",
        "assistant",
        "benefits",
        "billing",
        "board",
        "bounce",
        "bulletin",
        "calendar",
        "center",
        "central",
        "chairman",
        "clerk",
        "comments",
        "committee",
        "communications",
        "compliance",
        "conference",
        "confirm",
        "confirmation",
        "contact",
        "control",
        "coordinator",
        "corporate",
        "customer",
        "customers",
        "daily",
        "data",
        "desk",
        "digest",
        "distribution",
        "dl",
        "editor",
        "editors",
        "email",
        "employee",
        "employees",
        "energy",
        "enron",
        "event",
        "events",
        "everyone",
        "exchange",
        "executive",
        "executives",
        "feedback",
        "finance",
        "floor",
        "forum",
        "gas",
        "general",
        "group",
        "groups",
        "help",
        "helpdesk",
        "hr",
        "info",
        "information",
        "list",
        "lists",
        "listserv",
        "mail",
        "mailbox",
        "mailer",
        "majordomo",
        "management",
        "manager",
        "managers",
        "marketing",
        "master",
        "media",
        "member",
        "members",
        "membership",
        "meeting",
        "message",
        "messages",
        "news",
        "newsletter",
        "newsletters",
        "no",
        "nobody",
        "none",
        "noreply",
        "notice",
        "notices",
        "notification",
        "office",
        "offers",
        "online",
        "operations",
        "operator",
        "order",
        "orders",
        "owner",
        "postmaster",
        "power",
        "president",
        "press",
        "promo",
        "promotions",
        "public",
        "publications",
        "register",
        "registration",
        "relations",
        "reply",
        "report",
        "reports",
        "request",
        "research",
        "resources",
        "risk",
        "room",
        "root",
        "sales",
        "schedule",
        "scheduler",
        "scheduling",
        "security",
        "service",
        "services",
        "site",
        "staff",
        "store",
        "subscribe",
        "subscription",
        "subscriptions",
        "support",
        "survey",
        "system",
        "systems",
        "team",
        "teams",
        "tech",
        "technology",
        "test",
        "trading",
        "undisclosed",
        "unsubscribe",
        "update",
        "updates",
        "us",
        "users",
        "volunteer",
        "web",
        "webmaster",
        "weekly",
        "worldwide",
    ]
)
_PARTS: Final = re.compile(r"[._]+")
_NAME: Final = re.compile(r"[a-z][a-z'-]*")
_ACCOUNT: Final = re.compile(r"[a-z]{3,}\d{0,4}")
_INSIDE: Final = re.compile(r"team|list$|news|group|admin|support|mail|desk$|info$|service")
_FROM: Final = re.compile(
    r"^[>\s*]*from:[^\n]{0,200}?([\w.'+-]+@[\w-]+(?:\.[\w-]+)+)", re.IGNORECASE | re.MULTILINE
)

ROOT: Final = Path(__file__).resolve().parent.parent
GO: Final = ROOT / "build" / "letterlock-verify"
JS: Final = ROOT / "verifiers" / "js" / "cli.mjs"
VRF_PROOF: Final = 80  # bytes
CHANGED: Final = {  # kind of evidence → fields of which a character is changed
    "receipt": ("salt",),
    "member": ("account", "vrf"),
    "grants": ("account", "vrf"),
    "release": ("release",),
}

BUCKETS: Final = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 50), (51, 10**6))


def looks_like_a_person(address: str) -> bool:
    """Say whether an address has the shape of a person's (see the module's docstring)."""
    local, at, domain = address.partition("@")
    if not at or "@" in domain or "." not in domain:
        return False
    words = [word for word in _PARTS.split(local) if word]
    if any(word in NOT_NAMES or _INSIDE.search(word) for word in words):
        return False
    if 2 <= len(words) <= 3 and all(_NAME.fullmatch(word) for word in words):
        return any(len(word) > 1 for word in words)
    return len(words) == 1 and domain != COMPANY and bool(_ACCOUNT.fullmatch(words[0]))


def machines(senders: Iterable[str], subjects: Iterable[str | None]) -> set[str]:
    """Return who sends like a machine: 50 messages, half of them of one subject but for digits."""
    sent: dict[str, Counter[str]] = {}
    for sender, subject in zip(senders, subjects, strict=True):
        plain = re.sub(r"\d+", "0", (subject or "").lower())
        sent.setdefault(sender, Counter())[plain] += 1
    return {
        sender
        for sender, found in sent.items()
        if (total := found.total()) >= 50 and found.most_common(1)[0][1] * 2 >= total
    }


class CommandLine:
    """Runs the product's commands in one workspace, and notes what each takes."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.taken: dict[str, dict[str, float]] = {}

    def __call__(self, name: str, *words: object, expect: int = 0, at: str = LATER) -> Any:
        """Run a command; returns what it printed as JSON, if it did."""
        command = [sys.executable, "-m", "letterlock", *words]
        alone = words[0] == "verify" or "draft" in words
        if words[0] != "init" and not alone:
            command += ["--workspace", self.workspace]
        if words[0] != "source" and not alone:
            command += ["--now", at]
        status, printed = self.measured(name, *command)
        assert status == expect, f"{name}: exit {status}, expected {expect}"
        return json.loads(printed) if "--json" in words else printed

    def measured(self, name: str, *command: object, quiet: bool = False) -> tuple[int, str]:
        """Run any program; returns its exit code and what it printed. `quiet`: no errors shown."""
        with tempfile.NamedTemporaryFile() as taken:
            launch = [sys.executable, "-S", "-c", _LAUNCHER, taken.name, *map(str, command)]
            errors = subprocess.DEVNULL if quiet else None
            done = subprocess.run(
                launch, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
            )
            self.taken[name] = json.load(taken)
        return done.returncode, done.stdout


# A process's peak memory begins at what its parent holds, so a small one starts the commands.
_LAUNCHER: Final = """
import json, os, sys, time
began = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
taken = {
    "cpu": round(usage.ru_utime + usage.ru_stime, 2),
    "wall": round(time.perf_counter() - began, 2),
    "peak_mb": round(usage.ru_maxrss * 1024 / 1e6),
}
with open(sys.argv[1], "w") as file:
    json.dump(taken, file)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    parser = options(__doc__, share=30, seed=1)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=0, help="only the first rows (0: all)")
    arguments = parser.parse_args()
    if not (GO.exists() and (JS.parent / "node_modules").exists() and shutil.which("node")):
        sys.exit(
            "the verifiers are missing: make verifiers (verifiers/README.md says what it needs)"
        )
    with tempfile.TemporaryDirectory(prefix="letterlock-enron-") as name:
        found = measure(arguments, Path(name))
    report(arguments, found)


def measure(arguments: Any, folder: Path) -> dict[str, Any]:
    """Do all of it in `folder`, print the report and return its figures."""
    parquet, mbox = (
        arguments.data / name for name in ("enron_messages.parquet", "enron_sample_2000.mbox")
    )
    if arguments.rows:
        few = pq.read_table(parquet).slice(0, arguments.rows)
        parquet = folder / "first.parquet"
        pq.write_table(few, parquet, row_group_size=32_000)
    mail = pq.read_table(parquet, columns=["message_id", "sender", "recipients", "cc", "subject"])
    senders = mail.column("sender").to_pylist()
    parties = [
        {sender, *(to or ()), *(cc or ())}
        for sender, to, cc in zip(
            senders, mail.column("recipients").to_pylist(), mail.column("cc").to_pylist(),
            strict=True,
        )
    ]  # fmt: skip
    everyone = sorted(set().union(*parties))
    shaped = [address for address in everyone if looks_like_a_person(address)]
    automatic = machines(senders, mail.column("subject").to_pylist())
    persons = [address for address in shaped if address not in automatic]
    draw = random.Random(arguments.seed)
    granted = {address for address in persons if draw.randrange(100) < arguments.share}
    others = set(everyone) - set(persons)
    refuser = draw.choice([address for address in persons if address not in granted])
    print(
        f"addresses: {len(everyone):,}; persons by the heuristic: {len(persons):,}; of the rest "
        f"{len(everyone) - len(shaped):,} by shape or word, {len(shaped) - len(persons):,} send "
        f"like machines; {len(granted):,} grant"
    )

    run = CommandLine(folder / "workspace")
    texts = _prepare(run, folder, persons, sorted(granted), refuser)
    lists = folder / "lists.txt"
    lists.write_text("\n".join(sorted(a for a in others if "@" in a and " " not in a)) + "\n")
    sources = {
        "parquet": (parquet, "--mapping", folder / "mapping.toml"),
        "mbox": (mbox, "--data-class", DATA_CLASS, "--not-sensitive", "--lists", lists),
    }
    figures: dict[str, Any] = {
        "addresses": len(everyone),
        "persons": len(persons),
        "granted": len(granted),
        "text": texts,
    }
    for name, how in sources.items():
        print(f"\n{name}")
        figures[name] = _one_source(run, name, how)
        kept = _kept(folder / "workspace", name)
        _yields(figures[name], kept)
        if name == "parquet":
            goes, named = _count_again(parquet, kept, parties, granted, figures[name])
        else:
            items = folder / "workspace" / "index" / name / "items.parquet"
            figures[name] |= _count_mail(items, kept, granted, goes)
    release = Path(figures["parquet"]["folder"])
    member = draw.choice(sorted(named))
    figures["evidence"] = _evidence(run, folder, release, refuser, member)
    print("\ncommand                         CPU-s   wall s   peak MB")
    for name, taken in run.taken.items():
        print(f"{name:28} {taken['cpu']:8.2f} {taken['wall']:8.2f} {taken['peak_mb']:9,.0f}")
    print("\nall assertions hold")
    return figures | {"commands": run.taken}


def _prepare(
    run: CommandLine, folder: Path, persons: list[str], granted: list[str], refuser: str
) -> str:
    """Make the workspace: policy, members, choices. Returns the text's hash."""
    (folder / "mapping.toml").write_text(MAPPING)
    (folder / "policy").mkdir()
    (folder / "policy" / "policy.toml").write_text(POLICY)
    run("policy draft", "policy", "draft", folder / "policy")
    operators = [f"--operator={name}={folder / name}.key" for name in ("ash", "birch")]
    published = "--policy", folder / "policy"
    run("init", "init", run.workspace, "--simulated", *operators, *published, at=BEGUN)
    text: str = run("policy text", "policy", "text", "training", "--json", at=BEGUN)["sha256"]
    members = {
        "subject": persons,
        "jurisdiction": ["US"] * len(persons),
        "birth_year": [1960] * len(persons),
        "noticed": [["1"]] * len(persons),
    }
    pq.write_table(pa.table(members), folder / "subjects.parquet")
    words = "register", "subjects", folder / "subjects.parquet", "--json"
    found = run("register subjects", *words, at=BEGUN)
    assert (found["recorded"], found["refused"]) == (len(persons), [])
    run("policy introduce", "policy", "introduce", "training", at=BEGUN)
    count = len(granted)
    said = {
        "subject": granted,
        "act": ["grant"] * count,
        "purpose": [PURPOSE] * count,
        "data_class": [DATA_CLASS] * count,
        "recipient": [RECIPIENT] * count,
        "earlier": [True] * count,
        "time": [BEGUN] * count,
        "channel": ["generated"] * count,
        "text": [text] * count,
    }
    pq.write_table(pa.table(said), folder / "choices.parquet")
    found = run("choose --load", "choose", "--load", folder / "choices.parquet", "--json", at=BEGUN)
    assert (found["recorded"], found["refused"]) == (count, [])
    (folder / "evidence").mkdir()
    receipt = "--receipt", folder / "evidence" / "receipt at once"
    run("choose (a no)", "choose", refuser, "object", *receipt, at=BEGUN)
    return text


def _one_source(run: CommandLine, name: str, how: tuple[object, ...]) -> dict[str, Any]:
    """Register, plan, build and verify one source."""
    asked = "-p", PURPOSE, "-r", RECIPIENT, "--source", name, "--json"
    added = run(f"source add ({name})", "source", "add", name, *how, "--json")
    planned = run(f"plan ({name})", "plan", *asked)
    built = run(f"build ({name})", "build", *asked)
    verified = run(f"verify ({name})", "verify", built["folder"], "--json")
    counts = built["manifest"]["counts"]
    assert verified["verified"]
    assert counts["items"] == planned["items"] == added["items"]
    assert counts["released"] + counts["withheld"] == counts["items"]
    assert counts["by_reason"] == planned["withheld"]
    print(f"  {counts['items']:,} items, {len(added['problems']):,} problems when converted")
    print(f"  {counts['released']:,} released ({_share(counts['released'], counts['items'])}), by")
    print(f"  {built['manifest']['members']:,} people; withheld by the first reason:")
    for reason, count in sorted(counts["by_reason"].items(), key=lambda kv: -kv[1]):
        print(f"    {reason:24} {count:9,}  {_share(count, counts['items'])}")
    return {
        "counts": counts,
        "members": built["manifest"]["members"],
        "problems": len(added["problems"]),
        "folder": built["folder"],
    }


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.2f} %"


def _kept(workspace: Path, name: str) -> dict[str, np.ndarray]:
    """Judge the source once more, in the library: what goes, and how many people are in each."""
    from letterlock.domain import time_of  # noqa: PLC0415
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.release.build import judge  # noqa: PLC0415
    from letterlock.release.kernel import ALLOW, ROLE_SHIFT  # noqa: PLC0415
    from letterlock.release.plan import make_plan  # noqa: PLC0415

    gate = Gate(workspace, now=time_of(LATER))
    rules = gate.rules()
    (source,) = gate.sources([name])
    plan = make_plan(
        gate.store, rules, PURPOSE, rules.recipients[RECIPIENT], source.kinds,
        upto=gate.store.head().index,
    )  # fmt: skip
    (codes,) = judge(plan, [source], lambda *_: None).codes
    recipients, quoted = [], []
    for group in range(source.groups):
        items = source.items(group)
        item = np.repeat(np.arange(len(items.kind)), np.diff(items.offsets))
        told = np.unique(
            item[items.parties >> ROLE_SHIFT != 0].astype(np.int64) << 32
            | items.parties[items.parties >> ROLE_SHIFT != 0]
        )
        recipients.append(np.bincount(told >> 32, minlength=len(items.kind)))
        quoted.append(np.diff(items.quote_offsets))
    gate.close()
    return {
        "allowed": np.concatenate([code == ALLOW for code in codes]),
        "code": np.concatenate(codes),
        "recipients": np.concatenate(recipients),
        "quoted": np.concatenate(quoted),
    }


def _yields(figures: dict[str, Any], kept: dict[str, np.ndarray]) -> None:
    """Print the share that goes, by number of recipients and of quoted authors."""
    assert int(kept["allowed"].sum()) == figures["counts"]["released"]
    for what in ("recipients", "quoted"):
        rows = []
        before = None
        for low, high in ((0, 0), *BUCKETS) if what == "quoted" else BUCKETS:
            mine = (kept[what] >= low) & (kept[what] <= high)
            if what == "recipients":
                mine &= kept["quoted"] == 0
            items, goes = int(mine.sum()), int(kept["allowed"][mine].sum())
            share = goes / max(items, 1)
            lost = None if not before else round(100 * (1 - share / before), 1)
            rows.append({"from": low, "to": high, "items": items, "goes": goes, "lost_pct": lost})
            before = share
        figures[f"by_{what}"] = rows
        title = "recipients (nobody quoted)" if what == "recipients" else "quoted authors"
        print(f"  {title:28}   items      go   share   lost against the row above")
        for row in rows:
            low, high = row["from"], row["to"]
            span = (
                f"{low}" if low == high else f"{low}-{high}" if high < 10**6 else f"over {low - 1}"
            )
            lost = "" if row["lost_pct"] is None else f"{row['lost_pct']:.1f} %"
            share = _share(row["goes"], row["items"])
            print(f"    {span:26} {row['items']:8,} {row['goes']:7,} {share:>8} {lost:>9}")


def _count_again(
    parquet: Path,
    kept: dict[str, np.ndarray],
    parties: list[set[str]],
    granted: set[str],
    figures: dict[str, Any],
) -> tuple[set[str], set[str]]:
    """Check the release against the Parquet and the choices alone.

    Returns what went, and who sent or received it.
    """
    folder = Path(figures["folder"])
    withheld = pq.read_table(folder / "private" / "withheld.parquet")
    stayed = dict(
        zip(withheld.column("item").to_pylist(), withheld.column("reason").to_pylist(), strict=True)
    )
    mail = pq.read_table(parquet, columns=["message_id", "subject", "body"])
    ids = mail.column("message_id").to_pylist()
    goes = np.array([item not in stayed for item in ids])
    assert (goes == kept["allowed"]).all()
    assert len(stayed) == figures["counts"]["withheld"]
    named = set().union(*(parties[row] for row in np.flatnonzero(goes).tolist()))
    assert named <= granted, "a released message has somebody who did not grant"
    bodies = mail.column("body").filter(pa.array(goes)).to_pylist()
    quoted = {a.lower() for body in bodies for a in _FROM.findall(body)}
    assert quoted <= granted, "a released message quotes somebody who did not grant"
    draw = random.Random(2)
    missing = [
        row
        for row, item in enumerate(ids)
        if stayed.get(item) == "not_foreseen_then" and not kept["quoted"][row]
    ]
    for row in draw.sample(missing, min(2000, len(missing))):
        assert parties[row] - granted, "a message stayed though all in it granted"
    # The rows themselves: the same texts, as often.
    shards = sorted((folder / "outgoing" / "data").rglob("*.parquet"))
    released = pa.concat_tables(pq.read_table(p, columns=["payload.body"]) for p in shards)
    assert Counter(released.column(0).to_pylist()) == Counter(bodies)
    everyone_goes = sum(all_ <= granted for all_ in parties)
    quoting = int((kept["quoted"] > 0).sum())
    silent = int(((kept["quoted"] > 0) & np.array([p <= granted for p in parties])).sum())
    only = silent - int(((kept["quoted"] > 0) & goes).sum())
    figures |= {
        "all_direct_parties_granted": everyone_goes,
        "quoting": quoting,
        "only_quoted": only,
    }
    print(
        f"  counted again from the Parquet: of {everyone_goes:,} messages whose sender, recipients"
    )
    print(
        f"  and cc all granted (or that name no recipient), {int(goes.sum()):,} go; {only:,} stay"
    )
    print(f"  for somebody they quote ({quoting:,} of all messages quote somebody)")
    return {item for item in ids if item not in stayed}, named


def _count_mail(
    path: Path, kept: dict[str, np.ndarray], granted: set[str], goes: set[str]
) -> dict[str, int]:
    """Check a converted mailbox's release: everyone in it granted. `goes`: of the Parquet."""
    mail = pq.read_table(path, columns=["item", "authors", "recipients", "quoted"])
    mine = mail.filter(pa.array(kept["allowed"]))
    for name in mail.column_names[1:]:
        people = set(pc.list_flatten(mine.column(name)).to_pylist())
        assert people <= granted, f"a released message has somebody in {name} who did not grant"
    here, there = (set(table.column("item").to_pylist()) for table in (mine, mail))
    found = {
        "goes_in_both": len(here & goes),
        "only_here": len(here - goes),
        "only_in_parquet": len((there & goes) - here),
    }
    print(f"  of the same messages in the Parquet, {len(here & goes)} go in both, ", end="")
    print(f"{len(here - goes)} only here, {len((there & goes) - here)} only there")
    return found


def _evidence(
    run: CommandLine, folder: Path, release: Path, refuser: str, member: str
) -> dict[str, Any]:
    """Publish the log, make evidence of all that is claimed, and have it checked by all three."""
    run("log seal-grants", "log", "seal-grants")
    published = run("log checkpoint", "log", "checkpoint", "--json")["published"]
    made = folder / "evidence"
    for name, *words in (
        ("receipt with proof", "receipt", refuser),
        ("not in the release", "member", refuser, release.name),
        ("in the release", "member", member, release.name),
        ("gave no grant", "grants", refuser),
        ("gave a grant", "grants", member),
        ("release", "release", release.name),
    ):
        run(f"prove: {name}", "prove", *words, "--out", made / name)
    said = {path.name: json.loads(path.read_bytes()) for path in sorted(made.iterdir())}
    assert said["receipt at once"]["signed"]
    assert said["receipt with proof"]["proof"]
    assert said["not in the release"]["claim"] == said["gave no grant"]["claim"] == "not in"
    assert said["in the release"]["claim"] == said["gave a grant"]["claim"] == "in"

    policy, log = run.workspace / "log.policy", run.workspace / "log"
    ours = (sys.executable, "-m", "letterlock", "verify", "--policy", policy, "--release", release)
    judges = {
        "Python": (ours, set(said)),
        "Go": ((GO, "-policy", policy, "-log", log), set(said)),
        "JavaScript": (("node", JS, "--policy", policy), set(said) - {"release"}),
    }
    for judge, (command, names) in judges.items():
        files = [made / name for name in sorted(names)]
        status, _ = run.measured(f"verify {len(files)} ({judge})", *command, *files)
        assert status == 0, f"{judge} does not accept the evidence: exit {status}"
    changed = _change(folder / "changed", made, said)
    for path in changed:
        for judge, (command, names) in judges.items():
            if path.parent.name in names:
                status, _ = run.measured(f"refuse 1 ({judge})", *command, path, quiet=True)
                assert status in {1, 3}, f"{judge} accepts {path} that was changed: exit {status}"

    sizes = {name: (made / name).stat().st_size for name in said}
    own = {
        name: VRF_PROOF + len(each["account"]) + len(each["bucket"]) // 2 + 32 * len(each["path"])
        for name, each in said.items()
        if "vrf" in each
    }
    print(f"\npublished: a log of {published:,} entries")
    print("evidence                        bytes   of which account, VRF proof, bucket and path")
    for name, size in sizes.items():
        print(f"  {name:26} {size:8,}   {own.get(name, '')}")
    print("accepted by Python, Go and JavaScript (but for the release, which it does not know);")
    print(f"refused by each in all {len(changed)} copies in which a character is changed")
    assert max(own.values()) <= 1024, "more than the bar of the design"
    return {
        "published": published,
        "bytes": sizes,
        "member_set_bytes": own,
        "changed": len(changed),
    }


def _change(folder: Path, made: Path, said: dict[str, Any]) -> list[Path]:
    """Copy the evidence once for each field of CHANGED, and change the field's middle character."""
    paths = []
    for name, each in said.items():
        for field in CHANGED[each["kind"]]:
            head, key, tail = (made / name).read_bytes().partition(b'"%s":"' % field.encode())
            assert key, f"{name} has no {field}"
            at = tail.index(b'"') // 2
            other = b"1" if tail[at : at + 1] == b"0" else b"0"
            paths.append(folder / name / field)
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_bytes(head + key + tail[:at] + other + tail[at + 1 :])
    return paths


if __name__ == "__main__":
    main()
