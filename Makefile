# Every target runs in a clean clone with Go alone; "generate" and "lint" need
# the tools that "make tools" installs, and "generate" protoc too (Debian:
# protobuf-compiler).

PROTOC_GEN_GO      = google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_GEN_GO_GRPC = google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
STATICCHECK        = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GRPCURL            = github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3

# Modules of their own, so that what they need reaches no user.
MODULES = . bench clienttest examples

# How long each fuzz target runs.
FUZZTIME = 30s

export PATH := $(shell go env GOPATH)/bin:$(PATH)

.DEFAULT_GOAL = help
.PHONY: help build run test test-race test-db test-modules lint generate bench fuzz spec tidy tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the program into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/longrun ./cmd/longrun

run: ## run the server, with the simulator
	go run ./cmd/longrun serve --simulator

test: ## run the tests of the library and the server
	go test ./...

test-race: ## run them with the race detector
	go test -race ./...

test-modules: ## run the tests of the modules beside it
	for m in $(filter-out .,$(MODULES)); do go -C $$m test ./... || exit 1; done

test-db: ## run the tests that need a database server
	@echo 'There is no PostgreSQL store yet. SQLite and the store in memory are tested by "make test".'

lint: ## check formatting, go.mod, vet and staticcheck
	test -z "$$(gofmt -l . | tee /dev/stderr)"
	for m in $(MODULES); do \
		( cd $$m && go mod tidy -diff && go vet ./... && staticcheck ./... ) || exit 1; \
	done

generate: ## write the generated code anew
	go generate ./...
	go -C examples generate ./...

spec: ## print each rule of the spec with its tests
	go run ./internal/speccheck

bench: ## run the benchmarks, and the load program
	go test -run '^$$' -bench . -benchmem ./...
	go -C bench run .

fuzz: ## run every fuzz target for FUZZTIME
	.ci/fuzz $(FUZZTIME)

tidy: ## tidy every go.mod
	for m in $(MODULES); do ( cd $$m && go mod tidy ) || exit 1; done

tools: ## install the tools that generate, lint and the README use
	go install $(PROTOC_GEN_GO)
	go install $(PROTOC_GEN_GO_GRPC)
	go install $(STATICCHECK)
	go install $(GRPCURL)
