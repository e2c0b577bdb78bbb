#!/usr/bin/env bash
# Writes the Python stubs of every contract: beside the .proto files, or into the folder given (for the freshness test).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
cd "$here"
mapfile -t files < <(find goldsmith -name '*.proto' | sort)
"${PYTHON:-python3}" -m grpc_tools.protoc --proto_path=. --python_out="$out" --grpc_python_out="$out" \
  --mypy_out="quiet,relax_strict_optional_primitives:$out" --mypy_grpc_out="quiet:$out" "${files[@]}"
