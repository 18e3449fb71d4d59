package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/longrun-dev/longrun"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// answer is what a store has answered, in a form that can be compared.
type answer struct {
	Err   string
	Ops   []*longrun.Operation
	Stops []string
	Steps []string
	Lost  []bool
	N     int
	More  bool
	Next  time.Time
	TTL   time.Duration
}

// diff compares got, the store's answer, with a, the model's: "" if they are
// the same.
func (a answer) diff(got answer) string {
	if a.close(got) {
		return ""
	}
	return gocmp.Diff(a, got, exactly, cmpopts.EquateApproxTime(tolerance), cmpopts.EquateEmpty())
}

// close reports whether the answers are surely the same. It is there because
// finding out how two of them differ takes a hundred times as long.
func (a answer) close(got answer) bool {
	if len(a.Ops) != len(got.Ops) || !closeTimes(&a.Next, &got.Next) {
		return false
	}
	for i, op := range a.Ops {
		if !closeRecords(op, got.Ops[i]) {
			return false
		}
	}
	a.Ops, got.Ops = nil, nil
	return reflect.DeepEqual(a, got)
}

func closeRecords(a, b *longrun.Operation) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	for _, at := range [][2]*time.Time{
		{&x.CreateTime, &y.CreateTime}, {&x.StartTime, &y.StartTime}, {&x.ClaimTime, &y.ClaimTime}, {&x.UpdateTime, &y.UpdateTime},
		{&x.EndTime, &y.EndTime}, {&x.ReadyTime, &y.ReadyTime}, {&x.DeadlineTime, &y.DeadlineTime}, {&x.ExpireTime, &y.ExpireTime},
	} {
		if !closeTimes(at[0], at[1]) {
			return false
		}
	}
	for _, m := range [][2]**anypb.Any{{&x.Request, &y.Request}, {&x.Response, &y.Response}, {&x.Metadata, &y.Metadata}} {
		if !proto.Equal(*m[0], *m[1]) {
			return false
		}
		*m[0], *m[1] = nil, nil
	}
	if !proto.Equal(x.Error, y.Error) {
		return false
	}
	x.Error, y.Error = nil, nil
	return reflect.DeepEqual(x, y)
}

// closeTimes compares two times up to the tolerance, and makes them equal if
// they are.
func closeTimes(a, b *time.Time) bool {
	if a.IsZero() != b.IsZero() || a.Sub(*b).Abs() > tolerance {
		return false
	}
	*b = *a
	return true
}

// short is the answer in a few words.
func (a answer) short(s *simulation) string {
	words := []string{a.Err}
	for _, op := range a.Ops {
		if op != nil {
			words = append(words, fmt.Sprintf("%s %v", s.name(op.ID), op.State))
		}
	}
	for _, step := range a.Steps {
		words = append(words, fmt.Sprintf("%q", step))
	}
	for _, stop := range a.Stops {
		_, why, _ := strings.Cut(stop, ": ")
		words = append(words, "stop: "+why)
	}
	return cmp.Or(strings.TrimSpace(strings.Join(words, "  ")), "nothing")
}

// name and sessionName are what operations and sessions are called in a script:
// by the order in which they were made.
func (s *simulation) name(id longrun.ID) string {
	return fmt.Sprintf("#%d", slices.IndexFunc(s.ops, func(op *longrun.Operation) bool { return op.ID == id }))
}

func (s *simulation) sessionName(id longrun.SessionID) string {
	if id.IsZero() {
		return "none"
	}
	return fmt.Sprintf("s%d", slices.Index(s.sessions, id))
}

// one is the answer of a method that returns a record.
func one(op *longrun.Operation, err error) answer {
	a := answer{Err: kind(err)}
	if op != nil {
		a.Ops = append(a.Ops, op)
	}
	return a
}

// sorted orders the operations of an answer whose order is not in the contract.
func (a answer) sorted() answer {
	slices.SortFunc(a.Ops, func(x, y *longrun.Operation) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	return a
}

func stopAnswer(b longrun.Beat, err error) answer {
	a := answer{Err: kind(err), TTL: b.TTL}
	for _, stop := range b.Stop {
		a.Stops = append(a.Stops, fmt.Sprintf("%v attempt %d: %v", stop.Name, stop.Attempt, stop.Why))
	}
	slices.Sort(a.Stops)
	return a
}

func dueAnswer(due []longrun.Overdue, err error) answer {
	slices.SortFunc(due, func(x, y longrun.Overdue) int { return bytes.Compare(x.Operation.ID[:], y.Operation.ID[:]) })
	a := answer{Err: kind(err)}
	for _, d := range due {
		a.Ops, a.Lost = append(a.Ops, d.Operation), append(a.Lost, d.SessionLost)
	}
	return a
}

func stepsAnswer(steps []longrun.Step, err error) answer {
	a := answer{Err: kind(err)}
	for _, s := range steps {
		a.Steps = append(a.Steps, s.Key+"="+string(s.Result))
	}
	return a
}

// everything compares all that both stores hold, up to the first difference.
func (s *simulation) everything() string {
	var all []longrun.ID
	for _, op := range s.ops {
		all = append(all, op.ID)
	}
	diff := s.both("get all", func(st longrun.Store) answer {
		ops, err := st.Get(s.ctx, all...)
		return answer{Err: kind(err), Ops: ops}
	})
	for _, p := range []string{"-", "projects/-", "projects/p", "projects/q", ""} {
		diff = cmp.Or(diff, s.both("list "+p, func(st longrun.Store) answer { return s.wholeList(st, p) }))
	}
	for _, id := range s.sessions {
		diff = cmp.Or(diff, s.both("claims of "+s.sessionName(id), func(st longrun.Store) answer {
			page, err := st.List(s.ctx, longrun.Query{Session: id})
			return answer{Err: kind(err), Ops: page.Operations}.sorted()
		}))
	}
	for _, op := range s.ops {
		diff = cmp.Or(diff, s.both("steps of "+s.name(op.ID), func(st longrun.Store) answer {
			return stepsAnswer(st.Steps(s.ctx, op.ID, "", 100))
		}))
	}
	return diff
}

// wholeList lists page by page.
func (s *simulation) wholeList(st longrun.Store, p string) answer {
	var a answer
	q := longrun.Query{Parent: p, Limit: 7}
	for more := true; more && a.N < 1000; a.N++ {
		page, err := st.List(s.ctx, q)
		a.Ops, a.Err = append(a.Ops, page.Operations...), a.Err+kind(err)
		q.After, more = page.Next, page.More
	}
	return a
}
