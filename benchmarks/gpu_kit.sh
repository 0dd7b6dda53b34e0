#!/bin/sh
# Gather what `benchmarks gpu` needs on a machine without network: code, weights, missing wheels.
#   sh benchmarks/gpu_kit.sh [FOLDER]      makes FOLDER (gpu-kit), less than 60 MiB
#   FOLDER/run.sh [--budget SECONDS]       runs it there; results in $OUT, or in FOLDER/results
# The other machine has JAX, PyTorch or TensorFlow for its card, and numpy, scikit-learn, pillow and
# joblib beside it: on x86-64 Linux, with Python 3.11 to 3.13.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
kit=${1:-gpu-kit}
mkdir -p "$kit/wheels" "$kit/code"
kit=$(cd "$kit" && pwd)
rm -rf "$kit/code" "$kit/wheels"
mkdir "$kit/code" "$kit/wheels"
for room in pipeline benchmarks; do
    (cd "$here" && find "$room" -type f ! -name '*.pyc' | tar -cf - -T -) | tar -xf - -C "$kit/code"
done
cp "$here/benchmarks/kit/run.sh" "$here/benchmarks/kit/unpack.py" "$kit/"
chmod +x "$kit/run.sh"
for version in 3.11 3.12 3.13; do
    "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --python-version "$version" --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
        --platform manylinux2014_x86_64 --dest "$kit/wheels" \
        -r "$here/benchmarks/kit/packages.txt"
done
size=$(du -sm "$kit" | cut -f1)
echo "$kit: $size MiB; copy it, and run ./run.sh in it"
[ "$size" -lt 60 ] || { echo "expected less than 60 MiB, received $size" >&2; exit 1; }
