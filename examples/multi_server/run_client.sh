#!/usr/bin/env bash
# run_client.sh: calls the workers that run_server.sh has started.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
[[ ${PYTHON:-} ]] || scripts/setup
exec "${PYTHON:-.venv/bin/python}" -m examples.multi_server.test_client
