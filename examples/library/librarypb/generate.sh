#!/bin/sh
# Generates this folder from ../proto. Needs protoc, protoc-gen-go and protoc-gen-go-grpc in PATH;
# the Makefile at the top says which versions. The plugin is that of this tree, and has the
# protos of Google that the API imports.
set -eu
cd "$(dirname "$0")/../../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
go build -o "$scratch/protoc-gen-go-longrun" ./cmd/protoc-gen-go-longrun
"$scratch/protoc-gen-go-longrun" --google-protos "$scratch/google.binpb"
rm -f examples/library/librarypb/*.pb.go
protoc -I examples/library/proto -I proto --descriptor_set_in="$scratch/google.binpb" \
  --plugin="$scratch/protoc-gen-go-longrun" \
  --go_out=. --go_opt=module=github.com/longrun-dev/longrun \
  --go-grpc_out=. --go-grpc_opt=module=github.com/longrun-dev/longrun \
  --go-longrun_out=. --go-longrun_opt=module=github.com/longrun-dev/longrun \
  longrun/examples/library/v1/library.proto
