package clienttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// nodeScenarios are the functions of node/scenarios.mjs, and the rules that each guards.
var nodeScenarios = []string{
	// GET-01, GET-06, ERR-02: the latest state; an unknown name is NOT_FOUND with its reason.
	"get",
	// LST-02, PAG-03, ORD-01: three pages, newest first, and the iterator over them.
	// PAG-18, PS-11: an empty list is read as one.
	"list",
	// OP-03, OP-15, OP-17: promise() polls until the operation is done, with progress
	// events whose units never go back. JSN-04: an Any of Empty is read.
	"wait",
	// JSN-03, JSN-09: an Any of a message that JSON writes as one value.
	"response",
	// CAN-01, CAN-03, CAN-06: code 1, and cancel of a done operation. CAN-16, DEL-10:
	// over REST an empty reply is {}.
	"cancel",
	// DEL-01, DEL-04: the next call is NOT_FOUND.
	"delete",
	// OP-11, ERR-23: code and message by promise(), and every detail by get.
	"error",
	// ERR-02, MAP-02: the code of a call that fails is recovered from the envelope's status.
	"refused",
	// SYS-06, GRPC-03: a response mask in the headers.
	"mask",
}

// GRPC-01: Node's google-gax, unmodified, works with the built program over gRPC.
func TestNode_GRPC(t *testing.T) {
	t.Parallel()
	testNode(t, "grpc", func(p program) string { return p.grpc })
}

// HTTP-01, HTTP-05, QRY-07, QRY-13, SYS-01, JSN-10: and over its REST fallback, as the client of a
// service with bindings asks: numeric enums, a "?" behind every path.
func TestNode_REST(t *testing.T) {
	t.Parallel()
	testNode(t, "rest", func(p program) string { return p.http })
}

func testNode(t *testing.T, transport string, address func(program) string) {
	t.Helper()
	node := findNode(t)
	p := runProgram(t)
	for _, scenario := range nodeScenarios {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			node(t, "scenarios.mjs", transport, address(p), scenario)
		})
	}
}

// The document of the routes is what a validator of others takes for OpenAPI.
func TestNode_OpenAPI(t *testing.T) {
	t.Parallel()
	node := findNode(t)
	node(t, "openapi.mjs", runProgram(t).http)
}

// findNode returns a function that runs a script in Node, if that and its packages
// are there.
func findNode(t *testing.T) func(t *testing.T, args ...string) {
	t.Helper()
	file, err := exec.LookPath("node")
	if err != nil {
		unavailable(t, "Node's clients: there is no node (Debian: nodejs, npm)")
	}
	if _, err := os.Stat(filepath.Join("node", "node_modules", "google-gax")); err != nil {
		unavailable(t, "Node's clients: run npm --prefix clienttest/node ci")
	}
	return func(t *testing.T, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(bounded(t), file, args...)
		cmd.Dir = "node"
		cmd.Env = append(os.Environ(), "METADATA_SERVER_DETECTION=none", "NODE_NO_WARNINGS=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
