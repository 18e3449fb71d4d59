package clienttest

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// translationScenarios are functions of node/translation.mjs, and the rules that each guards.
var translationScenarios = []string{
	// OP-03, OP-13, OP-15: promise() gives the typed response and metadata.
	"wait",
	// Glossaries are created and deleted by operations, and listed.
	"glossaries",
	// OP-19, ERR-02, ERR-23: an unknown glossary is the starting call's error, with its details.
	"unknown",
	// OP-11: an error of the run, by promise(), and every detail by getOperation.
	"fails",
	// CON-02: another client goes on with the name of an operation.
	"resume",
}

// nodeCommand is translation.mjs, to be run with the transport, the address and scenarios.
func nodeCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	findNode(t)
	if _, err := os.Stat(filepath.Join("node", "node_modules", "@google-cloud", "translate")); err != nil {
		unavailable(t, "Node's clients: run npm --prefix clienttest/node ci")
	}
	cmd := exec.CommandContext(patient(t), "node", append([]string{"translation.mjs"}, args...)...)
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "METADATA_SERVER_DETECTION=none", "NODE_NO_WARNINGS=1")
	return cmd
}

// addresses are where a server is asked over each transport.
func (s *translation) addresses() map[string]string {
	return map[string]string{"grpc": s.grpc, "rest": s.http}
}

// GRPC-01, HTTP-01, HTTP-03: Node's client of the API, unmodified, works with the example.
func TestTranslationNode(t *testing.T) {
	t.Parallel()
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := newTranslation(t)
			s.start(t, "0")
			runNode(t, nodeCommand(t, append([]string{transport, s.addresses()[transport]}, translationScenarios...)...))
		})
	}
}

// OP-14, CAN-01, CAN-03: progress events on the way, and a batch that is cancelled ends with
// code 1.
func TestTranslationNode_ProgressAndCancel(t *testing.T) {
	t.Parallel()
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := newTranslation(t)
			s.start(t, slow)
			runNode(t, nodeCommand(t, transport, s.addresses()[transport], "cancel"))
		})
	}
}

func runNode(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// killedScenarios are the two ways in which Node's client outlasts a server that is away; a poll
// of the operation that a call has returned is tried once by default.
var killedScenarios = []string{
	// With a call option that says what is tried again.
	"killed",
	// As it comes, by the operation's name.
	"followed",
}

// POL-03, POL-04, CON-02, OP-16: killed in the middle and started again, over gRPC: promise()
// ends with the response.
func TestTranslationNode_KilledGRPC(t *testing.T) {
	t.Parallel()
	for _, scenario := range killedScenarios {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			s := newTranslation(t)
			s.start(t, slow)
			nodeSurvives(t, s, nodeCommand(t, "grpc", s.grpc, scenario), func() { refuseOne(t, s.grpc) })
		})
	}
}

// The same over REST, behind a proxy that answers 503 in Google's envelope while the server is
// away, as Google's own does. Without one a connection is refused, which this client takes for
// the end, and has no setting for.
func TestTranslationNode_KilledREST(t *testing.T) {
	t.Parallel()
	for _, scenario := range killedScenarios {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			s := newTranslation(t)
			s.start(t, slow)
			face, refused := s.behindProxy(t)
			nodeSurvives(t, s, nodeCommand(t, "rest", face, scenario), func() {
				select {
				case <-refused:
				case <-patient(t).Done():
					t.Error("no poll has failed, and the test wants to see one")
				}
			})
		})
	}
}

// nodeSurvives runs a script, kills the server when the script says that it is in the middle,
// lets it fail to reach it, and starts the server again: the script ends well.
func nodeSurvives(t *testing.T, s *translation, cmd *exec.Cmd, awaitRefused func()) {
	t.Helper()
	var talk strings.Builder
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if lines.Scan() && lines.Text() == "middle" {
		s.kill()
		awaitRefused()
		s.start(t, "0")
	} else {
		t.Errorf("the script says %q, want middle", lines.Text())
	}
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, talk.String())
	}
}

// refuseOne takes the place of a server that is away, until a client has tried to reach it.
func refuseOne(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(4 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Errorf("no poll has failed, and the test wants to see one: %v", err)
		return
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
