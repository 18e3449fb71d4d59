package cli

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// desk is a Dispatcher that a test tells what to answer.
type desk struct {
	longrunpb.UnimplementedDispatcherServer
	longrunningpb.UnimplementedOperationsServer

	mu      sync.Mutex // guards what follows
	starts  []*longrunpb.StartOperationRequest
	beats   []*longrunpb.BeatSessionRequest
	ends    []*longrunpb.FinishOperationRequest
	opens   int
	cancels int
	closed  bool

	ready    []*longrunpb.AcquiredOperation // for Acquire, one at a time
	acquires []*longrunpb.AcquireOperationsRequest
	reports  []*longrunpb.ReportProgressRequest
	releases []*longrunpb.ReleaseOperationRequest

	answer func(method string, n int) error // of the nth call of a method, from 1
	stop   []*longrunpb.StoppedOperation
}

func (d *desk) reply(method string, n int) error {
	if d.answer == nil {
		return nil
	}
	return d.answer(method, n)
}

func (d *desk) OpenSession(context.Context, *longrunpb.OpenSessionRequest) (*longrunpb.OpenSessionResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opens++
	token := "token"
	if d.opens > 1 {
		token = fmt.Sprintf("token %d", d.opens)
	}
	return &longrunpb.OpenSessionResponse{Session: token, Ttl: durationpb.New(30 * time.Second)}, d.reply("open", d.opens)
}

func (d *desk) StartOperation(_ context.Context, r *longrunpb.StartOperationRequest) (*longrunningpb.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.starts = append(d.starts, r)
	return &longrunningpb.Operation{Name: "operations/x"}, d.reply("start", len(d.starts))
}

func (d *desk) BeatSession(ctx context.Context, r *longrunpb.BeatSessionRequest) (*longrunpb.BeatSessionResponse, error) {
	d.mu.Lock()
	d.beats = append(d.beats, r)
	err, stop := d.reply("beat", len(d.beats)), d.stop
	d.mu.Unlock()
	if err == nil && stop == nil {
		pause(ctx, r.GetWaitTimeout().AsDuration())
	}
	return &longrunpb.BeatSessionResponse{Stop: stop}, err
}

func (d *desk) FinishOperation(_ context.Context, r *longrunpb.FinishOperationRequest) (*longrunpb.FinishOperationResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ends = append(d.ends, r)
	return &longrunpb.FinishOperationResponse{}, d.reply("finish", len(d.ends))
}

func (d *desk) CloseSession(context.Context, *longrunpb.CloseSessionRequest) (*longrunpb.CloseSessionResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return &longrunpb.CloseSessionResponse{}, nil
}

func (d *desk) CancelOperation(context.Context, *longrunningpb.CancelOperationRequest) (*emptypb.Empty, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancels++
	return &emptypb.Empty{}, d.reply("cancel", d.cancels)
}

// open serves d inside a bubble, and opens a session with it.
func (d *desk) open(t *testing.T) *session {
	t.Helper()
	s, err := openSession(t.Context(), d.client(t), 0)
	if err != nil {
		t.Fatalf("openSession: %v", err)
	}
	return s
}

// client serves d inside a bubble.
func (d *desk) client(t *testing.T) *client {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	longrunpb.RegisterDispatcherServer(g, d)
	longrunningpb.RegisterOperationsServer(g, d)
	go g.Serve(l)
	conn, err := grpc.NewClient("passthrough:///bubble", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
	})
	return &client{addr: "bubble", conn: conn, ops: longrunningpb.NewOperationsClient(conn), types: newTypes(conn), listens: func(string) bool { return false }}
}

// A reply that was lost starts nothing twice: it is the same request id and the same
// call that comes again.
func TestSession_StartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(method string, n int) error {
			if method == "start" && n < 3 {
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}}
		s := d.open(t)
		if err := s.start(t.Context(), "projects/p", &longrunpb.CommandRequest{Arguments: []string{"true"}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(d.starts) != 3 || s.name != "operations/x" {
			t.Fatalf("%d starts of %q, want 3 of operations/x", len(d.starts), s.name)
		}
		first := d.starts[0]
		if first.GetRequestId() == "" || first.GetMethod() != "command" || first.GetParent() != "projects/p" || first.GetSession() != "token" {
			t.Errorf("start = %v", first)
		}
		for _, r := range d.starts {
			if r.GetRequestId() != first.GetRequestId() || r.GetCall() != 1 {
				t.Errorf("request id = %q, call = %d; want %q, 1", r.GetRequestId(), r.GetCall(), first.GetRequestId())
			}
		}
	})
}

// A start is given up when the server stays away, and at once when it says no.
func TestSession_StartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		code := codes.Unavailable
		d := &desk{answer: func(method string, _ int) error {
			if method == "start" {
				return status.Error(code, "no")
			}
			return nil
		}}
		s := d.open(t)
		begin := time.Now()
		if err := s.start(t.Context(), "", &longrunpb.CommandRequest{}); err == nil || time.Since(begin) != startPatience {
			t.Errorf("start = %v after %v, want an error after %v", err, time.Since(begin), startPatience)
		}
		synctest.Wait()
		code = codes.InvalidArgument
		begin = time.Now()
		if err := s.start(t.Context(), "", &longrunpb.CommandRequest{}); status.Code(err) != codes.InvalidArgument || time.Since(begin) > time.Second {
			t.Errorf("start = %v after %v, want INVALID_ARGUMENT at once", err, time.Since(begin))
		}
	})
}

// beaten lets the session beat for d, and returns what it heard.
func beaten(t *testing.T, s *session, d time.Duration) []notice {
	t.Helper()
	var heard []notice
	s.name = "operations/x"
	s.told = func(n notice) { heard = append(heard, n) }
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(d, cancel)
	s.beats(ctx)
	cancel()
	synctest.Wait() // the server's side of the last beat ends too
	return heard
}

func wantNotices(t *testing.T, got []notice, want ...notice) {
	t.Helper()
	same := len(got) == len(want)
	for i := range want {
		same = same && got[i] == want[i]
	}
	if !same {
		t.Errorf("heard %v, want %v", got, want)
	}
}

// A beat names what is held and closes the call that claimed it, three times in a
// TTL and no more.
func TestSession_Beats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		wantNotices(t, beaten(t, d.open(t), time.Minute))
		if n := len(d.beats); n < 5 || n > 7 {
			t.Errorf("%d beats in a minute, want about 6", n)
		}
		for _, b := range d.beats {
			if b.GetSession() != "token" || b.GetClosedCall() != 1 || len(b.GetHeld()) != 1 ||
				b.GetHeld()[0].GetOperation() != "operations/x" || b.GetHeld()[0].GetAttempt() != 1 {
				t.Errorf("beat = %v", b)
			}
		}
	})
}

// A server that is away is told of once, and so is its return, however long it takes:
// nobody else may run the operation.
func TestSession_RidesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		begin := time.Now()
		d.answer = func(method string, n int) error {
			if away := time.Since(begin); method == "beat" && away > time.Minute && away < 5*time.Minute {
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}
		wantNotices(t, beaten(t, d.open(t), 10*time.Minute), serverAway, serverBack)
	})
}

// A session or claim that is over, or unknown to the server, is lost for good.
func TestSession_Lost(t *testing.T) {
	for _, tt := range []struct {
		code   codes.Code
		reason string
	}{{codes.Aborted, "SESSION_LOST"}, {codes.Aborted, "CLAIM_LOST"}, {codes.InvalidArgument, "INVALID_FIELD"}} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &desk{}
				lostError := fault(t, tt.code, tt.reason, "over")
				d.answer = func(method string, n int) error {
					if method == "beat" && n == 3 {
						return lostError
					}
					return nil
				}
				wantNotices(t, beaten(t, d.open(t), time.Hour), lost)
				if len(d.beats) != 3 {
					t.Errorf("%d beats, want 3 and none after", len(d.beats))
				}
			})
		})
	}
}

// What must stop is said until it has stopped, and not more than once a second.
func TestSession_Stop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{stop: []*longrunpb.StoppedOperation{
			{Operation: "operations/y", Attempt: 1, Cause: longrunpb.StoppedOperation_CANCELLED},
			{Operation: "operations/x", Attempt: 1, Cause: longrunpb.StoppedOperation_CANCELLED},
		}}
		heard := beaten(t, d.open(t), 10*time.Second)
		if len(heard) < 5 || len(heard) > 11 {
			t.Errorf("heard %d notices in 10 s, want one a second", len(heard))
		}
		for _, n := range heard {
			if n != cancelled {
				t.Errorf("heard %v, want %v", n, cancelled)
			}
		}
		d.stop = []*longrunpb.StoppedOperation{{Operation: "operations/x", Attempt: 1, Cause: longrunpb.StoppedOperation_CLAIM_LOST}}
		wantNotices(t, beaten(t, d.open(t), time.Hour), lost)
	})
}

// The end of a run is told again until it was answered, and the session closed then.
func TestSession_Finish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(method string, n int) error {
			if n == 1 && (method == "finish" || method == "cancel") {
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}}
		s := d.open(t)
		s.name, s.told = "operations/x", func(notice) {}
		err := s.cancel(t.Context())
		synctest.Wait()
		if err != nil || d.cancels != 2 {
			t.Errorf("cancel = %v after %d tries, want nil after 2", err, d.cancels)
		}
		if err := s.finish(t.Context(), &longrunpb.CommandResponse{OutputTail: []byte("x")}, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.finish(t.Context(), nil, failure(3, "no")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(d.ends) != 3 || d.ends[1].GetResponse() == nil || d.ends[2].GetError().GetCode() != int32(codes.Unknown) || d.ends[2].GetAttempt() != 1 {
			t.Errorf("ends = %v", d.ends)
		}
		s.away.Store(true)
		s.close()
		if d.closed {
			t.Error("a session was closed with a server that is away")
		}
		s.away.Store(false)
		s.close()
		synctest.Wait()
		if !d.closed {
			t.Error("the session was left open")
		}
	})
}
