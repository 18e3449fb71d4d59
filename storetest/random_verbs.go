package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/longrun-dev/longrun"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

// weights says how often each command is drawn.
var weights = []struct {
	verb   string
	weight int
}{
	{"create", 12}, {"repeat", 2}, {"open", 4}, {"claim", 12}, {"reclaim", 3}, {"end", 7}, {"late", 2},
	{"cancel", 3}, {"hide", 3}, {"report", 2}, {"step", 8}, {"beat", 7}, {"leave", 1},
	{"due", 4}, {"expire", 2}, {"wait", 4}, {"list", 2}, {"get", 1},
}

// waits are whole tens of seconds.
var waits = []time.Duration{0, 10 * time.Second, 40 * time.Second, 40 * time.Second, 2 * time.Minute, 3 * time.Hour, 25 * time.Hour}

// verb carries out one command on both stores and returns how they differ.
func (s *simulation) verb(c command) string {
	if len(s.sessions) == 0 {
		s.open()
	}
	if c.verb == "create" || len(s.ops) == 0 {
		return s.create(c)
	}
	op := s.ops[c.a%len(s.ops)]
	if c.b%2 == 0 && (c.verb == "cancel" || c.verb == "hide") {
		op = s.pickRunning(c.a)
	}
	switch c.verb {
	case "repeat":
		return s.start("create again", longrun.NewOperation{Operation: op})
	case "open":
		return s.open()
	case "claim", "reclaim":
		return s.claim(c)
	case "end", "late":
		return s.end(c)
	case "cancel":
		return s.change("cancel", op, certain((*longrun.Operation).RequestCancel))
	case "hide":
		return s.change("hide", op, certain((*longrun.Operation).Hide))
	case "report", "step":
		return s.report(c)
	case "beat", "leave":
		return s.beat(c)
	case "due":
		return s.due(c)
	case "expire":
		return s.both("expire", func(st longrun.Store) answer {
			n, err := st.Expire(s.ctx, 1000)
			return answer{N: n, Err: kind(err)}
		})
	case "wait":
		d := waits[c.a%len(waits)]
		s.tick(d)
		s.log = append(s.log, fmt.Sprint("wait ", d))
		return ""
	case "list":
		return s.list(c)
	default:
		return s.both("get", func(st longrun.Store) answer {
			ops, err := st.Get(s.ctx, op.ID, longrun.ID{1}, s.ops[c.b%len(s.ops)].ID)
			return answer{Err: kind(err), Ops: ops}
		})
	}
}

// sessionTTLs end, as all times at which something is decided, five seconds off
// the times at which it is looked at.
var sessionTTLs = []time.Duration{35 * time.Second, 125 * time.Second, 125 * time.Second, 4*time.Hour + 5*time.Second}

func (s *simulation) open() string {
	id := longrun.NewSessionID()
	s.sessions = append(s.sessions, id)
	remote := len(s.sessions)%2 == 0
	ttl := sessionTTLs[len(s.sessions)%4]
	return s.both(fmt.Sprintf("open %s for %v", s.sessionName(id), ttl), func(st longrun.Store) answer {
		return stopAnswer(st.Beat(s.ctx, longrun.Session{ID: id, Open: true, Remote: remote, TTL: ttl}))
	})
}

// create starts an operation. Its parent, method, request id, key, policy and
// claim come from small sets, so that they meet.
func (s *simulation) create(c command) string {
	op := newOp()
	op.Parent = []string{"projects/p", "projects/q", ""}[c.a%3]
	op.Method = []string{work, work, other}[c.a/3%3]
	op.RequestID = []string{"", "", requestA, requestB}[c.b%4]
	op.ConflictKey = []string{"", "", "k1", "k2", "k2"}[c.b/4%5]
	op.OnConflict = []longrun.ConflictPolicy{longrun.Queue, longrun.Queue, longrun.Reject, longrun.Preempt}[c.c%4]
	op.AtMostOnce = c.c%7 == 0
	op.MaxFailures = 1 + c.c%3
	op.ExecutionTimeout = []time.Duration{0, 0, 45 * time.Second, 155 * time.Second}[c.c/4%4]
	op.Retention = []time.Duration{15 * time.Second, time.Hour + 5*time.Second, 26*time.Hour + 5*time.Second}[c.d%3]
	op.Labels = map[string]string{"n": fmt.Sprint(len(s.ops))}
	if op.ConflictKey == "" && c.d%4 == 0 {
		op.Claim.Session = s.session(c.a)
		op.Claim.Call = s.nextCall(op.Claim.Session)
	}
	n := longrun.NewOperation{Operation: op, DryRun: c.d%11 == 0}
	if c.d%9 == 0 {
		n.Write = func(context.Context, any) error { return errors.New("the author's") }
	}
	s.ops = append(s.ops, op)
	return s.start("create", n)
}

func (s *simulation) start(what string, n longrun.NewOperation) string {
	op := n.Operation
	what = fmt.Sprintf("%s %s: parent %q, method %s, request id %.4q, key %q %v, session %s call %d, dry run %v, write %v",
		what, s.name(op.ID), op.Parent, op.Method, op.RequestID, op.ConflictKey, op.OnConflict, s.sessionName(op.Claim.Session), op.Claim.Call, n.DryRun, n.Write != nil)
	return s.both(what, func(st longrun.Store) answer { return one(st.Create(s.ctx, n)) })
}

// session returns one of the youngest sessions, which may be alive, or any.
func (s *simulation) session(i int) longrun.SessionID {
	n := len(s.sessions)
	if i%8 > 0 {
		return s.sessions[n-1-i%min(n, 3)]
	}
	return s.sessions[i/8%n]
}

// nextCall returns the number of a new call of a session, 0 in process.
func (s *simulation) nextCall(id longrun.SessionID) int64 {
	if slices.Index(s.sessions, id)%2 == 0 {
		return 0
	}
	s.calls[id]++
	return s.calls[id]
}

// claim asks for more than there can be where N would have to choose between
// operations that became ready in one commit. A call is repeated only while
// something is claimed under it.
func (s *simulation) claim(c command) string {
	id := s.session(c.a)
	r := longrun.ClaimRequest{Session: id, Want: []longrun.Want{{Method: work, N: 1 + c.b%3}, {Method: other, N: c.c % 2}}}
	if s.ties() {
		r.Want = []longrun.Want{{Method: work, N: 1000}}
	}
	if c.verb == "reclaim" && s.calls[id] > 0 {
		r.Call = s.calls[id]
		if running := s.running(id); !slices.ContainsFunc(running, func(op *longrun.Operation) bool { return op.Claim.Call == r.Call }) {
			return ""
		}
	} else {
		r.Call = s.nextCall(id)
	}
	what := fmt.Sprintf("claim for %s, call %d, %v", s.sessionName(id), r.Call, r.Want)
	return s.both(what, func(st longrun.Store) answer {
		claimed, err := st.Claim(s.ctx, r)
		a := answer{Err: kind(err), Ops: claimed.Operations}.sorted()
		if claimed.Next.After(s.now) { // it may be in the past, too
			a.Next = claimed.Next
		}
		return a
	})
}

// all returns the model's operations that are not removed.
func (s *simulation) all() []*longrun.Operation {
	var all []longrun.ID
	for _, op := range s.ops {
		all = append(all, op.ID)
	}
	ops, _ := s.model.Get(s.ctx, all...)
	return slices.DeleteFunc(ops, func(op *longrun.Operation) bool { return op == nil })
}

func (s *simulation) ties() bool {
	seen := map[time.Time]bool{}
	for _, op := range s.all() {
		if op.State == longrun.Pending && !op.ReadyTime.IsZero() {
			if seen[op.ReadyTime] {
				return true
			}
			seen[op.ReadyTime] = true
		}
	}
	return false
}

func (s *simulation) running(id longrun.SessionID) []*longrun.Operation {
	page, _ := s.model.List(s.ctx, longrun.Query{Session: id})
	return page.Operations
}

func (s *simulation) change(what string, op *longrun.Operation, apply func(*longrun.Operation, time.Time) (*longrun.Operation, error)) string {
	return s.both(what+" "+s.name(op.ID), func(st longrun.Store) answer {
		return one(st.Update(s.ctx, longrun.Change{ID: op.ID, Apply: apply}))
	})
}

// end ends the run of an operation that runs, or of an earlier attempt.
func (s *simulation) end(c command) string {
	e := longrun.RunEnd{
		Kind:  []longrun.RunEndKind{longrun.RunReturned, longrun.RunReturned, longrun.RunReturned, longrun.RunRetryable, longrun.RunDelayed, longrun.RunReleased, longrun.RunLost}[c.b%7],
		Begun: c.c%2 == 0,
		Delay: []time.Duration{0, 15 * time.Second, 65 * time.Second}[c.c%3],
	}
	switch {
	case e.Kind == longrun.RunReturned && c.c%3 > 0:
		e.Response = &anypb.Any{TypeUrl: "t", Value: []byte{byte(c.d)}}
	case e.Kind <= longrun.RunDelayed:
		code := []codes.Code{codes.Canceled, codes.DataLoss, codes.Unavailable}[c.d%3]
		e.Error = &statuspb.Status{Code: int32(code), Message: "failed"}
	}
	if c.d%5 == 0 {
		e.Metadata = &anypb.Any{TypeUrl: "m", Value: []byte{byte(c.d)}}
	}
	op := s.pickRunning(c.a)
	e.Claim = op.Claim
	if c.verb == "late" && e.Claim.Attempt > 1 {
		e.Claim.Attempt--
	}
	return s.change(fmt.Sprintf("end run %d (kind %d, delay %v) of", e.Claim.Attempt, e.Kind, e.Delay), op, endRun(e))
}

// pickRunning returns an operation that runs, if there is one.
func (s *simulation) pickRunning(i int) *longrun.Operation {
	all := s.all()
	running := slices.DeleteFunc(slices.Clone(all), func(op *longrun.Operation) bool { return op.State != longrun.Running })
	switch {
	case len(running) > 0:
		return running[i%len(running)]
	case len(all) > 0:
		return all[i%len(all)]
	}
	return s.ops[i%len(s.ops)]
}

// report writes metadata or a step of a run.
func (s *simulation) report(c command) string {
	op := s.pickRunning(c.a)
	claim := op.Claim
	if c.d%6 == 0 {
		claim.Attempt++
	}
	change := longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		return op.Report(claim, &anypb.Any{TypeUrl: "m", Value: []byte{byte(c.b)}}, now)
	}}
	if c.verb == "step" {
		change.Step = &longrun.Step{Key: []string{"a", "a", "B", "\u00e4"}[c.b%4], Result: []byte{byte(c.c)}}
		change.Apply = func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
			return op.CountStep(claim, now)
		}
	}
	what := fmt.Sprintf("%s of run %d of %s", c.verb, claim.Attempt, s.name(op.ID))
	if diff := s.both(what, func(st longrun.Store) answer { return one(st.Update(s.ctx, change)) }); diff != "" {
		return diff
	}
	return s.both("steps of "+s.name(op.ID), func(st longrun.Store) answer { return stepsAnswer(st.Steps(s.ctx, op.ID, "", 10)) })
}

// beat renews a session, or ends it. A remote one closes calls and names some of
// what it holds, and something that it does not.
func (s *simulation) beat(c command) string {
	b := longrun.Session{ID: s.session(c.a), TTL: sessionTTLs[c.b%4]}
	if c.verb == "leave" {
		b.TTL = 0
	}
	for i, op := range s.running(b.ID) {
		if (c.b>>(i%6))&1 == 0 {
			b.Held = append(b.Held, held(op))
		}
	}
	if c.d%4 == 0 {
		b.Held = append(b.Held, longrun.Held{Name: s.ops[c.d%len(s.ops)].Name(), Attempt: 1})
	}
	if s.calls[b.ID] > 0 {
		b.Remote, b.Closed = true, int64(c.c)%(s.calls[b.ID]+1)
	}
	what := fmt.Sprintf("beat of %s: TTL %v, closed %d, holding", s.sessionName(b.ID), b.TTL, b.Closed)
	for _, h := range b.Held {
		what += fmt.Sprintf(" %s/%d", s.name(h.Name.ID), h.Attempt)
	}
	return s.both(what, func(st longrun.Store) answer {
		beat, err := st.Beat(s.ctx, b)
		if b.TTL == 0 {
			beat.Stop = nil // nobody is left to hear it
		}
		return stopAnswer(beat, err)
	})
}

// due sweeps: it judges sessions and decides what became of their runs.
func (s *simulation) due(c command) string {
	contact := longrun.Contact{AsOf: s.now, Span: []time.Duration{10 * time.Hour, time.Hour, 30 * time.Second, 0}[c.a%4], Gap: []time.Duration{0, 0, 20 * time.Second}[c.b%3]}
	var overdue []longrun.Overdue
	diff := s.both(fmt.Sprintf("due by contact for %v, gap %v", contact.Span, contact.Gap), func(st longrun.Store) answer {
		due, err := st.Due(s.ctx, contact, 1000)
		overdue = due
		return dueAnswer(due, err)
	})
	for _, o := range overdue {
		if diff != "" || c.c%3 == 0 {
			break
		}
		if o.SessionLost {
			diff = s.change("lost run of", o.Operation, endRun(longrun.RunEnd{Claim: o.Operation.Claim, Kind: longrun.RunLost}))
		} else {
			diff = s.change("deadline of", o.Operation, certain((*longrun.Operation).PassDeadline))
		}
	}
	return diff
}

func (s *simulation) list(c command) string {
	p := []string{"-", "projects/-", "projects/p", "projects/q", "", "projects/none"}[c.a%6]
	q := longrun.Query{Parent: p, Limit: 1 + c.b%9}
	if diff := s.both(fmt.Sprintf("list %q, limit %d", q.Parent, q.Limit), func(st longrun.Store) answer {
		page, err := st.List(s.ctx, q)
		return answer{Err: kind(err), Ops: page.Operations, More: page.More}
	}); diff != "" {
		return diff
	}
	q.Method, q.RequestID = work, []string{requestA, requestB}[c.c%2]
	return s.both(fmt.Sprintf("list %q by request id %.4q", q.Parent, q.RequestID), func(st longrun.Store) answer {
		page, err := st.List(s.ctx, q)
		return answer{Err: kind(err), Ops: page.Operations}
	})
}
