package longrun_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

// once returns a function that runs f the n-th time it is called.
func once(n int, f func()) func() error {
	var mu sync.Mutex
	calls := 0
	return func() error {
		mu.Lock()
		calls++
		now := calls == n
		mu.Unlock()
		if now {
			f()
		}
		return nil
	}
}

// H7: an end is never lost, at whatever point around a read it comes, from this
// process or from another one, with hints or without.
func TestHub_NoEndIsLost(t *testing.T) {
	for _, point := range []string{"before the read", "after the read, before its answer"} {
		for _, who := range []string{"this process", "another process"} {
			for _, hints := range []string{"with hints", "without hints"} {
				for read := 1; read <= 3; read++ {
					t.Run(fmt.Sprintf("%s/%s/%s/%d", point, who, hints, read), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { endAtRead(t, point, who, hints, read) })
					})
				}
			}
		}
	}
}

func endAtRead(t *testing.T, point, who, hints string, read int) {
	sys := newSystem(t, longrun.Options{})
	ender := sys
	if who == "another process" {
		ender = newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
	}
	if hints == "without hints" {
		sys.store.silence()
	}
	op := sys.running(t, longrun.StartOptions{})
	var end time.Time
	f := once(read, func() {
		end = time.Now()
		ender.finish(t, op, longrun.Result{})
	})
	if point == "before the read" {
		sys.store.onCall("Get", f)
	} else {
		sys.store.onAnswer("Get", f)
	}
	var answers []<-chan waited
	for range 3 {
		answers = append(answers, sys.wait(t.Context(), op.Name(), time.Minute))
		time.Sleep(time.Millisecond)
	}
	for _, answer := range answers {
		got := <-answer
		if got.err != nil || got.op.State != longrun.Succeeded {
			t.Fatalf("Wait = %v, %v; want SUCCEEDED", got.op, got.err)
		}
		late := min(got.after, got.at.Sub(end))
		if late > 5*time.Second || late > 0 && (who == "this process" || hints == "with hints") {
			t.Errorf("answered %v after the end, want at once, or some seconds where the hint was lost", late)
		}
	}
}

// H7: who joins while a read is under way does not share it: it is older.
func TestHub_OlderReadIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		sys.store.silence()
		other := newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		reading, goOn := make(chan struct{}), make(chan struct{})
		// The read has seen the operation running; its answer is slow.
		sys.store.onAnswer("Get", once(1, func() { close(reading); <-goOn }))
		first := sys.wait(t.Context(), op.Name(), time.Minute)
		<-reading
		other.finish(t, op, longrun.Result{})
		second := sys.wait(t.Context(), op.Name(), time.Minute)
		synctest.Wait()
		close(goOn)
		for _, answer := range []<-chan waited{first, second} {
			if got := <-answer; got.err != nil || got.op.State != longrun.Succeeded || got.after != 0 {
				t.Errorf("Wait = %v, %v after %v; want SUCCEEDED by a read of its own", got.op, got.err, got.after)
			}
		}
	})
}

// H7: nor does what an older read has not found tell anything of what is there.
func TestHub_OlderReadHasNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		sys.store.silence()
		name := longrun.Name{ID: longrun.NewID()}
		reading, goOn := make(chan struct{}), make(chan struct{})
		sys.store.onAnswer("Get", once(1, func() { close(reading); <-goOn }))
		early := sys.wait(t.Context(), name, time.Minute)
		<-reading
		if _, err := sys.store.Create(t.Context(), longrun.NewOperation{Operation: &longrun.Operation{ID: name.ID, Method: word}}); err != nil {
			t.Fatal(err)
		}
		late := sys.wait(t.Context(), name, time.Minute)
		synctest.Wait()
		close(goOn)
		wantError(t, (<-early).err, codes.NotFound, longrun.ReasonOperationNotFound)
		time.Sleep(time.Second)
		if err := sys.svc.Cancel(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if got := <-late; got.err != nil || got.op.State != longrun.Cancelled {
			t.Errorf("Wait = %v, %v; want CANCELLED: it was there when it was asked for", got.op, got.err)
		}
	})
}

// H7: a hint that comes during a read makes another read follow.
func TestHub_HintDuringRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		other := newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
		op := sys.running(t, longrun.StartOptions{})
		sys.store.onAnswer("Get", once(1, func() {
			other.finish(t, op, longrun.Result{})
			time.Sleep(time.Millisecond) // the hint comes before the answer
		}))
		if got := <-sys.wait(t.Context(), op.Name(), time.Minute); got.err != nil || got.op.State != longrun.Succeeded || got.after != time.Millisecond {
			t.Errorf("Wait = %v, %v after %v; want SUCCEEDED as soon as the read was over", got.op, got.err, got.after)
		}
	})
}

// A lost hint costs seconds, and not a stuck client, also of many.
func TestHub_LostHints(t *testing.T) {
	for _, n := range []int{1, 30, 2000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := newSystem(t, longrun.Options{})
				sys.store.silence()
				other := newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
				var answers []<-chan waited
				var last *longrun.Operation
				for range n {
					last = sys.start(t, longrun.StartOptions{})
					answers = append(answers, sys.wait(t.Context(), last.Name(), time.Minute))
				}
				time.Sleep(time.Second)
				if err := other.svc.Cancel(t.Context(), last.Name()); err != nil {
					t.Fatal(err)
				}
				if got := <-answers[n-1]; got.err != nil || got.op.State != longrun.Cancelled || got.after > 10*time.Second {
					t.Errorf("Wait = %v, %v after %v; want CANCELLED within seconds", got.op, got.err, got.after)
				}
				sys.svc.Drain()
				for _, answer := range answers[:n-1] {
					<-answer
				}
			})
		})
	}
}

// A store that fails for a while costs a wait nothing but that time; one that
// fails to the end is told at the end.
func TestHub_StoreErrors(t *testing.T) {
	away := &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Msg: "away"}
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		op := sys.finish(t, sys.running(t, longrun.StartOptions{}), longrun.Result{})
		sys.store.onCall("Get", times(5, away))
		if got := <-sys.wait(t.Context(), op.Name(), time.Minute); got.err != nil || got.op.State != longrun.Succeeded || got.after > 5*time.Second {
			t.Errorf("Wait = %v, %v after %v; want SUCCEEDED soon after the store is back", got.op, got.err, got.after)
		}
		sys.store.onCall("Get", func() error { return away })
		got := <-sys.wait(t.Context(), op.Name(), time.Minute)
		wantError(t, got.err, codes.Unavailable, longrun.ReasonUnavailable)
		if got.after != time.Minute {
			t.Errorf("answered after %v, want 1m", got.after)
		}
	})
}

// A store that can watch no more is watched again, and meanwhile reads go on.
func TestHub_WatchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		sys.store.onCall("Watch", times(3, errors.New("no more")))
		op := sys.running(t, longrun.StartOptions{})
		answer := sys.wait(t.Context(), op.Name(), time.Minute)
		time.Sleep(10 * time.Second)
		if got := sys.store.count("Watch"); got != 4 {
			t.Errorf("Watch was called %d times, want 4", got)
		}
		other := newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
		other.finish(t, op, longrun.Result{})
		if got := <-answer; got.err != nil || got.op.State != longrun.Succeeded || got.after != 10*time.Second {
			t.Errorf("Wait = %v, %v after %v; want SUCCEEDED by a hint", got.op, got.err, got.after)
		}
	})
}

// Runners hear of work, and sessions of what their claims should hear.
func TestHub_Signals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		mine, stopMine := sys.work.Ready(word)
		every, stopEvery := sys.work.Ready()
		other, stopOther := sys.work.Ready("other")
		defer stopEvery()
		defer stopOther()
		synctest.Wait()
		raised(mine, every, other) // the watch begins with "anything may have changed"
		op := sys.start(t, longrun.StartOptions{})
		synctest.Wait()
		if got := raised(mine, every, other); got != [3]bool{true, true, false} {
			t.Errorf("after a start: signals %v, want for the method and for all", got)
		}
		session := sys.session(t, longrun.SessionOptions{})
		heed, stopHeed := sys.work.Heed(session)
		defer stopHeed()
		sys.claim(t, session, 1)
		synctest.Wait()
		raised(mine, every, other)
		raised(heed, heed, heed)
		if err := sys.svc.Cancel(t.Context(), op.Name()); err != nil {
			t.Fatal(err)
		}
		if got := raised(heed, mine, other); got != [3]bool{true, false, false} {
			t.Errorf("after a cancel: signals %v, want for the session", got)
		}
		stopMine()
		sys.svc.Wake(word, "other")
		if got := raised(mine, every, other); got != [3]bool{false, true, true} {
			t.Errorf("after Wake, one unsubscribed: signals %v", got)
		}
	})
}

// raised takes what is in the channels.
func raised(channels ...<-chan struct{}) (got [3]bool) {
	for i, c := range channels {
		select {
		case <-c:
			got[i] = true
		default:
		}
	}
	return got
}

// Close ends all that was started, at whatever time; the bubble would not end
// if anything were left.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unused := newSystem(t, longrun.Options{})
		if err := errors.Join(unused.svc.Close(), unused.svc.Close()); err != nil {
			t.Error(err)
		}
		if got := <-unused.wait(t.Context(), longrun.Name{ID: longrun.NewID()}, time.Minute); longrun.CodeOf(got.err) != codes.NotFound {
			t.Errorf("Wait after Close = %v, want NOT_FOUND", got.err)
		}
		used := newSystem(t, longrun.Options{})
		op := used.start(t, longrun.StartOptions{})
		answer := used.wait(t.Context(), op.Name(), time.Minute)
		synctest.Wait()
		if err := used.svc.Close(); err != nil {
			t.Error(err)
		}
		if got := <-answer; got.err != nil || got.op.State != longrun.Pending {
			t.Errorf("Wait = %v, %v; want the latest state", got.op, got.err)
		}
		select {
		case <-used.svc.Draining():
		default:
			t.Error("Close does not drain")
		}
	})
}
