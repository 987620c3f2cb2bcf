"""A release as MLCommons Croissant metadata, so that data loaders and catalogues can read it.

Spec: Croissant 1.1 (http://mlcommons.org/croissant/1.1). Every file of `outgoing/`, the
manifest included, is a FileObject with its SHA-256. The table of members is a RecordSet, and so is
each shard, by its place: `mail/shard-00000`. (A FileSet would be shorter, but loaders look for its
files below the metadata only.) What the release does not know (a licence, a citation) is left out,
not made up. Addresses are relative to this file, in `sidecars/` beside `outgoing/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import canonical, sha256
from letterlock.errors import VerificationError
from letterlock.history import when
from letterlock.lineage.graph import Version
from letterlock.release import manifest
from letterlock.release.manifest import MEMBERS, NAME, OUTGOING, PARTY_COLUMNS

Node: TypeAlias = dict[str, Any]

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.1"
_PARQUET: Final = "application/x-parquet"

# The context that the specification asks for, word for word (Croissant 1.1, appendix 1).
CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_TOLD: Final[Mapping[str, str]] = {
    "pseudonym": "A person, by a name that holds for this release alone.",
    "data_class": "What kind of item the row is of.",
    "created_at": "When the item was made.",
    "authors": "Who wrote it: rows of members, counted from 0.",
    "recipients": "Who received it: rows of members, counted from 0.",
    "members": "Who was in the group then: rows of members, counted from 0.",
    "quoted": "Who is quoted in it: rows of members, counted from 0.",
}
_PAYLOAD: Final = "A column of the platform's own table."


def croissant(folder: Path, version: Version) -> bytes:
    """Return the metadata of the release in `folder`, as canonical JSON.

    Of the shards only the schemas are read. Raises VerificationError if that cannot be done.
    """
    record, content = manifest.read(folder), manifest.content(folder)
    shards = [entry for entry in record["files"] if entry["path"] != MEMBERS]
    whole = {"path": NAME, "bytes": len(content), "sha256": sha256(content)}
    try:
        sets = [_members(folder), *(_rows(folder, entry) for entry in shards)]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise VerificationError(f"{folder}: a file cannot be read: {error}") from error
    document = {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": f"letterlock-release-{record['release']}",
        "description": _description(record),
        "version": f"{version.number}.0.0",
        "identifier": f"urn:sha256:{version.manifest}",
        "datePublished": when(version.time),
        "isLiveDataset": False,
        "distribution": [
            _file(whole, "application/json"),
            *(_file(entry, _PARQUET) for entry in record["files"]),
        ],
        "recordSet": sets,
    }
    return canonical(document) + b"\n"


def _description(record: Mapping[str, Any]) -> str:
    simulated = " Everything in it is simulated." if record["simulated"] else ""
    released, members = record["counts"]["released"], record["members"]
    return (
        f"Items released to {record['recipient']['name']} for {record['purpose']} as of "
        f"{record['as_of']}, in each of which everybody had said yes: rows: {released}, people: "
        f"{members}, by names that hold for this release alone. It is for this purpose and "
        f"recipient only, and whoever says no later has to be dropped from it.{simulated}"
    )


def _file(entry: Mapping[str, Any], encoding: str) -> Node:
    return {
        "@type": "cr:FileObject",
        "@id": entry["path"],
        "name": entry["path"],
        "contentUrl": f"../{OUTGOING}/{entry['path']}",
        "contentSize": f"{entry['bytes']} B",
        "encodingFormat": encoding,
        "sha256": entry["sha256"],
    }


def _members(folder: Path) -> Node:
    told = "Everybody who is in a row; other tables name people by their place in this one."
    return _record_set(folder, "people", MEMBERS, told)


def _rows(folder: Path, entry: Mapping[str, Any]) -> Node:
    """Return the rows of a shard, data/SOURCE/shard-NNNNN.parquet."""
    _, source, name = entry["path"].split("/")
    told = f"A part of {source}: rows: {entry['rows']}."
    return _record_set(folder, f"{source}/{name.removesuffix('.parquet')}", entry["path"], told)


def _record_set(folder: Path, name: str, path: str, told: str) -> Node:
    schema = pq.read_schema(folder / OUTGOING / path)
    fields = list(_fields(name, path, schema))
    named = {"@type": "cr:RecordSet", "@id": name, "name": name, "description": told}
    return named | {"field": fields}


def _fields(prefix: str, path: str, schema: pa.Schema) -> Iterator[Node]:
    for column in schema:
        field: Node = {
            "@type": "cr:Field",
            "@id": f"{prefix}/{column.name}",
            "name": column.name,
            "description": _TOLD.get(column.name, _PAYLOAD),
            "dataType": _data_type(column.type),
            "source": {"fileObject": {"@id": path}, "extract": {"column": column.name}},
        }
        if column.name in PARTY_COLUMNS or _is_list(column.type):
            field |= {"isArray": True, "arrayShape": "-1"}
        yield field


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _data_type(kind: pa.DataType) -> str:
    """Return Croissant's name of a column's type; what has none there is read as text."""
    if _is_list(kind):
        return _data_type(kind.value_type)
    if pa.types.is_dictionary(kind):
        return _data_type(kind.value_type)
    for test, name in _TYPES:
        if test(kind):
            return name
    named = _SIZED.get(str(kind))
    return f"cr:{named}" if named else "sc:Text"


_TYPES: Final = (
    (pa.types.is_boolean, "sc:Boolean"),
    (pa.types.is_timestamp, "sc:DateTime"),
    (pa.types.is_date, "sc:Date"),
)
_SIZED: Final = {
    **{f"int{bits}": f"Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UInt{bits}" for bits in (8, 16, 32, 64)},
    "halffloat": "Float16",
    "float": "Float32",
    "double": "Float64",
}
