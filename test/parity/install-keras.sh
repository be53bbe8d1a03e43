#!/usr/bin/env bash
# Real Keras in .venv, its oldest 3.x in .venv/early and its last 2.x in .venv/keras2, once.
set -euo pipefail
cd "$(dirname "$0")/../.."

install() { # folder, packages...
  [ -e "$1/keras-installed" ] && return
  python3 -m venv "$1"
  "$1/bin/python" -m pip install --quiet "${@:2}"
  touch "$1/keras-installed"
}

install .venv keras==3.15.1 tensorflow-cpu==2.21.0 onnx==1.23.2 onnxruntime==1.32.0 pillow==13.0.0
install .venv/early keras==3.0.5 tensorflow-cpu==2.16.2
install .venv/keras2 keras==2.15.0 tensorflow-cpu==2.15.1 pillow==13.0.0
