package storetest

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

var fieldContracts = []contract{
	{"fields/create", "A store keeps each field as it is", testFieldsCreate},
	{"fields/update", "A store keeps each field as it is", testFieldsUpdate},
	{"fields/payloads", "A store keeps each field as it is, the nil and the empty payload apart", testFieldsPayloads},
	{"fields/large", "A store keeps a request and a response as large as the limits allow", testFieldsLarge},
}

const odd = "\u00e4\u4e16\U0001f600 '\";--\\%_\x01\n"

// oddOp returns an operation with every field that a starter sets set to
// something that is easily lost.
func oddOp() *longrun.Operation {
	op := newOp()
	op.Parent = "projects/P~:@+=,!$/locations/l." + strings.Repeat("x", 900)
	op.Method = "/google.cloud.translation.v3.TranslationService/BatchTranslateText"
	op.Request = &anypb.Any{TypeUrl: "type.googleapis.com/" + odd, Value: []byte{0, 1, 0xff, 0xfe}}
	op.Metadata = &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Empty"}
	op.AtMostOnce, op.Pinned = true, true
	op.RequestID = requestA
	op.RequestHash = [32]byte{0, 0xff, 31: 1}
	op.ConflictKey = "key " + odd
	op.OnConflict = longrun.Preempt
	op.Caller = "caller " + odd
	op.TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	op.ExecutionTimeout = longrun.MaxExecutionTimeout - time.Microsecond
	op.MaxFailures = longrun.MaxFailuresLimit
	op.Retention = 100*365*24*time.Hour + 7*time.Microsecond
	op.Labels = map[string]string{"": odd, odd: "", "key": "value"}
	return op
}

func testFieldsCreate(_ *testing.T, x subject) {
	for _, claimed := range []longrun.Claim{{}, {Session: x.session(), Call: math.MaxInt64 - 1}} {
		op := oddOp()
		op.Claim = claimed
		if !claimed.Session.IsZero() {
			op.RequestID, op.ConflictKey = requestB, "another key"
		}
		got := x.create(op)
		x.same("Create", got, op.Stored(got.CreateTime, false))
		x.same("Get", x.get(op.ID), got)
		x.same("List", x.listOne(longrun.Query{Parent: op.Parent}), got)
		x.same("List by request id", x.listOne(longrun.Query{Parent: op.Parent, Method: op.Method, RequestID: op.RequestID}), got)
	}
}

// oddEnd changes every field that a transition may change, to something that no
// transition may choose.
func oddEnd(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
	next := *op
	at := func(d time.Duration) time.Time { return now.Add(d * time.Microsecond) }
	next.Revision = math.MaxInt64 - 1
	next.State = longrun.Failed
	next.Error = &statuspb.Status{Code: 16, Message: odd, Details: []*anypb.Any{{TypeUrl: "type.googleapis.com/unknown", Value: []byte{0xff}}, {}}}
	next.Metadata = &anypb.Any{TypeUrl: odd, Value: bytes.Repeat([]byte{0}, 10)}
	next.Claim = longrun.Claim{Session: longrun.NewSessionID(), Attempt: math.MaxInt64 - 2, Call: math.MaxInt64 - 3}
	next.Failures = longrun.MaxFailuresLimit
	next.CancelRequested, next.Preempted, next.EndedByRun = true, true, true
	next.StartTime, next.ClaimTime, next.UpdateTime = at(-5), at(-4), at(-3)
	next.EndTime, next.DeadlineTime = at(-2), at(-1)
	next.ExpireTime = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	next.CompletedSteps = math.MaxInt32
	next.ReadyTime = time.Time{}
	return &next, nil
}

func testFieldsUpdate(t *testing.T, x subject) {
	op := x.create(oddOp())
	var want *longrun.Operation
	got, err := x.Update(t.Context(), longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (_ *longrun.Operation, err error) {
		want, err = oddEnd(op, now)
		return want, err
	}})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	x.same("Update", got, want)
	x.same("Get", x.get(op.ID), want)
	x.same("List", x.listOne(longrun.Query{Parent: op.Parent}), want)
}

func testFieldsPayloads(_ *testing.T, x subject) {
	payloads := []*anypb.Any{nil, {}, {TypeUrl: "t"}, {Value: []byte("v")}, {TypeUrl: "t", Value: []byte("v")}}
	s := x.session()
	for i, payload := range payloads {
		op := newOp()
		op.Request, op.Metadata = payload, payloads[(i+1)%len(payloads)]
		got := x.create(op)
		x.same("Create", got, op.Stored(got.CreateTime, false))
		x.same("Get", x.get(op.ID), got)
		claimed := x.claimOne(s)
		want, _ := got.ClaimBy(s, 0, claimed.ClaimTime)
		x.same("Claim", claimed, want)
		if payload == nil {
			continue // a success has a response
		}
		ended := x.endRun(claimed, longrun.RunEnd{Kind: longrun.RunReturned, Response: payload})
		want, _ = claimed.EndRun(longrun.RunEnd{Claim: claimed.Claim, Kind: longrun.RunReturned, Response: payload}, ended.EndTime)
		x.same("Update", ended, want)
		x.same("Get", x.get(op.ID), want)
	}
}

func testFieldsLarge(_ *testing.T, x subject) {
	op := newOp()
	op.Request = &anypb.Any{TypeUrl: "t", Value: bytes.Repeat([]byte("0123456789abcdef"), 1<<16)}
	got := x.create(op)
	x.same("Create with a request of 1 MiB", got, op.Stored(got.CreateTime, false))
	x.same("Get", x.get(op.ID), got)
	s := x.session()
	claimed := x.claimOne(s)
	want, _ := got.ClaimBy(s, 0, claimed.ClaimTime)
	x.same("Claim", claimed, want)
	response := &anypb.Any{TypeUrl: "t", Value: bytes.Repeat([]byte{0xff}, longrun.MaxResponseBytes-16)}
	ended := x.endRun(claimed, longrun.RunEnd{Kind: longrun.RunReturned, Response: response})
	if len(ended.Response.GetValue()) != len(response.Value) || !bytes.Equal(x.get(op.ID).Response.GetValue(), response.Value) {
		x.t.Error("the largest response came back changed")
	}
}
