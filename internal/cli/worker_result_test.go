package cli

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// What the end of a command means: the first row of docs/workers.md that fits.
func TestResult_OfWorker(t *testing.T) {
	t.Parallel()
	notFound, soon := &statuspb.Status{Code: 5, Message: "no such file"}, durationpb.New(5*time.Second)
	bad, tail, answer := errors.New("not a JSON object"), []byte("\nlast \xffwords\n\n"), []byte(`{"a": 1}`)
	for _, tt := range []struct {
		name   string
		end    ending
		cause  stopCause
		code   codes.Code // OK: a response
		reason string
		msg    string
		delay  time.Duration
	}{
		{"response", ending{out: answer, tail: tail}, 0, codes.OK, "", "", 0},
		{"nothing", ending{}, 0, codes.OK, "", "", 0},
		{"exit status", ending{exit: 3, out: answer, tail: tail}, 0, codes.Unknown, "COMMAND_FAILED", "the command ended with exit status 3:\nlast ?words", 0},
		{"exit status, and it said nothing", ending{exit: 1}, 0, codes.Unknown, "COMMAND_FAILED", "the command ended with exit status 1", 0},
		{"tempfail", ending{exit: 75, tail: tail}, 0, codes.Unavailable, "COMMAND_FAILED", "the command ended with exit status 75:\nlast ?words", 0},
		{"tempfail and delay", ending{exit: 75, delay: soon}, 0, codes.Unavailable, "COMMAND_FAILED", "the command asks to be run again", 5 * time.Second},
		{"delay", ending{delay: soon, out: answer}, 0, codes.Unavailable, "COMMAND_FAILED", "the command asks to be run again", 5 * time.Second},
		{"error", ending{fail: notFound, out: answer}, 0, codes.NotFound, "", "no such file", 0},
		{"error and exit status", ending{fail: notFound, exit: 1}, 0, codes.NotFound, "", "no such file", 0},
		{"error and delay", ending{fail: notFound, delay: soon, exit: 75}, 0, codes.NotFound, "", "no such file", 5 * time.Second},
		{"killed from outside", ending{exit: 137, signal: syscall.SIGKILL}, 0, codes.Unavailable, "COMMAND_FAILED", "the command was ended by a signal (killed)", 0},
		{"terminated from outside", ending{exit: 143, signal: syscall.SIGTERM}, 0, codes.Unavailable, "COMMAND_FAILED", "the command was ended by a signal (terminated)", 0},
		{"crash", ending{exit: 139, signal: syscall.SIGSEGV}, 0, codes.Unknown, "COMMAND_FAILED", "the command was ended by a signal (segmentation fault)", 0},
		{"its child was killed", ending{exit: 137}, 0, codes.Unknown, "COMMAND_FAILED", "the command ended with exit status 137", 0},
		{"garbage", ending{out: []byte("hello")}, 0, codes.Internal, "INVALID_RESPONSE", "standard output is not one JSON object", 0},
		{"too much", ending{excess: true, exit: 143, signal: syscall.SIGTERM}, 0, codes.Internal, "PAYLOAD_TOO_LARGE", "the command has printed more than 6291456 bytes", 0},
		{"too large", ending{out: []byte(`{"a": "` + strings.Repeat("x", maxResponseBytes) + `"}`)}, 0, codes.Internal, "PAYLOAD_TOO_LARGE", "the response is larger than 3 MiB", 0},
		{"bad line", ending{bad: bad, out: answer}, 0, codes.Internal, "INVALID_RESPONSE", "a line on descriptor 3 cannot be read: not a JSON object", 0},
		{"bad line and exit status", ending{bad: bad, exit: 1}, 0, codes.Unknown, "COMMAND_FAILED", "the command ended with exit status 1", 0},

		{"cancelled", ending{exit: 143, signal: syscall.SIGTERM}, byCancel, codes.Canceled, "", "the command was stopped", 0},
		{"cancelled, an orderly end", ending{}, byCancel, codes.Canceled, "", "the command was stopped", 0},
		{"cancelled, an error", ending{fail: notFound}, byCancel, codes.Canceled, "", "the command was stopped", 0},
		{"cancelled, garbage", ending{out: []byte(`{"a": `)}, byCancel, codes.Canceled, "", "the command was stopped", 0},
		// CAN-02: it may still succeed.
		{"cancelled, and a response", ending{out: answer}, byCancel, codes.OK, "", "", 0},
		{"deadline", ending{exit: 143, signal: syscall.SIGTERM}, byDeadline, codes.DeadlineExceeded, "", "the command was stopped at the deadline", 0},
		{"drain, and a response", ending{out: answer}, byDrain, codes.OK, "", "", 0},
	} {
		r := tt.end.result(tt.cause)
		req := r.request()
		st := status.FromProto(req.GetError())
		if req == nil || st.Code() != tt.code || st.Message() != tt.msg || (req.GetResponse() != nil) != (tt.code == codes.OK) ||
			req.GetRetryDelay().AsDuration() != tt.delay || r.word == "" {
			t.Errorf("%s: %+v = %v, word %q; want %v %q, delay %v", tt.name, tt.end.exit, req, r.word, tt.code, tt.msg, tt.delay)
		}
		// OP-11: whatever the worker itself makes of it has a reason for programs.
		if got := reasonOf(st.Err()); tt.code != codes.OK && got != tt.reason {
			t.Errorf("%s: reason = %q, want %q", tt.name, got, tt.reason)
		}
	}
}

// A worker that is to end gives back what it has stopped, and what was lost is told to
// nobody.
func TestResult_GivenBack(t *testing.T) {
	t.Parallel()
	for _, cause := range []stopCause{byDrain, byLoss} {
		e := ending{exit: 143, signal: syscall.SIGTERM}
		if r := e.result(cause); r.request() != nil {
			t.Errorf("%v: %v, want that it is given back", cause, r.request())
		}
	}
}

func TestResult_Empty(t *testing.T) {
	t.Parallel()
	if r := (&ending{}).result(notStopped); !r.response.MessageIs(&emptypb.Empty{}) {
		t.Errorf("response = %v, want Empty", r.response)
	}
}
