#!/bin/sh
# Generates this folder from the descriptors of Google's Go package. Needs protoc in PATH; the
# plugin is built from this tree.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
go -C ../../.. build -o "$scratch/protoc-gen-go-longrun" ./cmd/protoc-gen-go-longrun
go run ../internal/descriptors "$scratch/google.binpb"
package=github.com/longrun-dev/longrun/examples/translation/translationlongrun
rm -f ./*.pb.go
protoc --descriptor_set_in="$scratch/google.binpb" --plugin="$scratch/protoc-gen-go-longrun" \
  --go-longrun_out=. --go-longrun_opt="package=$package;translationlongrun,module=$package" \
  google/cloud/translate/v3/translation_service.proto
