package server_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/anishathalye/porcupine"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun/longrunpb"
)

// verb is what a client did to an operation.
type verb string

const (
	vStart   verb = "start"
	vSee     verb = "see" // got it, by get, wait or list
	vCancel  verb = "cancel"
	vDelete  verb = "delete"
	vAcquire verb = "acquire"
	vFinish  verb = "finish"
	vRetry   verb = "retry" // finished with an error that is retried, or released
)

// outcome is how a call ended for its client.
type outcome string

const (
	ok       outcome = "ok"
	notFound outcome = "not found"
	unknown  outcome = "unknown" // it may have happened, now or at any time later
)

// call is one call on one operation, as its client saw it.
type call struct {
	verb    verb
	outcome outcome
	attempt int64  // acquire
	result  string // finish, see
	seen    sight  // see
}

// plain is a call that says nothing more.
func plain(v verb, o outcome) call { return call{verb: v, outcome: o} }

// sight is what a client saw of an operation.
type sight struct {
	done       bool
	whole      string // of a done one, every byte
	attempt    int64
	cancelling bool
	updated    int64 // update_time
	units      int64
}

// record is what the model knows of an operation. It is a value, and comparable.
type record struct {
	stored, deleted bool
	done            bool
	result          string // how it ended, known by whoever ended it
	whole           string // what it looks like since then
	cancelled       bool   // somebody asked, before it was done
	attempt         int64  // the last that anybody knows of
	acquired        int64  // the last that a worker outside got
	updated, units  int64
}

// operationModel says what a client may see of one operation, whatever the server
// went through:
//
//   - once its start was answered it is there, until its delete;
//   - once deleted it is not there, for ever;
//   - once it is done, by an answered finish or to anybody's eyes, it is the same to
//     the last byte, for ever: it has one ending, and that does not change;
//   - an answered finish is how it ended;
//   - an answered cancel is seen, unless it was done before;
//   - it is acquired with an attempt that was never acquired before, and not once it
//     is done;
//   - attempt, update time and units done never go back.
//
// The end of an operation that the server's own process runs is nobody's call: the
// first who sees it fixes it. A call of unknown outcome has no end, so it may take
// effect at any time after its begin, or, after everything else, never.
var operationModel = porcupine.Model{
	Init: func() any { return record{} },
	Step: func(state, input, _ any) (bool, any) {
		next, ok := state.(record).after(input.(call))
		return ok, next
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

// after returns the record after c, and whether c may be.
func (r record) after(c call) (record, bool) {
	if c.outcome == notFound {
		return r, !r.stored || r.deleted
	}
	visible := r.stored && !r.deleted
	switch c.verb {
	case vStart:
		legal := !r.deleted || c.outcome == unknown
		r.stored = true
		return r, legal
	case vDelete:
		r.deleted = r.deleted || visible
		return r, visible || c.outcome == unknown
	case vCancel:
		r.cancelled = r.cancelled || visible && !r.done
		return r, visible || c.outcome == unknown
	case vSee:
		if !visible {
			return r, false
		}
		return r.afterSee(c)
	case vAcquire:
		legal := r.stored && !r.done && c.attempt > r.acquired && c.attempt >= r.attempt
		r.acquired, r.attempt = c.attempt, max(r.attempt, c.attempt)
		return r, legal
	case vFinish:
		if r.done {
			return r, c.outcome == unknown || r.result == c.result
		}
		r.done, r.result = true, c.result
		return r, r.stored
	}
	return r, c.verb == vRetry && (!r.done || c.outcome == unknown)
}

func (r record) afterSee(c call) (record, bool) {
	s := c.seen
	if s.attempt < r.attempt || s.updated < r.updated || s.units < r.units {
		return r, false
	}
	switch {
	case r.done && !s.done:
		return r, false
	case r.whole != "":
		return r, r.whole == s.whole
	case r.done && r.result != c.result:
		return r, false
	case !s.done && r.cancelled && !s.cancelling:
		return r, false
	}
	r.attempt, r.updated, r.units = s.attempt, s.updated, s.units
	r.done = s.done
	if s.done {
		r.result, r.whole = c.result, s.whole
	}
	return r, true
}

// history is what all clients did, by operation. It is safe for concurrent use.
type history struct {
	begin time.Time

	mu    sync.Mutex // guards calls
	calls map[string][]porcupine.Operation
}

func newHistory() *history {
	return &history{begin: time.Now(), calls: map[string][]porcupine.Operation{}}
}

// now is the time of the history.
func (h *history) now() int64 { return int64(time.Since(h.begin)) }

// add notes a call that began at begin and has ended now.
func (h *history) add(name string, begin int64, c call) {
	end := h.now()
	if c.outcome == unknown {
		end = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[name] = append(h.calls[name], porcupine.Operation{ClientId: len(h.calls[name]), Input: c, Call: begin, Return: end})
}

// see notes that somebody saw op.
func (h *history) see(begin int64, op *longrunningpb.Operation) {
	h.add(op.GetName(), begin, sightOf(op))
}

func sightOf(op *longrunningpb.Operation) call {
	c := call{verb: vSee, outcome: ok, seen: sight{done: op.GetDone()}}
	md := &longrunpb.OperationMetadata{}
	if err := op.GetMetadata().UnmarshalTo(md); err == nil {
		c.seen.attempt, c.seen.cancelling = md.GetAttempt(), md.GetRequestedCancellation()
		c.seen.updated, c.seen.units = md.GetUpdateTime().AsTime().UnixMicro(), md.GetProgress().GetCompletedUnits()
	}
	if op.GetDone() {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(op)
		c.seen.whole = fmt.Sprintf("%x%v", b, err)
		c.result = resultOf(op)
	}
	return c
}

// resultOf is how an operation ended, as whoever finished it knows it too.
func resultOf(op *longrunningpb.Operation) string {
	if op.GetError() != nil {
		return fmt.Sprintf("error %d", op.GetError().GetCode())
	}
	return fmt.Sprintf("response %x", op.GetResponse().GetValue())
}

// check judges every operation.
func (h *history) check(t *testing.T) (operations, calls int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	bad := 0
	for name, ops := range h.calls {
		calls += len(ops)
		if !slices.ContainsFunc(ops, func(op porcupine.Operation) bool { return op.Input.(call).verb == vStart }) {
			// Somebody saw it in a list, and its starter never had an answer.
			ops = append(ops, porcupine.Operation{ClientId: len(ops), Input: plain(vStart, unknown), Return: math.MaxInt64})
		}
		switch porcupine.CheckOperationsTimeout(operationModel, ops, patience) {
		case porcupine.Ok:
			continue
		case porcupine.Unknown:
			t.Errorf("%s: the checker needs too long for %d calls", name, len(ops))
		default:
			t.Errorf("%s: no order of these calls is legal:", name)
		}
		if bad++; bad > 3 {
			continue
		}
		for _, op := range ops {
			t.Logf("  [%v, %v] %+v", time.Duration(op.Call), time.Duration(op.Return), op.Input)
		}
	}
	return len(h.calls), calls
}
