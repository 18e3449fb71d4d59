package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

var closeContracts = []contract{
	{"close/unavailable", "Later calls are Unavailable", testCloseUnavailable},
	{"close/twice", "A second Close does nothing", testCloseTwice},
	{"close/watch", "Watch returns earlier with another error when it can watch no more", testCloseWatch},
	{"close/under-way", "calls that are under way end as they do, or are Unavailable or unknown", testCloseUnderWay},
	{"context/ended", "A ctx that ends while a write is under way is Unavailable or unknown, never a plain context error", testContextEnded},
}

func unavailable(err error) bool {
	e, ok := errors.AsType[*longrun.Error](err)
	return ok && e.Code == codes.Unavailable
}

func testCloseUnavailable(t *testing.T, x subject) {
	s := x.session()
	op := x.start()
	if err := x.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience/4)
	defer cancel()
	for what, call := range map[string]func() error{
		"Create": func() error { _, err := x.Create(ctx, longrun.NewOperation{Operation: newOp()}); return err },
		"Get":    func() error { _, err := x.Get(ctx, op.ID); return err },
		"List":   func() error { _, err := x.List(ctx, longrun.Query{Parent: "-", Limit: 1}); return err },
		"Update": func() error {
			_, err := x.Update(ctx, longrun.Change{ID: op.ID, Apply: certain((*longrun.Operation).RequestCancel)})
			return err
		},
		"Claim": func() error {
			_, err := x.Claim(ctx, longrun.ClaimRequest{Session: s, Want: []longrun.Want{{Method: work, N: 1}}})
			return err
		},
		"Beat":   func() error { _, err := x.Beat(ctx, longrun.Session{ID: s, TTL: sessionTTL}); return err },
		"Due":    func() error { _, err := x.Due(ctx, longrun.Contact{}, 1); return err },
		"Expire": func() error { _, err := x.Expire(ctx, 1); return err },
		"Steps":  func() error { _, err := x.Steps(ctx, op.ID, "", 1); return err },
		"Watch":  func() error { return x.Watch(ctx, func(longrun.Hint) {}) },
		"Secret": func() error { _, err := x.Secret(ctx, "page-token"); return err },
	} {
		if err := call(); !unavailable(err) || longrun.IsUnknown(err) {
			t.Errorf("%s after Close: %v, want Unavailable", what, err)
		}
	}
}

func testCloseTwice(t *testing.T, x subject) {
	x.start()
	for range 3 {
		if err := x.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func testCloseWatch(t *testing.T, x subject) {
	done := make(chan error, 1)
	go func() { done <- x.Watch(context.WithoutCancel(t.Context()), func(longrun.Hint) {}) }()
	if err := x.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("Watch = nil when the store was closed, want an error")
		}
	case <-time.After(patience):
		t.Fatalf("Watch has not returned %v after Close", patience)
	}
}

func testCloseUnderWay(t *testing.T, x subject) {
	const n = 8
	together(t, n+1, func(i int) error {
		if i == n {
			return x.Close()
		}
		for range 20 {
			_, err := x.Create(t.Context(), longrun.NewOperation{Operation: newOp()})
			if err != nil && !unavailable(err) && !longrun.IsUnknown(err) {
				return err
			}
		}
		return nil
	})
}

func testContextEnded(t *testing.T, x subject) {
	const n = 20
	for i := range n {
		op := newOp()
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
		_, err := x.Create(ctx, longrun.NewOperation{Operation: op})
		cancel()
		if err != nil && !unavailable(err) && !longrun.IsUnknown(err) {
			t.Errorf("Create whose ctx ended: %v, want Unavailable or unknown", err)
		}
		stored := x.find(op.ID)
		if err != nil && !longrun.IsUnknown(err) && stored != nil {
			t.Error("Create said that it did not happen, and it did")
		}
		again := x.create(op)
		if stored != nil {
			x.same("the same Create again", again, stored)
		}
	}
	if got := len(x.list(longrun.Query{Parent: parent, Limit: 2 * n}).Operations); got != n {
		t.Errorf("List gave %d operations, want %d", got, n)
	}
}
