#!/bin/sh
# Generates this folder from proto/. Needs protoc, protoc-gen-go and protoc-gen-go-grpc in PATH;
# Makefile says which versions.
set -eu
cd "$(dirname "$0")/.."
set_file=$(mktemp)
trap 'rm -f "$set_file"' EXIT
go run ./cmd/protoc-gen-go-longrun --google-protos "$set_file"
rm -f longrunpb/*.pb.go
protoc -I proto --descriptor_set_in="$set_file" \
  --go_out=. --go_opt=module=github.com/longrun-dev/longrun \
  --go-grpc_out=. --go-grpc_opt=module=github.com/longrun-dev/longrun \
  longrun/v1/operation_metadata.proto longrun/v1/dispatcher.proto longrun/v1/simulator.proto longrun/v1/command.proto longrun/v1/admin.proto
