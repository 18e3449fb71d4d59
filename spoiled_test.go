package longrun_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/longrun-dev/longrun"
)

// errUnknown is the error of a write whose outcome is unknown.
var errUnknown = fmt.Errorf("connection reset: %w", longrun.ErrUnknown)

// spoiled is a Store whose calls a test can watch, hold up, refuse before they
// have happened, and lose the answer of after they have.
type spoiled struct {
	longrun.Store

	mu     sync.Mutex // guards what follows
	calls  map[string]int
	before map[string]func() error
	after  map[string]func() error
	deaf   bool
}

// onCall has f called before each call of a method; an error of it is the
// answer, and nothing happens. Nil ends that.
func (s *spoiled) onCall(method string, f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before == nil {
		s.before = map[string]func() error{}
	}
	s.before[method] = f
}

// onAnswer has f called after each call of a method has succeeded; an error of
// it takes the place of the answer.
func (s *spoiled) onAnswer(method string, f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.after == nil {
		s.after = map[string]func() error{}
	}
	s.after[method] = f
}

// silence makes all hints get lost.
func (s *spoiled) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = true
}

// count returns how often a method was called.
func (s *spoiled) count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// times returns a function that returns err n times, and then nil.
func times(n int, err error) func() error {
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		if n == 0 {
			return nil
		}
		n--
		return err
	}
}

// through makes a call with all that was asked for around it.
func through[T any](s *spoiled, method string, call func() (T, error)) (T, error) {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[method]++
	before, after := s.before[method], s.after[method]
	s.mu.Unlock()
	var zero T
	if before != nil {
		if err := before(); err != nil {
			return zero, err
		}
	}
	v, err := call()
	if err == nil && after != nil {
		if err := after(); err != nil {
			return zero, err
		}
	}
	return v, err
}

func (s *spoiled) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	return through(s, "Create", func() (*longrun.Operation, error) { return s.Store.Create(ctx, n) })
}

func (s *spoiled) Get(ctx context.Context, ids ...longrun.ID) ([]*longrun.Operation, error) {
	return through(s, "Get", func() ([]*longrun.Operation, error) { return s.Store.Get(ctx, ids...) })
}

func (s *spoiled) List(ctx context.Context, q longrun.Query) (longrun.Page, error) {
	return through(s, "List", func() (longrun.Page, error) { return s.Store.List(ctx, q) })
}

func (s *spoiled) Update(ctx context.Context, c longrun.Change) (*longrun.Operation, error) {
	return through(s, "Update", func() (*longrun.Operation, error) { return s.Store.Update(ctx, c) })
}

func (s *spoiled) Claim(ctx context.Context, r longrun.ClaimRequest) (longrun.Claimed, error) {
	return through(s, "Claim", func() (longrun.Claimed, error) { return s.Store.Claim(ctx, r) })
}

func (s *spoiled) Beat(ctx context.Context, b longrun.Session) (longrun.Beat, error) {
	return through(s, "Beat", func() (longrun.Beat, error) { return s.Store.Beat(ctx, b) })
}

func (s *spoiled) Steps(ctx context.Context, id longrun.ID, after string, n int) ([]longrun.Step, error) {
	return through(s, "Steps", func() ([]longrun.Step, error) { return s.Store.Steps(ctx, id, after, n) })
}

func (s *spoiled) Due(ctx context.Context, c longrun.Contact, n int) ([]longrun.Overdue, error) {
	return through(s, "Due", func() ([]longrun.Overdue, error) { return s.Store.Due(ctx, c, n) })
}

func (s *spoiled) Watch(ctx context.Context, f func(longrun.Hint)) error {
	_, err := through(s, "Watch", func() (struct{}, error) {
		return struct{}{}, s.Store.Watch(ctx, func(h longrun.Hint) {
			s.mu.Lock()
			deaf := s.deaf
			s.mu.Unlock()
			if !deaf {
				f(h)
			}
		})
	})
	return err
}
