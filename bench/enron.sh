#!/usr/bin/env bash
# The product on real mail, through its real command line: bench/enron.py says what it does.
# Uses $PYTHON, or the checkout's .venv; reads ../shared/data (or $DATA); writes to a temp folder.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
data="${DATA:-../shared/data}"
if [ ! -f "$data/enron_messages.parquet" ]; then
    echo "no $data/enron_messages.parquet: nothing to measure" >&2
    exit 2
fi
exec "$python" bench/enron.py --data "$data" "$@"
