package cli

import (
	"context"
	"errors"
	"sync"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun/longrunpb"
)

// forgetful starts what it is asked for and loses its first replies.
type forgetful struct {
	longrunpb.UnimplementedDispatcherServer

	mu   sync.Mutex // guards what follows
	ids  []string
	lose int
	fail error // instead of a reply
}

func (f *forgetful) StartOperation(_ context.Context, r *longrunpb.StartOperationRequest) (*longrunningpb.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids = append(f.ids, r.GetRequestId())
	if f.fail != nil {
		return nil, f.fail
	}
	if len(f.ids) <= f.lose {
		return nil, status.Error(codes.Unavailable, "the reply was lost")
	}
	return &longrunningpb.Operation{Name: "operations/x"}, nil
}

func startAt(t *testing.T, f *forgetful) (*longrunningpb.Operation, error) {
	t.Helper()
	addr, conn := serveTest(t, func(s *grpc.Server) { longrunpb.RegisterDispatcherServer(s, f) })
	req, err := (&starter{method: "m", onConflict: "queue"}).build()
	if err != nil {
		t.Fatal(err)
	}
	return (&client{addr: addr, conn: conn, types: newTypes(conn), listens: listens}).start(t.Context(), req)
}

// A reply that was lost starts nothing twice: the call is made again with the same
// request id, which was never left out.
func TestStart_LostReply(t *testing.T) {
	t.Parallel()
	f := &forgetful{lose: 2}
	op, err := startAt(t, f)
	if err != nil || op.GetName() != "operations/x" {
		t.Fatalf("start = %v, %v; want operations/x", op, err)
	}
	if len(f.ids) != 3 || f.ids[0] == "" || f.ids[0] != f.ids[1] || f.ids[1] != f.ids[2] {
		t.Errorf("request ids = %v, want three times the same", f.ids)
	}
}

// What the server says no to is not tried again.
func TestStart_Refused(t *testing.T) {
	t.Parallel()
	f := &forgetful{fail: fault(t, codes.Aborted, "CONCURRENT_OPERATION", "start: operations/y holds the key")}
	_, err := startAt(t, f)
	if status.Code(err) != codes.Aborted || len(f.ids) != 1 {
		t.Errorf("start = %v after %d calls, want ABORTED after one", err, len(f.ids))
	}
	p, ok := errors.AsType[*problem]((&client{}).explainStart(err))
	if !ok || p.hint == "" || p.exit == exitUsage {
		t.Errorf("explainStart = %+v, want a problem with a hint", p)
	}
}

// A server that is not there at the beginning is not there.
func TestStart_NoServer(t *testing.T) {
	t.Parallel()
	a := &app{env: func(string) string { return "" }}
	cmd := a.startCmd()
	if err := cmd.Flags().Set("server", "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	c, err := a.dial(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.start(t.Context(), &longrunpb.StartOperationRequest{Method: "m"}); status.Code(err) != codes.Unavailable {
		t.Errorf("start = %v, want UNAVAILABLE", err)
	}
}

func TestStarter_Build(t *testing.T) {
	t.Parallel()
	key := once{}
	if err := key.Set("k"); err != nil {
		t.Fatal(err)
	}
	s := &starter{method: "m", parent: "p", conflictKey: key, onConflict: "preempt", labels: []string{"a=1", "b=x=y", "c="}, maxFailures: 3, atMostOnce: true}
	req, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	if req.GetOnConflict() != longrunpb.ConflictPolicy_PREEMPT || req.GetConflictKey() != "k" || req.GetMaxFailures() != 3 || !req.GetAtMostOnce() || req.GetParent() != "p" {
		t.Errorf("build = %v", req)
	}
	if l := req.GetLabels(); len(l) != 3 || l["a"] != "1" || l["b"] != "x=y" || l["c"] != "" {
		t.Errorf("labels = %v", l)
	}
	if req.GetExecutionTimeout() != nil {
		t.Errorf("ExecutionTimeout = %v, want none", req.GetExecutionTimeout())
	}
	other, err := s.build()
	if err != nil || other.GetRequestId() == req.GetRequestId() {
		t.Errorf("the request id of another start = %s, %v; want another", other.GetRequestId(), err)
	}
	if key.Set("again") == nil {
		t.Error("a second conflict key was taken")
	}
}
