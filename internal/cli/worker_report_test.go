package cli

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// reporting is a run inside a bubble that is about to report to a desk.
func reporting(t *testing.T, d *desk, metadata *anypb.Any) (*reporter, *handling, *screen) {
	t.Helper()
	talk := newScreen()
	w := &worker{a: &app{err: talk}, c: d.client(t), telling: t.Context()}
	s, err := openSession(t.Context(), w.c, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := newHandling(newShift(w, s), &longrunpb.AcquiredOperation{Operation: "operations/x", Attempt: 3, Metadata: metadata})
	return h.reporter, h, talk
}

func units(n int64) line {
	text := fmt.Sprint(n)
	return line{progress: &longrunpb.Progress{CompletedUnits: n}, message: &text}
}

func metadataIn(t *testing.T, a *anypb.Any) *longrunpb.OperationMetadata {
	t.Helper()
	md := &longrunpb.OperationMetadata{}
	if err := a.UnmarshalTo(md); err != nil {
		t.Fatal(err)
	}
	return md
}

// Of many reports few are sent, the latest each time; the last is part of the end.
func TestReporter_Coalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		r, _, _ := reporting(t, d, packed(t, &longrunpb.OperationMetadata{Target: "books/1", StatusMessage: "from before"}))
		for n := range int64(100) {
			r.report(units(n))
			time.Sleep(10 * time.Millisecond)
		}
		last := metadataIn(t, r.end())
		synctest.Wait()
		if last.GetProgress().GetCompletedUnits() != 99 || last.GetStatusMessage() != "99" || last.GetTarget() != "books/1" {
			t.Errorf("the last metadata = %v", last)
		}
		if n := len(d.reports); n < 4 || n > 6 {
			t.Errorf("%d reports in a second, want about 5", n)
		}
		before := int64(-1)
		for _, q := range d.reports {
			got := metadataIn(t, q.GetMetadata()).GetProgress().GetCompletedUnits()
			if got <= before || q.GetAttempt() != 3 || q.GetSession() != "token" || q.GetName() != "operations/x" {
				t.Errorf("report = %v after %d units", q, before)
			}
			before = got
		}
	})
}

// A run that says nothing changes nothing.
func TestReporter_Nothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		r, _, _ := reporting(t, d, nil)
		if md := r.end(); md != nil || len(d.reports) != 0 {
			t.Errorf("metadata = %v after %d reports, want none", md, len(d.reports))
		}
	})
}

// A method with metadata of its own gets progress alone, and the server says what it
// thinks of that.
func TestReporter_OwnMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := fault(t, codes.InvalidArgument, "INVALID_FIELD", "report metadata")
		d := &desk{answer: func(method string, _ int) error {
			if method == "report" {
				return refusal
			}
			return nil
		}}
		r, h, talk := reporting(t, d, packed(t, durationpb.New(time.Second)))
		for range 5 {
			r.report(units(7))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if md := r.end(); md != nil || len(d.reports) != 1 || d.reports[0].GetProgress().GetCompletedUnits() != 7 || h.why() != notStopped {
			t.Errorf("metadata = %v after %v, stopped = %v", md, d.reports, h.why())
		}
		if got := strings.Count(talk.String(), "the server does not take its progress: INVALID_FIELD: report metadata"); got != 1 {
			t.Errorf("said it %d times, want once:\n%s", got, talk)
		}
	})
}

// A server that is away does not stop the run, and the next report says what this one
// would have said. A claim that is lost does.
func TestReporter_Failures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost, away := fault(t, codes.Aborted, "CLAIM_LOST", "over"), status.Error(codes.Unavailable, "restarting")
		d := &desk{answer: func(method string, n int) error {
			if method == "report" {
				return []error{away, away, nil, lost}[n-1]
			}
			return nil
		}}
		r, h, _ := reporting(t, d, nil)
		for n := range int64(3) {
			r.report(units(n))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if len(d.reports) != 3 || h.why() != notStopped {
			t.Errorf("%d reports, stopped = %v; want 3, not", len(d.reports), h.why())
		}
		r.report(units(4))
		time.Sleep(time.Second)
		synctest.Wait()
		if h.why() != byLoss {
			t.Errorf("stopped = %v after the claim was lost, want %v", h.why(), byLoss)
		}
		h.stop(byCancel)
		if h.why() != byLoss {
			t.Error("a second cause has replaced the first")
		}
		if r.end() == nil {
			t.Error("no metadata at the end of a run that has reported")
		}
	})
}

// What a command says wrongly is dropped, and said to people.
func TestDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{ready: offered("x")}
		e := employ(t, d, "sh", "-c", `echo '{"progress": 5}' >&3; echo '{"progress": {"completedUnits": 2}}' >&3`)
		time.Sleep(time.Second)
		if err := e.end(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(e.talk.String(), "a line on descriptor 3 is dropped: progress is not a longrun.v1.Progress") {
			t.Errorf("said:\n%s", e.talk)
		}
		if len(d.ends) != 1 || d.ends[0].GetResponse() == nil || metadataIn(t, d.ends[0].GetMetadata()).GetProgress().GetCompletedUnits() != 2 {
			t.Errorf("ends = %v, want a response with the last progress", d.ends)
		}
	})
}
