#!/bin/sh
# Generates this folder from library.proto. Needs protoc and protoc-gen-go in PATH;
# Makefile says which versions.
set -eu
cd "$(dirname "$0")/../.."
set_file=$(mktemp)
trap 'rm -f "$set_file"' EXIT
go run ./cmd/protoc-gen-go-longrun --google-protos "$set_file"
protoc -I . --descriptor_set_in="$set_file" \
  --go_out=. --go_opt=module=github.com/longrun-dev/longrun \
  internal/testpb/library.proto
