package sqlite

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

// POL-04: a flood of new operations fills three quarters of the queue and is refused
// beyond. Reads and beats are answered as ever, and what ends or releases the work that
// there is finds room: it is done when the disk is there again.
func TestOverload_WhatIsThereGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{QueueBytes: 64 << 10})
		process, remote := openSession(t, s, "process"), openSession(t, s, "remote")
		op := create(t, s, claimed(process))
		release := holdWriter(t, s, nil)

		const flood = 100
		answers := make(chan error, flood)
		for range flood {
			n := newOp()
			n.Request = &anypb.Any{TypeUrl: "x", Value: make([]byte, 1<<10)}
			go func() {
				_, err := s.Create(t.Context(), longrun.NewOperation{Operation: n})
				answers <- err
			}()
		}
		synctest.Wait()
		refused := len(answers)
		if refused == 0 || refused == flood {
			t.Fatalf("%d of %d Creates were refused, want some", refused, flood)
		}
		for range refused {
			err := <-answers
			wantCode(t, "Create past the bound", err, codes.Unavailable)
			if e, ok := err.(*longrun.Error); !ok || e.Reason != longrun.ReasonOverloaded || e.Delay <= 0 || longrun.IsUnknown(err) {
				t.Errorf("Create past the bound: %+v, want OVERLOADED, a delay, and that it did not happen", err)
			}
		}
		begin := time.Now()
		if got := get(t, s, op.ID); got.State != longrun.Running {
			t.Errorf("Get = %v, want RUNNING", got.State)
		}
		for _, id := range []longrun.SessionID{process, remote} {
			if _, err := s.Beat(t.Context(), longrun.Session{ID: id, TTL: time.Minute}); err != nil {
				t.Errorf("beat: %v", err)
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("a read and two beats took %v, want that they wait for nothing", took)
		}
		ended := make(chan error, 2)
		go func() {
			_, err := s.Update(t.Context(), longrun.Change{ID: op.ID, Apply: func(op *longrun.Operation, now time.Time) (*longrun.Operation, error) {
				return op.EndRun(longrun.RunEnd{Claim: op.Claim, Kind: longrun.RunReturned, Response: &anypb.Any{TypeUrl: "x"}}, now)
			}})
			ended <- err
		}()
		go func() { // a beat that has something to store
			_, err := s.Beat(t.Context(), longrun.Session{ID: remote, TTL: time.Minute, Closed: 1})
			ended <- err
		}()
		synctest.Wait()
		if len(ended) != 0 {
			t.Errorf("what is there was refused: %v", <-ended)
		}
		release()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("the end of a run, or a beat: %v", err)
			}
		}
		for range flood - refused {
			if err := <-answers; err != nil {
				t.Errorf("Create that waited: %v", err)
			}
		}
		create(t, s, newOp())
		if got := get(t, s, op.ID); got.State != longrun.Succeeded {
			t.Errorf("State = %v, want SUCCEEDED", got.State)
		}
	})
}
