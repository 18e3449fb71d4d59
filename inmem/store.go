package inmem

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

// Options configures a Store. The zero Options is ready for use.
type Options struct {
	// Now is the store's clock. It may stand still; where it goes back, the
	// store's time stands still. It is called with the store locked. Zero means
	// time.Now.
	Now func() time.Time
}

// Store keeps operations in memory. It is safe for concurrent use. Make one
// with New or NewWithOptions; the zero Store is not ready for use.
type Store struct {
	clock  func() time.Time
	closed chan struct{} // closed by Close

	mu         sync.Mutex // guards everything below
	last       time.Time  // the latest time given out
	lastCreate time.Time  // the latest CreateTime
	ops        map[longrun.ID]*longrun.Operation
	order      []longrun.ID // of ops, oldest first by (CreateTime, ID)
	unfinished []longrun.ID // those of order that are not done
	index      index
	requests   map[request]longrun.ID
	holders    map[string]longrun.ID // who holds a conflict key
	steps      map[longrun.ID]map[string]longrun.Step
	sessions   map[longrun.SessionID]*session
	secrets    map[string][]byte
	watchers   map[*watcher]bool
}

var _ longrun.Store = (*Store)(nil)

// request is what a request id is unique for.
type request struct{ parent, method, id string }

// New returns an empty store whose clock is time.Now. It starts nothing.
func New() *Store { return NewWithOptions(Options{}) }

// NewWithOptions returns an empty store. It starts nothing.
func NewWithOptions(opts Options) *Store {
	s := &Store{
		clock:    opts.Now,
		closed:   make(chan struct{}),
		ops:      map[longrun.ID]*longrun.Operation{},
		index:    newIndex(),
		requests: map[request]longrun.ID{},
		holders:  map[string]longrun.ID{},
		steps:    map[longrun.ID]map[string]longrun.Step{},
		sessions: map[longrun.SessionID]*session{},
		secrets:  map[string][]byte{},
		watchers: map[*watcher]bool{},
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	return s
}

// lock locks the store for one call, which must unlock it unless lock returns
// an error: the store is closed or ctx has ended, and nothing has happened.
func (s *Store) lock(ctx context.Context, verb string) error {
	if err := ctx.Err(); err != nil {
		return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Verb: verb, Msg: "the caller has gone", Err: err}
	}
	s.mu.Lock()
	if s.isClosed() {
		s.mu.Unlock()
		return closedError(verb)
	}
	return nil
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func closedError(verb string) error {
	return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Verb: verb, Msg: "the store is closed"}
}

// nowLocked returns the store's time, which does not go back.
func (s *Store) nowLocked() time.Time {
	now := s.clock().UTC().Truncate(time.Microsecond)
	if now.Before(s.last) {
		now = s.last
	}
	s.last = now
	return now
}

// createTimeLocked returns a time later than every CreateTime so far, so that
// lists show the order in which operations were started (ORD-02).
func (s *Store) createTimeLocked() time.Time {
	now := s.nowLocked()
	if !now.After(s.lastCreate) {
		now = s.lastCreate.Add(time.Microsecond)
	}
	return now
}

// putLocked keeps op in place of what was there. Whatever must happen in the
// same commit happens here: an ended operation loses its steps and its key.
func (s *Store) putLocked(op *longrun.Operation, now time.Time) {
	old := s.ops[op.ID]
	s.ops[op.ID] = op
	s.index.replace(old, op)
	if old == nil {
		s.order = append(s.order, op.ID)
		s.unfinished = append(s.unfinished, op.ID)
		s.lastCreate = op.CreateTime
		s.last = latest(s.last, op.CreateTime)
	} else if old.RequestID != "" {
		delete(s.requests, requestOf(old))
	}
	if op.RequestID != "" {
		s.requests[requestOf(op)] = op.ID
	}
	s.hintLocked(op)
	if op.State.Done() && (old == nil || !old.State.Done()) {
		s.unfinished = without(s.unfinished, op.ID)
		delete(s.steps, op.ID)
		s.passKeyLocked(op, now)
	}
}

// passKeyLocked gives the conflict key of op, which has ended, to the oldest
// operation that waits for it.
func (s *Store) passKeyLocked(op *longrun.Operation, now time.Time) {
	key := op.ConflictKey
	if s.holders[key] != op.ID {
		return
	}
	delete(s.holders, key)
	for _, next := range s.unfinishedLocked() {
		if next.ConflictKey == key {
			s.holders[key] = next.ID
			s.putLocked(next.MakeReady(now), now)
			return
		}
	}
}

// removeLocked forgets op, which is done.
func (s *Store) removeLocked(op *longrun.Operation) {
	delete(s.ops, op.ID)
	delete(s.requests, requestOf(op))
	s.order = without(s.order, op.ID)
	s.hintLocked(op)
}

// unfinishedLocked returns all operations that are not done, oldest first.
func (s *Store) unfinishedLocked() []*longrun.Operation {
	ops := make([]*longrun.Operation, len(s.unfinished))
	for i, id := range s.unfinished {
		ops[i] = s.ops[id]
	}
	return ops
}

// Secret returns the 32 random bytes called name, made by the first caller. See
// [longrun.Store].
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	if err := s.lock(ctx, "secret"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if s.secrets[name] == nil {
		secret := make([]byte, 32)
		rand.Read(secret) // never fails
		s.secrets[name] = secret
	}
	return slices.Clone(s.secrets[name]), nil
}

// Close ends every Watch and makes all later calls fail with Unavailable. A
// second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isClosed() {
		close(s.closed)
	}
	return nil
}

// copyOf returns a record that its receiver may change.
func copyOf(op *longrun.Operation) *longrun.Operation {
	c := *op
	return &c
}

func requestOf(op *longrun.Operation) request {
	return request{parent: op.Parent, method: op.Method, id: op.RequestID}
}

func without(ids []longrun.ID, id longrun.ID) []longrun.ID {
	return cut(ids, slices.Index(ids, id))
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
