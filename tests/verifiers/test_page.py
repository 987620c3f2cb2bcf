"""The page that a member opens: it sends nothing, and runs nothing but what belongs to it."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent.parent / "verifiers" / "js"
HTML = (PAGE / "index.html").read_text(encoding="utf-8")
MODULES = ("page.mjs", "verify.mjs")


def test_the_page_may_load_and_send_nothing_else() -> None:
    """Its policy allows its own scripts and style, the import map by its hash, and no more."""
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', HTML)[0]
    mapped = re.findall(r'<script type="importmap">(.*?)</script>', HTML, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(mapped.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"https?:|//\w|\son\w+=|style=", HTML)


def test_the_map_leads_to_every_part_that_is_imported() -> None:
    """Each bare name that the modules import has its folder in the map."""
    mapped = re.findall(r'<script type="importmap">(.*?)</script>', HTML, re.DOTALL)[0]
    imports = json.loads(mapped)["imports"]
    text = "".join((PAGE / name).read_text(encoding="utf-8") for name in MODULES)
    bare = re.findall(r"from '([^.'][^']*)'", text)
    assert bare
    assert all(any(name.startswith(prefix) for prefix in imports) for name in bare)
    # Their own hashes come from a package that they name.
    assert {"@noble/curves/", "@noble/hashes/", "@noble/post-quantum/"} == set(imports)


def test_a_file_never_becomes_part_of_the_page() -> None:
    """What a file says is set as text."""
    script = (PAGE / "page.mjs").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon|localStorage", script)


@pytest.mark.parametrize("name", ["package.json", "package-lock.json"])
def test_every_part_has_one_exact_version(name) -> None:
    """The parts are pinned, and the lock has the hash of each."""
    found = json.loads((PAGE / name).read_text(encoding="utf-8"))
    own = found if name == "package.json" else found["packages"].pop("")
    assert own["dependencies"].keys() == {"@noble/curves", "@noble/post-quantum"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", each) for each in own["dependencies"].values())
    if name == "package-lock.json":
        packages = found["packages"].values()
        assert all(each["integrity"].startswith("sha512-") for each in packages)
