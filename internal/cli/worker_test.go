package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/longrun-dev/longrun/longrunpb"
)

// Wrong use says what and how, and starts nothing.
func TestWorker_WrongUse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		exit int
		said string
	}{
		{"worker", exitUsage, "wants a command"},
		{"worker --method m", exitUsage, "wants a command"},
		{"worker -- true", exitUsage, "--method is missing"},
		{"worker --method m --concurrency 0 -- true", exitUsage, "--concurrency must be from 1 to 1000"},
		{"worker --method m --concurrency 1001 -- true", exitUsage, "--concurrency must be from 1 to 1000"},
		{"worker --method m --grace -1s -- true", exitUsage, "--grace must not be negative"},
		{"worker --method m --ttl 4.9s -- true", exitUsage, "--ttl must be from 5s to 10m"},
		{"worker --method m --ttl 601s -- true", exitUsage, "--ttl must be from 5s to 10m"},
		{"worker --method m --server nowhere -- true", exitUsage, "is not the address of a server"},
		{"worker --method m -- no-such-command", exitNotFound, "no-such-command: cannot be run"},
		{"worker --method m -- /dev/null", exitNotExec, "/dev/null: cannot be run"},
		{"worker --nonsense", exitUsage, "longrun worker has no flag --nonsense"},
	} {
		out, talk := newScreen(), newScreen()
		a := &app{in: strings.NewReader(""), out: out, err: talk, env: func(string) string { return "" }}
		got := a.main(t.Context(), strings.Fields(tt.args))
		if got != tt.exit || !strings.Contains(talk.String(), tt.said) || !strings.Contains(talk.String(), "longrun: hint: ") || out.String() != "" {
			t.Errorf("longrun %s: exit status %d, want %d, said %q", tt.args, got, tt.exit, talk)
		}
	}
}

func TestCauseOf(t *testing.T) {
	t.Parallel()
	for c, want := range map[longrunpb.StoppedOperation_Cause]stopCause{
		longrunpb.StoppedOperation_CANCELLED: byCancel, longrunpb.StoppedOperation_PREEMPTED: byCancel,
		longrunpb.StoppedOperation_DEADLINE_PASSED: byDeadline, longrunpb.StoppedOperation_CLAIM_LOST: byLoss,
		longrunpb.StoppedOperation_CAUSE_UNSPECIFIED: byCancel, 99: byCancel,
	} {
		if got := causeOf(c); got != want {
			t.Errorf("causeOf(%v) = %v, want %v", c, got, want)
		}
	}
}

// A session is trusted for a TTL, less a margin, from before its last answered beat was
// sent, by the clock that says more.
func TestTrusted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tt := range []struct {
		name string
		sent time.Time
		want bool
	}{
		{"just now", now, true},
		{"within", now.Add(-10 * time.Second), true},
		{"over", now.Add(-29 * time.Second), false},
		{"over by the wall clock alone", now.Round(0).Add(-29 * time.Second), false},
	} {
		sh := newShift(nil, &session{ttl: 30 * time.Second})
		sh.sent = tt.sent
		if got := sh.trusted(); got != tt.want {
			t.Errorf("%s: trusted = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Room is for as many operations as there are free slots, and as the server gives at
// once; no more than the concurrency run at a time.
func TestRoom(t *testing.T) {
	t.Parallel()
	w := &worker{slots: make(chan struct{}, 150)}
	for _, want := range []int{acquireMost, 50} {
		if got := w.room(t.Context()); got != want {
			t.Errorf("room = %d, want %d", got, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if got := w.room(ctx); got != 0 {
		t.Errorf("room = %d when all slots are taken, want 0", got)
	}
}
