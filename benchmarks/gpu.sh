#!/bin/sh
# Check and measure rdad on one CUDA GPU, in at most eight minutes; without one, its CPU path, small.
# Needs this checkout, installed (pip install --no-deps .), rdad's packages without MLflow, and no
# pretrained weights.
#
#   benchmarks/gpu.sh [folder for gpu.json and the runs]
#
# Each part is a process of its own with a limit of its own: what one loses, the others keep.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-outputs/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
export RDAD_CACHE_DIR="${RDAD_CACHE_DIR:-$out/cache}"

for part in correct:120 steps:190 latency:40 epochs:130; do
    timeout "${part#*:}" "$python" "$root/benchmarks/gpu.py" "${part%:*}" "$out" \
        2>"$out/${part%:*}.log" || echo "${part%:*} ended with $?; see $out/${part%:*}.log" >&2
done
"$python" "$root/benchmarks/gpu.py" table "$out"
