package longrun_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
)

// beatFor beats once a second for d, sweeping with each beat, as a runner does.
func (s *system) beatFor(t *testing.T, session longrun.SessionID, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Second)
		if _, err := s.work.Beat(t.Context(), longrun.BeatRequest{Session: session}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t)
	}
}

func (s *system) sweep(t *testing.T) {
	t.Helper()
	if err := s.work.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// CON-04: a session that speaks no more is found by one that does, within two of
// its TTLs, and its operation runs again.
func TestSweep_SessionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		alive := sys.session(t, longrun.SessionOptions{})
		sys.beatFor(t, alive, longrun.DefaultSessionTTL-2*time.Second)
		if got := sys.get(t, op.Name()); got.State != longrun.Running {
			t.Errorf("before its TTL is over: %v, want RUNNING", got.State)
		}
		sys.beatFor(t, alive, longrun.DefaultSessionTTL)
		got := sys.get(t, op.Name())
		if got.State != longrun.Pending || got.Failures != 1 {
			t.Fatalf("after two TTLs: %v, failures %d; want PENDING, 1", got.State, got.Failures)
		}
		_, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: op.Claim.Session})
		wantError(t, err, codes.Aborted, longrun.ReasonSessionLost)
		_, err = sys.work.Finish(t.Context(), op.Name(), op.Claim, longrun.Result{})
		wantError(t, err, codes.Aborted, longrun.ReasonClaimLost)
		again := sys.claim(t, alive, 1)
		if len(again) != 1 || again[0].ID != op.ID || again[0].Claim.Attempt != 2 {
			t.Errorf("claimed %v, want the operation as attempt 2", again)
		}
	})
}

// H8: a store that was away, a process that was stopped: nobody is dead for that.
func TestSweep_AfterAnOutage(t *testing.T) {
	for name, away := range map[string]func(sys *system, session longrun.SessionID, t *testing.T){
		"nobody could beat": func(*system, longrun.SessionID, *testing.T) { time.Sleep(time.Hour) },
		"beats failed": func(sys *system, session longrun.SessionID, t *testing.T) {
			sys.store.onCall("Beat", func() error { return errors.New("read-only") })
			for range 3600 {
				time.Sleep(time.Second)
				_, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: session})
				wantError(t, err, codes.Internal, longrun.ReasonInternal)
				sys.sweep(t)
			}
			sys.store.onCall("Beat", nil)
		},
		"the store stood still": func(sys *system, session longrun.SessionID, t *testing.T) {
			sys.store.onCall("Beat", once(1, func() { time.Sleep(time.Hour) }))
			if _, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: session}); err != nil {
				t.Error(err)
			}
			sys.store.onCall("Beat", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := newSystem(t, longrun.Options{})
				op := sys.running(t, longrun.StartOptions{})
				alive := sys.session(t, longrun.SessionOptions{})
				sys.beatFor(t, alive, 20*time.Second)
				if _, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: op.Claim.Session}); err != nil {
					t.Fatal(err)
				}
				away(sys, alive, t)
				sys.sweep(t)
				sys.beatFor(t, alive, longrun.DefaultSessionTTL-2*time.Second)
				if _, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: op.Claim.Session}); err != nil {
					t.Errorf("the other session: %v, want it alive", err)
				}
				if got := sys.get(t, op.Name()); got.State != longrun.Running || got.Failures != 0 {
					t.Errorf("its operation: %v, failures %d; want RUNNING", got.State, got.Failures)
				}
			})
		})
	}
}

// H8a: one failed beat, and the contact begins anew.
func TestSweep_OneFailedBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		alive := sys.session(t, longrun.SessionOptions{})
		sys.beatFor(t, alive, 20*time.Second)
		sys.store.onCall("Beat", times(1, errors.New("read-only")))
		if _, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: alive}); err == nil {
			t.Error("Beat: no error")
		}
		sys.beatFor(t, alive, longrun.DefaultSessionTTL-time.Second)
		if got := sys.get(t, op.Name()); got.State != longrun.Running {
			t.Errorf("less than a TTL after it: %v, want RUNNING", got.State)
		}
		sys.beatFor(t, alive, 3*time.Second)
		if got := sys.get(t, op.Name()); got.State != longrun.Pending {
			t.Errorf("a TTL after it: %v, want PENDING", got.State)
		}
	})
}

// An operation that kills its process ends, instead of killing them all.
func TestSweep_RunLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		const failures = 3
		op, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, MaxFailures: failures})
		if err != nil {
			t.Fatal(err)
		}
		for attempt := int64(1); attempt <= failures; attempt++ {
			session := sys.session(t, longrun.SessionOptions{})
			got := sys.claim(t, session, 1)
			if len(got) != 1 || got[0].Claim.Attempt != attempt {
				t.Fatalf("claimed %v, want attempt %d", got, attempt)
			}
			// An ended session is as a dead one: what it held is lost at once.
			if err := sys.work.CloseSession(t.Context(), session); err != nil {
				t.Fatal(err)
			}
			sys.sweep(t)
		}
		got := sys.get(t, op.Name())
		if got.State != longrun.Failed || got.Error.Code != int32(codes.Aborted) || reasonOf(got) != longrun.ReasonRunLost {
			t.Errorf("after %d lost runs: %v %v, want ABORTED RUN_LOST", failures, got.State, got.Error)
		}
	})
}

// The deadline counts from the first claim over all runs. A run that does not end
// is ended DeadlineGrace later, and one that waits at once.
func TestSweep_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		start := func() *longrun.Operation {
			op, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, ExecutionTimeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			return op
		}
		session := sys.session(t, longrun.SessionOptions{TTL: longrun.MaxSessionTTL})
		running, waiting := start(), start()
		ops := sys.claim(t, session, 2)
		sys.finish(t, ops[1], longrun.Result{Err: longrun.RetryAfter(time.Hour, nil)})
		unclaimed := start()
		state := func(op *longrun.Operation) string {
			got := sys.get(t, op.Name())
			return got.State.String() + " " + codes.Code(got.Error.GetCode()).String()
		}
		sys.beatFor(t, session, 59*time.Second)
		if a, b := state(running), state(waiting); a != "RUNNING OK" || b != "PENDING OK" {
			t.Errorf("before the deadline: %s, %s", a, b)
		}
		beat, err := sys.work.Beat(t.Context(), longrun.BeatRequest{Session: session})
		if err != nil || len(beat.Stop) != 0 {
			t.Errorf("before the deadline: stops %v, %v", beat.Stop, err)
		}
		sys.beatFor(t, session, 2*time.Second)
		if a, b := state(running), state(waiting); a != "RUNNING OK" || b != "FAILED DeadlineExceeded" {
			t.Errorf("after the deadline: %s, %s; want the waiting one ended", a, b)
		}
		beat, err = sys.work.Beat(t.Context(), longrun.BeatRequest{Session: session})
		if err != nil || len(beat.Stop) != 1 || beat.Stop[0].Why != longrun.ErrDeadline {
			t.Errorf("after the deadline: stops %v, %v; want ErrDeadline", beat.Stop, err)
		}
		sys.beatFor(t, session, longrun.DeadlineGrace)
		if a, c := state(running), state(unclaimed); a != "FAILED DeadlineExceeded" || c != "PENDING OK" {
			t.Errorf("after the grace: %s, and one that nobody has claimed %s", a, c)
		}
		_, err = sys.work.Finish(t.Context(), running.Name(), ops[0].Claim, longrun.Result{})
		wantError(t, err, codes.Aborted, longrun.ReasonClaimLost)
	})
}

// EXP-01, EXP-02, EXP-04: the done are removed when their time is over, the
// unfinished never; names stay unknown.
func TestSweep_Expire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{Retention: 48 * time.Hour})
		done := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{})
		pending := sys.start(t, longrun.StartOptions{})
		time.Sleep(47 * time.Hour)
		sys.sweep(t)
		sys.get(t, done.Name())
		time.Sleep(2 * time.Hour)
		sys.sweep(t)
		_, err := sys.svc.Get(t.Context(), done.Name())
		wantError(t, err, codes.NotFound, longrun.ReasonOperationNotFound)
		if sys.stored(t, done.ID) != nil {
			t.Error("it is still stored")
		}
		if got := sys.get(t, pending.Name()); got.State != longrun.Pending {
			t.Errorf("EXP-02: the unfinished one is %v", got.State)
		}
	})
}

// A sweep that another one has overtaken has nothing to do.
func TestSweep_Overtaken(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	other := newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
	op := sys.running(t, longrun.StartOptions{})
	if err := sys.work.CloseSession(t.Context(), op.Claim.Session); err != nil {
		t.Fatal(err)
	}
	session := sys.session(t, longrun.SessionOptions{})
	sys.store.onAnswer("Due", once(1, func() {
		other.sweep(t)
		other.claim(t, session, 1)
	}))
	sys.sweep(t)
	if got := sys.get(t, op.Name()); got.State != longrun.Running || got.Claim.Attempt != 2 || got.Failures != 1 {
		t.Errorf("operation: %v, attempt %d, failures %d; want the new claim left alone", got.State, got.Claim.Attempt, got.Failures)
	}
	sys.store.onCall("Due", func() error { return status.Error(codes.Unavailable, "away") })
	if err := sys.work.Sweep(t.Context()); longrun.CodeOf(err) != codes.Unavailable {
		t.Errorf("Sweep = %v, want the store's error", err)
	}
}

// One operation that cannot be decided keeps nobody else from it.
func TestSweep_OneFails(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	var ops []*longrun.Operation
	for range 3 {
		ops = append(ops, sys.running(t, longrun.StartOptions{}))
	}
	for _, op := range ops {
		if err := sys.work.CloseSession(t.Context(), op.Claim.Session); err != nil {
			t.Fatal(err)
		}
	}
	sys.store.onCall("Update", times(1, errors.New("row is damaged")))
	if err := sys.work.Sweep(t.Context()); longrun.CodeOf(err) != codes.Internal {
		t.Errorf("Sweep = %v, want the error told", err)
	}
	undecided := 0
	for _, op := range ops {
		if sys.get(t, op.Name()).State != longrun.Pending {
			undecided++
		}
	}
	if undecided != 1 {
		t.Errorf("%d operations were not decided, want the one that failed", undecided)
	}
	sys.sweep(t)
	for i, op := range ops {
		if got := sys.get(t, op.Name()); got.State != longrun.Pending {
			t.Errorf("operation %d after the next sweep: %v, want it decided", i, got.State)
		}
	}
}

// Lost operations are decided in slices, each together, so that a store can share
// its writes and others come in between; a sweep that takes long lets what has
// expired have its turn, and the next one goes on.
func TestSweep_InSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		session := sys.session(t, longrun.SessionOptions{})
		const n = 250
		for range n {
			sys.start(t, longrun.StartOptions{})
		}
		ops := sys.claim(t, session, n)
		if err := sys.work.CloseSession(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		together, most := 0, 0
		sys.store.onCall("Update", func() error {
			mu.Lock()
			together++
			most = max(most, together)
			mu.Unlock()
			time.Sleep(20 * time.Second)
			mu.Lock()
			together--
			mu.Unlock()
			return nil
		})
		undecided := func() (left int) {
			for _, op := range ops {
				if sys.stored(t, op.ID).State == longrun.Running {
					left++
				}
			}
			return left
		}
		for i, want := range []int{50, 0} {
			due := sys.store.count("Due")
			sys.sweep(t)
			if got := undecided(); got != want {
				t.Errorf("after sweep %d: %d operations are left, want %d", i+1, got, want)
			}
			if got := sys.store.count("Due") - due; got != 2-i {
				t.Errorf("sweep %d asked %d times for what is due, want %d", i+1, got, 2-i)
			}
		}
		if most != 100 {
			t.Errorf("%d were decided at a time, want 100", most)
		}
	})
}
