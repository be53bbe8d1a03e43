#!/usr/bin/env bash
# Real Keras in .venv, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -e .venv/keras-installed ] && exit 0
python3 -m venv .venv
.venv/bin/python -m pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
touch .venv/keras-installed
