#!/bin/sh
# Generates the packages of this folder from proto/. Needs protoc, protoc-gen-go and
# protoc-gen-go-grpc in PATH; Makefile says which versions.
set -eu
cd "$(dirname "$0")/../../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
go build -o "$scratch/protoc-gen-go-longrun" ./cmd/protoc-gen-go-longrun
"$scratch/protoc-gen-go-longrun" --google-protos "$scratch/google.binpb"
rm -f internal/genlongrun/testdata/*pb/*.pb.go internal/genlongrun/testdata/*longrun/*.pb.go

# generate OPTIONS FILES... runs the three plugins as a user would.
generate() {
  options=$1
  shift
  protoc -I internal/genlongrun/testdata/proto --descriptor_set_in="$scratch/google.binpb" \
    --plugin="$scratch/protoc-gen-go-longrun" \
    --go_out=. --go_opt="module=github.com/longrun-dev/longrun$options" \
    --go-grpc_out=. --go-grpc_opt=module=github.com/longrun-dev/longrun \
    --go-longrun_out=. --go-longrun_opt="module=github.com/longrun-dev/longrun$options" \
    "$@"
}
generate "" acme/v1/acme.proto acme/shared/v1/shared.proto
generate ,default_api_level=API_OPAQUE acme/opaque/v1/opaque.proto

# The same service once more, in a package of its own.
protoc -I internal/genlongrun/testdata/proto --descriptor_set_in="$scratch/google.binpb" \
  --plugin="$scratch/protoc-gen-go-longrun" --go-longrun_out=. \
  --go-longrun_opt="module=github.com/longrun-dev/longrun,package=github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmelongrun;acmelongrun" \
  acme/v1/acme.proto
