#!/bin/sh
# Run the benchmark of this folder: ./run.sh [--budget SECONDS]. It needs no network and installs
# nothing. Results are written as they come, to $OUT, or to ./results.
set -eu
kit=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$(command -v python || command -v python3)}
mkdir -p "${OUT:=$kit/results}"
out=$(cd "$OUT" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
"$python" "$kit/unpack.py" "$kit/wheels" "$scratch/site" > "$out/unpacked.txt" 2>&1 ||
    { cat "$out/unpacked.txt" >&2; exit 1; }
cp -r "$kit/code" "$scratch/"
cd "$scratch"
PYTHONPATH="$scratch/code:$scratch/site${PYTHONPATH:+:$PYTHONPATH}" XDG_CACHE_HOME="$scratch" \
    "$python" -m benchmarks gpu --budget "${BUDGET:-540}" --out "$out" "$@"
