package storetest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longrun-dev/longrun"
)

// brokenStores break one sentence of the contract each; checks are the tests
// that must fail.
var brokenStores = map[string]struct {
	checks []string
	hooks  hooks
}{
	"nothing": {[]string{"create/stored", "keys/fifo", "fields/update", "together/ends", "random/seed=0"}, hooks{}},

	"Create ignores request ids": {
		[]string{"request-id/known", "request-id/first", "together/request-id", "random"},
		onCreate(func(n *longrun.NewOperation) { n.Operation.RequestID = "" }),
	},
	"Create looks for the request id outside the transaction": {
		[]string{"together/request-id"}, hooks{create: createLooksFirst},
	},
	"Create takes a retry for a duplicate": {
		[]string{"create/same-id", "faults/create", "random"}, hooks{create: createRefusesRetry},
	},
	"Create stores a dry run": {
		[]string{"create/dry-run", "random"},
		onCreate(func(n *longrun.NewOperation) { n.DryRun = false }),
	},
	"Create forgets Write": {
		[]string{"create/write", "create/write-error", "faults/create"},
		onCreate(func(n *longrun.NewOperation) { n.Write = nil }),
	},
	"Create runs Write on a retry": {
		[]string{"create/same-id", "request-id/known", "faults/create"}, hooks{create: createWritesFirst},
	},
	"Create keeps what Write has refused": {
		[]string{"create/write-error", "random"}, hooks{create: createSwallowsWriteError},
	},
	"Create queues what is to be rejected": {
		[]string{"keys/reject", "create/dry-run-checks", "random"},
		onCreate(func(n *longrun.NewOperation) { n.Operation.OnConflict = longrun.Queue }),
	},
	"Create ignores the claim": {
		[]string{"create/claimed", "create/session-lost", "random"},
		onCreate(func(n *longrun.NewOperation) { n.Operation.Claim = longrun.Claim{} }),
	},
	"Create ignores conflict keys": {
		[]string{"keys/queue", "preempt/running", "together/keys", "random"}, hooks{create: createWithoutKey},
	},
	"Create returns a plain context error": {
		[]string{"context/ended"}, hooks{create: createPlainContextError},
	},
	"records have local times": {
		[]string{"times/utc-microseconds"},
		edited(func(op *longrun.Operation) { op.CreateTime = op.CreateTime.In(time.FixedZone("west", -3600)) }),
	},
	"records have nanoseconds": {
		[]string{"times/utc-microseconds"},
		edited(func(op *longrun.Operation) { op.CreateTime = op.CreateTime.Add(time.Nanosecond) }),
	},
	"an empty payload is none": {
		[]string{"fields/payloads"}, edited(dropEmpty),
	},
	"the caller is cut": {
		[]string{"fields/create"}, edited(func(op *longrun.Operation) { op.Caller = op.Caller[:min(len(op.Caller), 9)] }),
	},
	"Get leaves out the hidden": {
		[]string{"get/hidden", "create/same-id-hidden", "random"},
		hooks{get: getVisible},
	},
	"List is the oldest first": {
		[]string{"list/order", "list/pages", "random"}, hooks{list: reversed},
	},
	"List always has more": {
		[]string{"list/more", "list/pages", "random"}, hooks{list: listHasMore},
	},
	"List cuts the claims of a session": {
		[]string{"list/session", "random"}, hooks{list: listCutsClaims},
	},
	"List takes what is not done for what Where does not match": {
		[]string{"list/where", "list/where-pages", "list/where-scan"}, hooks{list: listWhereDone},
	},
	"List ends where Where has cut a page": {
		[]string{"list/where-pages"}, hooks{list: listWhereEnds},
	},
	"List narrows a session's claims": {
		[]string{"list/where-ignored"}, hooks{list: listWhereOfSession},
	},
	"List shows the hidden where something is looked for": {
		[]string{"list/where-hidden"}, hooks{list: listWhereHidden},
	},
	"Update swallows the error of Apply": {
		[]string{"update/error", "update/late-run", "random"}, hooks{update: updateSwallowsError},
	},
	"Update writes what has not changed": {
		[]string{"update/same-record", "update/again", "random"}, hooks{update: updateAlwaysWrites},
	},
	"Update applies outside the transaction": {
		[]string{"together/updates"}, hooks{update: updateOutside},
	},
	"Update tells everyone what they wanted": {
		[]string{"together/ends"}, hooks{update: updateAnswersFromBefore},
	},
	"Update forgets to pass on the key": {
		[]string{"keys/fifo", "keys/ends", "random"}, hooks{update: updateKeepsKey},
	},
	"a second step replaces the first": {
		[]string{"steps/once", "together/steps", "random"}, hooks{update: updateHidesExists},
	},
	"Steps starts over": {
		[]string{"steps/order"}, hooks{steps: stepsFromStart},
	},
	"Claim does not raise Attempt": {
		[]string{"claim/by", "claim/again", "random"}, hooks{claim: claimKeepsAttempt},
	},
	"Claim forgets the number of the call": {
		[]string{"call/kept", "call/again", "faults/claim-call", "together/calls", "random"}, hooks{claim: claimForgetsCall},
	},
	"Claim lets a lost session have none": {
		[]string{"claim/session-lost", "random"}, hooks{claim: claimLenient},
	},
	"Beat forgives the dead": {
		[]string{"beat/dead", "beat/ended", "beat/unknown", "random"}, hooks{beat: beatForgives},
	},
	"Beat stops nobody": {
		[]string{"stop/cancelled", "stop/claim-lost", "random"}, hooks{beat: beatStopsNobody},
	},
	"Beat releases what is named": {
		[]string{"beat/released", "call/closed", "random"}, hooks{beat: beatIgnoresHeld},
	},
	"Due judges without contact": {
		[]string{"due/contact", "random"}, hooks{due: dueIgnoresContact},
	},
	"Due judges nobody": {
		[]string{"due/dead", "random"}, hooks{due: dueJudgesNobody},
	},
	"Expire does nothing": {
		[]string{"expire/past", "expire/young", "random"},
		hooks{expire: func(context.Context, longrun.Store, int) (int, error) { return 0, nil }},
	},
	"Watch ends well": {
		[]string{"watch/until-ctx-ends"}, hooks{watch: watchEndsWell},
	},
	"Secret is new every time": {
		[]string{"secret/same", "secret/together"}, hooks{secret: secretAnew},
	},
	"Close leaves it open": {
		[]string{"close/unavailable"}, hooks{close: func() error { return nil }},
	},
}

var meeting = make(chan struct{})

// meet waits for another call that is between its look and its write: what both saw is
// the same. A call that is the last of all waits for nobody.
func meet() {
	select {
	case meeting <- struct{}{}:
	case <-meeting:
	case <-time.After(time.Second):
	}
}

func createLooksFirst(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
	op := *n.Operation
	if op.RequestID == "" {
		return s.Create(ctx, n)
	}
	page, err := s.List(ctx, longrun.Query{Parent: op.Parent, Limit: 10})
	if err != nil || len(page.Operations) > 0 {
		return page.Operations[0], errors.Join(err, longrun.ErrExists)
	}
	meet()
	op.RequestID, n.Operation = "", &op
	return s.Create(ctx, n)
}

func createRefusesRetry(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
	if ops, err := s.Get(ctx, n.Operation.ID); err == nil && ops[0] != nil {
		return ops[0], longrun.ErrExists
	}
	return s.Create(ctx, n)
}

func createWritesFirst(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
	if n.Write != nil {
		if err := n.Write(ctx, 0); err != nil {
			return nil, err
		}
	}
	n.Write = nil
	return s.Create(ctx, n)
}

func createSwallowsWriteError(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
	op, err := s.Create(ctx, n)
	if err == nil || n.Write == nil || op != nil {
		return op, err
	}
	n.Write = nil
	if _, err := s.Create(ctx, n); err != nil {
		return nil, err
	}
	return nil, err
}

func createWithoutKey(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
	op := *n.Operation
	key := op.ConflictKey
	op.ConflictKey, n.Operation = "", &op
	stored, err := s.Create(ctx, n)
	if err != nil || n.DryRun || key == "" {
		return stored, err
	}
	return rewrite(ctx, s, op.ID, func(op *longrun.Operation) { op.ConflictKey = key })
}

func createPlainContextError(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Create(ctx, n)
}

func getVisible(ctx context.Context, s longrun.Store, ids []longrun.ID) ([]*longrun.Operation, error) {
	ops, err := s.Get(ctx, ids...)
	for i, op := range ops {
		if op != nil && op.Hidden {
			ops[i] = nil
		}
	}
	return ops, err
}

func listHasMore(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error) {
	page, err := s.List(ctx, q)
	page.More = true
	return page, err
}

// listWhereDone narrows by more than Where says.
func listWhereDone(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error) {
	page, err := s.List(ctx, q)
	if q.Where != nil && q.Session.IsZero() {
		page.Operations = slices.DeleteFunc(page.Operations, func(op *longrun.Operation) bool { return op.State == longrun.Pending })
	}
	return page, err
}

func listWhereEnds(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error) {
	page, err := s.List(ctx, q)
	page.More = page.More && q.Where == nil
	return page, err
}

func listWhereOfSession(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error) {
	page, err := s.List(ctx, q)
	if q.Where != nil && !q.Session.IsZero() {
		page.Operations = nil
	}
	return page, err
}

func listWhereHidden(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error) {
	if q.Where == nil {
		return s.List(ctx, q)
	}
	all, err := s.List(ctx, longrun.Query{Parent: "-", Limit: 1000})
	if err != nil {
		return longrun.Page{}, err
	}
	// The test's three are the oldest; those that the list lacks are hidden.
	hidden := &longrun.Operation{ID: longrun.NewID(), Parent: parentOf(all), State: longrun.Pending, Hidden: true}
	all.Operations = append(all.Operations, hidden)
	return all, nil
}

func parentOf(p longrun.Page) string {
	if len(p.Operations) == 0 {
		return ""
	}
	return p.Operations[0].Parent
}

func listCutsClaims(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error) {
	page, err := s.List(ctx, q)
	if !q.Session.IsZero() {
		page.Operations = page.Operations[:min(1, len(page.Operations))]
	}
	return page, err
}

func updateSwallowsError(ctx context.Context, s longrun.Store, c longrun.Change) (*longrun.Operation, error) {
	var refused error
	apply := c.Apply
	c.Apply = func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		next, err := apply(op, now)
		refused = err
		return next, err
	}
	op, err := s.Update(ctx, c)
	if refused != nil {
		return op, nil
	}
	return op, err
}

func updateAlwaysWrites(ctx context.Context, s longrun.Store, c longrun.Change) (*longrun.Operation, error) {
	apply := c.Apply
	c.Apply = func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
		next, err := apply(op, now)
		if next == op {
			changed := *op
			changed.Revision++
			return &changed, err
		}
		return next, err
	}
	return s.Update(ctx, c)
}

func updateOutside(ctx context.Context, s longrun.Store, c longrun.Change) (*longrun.Operation, error) {
	ops, err := s.Get(ctx, c.ID)
	if err != nil || ops[0] == nil {
		return s.Update(ctx, c)
	}
	next, err := c.Apply(ops[0], ops[0].UpdateTime)
	if err != nil || next == ops[0] {
		return ops[0], err
	}
	meet()
	return rewrite(ctx, s, c.ID, func(op *longrun.Operation) { *op = *next })
}

// looked counts, by operation, the ends that have looked at it before it was cancelled.
var looked sync.Map

// updateAnswersFromBefore lets an end look first, cancels come then, and that end after
// them: what it is told is not what is on record.
func updateAnswersFromBefore(ctx context.Context, s longrun.Store, c longrun.Change) (*longrun.Operation, error) {
	ops, err := s.Get(ctx, c.ID)
	if err != nil || ops[0] == nil {
		return s.Update(ctx, c)
	}
	before := ops[0]
	counter, _ := looked.LoadOrStore(c.ID, new(atomic.Int64))
	early := counter.(*atomic.Int64)
	changed := func() bool {
		now, err := s.Get(ctx, c.ID)
		return err != nil || now[0].Revision != before.Revision
	}
	switch told, err := c.Apply(before, before.UpdateTime); {
	case err != nil || before.State.Done():
	case !told.State.Done():
		await(func() bool { return early.Load() > 0 })
	case !before.CancelRequested:
		early.Add(1)
		await(changed)
	case early.Load() > 0:
		await(changed)
	}
	op, err := s.Update(ctx, c)
	if err != nil {
		return op, err
	}
	return c.Apply(before, op.UpdateTime)
}

// await waits for what another call does, for some seconds at most.
func await(f func() bool) {
	for end := time.Now().Add(10 * time.Second); !f() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func updateKeepsKey(ctx context.Context, s longrun.Store, c longrun.Change) (*longrun.Operation, error) {
	op, err := s.Update(ctx, c)
	if err != nil || !op.State.Done() || op.ConflictKey == "" {
		return op, err
	}
	page, err := s.List(ctx, longrun.Query{Parent: op.Parent, Limit: 1000})
	for _, other := range page.Operations {
		if other.ConflictKey == op.ConflictKey && other.State == longrun.Pending {
			_, err = rewrite(ctx, s, other.ID, func(op *longrun.Operation) { op.ReadyTime = time.Time{} })
		}
	}
	return op, err
}

func updateHidesExists(ctx context.Context, s longrun.Store, c longrun.Change) (*longrun.Operation, error) {
	op, err := s.Update(ctx, c)
	if errors.Is(err, longrun.ErrExists) {
		c.Step = nil
		return s.Update(ctx, c)
	}
	return op, err
}

func stepsFromStart(ctx context.Context, s longrun.Store, id longrun.ID, _ string, n int) ([]longrun.Step, error) {
	return s.Steps(ctx, id, "", n)
}

func claimKeepsAttempt(ctx context.Context, s longrun.Store, r longrun.ClaimRequest) (longrun.Claimed, error) {
	c, err := s.Claim(ctx, r)
	for i, op := range c.Operations {
		if op.Claim.Attempt > 1 || op.Claim.Call > 0 {
			continue
		}
		if c.Operations[i], err = rewrite(ctx, s, op.ID, func(op *longrun.Operation) { op.Claim.Attempt-- }); err != nil {
			return c, err
		}
	}
	return c, err
}

func claimForgetsCall(ctx context.Context, s longrun.Store, r longrun.ClaimRequest) (longrun.Claimed, error) {
	r.Call = 0
	return s.Claim(ctx, r)
}

func claimLenient(ctx context.Context, s longrun.Store, r longrun.ClaimRequest) (longrun.Claimed, error) {
	c, err := s.Claim(ctx, r)
	if errors.Is(err, longrun.ErrSessionLost) {
		return longrun.Claimed{}, nil
	}
	return c, err
}

func beatForgives(ctx context.Context, s longrun.Store, b longrun.Session) (longrun.Beat, error) {
	beat, err := s.Beat(ctx, b)
	if errors.Is(err, longrun.ErrSessionLost) {
		return longrun.Beat{}, nil
	}
	return beat, err
}

func beatStopsNobody(ctx context.Context, s longrun.Store, b longrun.Session) (longrun.Beat, error) {
	beat, err := s.Beat(ctx, b)
	beat.Stop = nil
	return beat, err
}

func beatIgnoresHeld(ctx context.Context, s longrun.Store, b longrun.Session) (longrun.Beat, error) {
	b.Held = nil
	return s.Beat(ctx, b)
}

func dueIgnoresContact(ctx context.Context, s longrun.Store, c longrun.Contact, n int) ([]longrun.Overdue, error) {
	c.Span, c.Gap = time.Hour, 0
	return s.Due(ctx, c, n)
}

func dueJudgesNobody(ctx context.Context, s longrun.Store, _ longrun.Contact, n int) ([]longrun.Overdue, error) {
	return s.Due(ctx, longrun.Contact{}, n)
}

func watchEndsWell(ctx context.Context, s longrun.Store, f func(longrun.Hint)) error {
	if err := s.Watch(ctx, f); !errors.Is(err, ctx.Err()) {
		return err
	}
	return nil
}

func secretAnew(context.Context, longrun.Store, string) ([]byte, error) {
	secret := bytes.Repeat([]byte{1}, 32)
	rand.Read(secret)
	return secret, nil
}
