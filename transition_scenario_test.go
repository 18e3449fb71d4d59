package longrun

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

var update = flag.Bool("update", false, "rewrite the scenario files in testdata")

// A scenario is the life of one operation, told event by event.
type scenario struct {
	op  *Operation
	now time.Time
	err error // of the last event
}

func TestScenarios_RunEnds(t *testing.T) {
	t.Parallel()
	const file = "testdata/run_ends.txt"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(old))
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		events, want, ok := strings.Cut(line, "=>")
		if !ok || strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		events, want = strings.TrimSpace(events), strings.TrimSpace(want)
		got := tell(t, events)
		fmt.Fprintf(&out, "%s => %s\n", events, got)
		if got != want && !*update {
			t.Errorf("%s:%d: %s => %s, want %s", file, number, events, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tell lets all of it happen and says what the operation is then.
func tell(t *testing.T, events string) string {
	t.Helper()
	s := &scenario{now: storeStart}
	for event := range strings.SplitSeq(events, "; ") {
		if !s.happen(strings.Fields(event)) {
			t.Fatalf("unknown event %q", event)
		}
	}
	return s.String()
}

func (s *scenario) happen(event []string) bool {
	s.err = nil
	switch event[0] {
	case "start":
		return s.start(event[1:])
	case "claim":
		s.op, s.err = s.op.ClaimBy(NewSessionID(), 0, s.now)
	case "wait":
		s.now = s.now.Add(duration(event[1:]))
	case "late":
		s.now = s.op.DeadlineTime
	case "cancel":
		s.op = s.op.RequestCancel(s.now)
	case "preempt":
		s.op = s.op.Preempt(s.now)
	case "sweep":
		s.op = s.op.PassDeadline(s.now)
	default:
		e := RunEnd{Claim: s.op.Claim}
		if !runEndOf(event, &e) {
			return false
		}
		s.op, s.err = s.op.EndRun(e, s.now)
	}
	return true
}

func (s *scenario) start(options []string) bool {
	op := &Operation{ID: NewID(), Method: "m", MaxFailures: DefaultMaxFailures, Retention: DefaultRetention}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "at-most-once":
			op.AtMostOnce = true
		case "pinned":
			op.AtMostOnce, op.Pinned = true, true
		case "max":
			op.MaxFailures, _ = strconv.Atoi(value)
		case "timeout":
			op.ExecutionTimeout = duration([]string{value})
		default:
			return false
		}
	}
	s.op = op.Stored(s.now, false)
	return true
}

// runEndOf reads how a run has ended.
func runEndOf(event []string, e *RunEnd) bool {
	last := event[len(event)-1]
	switch event[0] {
	case "lost":
		e.Kind = RunLost
	case "release":
		e.Kind, e.Begun, e.Delay = RunReleased, last == "begun", duration(event[1:])
	case "retry-after":
		e.Kind, e.Delay = RunDelayed, duration(event[1:])
	case "retryable":
		e.Kind, e.Error = RunRetryable, endStatus(codeOf(last), "FROM_HANDLER", "x")
	case "return":
		e.Kind = RunReturned
		switch event[1] {
		case "ok":
			e.Response = &anypb.Any{TypeUrl: typePrefix + "google.protobuf.Empty"}
		case "cancelled":
			e.Error = cancelledStatus()
		case "bare-cancel":
			e.Error, e.BareCancel = internalStatus("id"), true
		case "deadline":
			e.Error, e.Timeout = internalStatus("id"), true
		case "error":
			e.Error, e.Timeout = endStatus(codeOf(last), "FROM_HANDLER", "x"), last == "DeadlineExceeded"
		default:
			return false
		}
	default:
		return false
	}
	return true
}

func (s *scenario) String() string {
	if errors.Is(s.err, ErrClaimLost) {
		return "claim lost, " + resultOf(s.op)
	}
	if s.err != nil {
		return s.err.Error()
	}
	text := resultOf(s.op)
	if s.op.State == Pending {
		text += fmt.Sprintf(", ready in %v, failures %d", s.op.ReadyTime.Sub(s.now), s.op.Failures)
	}
	return text
}

// resultOf says what op is: "FAILED ABORTED RUN_LOST".
func resultOf(op *Operation) string {
	text := op.State.String()
	if op.Error != nil {
		text += fmt.Sprintf(" %v %s", codes.Code(op.Error.Code), reasonIn(op.Error))
	}
	return text
}

func reasonIn(s *statuspb.Status) string {
	if found := infos(s); len(found) == 1 {
		return found[0].Reason
	}
	return "NO_REASON"
}

func codeOf(name string) codes.Code {
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		if c.String() == name {
			return c
		}
	}
	panic("no code " + name)
}

func duration(args []string) time.Duration {
	if len(args) == 0 || args[0] == "begun" {
		return 0
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		panic(err)
	}
	return d
}
