package storetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/storetest"
	"google.golang.org/protobuf/types/known/anypb"
)

// breakEnv says, in the subprocess, which of brokenStores to run the suite on.
const breakEnv = "LONGRUN_STORETEST_BREAK"

// TestRun_CatchesBrokenStores runs parts of the suite, in a process of its own
// because they are to fail, on stores that break one sentence of the contract
// each, and looks whether the test fails that guards the sentence.
func TestRun_CatchesBrokenStores(t *testing.T) {
	if name := os.Getenv(breakEnv); name != "" {
		storetest.Run(t, openBroken(brokenStores[name].hooks))
		return
	}
	t.Parallel()
	for name, b := range brokenStores {
		for _, check := range b.checks {
			t.Run(strings.ReplaceAll(name, " ", "-")+"/"+check, func(t *testing.T) {
				t.Parallel()
				runBroken(t, name, check)
			})
		}
	}
}

func runBroken(t *testing.T, name, check string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	pattern := "^TestRun_CatchesBrokenStores$/^" + strings.ReplaceAll(check, "/", "$/^") + "$"
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run="+pattern, "-test.timeout=9m")
	cmd.Env = append(os.Environ(), breakEnv+"="+name)
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if name == "nothing" {
		if err != nil || strings.Contains(string(out), "no tests to run") {
			t.Errorf("a store that breaks nothing: %v\n%s", err, out)
		}
		return
	}
	if !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "--- FAIL: TestRun_CatchesBrokenStores/"+check) {
		t.Errorf("%s was not caught by %s: %v\n%s", name, check, err, out)
	}
}

func openBroken(h hooks) func(t *testing.T) (longrun.Store, func(time.Duration)) {
	return func(t *testing.T) (longrun.Store, func(time.Duration)) {
		clock := storetest.NewClock()
		s := inmem.NewWithOptions(inmem.Options{Now: clock.Now})
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		return &broken{Store: s, hooks: h}, clock.Advance
	}
}

// broken is a store that does something else where it has a hook.
type broken struct {
	longrun.Store
	hooks
}

// hooks stand in for the methods of a store, which they get.
type hooks struct {
	create func(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error)
	get    func(ctx context.Context, s longrun.Store, ids []longrun.ID) ([]*longrun.Operation, error)
	list   func(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error)
	update func(ctx context.Context, s longrun.Store, c longrun.Change) (*longrun.Operation, error)
	claim  func(ctx context.Context, s longrun.Store, r longrun.ClaimRequest) (longrun.Claimed, error)
	beat   func(ctx context.Context, s longrun.Store, b longrun.Session) (longrun.Beat, error)
	due    func(ctx context.Context, s longrun.Store, c longrun.Contact, n int) ([]longrun.Overdue, error)
	expire func(ctx context.Context, s longrun.Store, n int) (int, error)
	steps  func(ctx context.Context, s longrun.Store, id longrun.ID, after string, n int) ([]longrun.Step, error)
	watch  func(ctx context.Context, s longrun.Store, f func(longrun.Hint)) error
	secret func(ctx context.Context, s longrun.Store, name string) ([]byte, error)
	close  func() error
}

func (b *broken) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	if b.create != nil {
		return b.create(ctx, b.Store, n)
	}
	return b.Store.Create(ctx, n)
}

func (b *broken) Get(ctx context.Context, ids ...longrun.ID) ([]*longrun.Operation, error) {
	if b.get != nil {
		return b.get(ctx, b.Store, ids)
	}
	return b.Store.Get(ctx, ids...)
}

func (b *broken) List(ctx context.Context, q longrun.Query) (longrun.Page, error) {
	if b.list != nil {
		return b.list(ctx, b.Store, q)
	}
	return b.Store.List(ctx, q)
}

func (b *broken) Update(ctx context.Context, c longrun.Change) (*longrun.Operation, error) {
	if b.update != nil {
		return b.update(ctx, b.Store, c)
	}
	return b.Store.Update(ctx, c)
}

func (b *broken) Claim(ctx context.Context, r longrun.ClaimRequest) (longrun.Claimed, error) {
	if b.claim != nil {
		return b.claim(ctx, b.Store, r)
	}
	return b.Store.Claim(ctx, r)
}

func (b *broken) Beat(ctx context.Context, s longrun.Session) (longrun.Beat, error) {
	if b.beat != nil {
		return b.beat(ctx, b.Store, s)
	}
	return b.Store.Beat(ctx, s)
}

func (b *broken) Due(ctx context.Context, c longrun.Contact, n int) ([]longrun.Overdue, error) {
	if b.due != nil {
		return b.due(ctx, b.Store, c, n)
	}
	return b.Store.Due(ctx, c, n)
}

func (b *broken) Expire(ctx context.Context, n int) (int, error) {
	if b.expire != nil {
		return b.expire(ctx, b.Store, n)
	}
	return b.Store.Expire(ctx, n)
}

func (b *broken) Steps(ctx context.Context, id longrun.ID, after string, n int) ([]longrun.Step, error) {
	if b.steps != nil {
		return b.steps(ctx, b.Store, id, after, n)
	}
	return b.Store.Steps(ctx, id, after, n)
}

func (b *broken) Watch(ctx context.Context, f func(longrun.Hint)) error {
	if b.watch != nil {
		return b.watch(ctx, b.Store, f)
	}
	return b.Store.Watch(ctx, f)
}

func (b *broken) Secret(ctx context.Context, name string) ([]byte, error) {
	if b.secret != nil {
		return b.secret(ctx, b.Store, name)
	}
	return b.Store.Secret(ctx, name)
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.Store.Close()
}

// edited hands out records changed by edit, with the right ones in the store.
func edited(edit func(op *longrun.Operation)) hooks {
	return hooks{
		create: func(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
			op, err := s.Create(ctx, n)
			if op != nil {
				edit(op)
			}
			return op, err
		},
		get: func(ctx context.Context, s longrun.Store, ids []longrun.ID) ([]*longrun.Operation, error) {
			ops, err := s.Get(ctx, ids...)
			for _, op := range ops {
				if op != nil {
					edit(op)
				}
			}
			return ops, err
		},
	}
}

// rewrite changes a stored record behind the store's back.
func rewrite(ctx context.Context, s longrun.Store, id longrun.ID, edit func(op *longrun.Operation)) (*longrun.Operation, error) {
	return s.Update(ctx, longrun.Change{ID: id, Apply: func(op *longrun.Operation, _ time.Time) (*longrun.Operation, error) {
		next := *op
		edit(&next)
		return &next, nil
	}})
}

// onCreate changes what Create is asked.
func onCreate(edit func(n *longrun.NewOperation)) hooks {
	return hooks{create: func(ctx context.Context, s longrun.Store, n longrun.NewOperation) (*longrun.Operation, error) {
		op := *n.Operation
		n.Operation = &op
		edit(&n)
		return s.Create(ctx, n)
	}}
}

// dropEmpty takes an empty payload for none.
func dropEmpty(op *longrun.Operation) {
	for _, p := range []**anypb.Any{&op.Request, &op.Metadata} {
		if *p != nil && (*p).TypeUrl == "" && len((*p).Value) == 0 {
			*p = nil
		}
	}
}

// reversed lists the oldest first.
func reversed(ctx context.Context, s longrun.Store, q longrun.Query) (longrun.Page, error) {
	page, err := s.List(ctx, q)
	slices.Reverse(page.Operations)
	return page, err
}
