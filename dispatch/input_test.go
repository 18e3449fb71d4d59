package dispatch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Whatever a client sends as a Duration is either refused or what it says.
func FuzzDuration(f *testing.F) {
	f.Add(int64(1), int32(0))
	f.Add(int64(-1), int32(0))
	f.Add(int64(0), int32(-1))
	f.Add(int64(1), int32(-1))
	f.Add(int64(315576000000), int32(999999999))
	f.Add(int64(1)<<62, int32(1)<<30)
	f.Fuzz(func(t *testing.T, seconds int64, nanos int32) {
		d := &durationpb.Duration{Seconds: seconds, Nanos: nanos}
		got := duration(d)
		valid := d.CheckValid() == nil && d.AsDuration() >= 0
		if valid && got != d.AsDuration() || !valid && got != refused {
			t.Errorf("duration(%d, %d) = %v", seconds, nanos, got)
		}
		if wait, err := waitTimeout("beat", d); (err == nil) != valid || wait < 0 {
			t.Errorf("waitTimeout(%d, %d) = %v, %v", seconds, nanos, wait, err)
		}
	})
}

// Whatever a worker names comes back under the name that it sent.
func FuzzHeld(f *testing.F) {
	f.Add("operations/0190b9a8-7b6c-7def-8123-456789abcdef", int64(1))
	f.Add("projects/p/operations/x", int64(7))
	f.Add("operations/-", int64(0))
	f.Add(strings.Repeat("a", 1100), int64(-1))
	f.Fuzz(func(t *testing.T, name string, attempt int64) {
		got, err := held([]*longrunpb.HeldOperation{{Operation: name, Attempt: attempt}})
		if err != nil {
			if e, ok := errors.AsType[*longrun.Error](err); !ok || e.Code != codes.InvalidArgument || !strings.HasPrefix(e.Field, "held[0].") {
				t.Errorf("held(%q, %d): %v, want INVALID_ARGUMENT with the field", name, attempt, err)
			}
			return
		}
		if attempt < 1 || got[0].Name.String() != name || got[0].Attempt != attempt {
			t.Errorf("held(%q, %d) = %v", name, attempt, got[0])
		}
	})
}

func TestAnswerBy(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tt := range []struct{ left, wait, want time.Duration }{
		{0, 10 * time.Second, 10 * time.Second},
		{time.Minute, 10 * time.Second, 10 * time.Second},
		{10 * time.Second, 10 * time.Second, 9750 * time.Millisecond},
		{400 * time.Millisecond, 10 * time.Second, 300 * time.Millisecond},
		{-time.Second, 10 * time.Second, -750 * time.Millisecond},
	} {
		ctx := t.Context()
		if tt.left != 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, now.Add(tt.left))
			defer cancel()
		}
		if got := answerBy(ctx, now, tt.wait).Sub(now); got != tt.want {
			t.Errorf("with %v left: answer after %v, want %v", tt.left, got, tt.want)
		}
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	for why, want := range map[error]longrunpb.StoppedOperation_Cause{
		longrun.ErrCancelled:   longrunpb.StoppedOperation_CANCELLED,
		longrun.ErrPreempted:   longrunpb.StoppedOperation_PREEMPTED,
		longrun.ErrDeadline:    longrunpb.StoppedOperation_DEADLINE_PASSED,
		longrun.ErrClaimLost:   longrunpb.StoppedOperation_CLAIM_LOST,
		errors.New("anything"): longrunpb.StoppedOperation_CANCELLED,
	} {
		if got := cause(why); got != want {
			t.Errorf("cause(%v) = %v, want %v", why, got, want)
		}
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-1))
	defer cancel()
	left, leave := context.WithCancel(t.Context())
	leave()
	for ctx, want := range map[context.Context]codes.Code{over: codes.DeadlineExceeded, left: codes.Canceled} {
		if got := longrun.CodeOf(gone(ctx, "beat")); got != want {
			t.Errorf("code = %v, want %v (GRPC-06)", got, want)
		}
	}
}
