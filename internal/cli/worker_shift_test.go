package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun/longrunpb"
)

func (d *desk) AcquireOperations(ctx context.Context, r *longrunpb.AcquireOperationsRequest) (*longrunpb.AcquireOperationsResponse, error) {
	d.mu.Lock()
	d.acquires = append(d.acquires, r)
	err := d.reply("acquire", len(d.acquires))
	got := &longrunpb.AcquireOperationsResponse{}
	if err == nil && len(d.ready) > 0 {
		got.Operations, d.ready = d.ready[:1], d.ready[1:]
	}
	d.mu.Unlock()
	if err == nil && len(got.Operations) == 0 {
		pause(ctx, r.GetWaitTimeout().AsDuration())
	}
	return got, err
}

func (d *desk) ReportProgress(_ context.Context, r *longrunpb.ReportProgressRequest) (*longrunpb.ReportProgressResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, r)
	return &longrunpb.ReportProgressResponse{}, d.reply("report", len(d.reports))
}

func (d *desk) ReleaseOperation(_ context.Context, r *longrunpb.ReleaseOperationRequest) (*longrunpb.ReleaseOperationResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.releases = append(d.releases, r)
	return &longrunpb.ReleaseOperationResponse{}, d.reply("release", len(d.releases))
}

func offered(names ...string) (ops []*longrunpb.AcquiredOperation) {
	for _, name := range names {
		ops = append(ops, &longrunpb.AcquiredOperation{Operation: "operations/" + name, Attempt: 1, Method: "m"})
	}
	return ops
}

// employed is a worker inside a bubble, which works for a desk.
type employed struct {
	*worker
	talk    *screen
	signals chan os.Signal
	ended   chan error
}

// employ lets a worker work, with a command that ends by itself.
func employ(t *testing.T, d *desk, args ...string) *employed {
	t.Helper()
	talk := newScreen()
	e := &employed{talk: talk, signals: make(chan os.Signal, 4), ended: make(chan error, 1), worker: &worker{
		a: &app{err: talk}, c: d.client(t), method: "m", args: args, concurrency: 1, ttl: 30 * time.Second, grace: 15 * time.Second, kill: time.Second,
	}}
	go func() { e.ended <- e.run(t.Context(), e.signals) }()
	return e
}

// end stops the worker and returns how it ended.
func (e *employed) end() error {
	e.signals <- syscall.SIGTERM
	err := <-e.ended
	synctest.Wait()
	return err
}

// A beat that closes a call names what the call has claimed, until the end of the run
// was answered.
func TestShift_NamesWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, begin := &desk{ready: offered("x")}, time.Now()
		d.answer = func(method string, _ int) error {
			if method == "finish" && time.Since(begin) < 30*time.Second {
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}
		e := employ(t, d, "true")
		time.Sleep(time.Minute)
		if err := e.end(); err != nil {
			t.Fatal(err)
		}
		named := 0
		for i, b := range d.beats {
			if b.GetSession() != "token" {
				t.Errorf("beat %d of session %q", i, b.GetSession())
			}
			for _, h := range b.GetHeld() {
				named++
				if h.GetOperation() != "operations/x" || h.GetAttempt() != 1 || b.GetClosedCall() < 1 {
					t.Errorf("beat %d = %v", i, b)
				}
			}
		}
		if last := d.beats[len(d.beats)-1]; len(last.GetHeld()) != 0 || last.GetClosedCall() != int64(d.acquires[len(d.acquires)-1].GetCall()) {
			t.Errorf("the last beat = %v, want all calls closed and nothing held", last)
		}
		if named < 2 || named > 3 || len(d.beats) < 5 || len(d.beats) > 10 || !d.closed || d.ends[0].GetResponse() == nil {
			t.Errorf("%d beats in a minute, of which %d name the run, closed = %v; want about 7, 2, true; first end %v", len(d.beats), named, d.closed, d.ends[0])
		}
	})
}

// A call whose reply was lost is made again under its number; the next has the next.
func TestShift_RepeatsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{ready: offered("x")}
		d.answer = func(method string, n int) error {
			if method == "acquire" && n < 4 {
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}
		e := employ(t, d, "true")
		time.Sleep(time.Minute)
		if err := e.end(); err != nil {
			t.Fatal(err)
		}
		var calls []int64
		for _, a := range d.acquires {
			calls = append(calls, a.GetCall())
			if a.GetMaxOperations() != 1 || a.GetMethods()[0] != "m" || a.GetWaitTimeout().AsDuration() != acquireWait {
				t.Errorf("acquire = %v", a)
			}
		}
		if got, want := fmt.Sprint(calls[:5]), "[1 1 1 1 2]"; got != want {
			t.Errorf("calls = %s, want %s", got, want)
		}
		if len(d.ends) != 1 {
			t.Errorf("%d ends, want 1", len(d.ends))
		}
	})
}

func blames(t *testing.T, field string) error {
	return fault(t, codes.InvalidArgument, "INVALID_FIELD", "not a token", &errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: "is wrong"}},
	})
}

// A session that is over, or a token that the server does not know, is said clearly,
// and another session is opened.
func TestShift_SessionLost(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		err          func(t *testing.T) error
		said         string
	}{
		{"lost, by a beat", "beat", func(t *testing.T) error { return fault(t, codes.Aborted, "SESSION_LOST", "session lost") }, "the session is over (SESSION_LOST: session lost)"},
		{"lost, by a call", "acquire", func(t *testing.T) error { return fault(t, codes.Aborted, "SESSION_LOST", "session lost") }, "the session is over (SESSION_LOST: session lost)"},
		{"foreign", "beat", func(t *testing.T) error { return blames(t, "session") }, "the session is over (INVALID_FIELD: not a token)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, lost := &desk{}, tt.err(t)
				d.answer = func(method string, n int) error {
					if method == tt.method && n == 2 {
						return lost
					}
					return nil
				}
				e := employ(t, d, "true")
				time.Sleep(2 * time.Minute)
				if err := e.end(); err != nil {
					t.Fatal(err)
				}
				if got := strings.Count(e.talk.String(), tt.said); got != 1 || d.opens != 2 {
					t.Errorf("said %d times %q, %d sessions; want once and 2:\n%s", got, tt.said, d.opens, e.talk)
				}
				for i, a := range d.acquires {
					if a.GetSession() == "token 2" {
						if a.GetCall() != 1 {
							t.Errorf("the first call of the second session has number %d, want 1", a.GetCall())
						}
						break
					} else if i == len(d.acquires)-1 {
						t.Error("the second session makes no call")
					}
				}
			})
		})
	}
}

// The end of a run that the server does not keep is said with its reason, and told
// once.
func TestTellEnd_Refused(t *testing.T) {
	for _, tt := range []struct {
		name, said string
		err        func(t *testing.T) error
		ends       int
	}{
		{"claim lost", "and the server refuses it, CLAIM_LOST: claim lost", func(t *testing.T) error { return fault(t, codes.Aborted, "CLAIM_LOST", "claim lost") }, 1},
		{"session lost", "and the server refuses it, SESSION_LOST: gone", func(t *testing.T) error { return fault(t, codes.Aborted, "SESSION_LOST", "gone") }, 1},
		{"too large", "failed: the server does not take how the run ended: PAYLOAD_TOO_LARGE: big", func(t *testing.T) error {
			return fault(t, codes.InvalidArgument, "PAYLOAD_TOO_LARGE", "big")
		}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, refusal := &desk{ready: offered("x")}, tt.err(t)
				d.answer = func(method string, n int) error {
					if method == "finish" && n == 1 {
						return refusal
					}
					return nil
				}
				e := employ(t, d, "true")
				time.Sleep(time.Second)
				if err := e.end(); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(e.talk.String(), tt.said) || len(d.ends) != tt.ends {
					t.Errorf("%d ends, want %d; said, without %q:\n%s", len(d.ends), tt.ends, tt.said, e.talk)
				}
				if last := d.ends[len(d.ends)-1]; tt.ends == 2 && codes.Code(last.GetError().GetCode()) != codes.Internal {
					t.Errorf("the second end = %v, want INTERNAL", last)
				}
			})
		})
	}
}

// When the server takes neither the end nor an error in its place, the run is not
// held any more, and so goes back with the next beat.
func TestTellEnd_RefusedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refusal := &desk{ready: offered("x")}, fault(t, codes.Internal, "INTERNAL", "spoiled")
		d.answer = func(method string, n int) error {
			if method == "finish" {
				return refusal
			}
			return nil
		}
		e := employ(t, d, "true")
		time.Sleep(20 * time.Second)
		if err := e.end(); err != nil {
			t.Fatal(err)
		}
		if len(d.ends) != 2 || !strings.Contains(e.talk.String(), "it is given back with the next beat") {
			t.Errorf("%d ends, want 2; said:\n%s", len(d.ends), e.talk)
		}
		if last := d.beats[len(d.beats)-1]; len(last.GetHeld()) != 0 || last.GetClosedCall() < 1 {
			t.Errorf("the last beat = %v, want it without the run", last)
		}
	})
}

// A server that refuses to give operations of the method ends the worker, and the
// session is closed.
func TestShift_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, refusal := &desk{}, blames(t, "methods")
		d.answer = func(method string, _ int) error {
			if method == "acquire" {
				return refusal
			}
			return nil
		}
		e := employ(t, d, "true")
		err := <-e.ended
		synctest.Wait()
		if p, ok := errors.AsType[*problem](err); !ok || p.msg != "is wrong" || !d.closed || len(d.acquires) != 1 {
			t.Errorf("run = %v after %d calls, closed = %v; want what the server says, 1, true", err, len(d.acquires), d.closed)
		}
	})
}

// So does one that opens no session; one that is not there is waited for.
func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.answer = func(method string, n int) error {
			switch {
			case method != "open":
			case n < 4:
				return status.Error(codes.Unavailable, "restarting")
			case n == 4:
				return status.Error(codes.PermissionDenied, "no")
			}
			return nil
		}
		e := employ(t, d, "true")
		err := <-e.ended
		synctest.Wait()
		if err == nil || err.Error() != "no" || d.opens != 4 {
			t.Errorf("run = %v after %d calls, want no after 4", err, d.opens)
		}
		if got := strings.Count(e.talk.String(), "waiting for it"); got != 1 {
			t.Errorf("said %d times that it waits, want once:\n%s", got, e.talk)
		}
	})
}

// Before the server is there, a signal ends the worker at once.
func TestOpen_Interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(string, int) error { return status.Error(codes.Unavailable, "away") }}
		e := employ(t, d, "true")
		time.Sleep(time.Minute)
		begin := time.Now()
		if err := e.end(); err != nil || time.Since(begin) > time.Second {
			t.Errorf("run = %v after %v, want nil at once", err, time.Since(begin))
		}
	})
}

// What was acquired while the session may be dead is not begun until a beat has been
// answered.
func TestShift_Trust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, begin := &desk{}, time.Now()
		d.answer = func(method string, n int) error {
			away := time.Since(begin) < 2*time.Minute
			if method == "beat" && away {
				return status.Error(codes.Unavailable, "away")
			}
			return nil
		}
		e := employ(t, d, "true")
		time.Sleep(31 * time.Second)
		d.mu.Lock()
		d.ready = offered("x")
		d.mu.Unlock()
		time.Sleep(80 * time.Second)
		synctest.Wait()
		d.mu.Lock()
		ends, left := len(d.ends), len(d.ready)
		d.mu.Unlock()
		if ends != 0 || left != 0 {
			t.Errorf("%d runs ended and %d not acquired while the session was not trusted, want 0 and 0", ends, left)
		}
		time.Sleep(time.Minute)
		if err := e.end(); err != nil || len(d.ends) != 1 {
			t.Errorf("run = %v, %d ends; want nil and 1", err, len(d.ends))
		}
	})
}

// The beat under way is hastened by an operation whose deadline comes before its end,
// so that the passing of the deadline is heard in time.
func TestShift_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		d := &desk{ready: offered("x")}
		d.ready[0].DeadlineTime = timestamppb.New(begin.Add(5 * time.Second))
		var beaten []time.Duration
		d.answer = func(method string, _ int) error {
			now := time.Since(begin)
			switch {
			case method == "beat":
				beaten = append(beaten, now)
			case method == "acquire" && now < 3*time.Second, method == "finish" && now < 20*time.Second:
				return status.Error(codes.Unavailable, "not yet")
			}
			return nil
		}
		e := employ(t, d, "true")
		time.Sleep(time.Minute)
		if err := e.end(); err != nil {
			t.Fatal(err)
		}
		for i, b := range d.beats {
			if len(b.GetHeld()) > 0 {
				if wait := b.GetWaitTimeout().AsDuration(); beaten[i] > 3500*time.Millisecond || wait > 2*time.Second || wait < time.Second {
					t.Errorf("the first beat with the operation comes after %v and waits for %v, want 3s and 2s", beaten[i], wait)
				}
				return
			}
		}
		t.Error("no beat names the operation")
	})
}

// A worker that is to end while the server is away does not wait for ever, and says
// what it could not tell.
func TestDrain_ServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{ready: offered("x")}
		d.answer = func(method string, n int) error {
			if method == "finish" {
				return status.Error(codes.Unavailable, "away")
			}
			return nil
		}
		e := employ(t, d, "true")
		time.Sleep(time.Second)
		begin := time.Now()
		err := e.end()
		if p, ok := errors.AsType[*problem](err); !ok || !strings.Contains(p.msg, "how 1 operations ended") || p.hint == "" {
			t.Errorf("run = %v, want a problem about 1 operation", err)
		}
		if got, want := time.Since(begin), e.grace+e.kill+outputGrace+tellPatience; got > want+5*time.Second || got < want {
			t.Errorf("ended after %v, want %v", got, want)
		}
	})
}

// A reply to a call that was closed is not waited for: the last beat closes it, before
// the session.
func TestShift_Leaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		e := employ(t, d, "true")
		time.Sleep(time.Second)
		begin := time.Now()
		if err := e.end(); err != nil || time.Since(begin) > time.Second {
			t.Errorf("run = %v after %v, want nil at once", err, time.Since(begin))
		}
		if last := d.beats[len(d.beats)-1]; last.GetClosedCall() != 1 || len(d.acquires) != 1 || !d.closed || last.GetWaitTimeout() != nil {
			t.Errorf("the last beat = %v, closed = %v; want call 1 closed, and the session", last, d.closed)
		}
	})
}
