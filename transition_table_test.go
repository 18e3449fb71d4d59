package longrun

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

// circumstances is everything that the table "a run ends by" looks at.
type circumstances struct {
	end                                    string // one of ends
	preempted, late, cancelled, begun      bool
	atMostOnce, pinned, lastRunThatMayFail bool
}

// ends are the ways in which a run ends.
var ends = []string{"result", "error", "error CANCELLED", "bare context.Canceled", "bare deadline", "error DEADLINE_EXCEEDED", "retryable error", "RetryAfter", "release", "session lost"}

// rows is the table, in the words of the design. The first that matches decides.
var rows = []struct {
	name   string
	when   func(c circumstances) bool
	result string
}{
	{"anything, after it was preempted", func(c circumstances) bool { return c.preempted }, "FAILED Aborted OPERATION_PREEMPTED"},
	{"a deadline or a retryable error, after the execution deadline", func(c circumstances) bool {
		return c.late && c.is("bare deadline", "error DEADLINE_EXCEEDED", "retryable error", "RetryAfter")
	}, "FAILED DeadlineExceeded DEADLINE_PASSED"},
	{"retryable error, RetryAfter, release, session lost, of a cancelled one", func(c circumstances) bool {
		return c.cancelled && c.is("retryable error", "RetryAfter", "release", "session lost")
	}, "CANCELLED Canceled OPERATION_CANCELLED"},
	{"session lost, AtMostOnce", func(c circumstances) bool { return c.atMostOnce && c.is("session lost") }, "FAILED Aborted RUN_LOST"},
	{"drain or release, AtMostOnce, handler had begun", func(c circumstances) bool { return c.atMostOnce && c.begun && c.is("release") }, "FAILED Aborted RUN_LOST"},
	{"release or RetryAfter of one that is offered to nobody else", func(c circumstances) bool { return c.pinned && c.is("release", "RetryAfter") }, "FAILED Aborted RUN_LOST"},
	{"returned context.Canceled, ErrCancelled or code 1, of a cancelled one", func(c circumstances) bool {
		return c.cancelled && c.is("bare context.Canceled", "error CANCELLED")
	}, "CANCELLED Canceled OPERATION_CANCELLED"},
	{"returned a bare context.Canceled", func(c circumstances) bool { return c.is("bare context.Canceled") }, "FAILED Internal INTERNAL"},
	{"retryable error, AtMostOnce or failures = MaxFailures", func(c circumstances) bool {
		return (c.atMostOnce || c.lastRunThatMayFail) && c.is("retryable error")
	}, "FAILED Unavailable FROM_HANDLER"},
	{"session lost, failures = MaxFailures", func(c circumstances) bool { return c.lastRunThatMayFail && c.is("session lost") }, "FAILED Aborted RUN_LOST"},
	{"a result", func(c circumstances) bool { return c.is("result") }, "SUCCEEDED"},
	{"an error of code 1", func(c circumstances) bool { return c.is("error CANCELLED") }, "CANCELLED Canceled FROM_HANDLER"},
	{"another error", func(c circumstances) bool { return c.is("error") }, "FAILED NotFound FROM_HANDLER"},
	{"code 4, in time", func(c circumstances) bool { return c.is("error DEADLINE_EXCEEDED") }, "FAILED DeadlineExceeded FROM_HANDLER"},
	{"a bare deadline, in time", func(c circumstances) bool { return c.is("bare deadline") }, "FAILED Internal INTERNAL"},
	{"none of these: again", func(circumstances) bool { return true }, "PENDING"},
}

func (c circumstances) is(ends ...string) bool {
	for _, e := range ends {
		if c.end == e {
			return true
		}
	}
	return false
}

// running is an operation that runs in these circumstances at now.
func (c circumstances) running(t *testing.T, now time.Time) *Operation {
	t.Helper()
	op := (&Operation{ID: NewID(), AtMostOnce: c.atMostOnce, Pinned: c.pinned, MaxFailures: 3, ExecutionTimeout: time.Hour}).Stored(now.Add(-time.Minute), false)
	if c.late {
		op = (&Operation{ID: NewID(), AtMostOnce: c.atMostOnce, Pinned: c.pinned, MaxFailures: 3, ExecutionTimeout: time.Hour}).Stored(now.Add(-time.Hour), false)
	}
	if c.lastRunThatMayFail {
		op.Failures = 2
	}
	op, err := op.ClaimBy(NewSessionID(), 0, op.CreateTime)
	if err != nil {
		t.Fatal(err)
	}
	op.CancelRequested, op.Preempted = c.cancelled, c.preempted
	return op
}

func (c circumstances) event(claim Claim) RunEnd {
	e := RunEnd{Claim: claim, Kind: RunReturned, Begun: c.begun}
	switch c.end {
	case "result":
		e.Response = &anypb.Any{TypeUrl: typePrefix + "google.protobuf.Empty"}
	case "error":
		e.Error = endStatus(codes.NotFound, "FROM_HANDLER", "x")
	case "error CANCELLED":
		e.Error = endStatus(codes.Canceled, "FROM_HANDLER", "x")
	case "bare context.Canceled":
		e.Error, e.BareCancel = internalStatus("id"), true
	case "bare deadline":
		e.Error, e.Timeout = internalStatus("id"), true
	case "error DEADLINE_EXCEEDED":
		e.Error, e.Timeout = endStatus(codes.DeadlineExceeded, "FROM_HANDLER", "x"), true
	case "retryable error":
		e.Kind, e.Error = RunRetryable, endStatus(codes.Unavailable, "FROM_HANDLER", "x")
	case "RetryAfter":
		e.Kind, e.Delay = RunDelayed, time.Second
	case "release":
		e.Kind = RunReleased
	case "session lost":
		e.Kind = RunLost
	}
	return e
}

// In all circumstances there are, a run ends as the first row says that matches.
func TestEndRun_TheTable(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for bits := range 1 << 7 {
		for _, end := range ends {
			bit := func(i int) bool { return bits&(1<<i) != 0 }
			c := circumstances{end, bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6)}
			if c.pinned && !c.atMostOnce {
				continue // pinned implies at most once
			}
			op := c.running(t, storeStart)
			got, err := op.EndRun(c.event(op.Claim), storeStart)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			for _, row := range rows {
				if !row.when(c) {
					continue
				}
				used[row.name] = true
				if text := resultOf(got); text != row.result {
					t.Errorf("%+v: %s, want %s by %q", c, text, row.result, row.name)
				}
				break
			}
			checkEnd(t, c, op, got)
		}
	}
	for _, row := range rows {
		if !used[row.name] {
			t.Errorf("no circumstances are those of %q", row.name)
		}
	}
}

// checkEnd checks what holds for every end of a run.
func checkEnd(t *testing.T, c circumstances, op, got *Operation) {
	t.Helper()
	failure := c.is("retryable error", "session lost")
	switch {
	case got.State.Done():
		if !got.EndTime.Equal(storeStart) || !got.ReadyTime.IsZero() || got.Failures != op.Failures {
			t.Errorf("%+v: end %v, ready %v, failures %d", c, got.EndTime, got.ReadyTime, got.Failures)
		}
		if want := c.end != "session lost"; got.EndedByRun != want {
			t.Errorf("%+v: EndedByRun = %v, want %v", c, got.EndedByRun, want)
		}
	case failure && got.Failures != op.Failures+1, !failure && got.Failures != op.Failures:
		t.Errorf("%+v: Failures = %d after %d", c, got.Failures, op.Failures)
	case got.ReadyTime.Before(storeStart) || got.EndedByRun || got.Error != nil || got.Response != nil:
		t.Errorf("%+v: pending as %+v", c, got)
	}
	if got.Claim != op.Claim || got.Revision != op.Revision+1 {
		t.Errorf("%+v: claim %v, revision %d; want %v, %d", c, got.Claim, got.Revision, op.Claim, op.Revision+1)
	}
	if again, err := got.EndRun(c.event(op.Claim), storeStart.Add(time.Minute)); again != got || err != nil {
		t.Errorf("%+v: the same end again: %v, changed %v; want nothing", c, err, again != got)
	}
}

// backoff doubles from a second to five minutes, of which jitter takes away up
// to a half.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 256 * time.Second,
		10: 5 * time.Minute, 20: 5 * time.Minute, MaxFailuresLimit: 5 * time.Minute, 1 << 40: 5 * time.Minute,
	} {
		for jitter, bounds := range map[float64]time.Duration{0: want, 1: want / 2, 0.5: want * 3 / 4, -1: want, 2: want / 2} {
			if got := backoff(failures, jitter); got != bounds {
				t.Errorf("backoff(%d, %v) = %v, want %v", failures, jitter, got, bounds)
			}
		}
	}
	last := time.Duration(0)
	for failures := 1; failures <= 20; failures++ {
		for jitter := 0.0; jitter <= 1; jitter += 0.01 {
			d := backoff(failures, jitter)
			if d < 500*time.Millisecond || d > 5*time.Minute || d != d.Truncate(time.Microsecond) {
				t.Fatalf("backoff(%d, %v) = %v", failures, jitter, d)
			}
		}
		if d := backoff(failures, 0); d < last {
			t.Errorf("backoff(%d) = %v, less than before", failures, d)
		} else {
			last = d
		}
	}
}
