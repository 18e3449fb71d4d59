package longrun_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/testpb"
	"github.com/longrun-dev/longrun/longrunpb"
)

const requestID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

// IDM-01, IDM-02, IDM-06: the same request id again is the same operation, in
// whatever case it is written and whatever has become of it.
func TestRequestID_Replay(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	first := sys.running(t, longrun.StartOptions{RequestID: requestID})
	for _, id := range []string{requestID, strings.ToUpper(requestID)} {
		if again := sys.start(t, longrun.StartOptions{RequestID: id}); again.ID != first.ID || again.State != longrun.Running {
			t.Errorf("start with %s = %v %v, want %v running", id, again.ID, again.State, first.ID)
		}
	}
	sys.finish(t, first, longrun.Result{})
	if again := sys.start(t, longrun.StartOptions{RequestID: requestID}); again.ID != first.ID || again.State != longrun.Succeeded {
		t.Errorf("IDM-02: start after the end = %v %v, want %v, done", again.ID, again.State, first.ID)
	}
}

// IDM-01: 50 times in parallel: one operation, one name.
func TestRequestID_Parallel(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	var mu sync.Mutex
	names := map[longrun.Name]int{}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			op, err := longrun.Start(t.Context(), sys.svc, resize, wrapperspb.String("x"), longrun.StartOptions{RequestID: requestID})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			names[op.Name()]++
		})
	}
	all.Wait()
	if len(names) != 1 {
		t.Errorf("names = %v, want one, fifty times", names)
	}
	if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 1 {
		t.Errorf("%d operations are stored, want 1", len(page.Operations))
	}
}

// IDM-01: a start that lost the race to create is a replay, too.
func TestRequestID_LostRace(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	other := newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
	var first *longrun.Operation
	sys.store.onCall("Create", once(1, func() { first = other.start(t, longrun.StartOptions{RequestID: requestID}) }))
	if got := sys.start(t, longrun.StartOptions{RequestID: requestID}); got.ID != first.ID {
		t.Errorf("start = %v, want %v", got.ID, first.ID)
	}
	sys.store.onCall("Create", once(1, func() {
		first = other.start(t, longrun.StartOptions{Parent: "projects/p", RequestID: requestID})
	}))
	_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, wrapperspb.String("other")),
		StartOptions: longrun.StartOptions{Parent: "projects/p", RequestID: requestID}})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused)
}

// IDM-04: with another request it is INVALID_ARGUMENT.
func TestRequestID_Reused(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	start := func(s string) error {
		_, err := longrun.Start(t.Context(), sys.svc, resize, wrapperspb.String(s), longrun.StartOptions{RequestID: requestID})
		return err
	}
	if err := start("a"); err != nil {
		t.Fatal(err)
	}
	err := start("b")
	wantError(t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused)
	if got := fieldOf(err); got != "request_id" {
		t.Errorf("field = %q, want request_id", got)
	}
	// The same bytes of another type are another request.
	_, err = sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, Request: packed(t, wrapperspb.Bytes([]byte("a"))),
		StartOptions: longrun.StartOptions{RequestID: requestID}})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused)
}

// IDM-04, IDM-06: how a request says its own id and that it is a trial is no part
// of what the id stands for.
func TestRequestID_InTheRequest(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	simulate := longrun.Method[*longrunpb.SimulateRequest, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{Name: "simulate"}
	start := func(r *longrunpb.SimulateRequest) (*longrun.Operation, error) {
		return longrun.Start(t.Context(), sys.svc, simulate, r, longrun.StartOptions{RequestID: r.RequestId})
	}
	first, err := start(&longrunpb.SimulateRequest{Parent: "p", RequestId: requestID})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := start(&longrunpb.SimulateRequest{Parent: "p", RequestId: strings.ToUpper(requestID)}); err != nil || again.ID != first.ID {
		t.Errorf("in other case: %v, want %v", err, first.ID)
	}
	_, err = start(&longrunpb.SimulateRequest{Parent: "q", RequestId: requestID})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused)
}

// IDM-06: what is no UUID4 is INVALID_ARGUMENT.
func TestRequestID_Malformed(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	for _, id := range []string{
		"x", "00000000-0000-0000-0000-000000000000", "7c9e6679-7425-10de-944b-e07fc1f90ae7", someID, "{" + requestID + "}",
		"urn:uuid:" + requestID, strings.ReplaceAll(requestID, "-", ""), requestID + " ", requestID[:35] + "g", strings.Repeat("a", 36),
	} {
		_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word, StartOptions: longrun.StartOptions{RequestID: id}})
		wantError(t, err, codes.InvalidArgument, longrun.ReasonInvalidField)
		if got := fieldOf(err); got != "request_id" {
			t.Errorf("%q: field = %q, want request_id", id, got)
		}
	}
}

// IDM-05, IDM-07: ids count per parent and method; without one every start is new.
func TestRequestID_Scope(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	seen := map[longrun.ID]bool{}
	for _, r := range []longrun.StartRequest{
		{Method: word}, {Method: word}, // IDM-07
		{Method: word, StartOptions: longrun.StartOptions{RequestID: requestID}},
		{Method: "other", StartOptions: longrun.StartOptions{RequestID: requestID}},
		{Method: word, StartOptions: longrun.StartOptions{RequestID: requestID, Parent: "projects/p"}},
		{Method: word, StartOptions: longrun.StartOptions{RequestID: requestID, Parent: "projects/q"}},
	} {
		op, err := sys.svc.Start(t.Context(), r)
		if err != nil || seen[op.ID] {
			t.Fatalf("start of %+v = %v, %v; want a new operation", r, op, err)
		}
		seen[op.ID] = true
	}
}

// DEL-12: a deleted operation frees its request id.
func TestRequestID_AfterDelete(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	first := sys.start(t, longrun.StartOptions{RequestID: requestID})
	if err := sys.svc.Delete(t.Context(), first.Name()); err != nil {
		t.Fatal(err)
	}
	second := sys.start(t, longrun.StartOptions{RequestID: requestID})
	if second.ID == first.ID {
		t.Error("the start after the delete returns a name that Get denies")
	}
	sys.get(t, second.Name())
}

// IDM-01: it is the request that counts, and not in which order a client has written its
// fields: the same again, by name, is the same operation, and the same as typed.
func TestRequestID_Encoding(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	m := longrun.Method[*testpb.Book, *emptypb.Empty, *longrunpb.OperationMetadata]{Name: word}
	longrun.Declare(sys.svc, m)
	o := longrun.StartOptions{RequestID: requestID}
	name, title := packed(t, &testpb.Book{Name: "books/b"}), packed(t, &testpb.Book{Title: "Emma"})
	first, err := longrun.Start(t.Context(), sys.svc, m, &testpb.Book{Name: "books/b", Title: "Emma"}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range [][]byte{slices.Concat(name.Value, title.Value), slices.Concat(title.Value, name.Value)} {
		again, err := sys.svc.Start(t.Context(), longrun.StartRequest{StartOptions: o, Method: word, Request: &anypb.Any{TypeUrl: name.TypeUrl, Value: value}})
		if err != nil || again.ID != first.ID {
			t.Errorf("the same again = %v, %v; want the same operation", again, err)
		}
	}
	_, err = sys.svc.Start(t.Context(), longrun.StartRequest{StartOptions: o, Method: word, Request: title})
	wantError(t, err, codes.InvalidArgument, longrun.ReasonRequestIDReused)
}
