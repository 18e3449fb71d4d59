package server

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	aGet   = longrunningpb.Operations_GetOperation_FullMethodName
	aWait  = longrunningpb.Operations_WaitOperation_FullMethodName
	aStart = longrunpb.Dispatcher_StartOperation_FullMethodName
	aBeat  = longrunpb.Dispatcher_BeatSession_FullMethodName
)

// wantOverloaded checks that a caller is told to come again (POL-04, ERR-10), and not that
// he may not call (AUT-09).
func wantOverloaded(t *testing.T, what string, err error) {
	t.Helper()
	st := status.Convert(err)
	reason, delay := "", time.Duration(0)
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			delay = d.GetRetryDelay().AsDuration()
		}
	}
	if st.Code() != codes.Unavailable || reason != longrun.ReasonOverloaded || delay != overloadDelay {
		t.Errorf("%s: %v, reason %q, delay %v; want UNAVAILABLE, OVERLOADED, %v", what, err, reason, delay, overloadDelay)
	}
}

func newTestService(t *testing.T) *longrun.Service {
	t.Helper()
	store := inmem.New()
	svc, err := longrun.New(store, longrun.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		svc.Close()
		store.Close()
	})
	return svc
}

// So many calls may begin, and one more may not; those that carry on have room beyond
// them, and one more of these may not either. Each place comes back with the end of its
// call.
func TestAdmission_Limits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(newTestService(t))
		ctx, end := context.WithCancel(t.Context())
		tapped := func(method string) error {
			_, err := a.tap(ctx, &tap.Info{FullMethodName: method})
			return err
		}
		for i := range maxBeginning {
			if err := tapped([]string{aStart, aWait, "/unknown"}[i%3]); err != nil {
				t.Fatalf("call %d: %v, want %d to begin", i+1, err, maxBeginning)
			}
		}
		wantOverloaded(t, "one start more", tapped(aStart))
		wantOverloaded(t, "one wait more", tapped(aWait))
		for i := range maxCalls - maxBeginning {
			if err := tapped([]string{aGet, aBeat}[i%2]); err != nil {
				t.Fatalf("call %d that carries on: %v, want %d", i+1, err, maxCalls-maxBeginning)
			}
		}
		wantOverloaded(t, "one beat more", tapped(aBeat))
		end()
		synctest.Wait()
		if all, beginning := a.all.Load(), a.beginning.Load(); all != 0 || beginning != 0 {
			t.Errorf("%d places are taken, %d of them by calls that begin, when all have ended; want none", all, beginning)
		}
	})
}

// A call that has ended before it was admitted, as one whose deadline was over, takes no
// place.
func TestAdmission_EndedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(newTestService(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.tap(ctx, &tap.Info{FullMethodName: aStart}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all, beginning := a.all.Load(), a.beginning.Load(); all != 0 || beginning != 0 {
			t.Errorf("%d and %d places are taken, want none", all, beginning)
		}
	})
}

// A server full of calls that wait and start goes on to answer Get and beats, and tells
// the others when to come again.
func TestAdmission_CarriesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, svc := &admission{domain: "x", maxCalls: 8, maxBeginning: 4}, newTestService(t)
		g, l := newGRPC(svc, a, grpcapi.Options{}), bufconn.Listen(1<<16)
		register(g, svc, grpcapi.Options{}, Off)
		go g.Serve(newDoor(l, nil, writeTimeout))
		defer g.Stop()
		conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ops, work := longrunningpb.NewOperationsClient(conn), longrunpb.NewDispatcherClient(conn)
		session, err := work.OpenSession(t.Context(), &longrunpb.OpenSessionRequest{})
		if err != nil {
			t.Fatal(err)
		}
		op, err := work.StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "nobody-has-it"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		for range 4 {
			go func() {
				_, err := ops.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: op.GetName(), Timeout: durationpb.New(time.Minute)})
				ended <- err
			}()
		}
		synctest.Wait()
		_, err = work.StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "nobody-has-it"})
		wantOverloaded(t, "a start", err)
		_, err = ops.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.GetName()})
		wantOverloaded(t, "one wait more", err)
		for range 3 {
			if _, err := ops.GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: op.GetName()}); err != nil {
				t.Errorf("Get: %v", err)
			}
			if _, err := work.BeatSession(t.Context(), &longrunpb.BeatSessionRequest{Session: session.GetSession()}); err != nil {
				t.Errorf("BeatSession: %v", err)
			}
		}
		cancel()
		for range 4 {
			if err := <-ended; status.Code(err) != codes.Canceled {
				t.Errorf("a wait whose caller has gone: %v", err)
			}
		}
		synctest.Wait()
		if _, err := work.StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "nobody-has-it"}); err != nil {
			t.Errorf("a start when there is room again: %v", err)
		}
		synctest.Wait()
		if all, beginning := a.all.Load(), a.beginning.Load(); all != 0 || beginning != 0 {
			t.Errorf("%d and %d places are taken, want none", all, beginning)
		}
	})
}
