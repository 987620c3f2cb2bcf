"""What a user would write instead of the product: one SQL of their own, in DuckDB.

It does less: current choices and one change of each fact, no as-of, no reasons, no notices, texts,
categories, holds or amendments. On the generated world it allows the same messages, which the
benchmarks assert. It starts from Parquet exports of subjects, facts and choices.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb
from world import EXCLUDED, FORBIDDING, PURPOSE, RECIPIENT

FOLD: Final = """
CREATE TEMP TABLE permit AS
WITH covering AS (
    SELECT class, subject, n, "at", act = 'grant' AS yes
    FROM read_parquet('{folder}/choices.parquet'),
         (VALUES ('message.direct'), ('message.group')) AS classes(class)
    WHERE purpose = '{purpose}' AND recipient = '{recipient}'
      AND pattern IN (class, 'message.*', '*')
), refused AS (
    SELECT class, subject, coalesce(max(n) FILTER (NOT yes), -1) AS last_no
    FROM covering GROUP BY class, subject
), granted AS (
    SELECT class, subject, min("at") AS since
    FROM covering JOIN refused USING (class, subject)
    WHERE yes AND n > last_no GROUP BY class, subject
), facts AS (
    SELECT subject,
        CASE WHEN coalesce(place.value, jurisdiction) = '{excluded}' THEN NULL
             WHEN jurisdiction = '{excluded}' THEN place.since ELSE 0 END AS place_since,
        CASE WHEN coalesce(terms.value, contract) = '{forbidding}' THEN NULL
             WHEN contract = '{forbidding}' THEN terms.since ELSE 0 END AS terms_since,
        epoch_us(make_timestamp(birth_year + 19, 1, 1, 0, 0, 0)) AS adult_since
    FROM read_parquet('{folder}/subjects.parquet')
    LEFT JOIN (SELECT subject, value, since FROM read_parquet('{folder}/facts.parquet')
               WHERE kind = 'jurisdiction') AS place USING (subject)
    LEFT JOIN (SELECT subject, value, since FROM read_parquet('{folder}/facts.parquet')
               WHERE kind = 'contract') AS terms USING (subject)
)
SELECT class, subject, greatest(since, place_since, terms_since, adult_since) AS since
FROM granted JOIN facts USING (subject)
WHERE place_since IS NOT NULL AND terms_since IS NOT NULL
"""

VERDICT: Final = """
SELECT id, bool_and(coalesce(since <= made, false)) AS ok
FROM (
    SELECT id, epoch_us(created_at) AS made, data_class AS class,
           unnest(list_append(recipients, sender)) AS subject
    FROM read_parquet('{table}')
) LEFT JOIN permit USING (class, subject)
GROUP BY id
"""


def connect() -> duckdb.DuckDBPyConnection:
    """Return a connection with two threads, and no limit but the machine's memory."""
    return duckdb.connect(config={"threads": 2})


def fold(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Make the table `permit`: since when each subject permits each class."""
    con.execute(
        FOLD.format(
            folder=folder, purpose=PURPOSE, recipient=RECIPIENT,
            excluded=EXCLUDED, forbidding=FORBIDDING,
        )
    )  # fmt: skip


def copy(con: duckdb.DuckDBPyConnection, query: str, out: Path) -> None:
    """Write a query's rows as Parquet, zstd level 3."""
    con.execute(
        f"COPY ({query}) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)"
    )
