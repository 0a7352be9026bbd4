#!/usr/bin/env bash
# Makes docs/pictures anew: starts `portward dev`, opens the main pages in headless Chromium and keeps what they look like.
# One command, after a change of the looks: docs/pictures.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/tools.sh

need_rust
need_browser
install_missing
node_tools
cargo build $LOCKED -p portward-server --bin portward
PORTWARD_BIN=$TARGET/debug/portward "$NODE" docs/pictures.mjs
