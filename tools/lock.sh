#!/bin/sh
# Writes constraints.txt: one lock with hashes for every Python from 3.11 and every platform, for running, developing
# and benchmarking. Keeps what is pinned unless called with --upgrade.
#
# uv reads no pip configuration, so pip's main index and certificates are handed to it. Extra indexes and find-links are
# left out on purpose: a partial mirror would put only its own platform's hashes into the lock.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

if [ ! -x .tools/uv/bin/uv ]; then
  echo "[lock] fetching uv into .tools"
  PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --target .tools/uv "uv>=0.13"
fi
if index=$("$python" -m pip config get global.index-url 2>/dev/null || printenv PIP_INDEX_URL); then
  export UV_DEFAULT_INDEX="$index"
fi
if certificates=$("$python" -m pip config get global.cert 2>/dev/null || printenv PIP_CERT); then
  export SSL_CERT_FILE="$certificates"
fi

echo "[lock] resolving"
.tools/uv/bin/uv pip compile pyproject.toml --all-extras --output-file constraints.txt "$@" \
  --universal --python-version 3.11 --generate-hashes --no-annotate --quiet \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
echo "[lock] constraints.txt: $(grep -c == constraints.txt) packages"
