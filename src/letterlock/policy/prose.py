"""policy.md, faq.md and notice.md: Markdown in, marked paragraphs out. Pure.

A paragraph, a list item or a row of a table says at its end, in a comment that no reader sees,
which clauses it states, or that it states none:

    Until you say yes, the answer is no. <!-- states training-needs-a-yes: grant -->
    A no reaches models too. <!-- states withdrawal -->
    Northmail Inc. runs this service. <!-- informational -->

The comment may also stand on the line below. A heading may carry one. What could say something
without being said here, as images, code blocks and other HTML could, is found. The rest of Markdown
is CommonMark, with tables. What marks have to agree with: lint.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from letterlock.domain import Level
from letterlock.policy.toml import MAX_SIZE, Finding, listed, said

MAX_NESTING: Final = 10
"""How deeply quotes and lists may lie in each other: parsers drop what lies too deep."""

MAX_LENGTH: Final = 8_000
"""How many characters a paragraph may have: more is hard to read, and slow to parse."""

FACTS: Final = ("lead", "withdrawal", "window")
"""What a paragraph may state beside clauses."""

_REQUIREMENT: Final = "R15"
_LEVELS: Final = {level.name.lower(): level for level in Level}
_COMMENTS: Final = re.compile(r"(?:\s*<!--(?:(?!-->).)*-->)+\s*", re.DOTALL)
_COMMENT: Final = re.compile(r"<!--((?:(?!-->).)*)-->", re.DOTALL)
_STATES: Final = re.compile(r"states\s+([A-Za-z0-9_.-]+)(?:\s*:\s*([A-Za-z_]+))?")
_HOW: Final = "write <!-- states CLAUSE: LEVEL --> or <!-- informational --> at its end"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a paragraph says that it states: a clause at a level, or one of FACTS without one.

    `subject` is empty for a paragraph that states nothing.
    """

    line: int
    subject: str = ""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph, list item, row of a table or heading: the text a reader sees, and its marks."""

    line: int
    text: str
    marks: tuple[Mark, ...]
    heading: bool = False


@dataclass
class Page:
    """One text being read, and everything found wrong with it."""

    file: str
    source: str = ""
    paragraphs: list[Paragraph] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, line: int, message: str, mend: str, requirement: str = _REQUIREMENT) -> None:
        """Note something wrong on `line`."""
        self.findings.append(Finding(self.file, line, message, mend, requirement))


@dataclass
class _Draft:
    """A paragraph being read; `faulty`: something about its marks was found already."""

    line: int
    end: int
    heading: bool
    words: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    faulty: bool = False


# Deep enough that whatever lies too deep is seen before it is dropped.
_BLOCKS: Final = (
    MarkdownIt("commonmark", {"maxNesting": 10 * MAX_NESTING})
    .enable("table")
    .disable(["inline", "text_join"])
)
_INLINE: Final = MarkdownIt("commonmark")


def parse(data: bytes, file: str) -> Page:
    """Read a text; whatever is wrong with it is in the page's findings. Nothing is raised."""
    page = Page(file)
    if len(data) > MAX_SIZE:
        mend = f"a text needs no more than {MAX_SIZE:,} bytes"
        page.find(1, f"this is {len(data):,} bytes long", mend, "")
        return page
    try:
        page.source = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        page.find(line, "this is not UTF-8", "save the file as UTF-8", "")
        return page
    env: dict[str, Any] = {}
    drafts: list[_Draft] = []
    deep = False
    for token in _BLOCKS.parse(page.source.removeprefix("\ufeff"), env):
        if token.level > 2 * MAX_NESTING and not deep:  # an item is a list and an item
            deep = True
            mend = "say it in a list of its own, or in paragraphs"
            page.find((token.map or (0, 0))[0] + 1, "this is nested too deeply", mend)
        _block(page, token, drafts, env)
    _definitions(page, env)
    for draft in drafts:
        text = " ".join("".join(draft.words).split())
        if any(map(str.isalnum, text)):
            _finish(page, draft, text)
        else:  # perhaps a mark, but no words
            for mark in draft.marks:
                message, mend = "this mark has no words", "write what it states before the mark"
                page.find(mark.line, message, mend)
    return page


def _definitions(page: Page, env: dict[str, Any]) -> None:
    """Find definitions of links that could say something: by a title, or as a footnote."""
    every = [*env.get("references", {}).items()]
    every += [(each.get("label", ""), each) for each in env.get("duplicate_refs", ())]
    for label, definition in every:
        if definition["title"] or label.startswith("^"):
            message = "titles of links and footnotes are not read"
            mend = "say it in a paragraph, and mark that"
            page.find(definition["map"][0] + 1, message, mend)


def _finish(page: Page, draft: _Draft, text: str) -> None:
    """Take a paragraph into the page, and find what its marks lack."""
    plain = [mark for mark in draft.marks if not mark.subject]
    if plain and len(plain) < len(draft.marks):
        message = "this is marked informational, and as stating something"
        page.find(draft.line, message, "remove one of the marks, or split the paragraph")
    if not (draft.marks or draft.faulty):
        if not draft.heading:
            page.find(draft.line, "this paragraph has no mark", _HOW)
        elif text.endswith((".", "!", ";")):
            message = "this heading ends like a sentence, and has no mark"
            page.find(draft.line, message, f"{_HOW}, or write it as a heading")
    marks = tuple(draft.marks)
    page.paragraphs.append(Paragraph(draft.line, text, marks, draft.heading))


def _block(page: Page, token: Token, drafts: list[_Draft], env: dict[str, Any]) -> None:
    """Take in one token of the document's blocks."""
    first, end = token.map or (0, 0)
    match token.type:
        case "heading_open" | "paragraph_open" | "tr_open":
            drafts.append(_Draft(first + 1, end, heading=token.type == "heading_open"))
        case "th_open":
            drafts[-1].heading = True
        case "inline":
            _inline(page, token.content, drafts[-1], env)
        case "html_block":
            _html(page, token.content, first, drafts)
        case "fence" | "code_block":
            mend = "write it as a paragraph, without indentation or fences"
            page.find(first + 1, "code blocks are not read", mend)
        case _:
            pass


def _html(page: Page, content: str, first: int, drafts: list[_Draft]) -> None:
    """Take in lines of HTML: marks of the paragraph that ends just above them, nothing else."""
    line, content = first + 1, content.strip()
    if not _COMMENTS.fullmatch(content):
        _no_html(page, line, content)
    elif drafts and drafts[-1].end == first:
        _marks(page, content, line, drafts[-1])
        drafts[-1].end = first + content.count("\n") + 1
    else:
        mend = "put it at the end of a paragraph, or on the line below; else remove it"
        page.find(line, "this comment marks no paragraph", mend)


def _no_html(page: Page, line: int, content: str) -> None:
    if content.startswith("<!--") and "-->" not in content:
        page.find(line, "this comment is not closed", "close it with -->")
    else:
        message = f"HTML is not read: {said(content)}"
        page.find(line, message, "write it in Markdown, and nothing but a mark in <!-- -->")


def _inline(page: Page, content: str, draft: _Draft, env: dict[str, Any]) -> None:
    """Take in the words of a paragraph or of one cell."""
    if len(content) > MAX_LENGTH:
        draft.faulty = True
        message = f"this paragraph has {len(content):,} characters"
        page.find(draft.line, message, f"split it: {MAX_LENGTH:,} are the most", "")
        return
    line, last, comments = draft.line, 0, list[tuple[int, int, str]]()
    draft.words.append(" ")  # between cells
    (whole,) = _INLINE.parseInline(content, env)
    for n, token in enumerate(whole.children or ()):
        match token.type:
            case "softbreak" | "hardbreak":
                draft.words.append(" ")
                line += 1
            case "html_inline":
                comments.append((n, line, token.content))
                line += token.content.count("\n")
            case _:
                _word(page, draft, token, line)
                last = n if token.content.strip() else last
    for n, at, comment in comments:
        draft.faulty = True
        if not _COMMENT.fullmatch(comment):
            _no_html(page, at, comment)
        elif n < last:
            mend = "put it at the end of the paragraph, or split the paragraph there"
            page.find(at, "this mark does not stand at the end", mend)
        else:
            _marks(page, comment, at, draft)


def _word(page: Page, draft: _Draft, token: Token, line: int) -> None:
    """Take in words, and find what could say something without any."""
    if token.type == "image":
        page.find(line, "images are not read", "say in words what the image shows")
    elif token.attrs.get("title"):
        mend = "say it in a paragraph, and mark that"
        page.find(line, "titles of links and footnotes are not read", mend)
    else:
        draft.words.append(token.content)
        if token.type == "text" and "<!--" in token.content:
            draft.faulty = True
            _no_html(page, line, "<!--")


def _marks(page: Page, comments: str, line: int, draft: _Draft) -> None:
    """Read the marks in `comments`, which begin on `line`."""
    for comment in _COMMENT.finditer(comments):
        at = line + comments.count("\n", 0, comment.start())
        draft.marks += _read(page, comment[1], at, draft)


def _read(page: Page, comment: str, line: int, draft: _Draft) -> Iterator[Mark]:
    """Yield the marks in one comment; what is no mark is found."""
    if comment.strip() == "informational":
        yield Mark(line)
        return
    for part in comment.split(";"):
        found = _STATES.fullmatch(part.strip())
        if found is None:
            message, mend = f"{said(part.strip())} is no mark", _HOW
        elif found[2] is None and found[1] not in FACTS:
            message = f"this mark of {said(found[1])} says no level"
            mend = f"write <!-- states {found[1]:.60}: LEVEL -->"
        elif found[2] is not None and found[2] not in _LEVELS:
            message, mend = f"{said(found[2])} is no level", f"write one of: {listed(_LEVELS)}"
        else:
            yield Mark(line, found[1], _LEVELS[found[2]] if found[2] else None)
            continue
        draft.faulty = True
        page.find(line, message, mend)
