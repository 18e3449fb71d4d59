package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/longrun-dev/longrun"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

// subject is the store under test, with short words for what tests do often.
// Each word ends the test where the store does not do what was asked.
type subject struct {
	longrun.Store
	t       *testing.T
	advance func(time.Duration)
}

// The methods and the parent that tests use where it makes no difference.
const (
	work   = "work"
	other  = "other-work"
	parent = "projects/p/locations/l"
)

// sessionTTL is the TTL of sessions where it makes no difference.
const sessionTTL = 30 * time.Second

// newOp returns an operation as the service hands it to Create.
func newOp() *longrun.Operation {
	return &longrun.Operation{
		ID:          longrun.NewID(),
		Parent:      parent,
		Method:      work,
		Request:     &anypb.Any{TypeUrl: "type.googleapis.com/test.Request", Value: []byte("request")},
		Caller:      "local",
		MaxFailures: longrun.DefaultMaxFailures,
		Retention:   longrun.DefaultRetention,
	}
}

// keyed returns an operation with a conflict key.
func keyed(key string, p longrun.ConflictPolicy) *longrun.Operation {
	op := newOp()
	op.ConflictKey, op.OnConflict = key, p
	return op
}

// create stores op and returns the record.
func (x subject) create(op *longrun.Operation) *longrun.Operation {
	x.t.Helper()
	got, err := x.Create(x.t.Context(), longrun.NewOperation{Operation: op})
	if err != nil {
		x.t.Fatalf("Create: %v", err)
	}
	return got
}

// start stores a new operation that differs in nothing from others.
func (x subject) start() *longrun.Operation {
	x.t.Helper()
	return x.create(newOp())
}

// startIn stores a new operation claimed by a session.
func (x subject) startIn(s longrun.SessionID) *longrun.Operation {
	x.t.Helper()
	op := newOp()
	op.Claim.Session = s
	return x.create(op)
}

// find returns the record, nil if there is none.
func (x subject) find(id longrun.ID) *longrun.Operation {
	x.t.Helper()
	ops, err := x.Get(x.t.Context(), id)
	if err != nil || len(ops) != 1 {
		x.t.Fatalf("Get(%s) = %d records, %v; want one place", id, len(ops), err)
	}
	return ops[0]
}

// get returns the record, which must be there.
func (x subject) get(id longrun.ID) *longrun.Operation {
	x.t.Helper()
	op := x.find(id)
	if op == nil {
		x.t.Fatalf("Get(%s) = nil, want the operation", id)
	}
	return op
}

// update applies a transition that cannot fail.
func (x subject) update(id longrun.ID, apply func(*longrun.Operation, time.Time) *longrun.Operation) *longrun.Operation {
	x.t.Helper()
	op, err := x.Update(x.t.Context(), longrun.Change{ID: id, Apply: certain(apply)})
	if err != nil {
		x.t.Fatalf("Update(%s): %v", id, err)
	}
	return op
}

// certain makes a transition that cannot fail fit for Change.Apply.
func certain(apply func(*longrun.Operation, time.Time) *longrun.Operation) func(*longrun.Operation, time.Time) (*longrun.Operation, error) {
	return func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) { return apply(op, now), nil }
}

func (x subject) cancel(id longrun.ID) *longrun.Operation {
	x.t.Helper()
	return x.update(id, (*longrun.Operation).RequestCancel)
}

func (x subject) hide(id longrun.ID) *longrun.Operation {
	x.t.Helper()
	return x.update(id, (*longrun.Operation).Hide)
}

// endRun ends the run that op shows.
func (x subject) endRun(op *longrun.Operation, e longrun.RunEnd) *longrun.Operation {
	x.t.Helper()
	e.Claim = op.Claim
	got, err := x.Update(x.t.Context(), longrun.Change{ID: op.ID, Apply: endRun(e)})
	if err != nil {
		x.t.Fatalf("Update with the end of a run: %v", err)
	}
	return got
}

// succeed ends the run that op shows with a response.
func (x subject) succeed(op *longrun.Operation) *longrun.Operation {
	x.t.Helper()
	return x.endRun(op, returned())
}

// returned is the end of a run that went well.
func returned() longrun.RunEnd {
	return longrun.RunEnd{Kind: longrun.RunReturned, Response: &anypb.Any{TypeUrl: "type.googleapis.com/test.Response", Value: []byte("response")}}
}

// retryable is the end of a run that another run may do better.
func retryable() longrun.RunEnd {
	return longrun.RunEnd{Kind: longrun.RunRetryable, Error: &statuspb.Status{Code: int32(codes.Unavailable), Message: "try again"}}
}

func endRun(e longrun.RunEnd) func(*longrun.Operation, time.Time) (*longrun.Operation, error) {
	return func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) { return op.EndRun(e, now) }
}

// session opens a session.
func (x subject) session() longrun.SessionID {
	x.t.Helper()
	return x.sessionFor(sessionTTL)
}

// sessionFor opens a session with a TTL.
func (x subject) sessionFor(ttl time.Duration) longrun.SessionID {
	x.t.Helper()
	id := longrun.NewSessionID()
	x.beat(longrun.Session{ID: id, Worker: "test", Open: true, TTL: ttl})
	return id
}

func (x subject) beat(s longrun.Session) longrun.Beat {
	x.t.Helper()
	b, err := x.Beat(x.t.Context(), s)
	if err != nil {
		x.t.Fatalf("Beat: %v", err)
	}
	return b
}

// renew beats for a session and returns what it hears.
func (x subject) renew(s longrun.SessionID, held ...longrun.Held) []longrun.Stop {
	x.t.Helper()
	return x.beat(longrun.Session{ID: s, TTL: sessionTTL, Held: held}).Stop
}

// closeSession ends a session.
func (x subject) closeSession(s longrun.SessionID) {
	x.t.Helper()
	x.beat(longrun.Session{ID: s})
}

// now returns the store's time.
func (x subject) now() time.Time {
	x.t.Helper()
	return x.beat(longrun.Session{ID: longrun.NewSessionID(), Open: true, TTL: sessionTTL}).Time
}

// kill lets s die: its time passes, and a process with long contact says so.
func (x subject) kill(s longrun.SessionID) {
	x.t.Helper()
	x.advance(2 * sessionTTL)
	x.due(longrun.Contact{AsOf: x.now(), Span: time.Hour})
	x.lost(s)
}

// lost checks that s is not alive on record.
func (x subject) lost(s longrun.SessionID) {
	x.t.Helper()
	if _, err := x.Beat(x.t.Context(), longrun.Session{ID: s, TTL: sessionTTL}); !errors.Is(err, longrun.ErrSessionLost) {
		x.t.Fatalf("Beat of a session that is not alive: %v, want ErrSessionLost", err)
	}
}

// due returns everything that needs a decision.
func (x subject) due(c longrun.Contact) []longrun.Overdue {
	x.t.Helper()
	due, err := x.Due(x.t.Context(), c, 1000)
	if err != nil {
		x.t.Fatalf("Due: %v", err)
	}
	return due
}

// claim claims up to n operations of method work in process.
func (x subject) claim(s longrun.SessionID, n int) []*longrun.Operation {
	x.t.Helper()
	return x.claimed(longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: work, N: n}}}).Operations
}

// claimOne claims the one operation of method work that is ready.
func (x subject) claimOne(s longrun.SessionID) *longrun.Operation {
	x.t.Helper()
	ops := x.claim(s, 10)
	if len(ops) != 1 {
		x.t.Fatalf("Claim gave %d operations, want 1", len(ops))
	}
	return ops[0]
}

func (x subject) claimed(r longrun.ClaimRequest) longrun.Claimed {
	x.t.Helper()
	c, err := x.Claim(x.t.Context(), r)
	if err != nil {
		x.t.Fatalf("Claim: %v", err)
	}
	return c
}

func (x subject) list(q longrun.Query) longrun.Page {
	x.t.Helper()
	page, err := x.List(x.t.Context(), q)
	if err != nil {
		x.t.Fatalf("List: %v", err)
	}
	return page
}

// listOne returns the first operation of a list, which must not be empty.
func (x subject) listOne(q longrun.Query) *longrun.Operation {
	x.t.Helper()
	q.Limit = 1
	page := x.list(q)
	if len(page.Operations) != 1 {
		x.t.Fatalf("List(%+v) gave %d operations, want 1", q, len(page.Operations))
	}
	return page.Operations[0]
}

// expire runs Expire until it has nothing left to do and returns the sum.
func (x subject) expire() int {
	x.t.Helper()
	sum := 0
	for {
		n, err := x.Expire(x.t.Context(), 100)
		if err != nil {
			x.t.Fatalf("Expire: %v", err)
		}
		if sum += n; n == 0 {
			return sum
		}
	}
}

// same checks that got is the record want, to the last field.
func (x subject) same(what string, got, want *longrun.Operation) {
	x.t.Helper()
	if d := cmp.Diff(want, got, exactly); d != "" {
		x.t.Errorf("%s: the record differs (-want +got):\n%s", what, d)
	}
}

// order checks that got are the operations want, in this order.
func (x subject) order(what string, got []*longrun.Operation, want ...*longrun.Operation) {
	x.t.Helper()
	if d := cmp.Diff(ids(want), ids(got)); d != "" {
		x.t.Errorf("%s: the operations differ (-want +got):\n%s", what, d)
	}
}

func ids(ops []*longrun.Operation) []string {
	names := []string{}
	for _, op := range ops {
		names = append(names, op.ID.String())
	}
	return names
}

// held is how a session names the run that op shows.
func held(op *longrun.Operation) longrun.Held {
	return longrun.Held{Name: op.Name(), Attempt: op.Claim.Attempt}
}

// exactly compares records: payloads by their bytes, a nil payload and an empty
// one apart, times as instants.
var exactly = cmp.Options{
	cmp.Transformer("Any", func(a *anypb.Any) any {
		if a == nil {
			return nil
		}
		return struct{ TypeURL, Value string }{a.TypeUrl, string(a.Value)}
	}),
	cmp.Transformer("Status", func(s *statuspb.Status) any {
		if s == nil {
			return nil
		}
		return struct {
			Code    int32
			Message string
			Details []*anypb.Any
		}{s.Code, s.Message, s.Details}
	}),
	cmp.Comparer(func(a, b longrun.Name) bool { return a == b }),
	cmp.Comparer(func(a, b [32]byte) bool { return a == b }),
	// A map without labels may come back nil.
	cmp.FilterValues(func(a, b map[string]string) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore()),
}
