package longrun_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
)

func (s *system) startFor(session longrun.SessionID, o longrun.StartOptions) (*longrun.Operation, error) {
	return s.svc.Start(context.Background(), longrun.StartRequest{StartOptions: o, Method: word, Session: session, Call: 3})
}

// A session starts an operation for itself: claimed at once, at most once, and
// offered to nobody else.
func TestStart_Session(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	session := sys.session(t, longrun.SessionOptions{Remote: true})
	op, err := sys.startFor(session, longrun.StartOptions{RequestID: requestID})
	if err != nil {
		t.Fatal(err)
	}
	if op.State != longrun.Running || op.Claim != (longrun.Claim{Session: session, Attempt: 1, Call: 3}) || !op.AtMostOnce || !op.Pinned {
		t.Errorf("started as %+v, want claimed by the session", op)
	}
	if again, err := sys.startFor(session, longrun.StartOptions{RequestID: requestID}); err != nil || again.ID != op.ID {
		t.Errorf("replay = %v, %v; want %v", again, err, op.ID)
	}
	other := sys.session(t, longrun.SessionOptions{Remote: true})
	_, err = sys.startFor(other, longrun.StartOptions{RequestID: requestID})
	wantError(t, err, codes.Aborted, longrun.ReasonClaimLost)
	if !errors.Is(err, longrun.ErrClaimLost) {
		t.Errorf("error = %v, want ErrClaimLost in its tree", err)
	}
	released, err := sys.work.Release(t.Context(), op.Name(), op.Claim, longrun.Release{})
	if err != nil || released.State != longrun.Failed || reasonOf(released) != longrun.ReasonRunLost {
		t.Errorf("released: %v, %v; want it to end", released, err)
	}
}

func TestStart_SessionOver(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	session := sys.session(t, longrun.SessionOptions{Remote: true})
	if err := sys.work.CloseSession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	_, err := sys.startFor(session, longrun.StartOptions{})
	wantError(t, err, codes.Aborted, longrun.ReasonSessionLost)
	if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 0 {
		t.Errorf("%d operations are stored, want none", len(page.Operations))
	}
	alive := sys.session(t, longrun.SessionOptions{Remote: true})
	sys.svc.Drain()
	_, err = sys.startFor(alive, longrun.StartOptions{})
	wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
}

// In stores the operation with the author's Creator, as PENDING, never folded.
func TestStart_In(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	theirs := inmem.New()
	defer theirs.Close()
	withdraw := sys.work.Offer(func(string) *longrun.Slot { t.Error("a slot was asked for"); return nil })
	defer withdraw()
	op := sys.start(t, longrun.StartOptions{In: theirs})
	if op.State != longrun.Pending {
		t.Errorf("State = %v, want PENDING", op.State)
	}
	if sys.stored(t, op.ID) != nil {
		t.Error("it is in the service's store")
	}
	if got, err := theirs.Get(t.Context(), op.ID); err != nil || got[0] == nil {
		t.Errorf("in the author's: %v, %v", got, err)
	}
}

// A folder is a runner of this process with one slot.
type folder struct {
	slot    *longrun.Slot
	asked   int
	taken   []*longrun.Operation
	dropped []error
}

func (s *system) folder(t *testing.T) *folder {
	t.Helper()
	f := &folder{}
	f.slot = &longrun.Slot{
		Session: s.session(t, longrun.SessionOptions{}),
		Take:    func(op *longrun.Operation) { f.taken = append(f.taken, op) },
		Drop:    func(err error) { f.dropped = append(f.dropped, err) },
	}
	t.Cleanup(s.work.Offer(func(method string) *longrun.Slot {
		f.asked++
		if method != word {
			return nil
		}
		return f.slot
	}))
	return f
}

func (f *folder) want(t *testing.T, asked, taken, dropped int) {
	t.Helper()
	if f.asked != asked || len(f.taken) != taken || len(f.dropped) != dropped {
		t.Errorf("asked %d, taken %d, dropped %v; want %d, %d, %d", f.asked, len(f.taken), f.dropped, asked, taken, dropped)
	}
}

// A slot of this process takes what is started: two durable writes, not three.
func TestFold(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	f := sys.folder(t)
	op := sys.start(t, longrun.StartOptions{})
	f.want(t, 1, 1, 0)
	if op.State != longrun.Running || op.Claim.Session != f.slot.Session || op.Claim.Attempt != 1 || f.taken[0].ID != op.ID {
		t.Errorf("started as %v under %v, want claimed", op.State, op.Claim)
	}
	if got := sys.store.count("Claim"); got != 0 {
		t.Errorf("%d claims were made, want none", got)
	}
	// No room, a conflict key, a trial, a draining service: not folded.
	f.slot = nil
	if op := sys.start(t, longrun.StartOptions{}); op.State != longrun.Pending {
		t.Errorf("without room: %v, want PENDING", op.State)
	}
	sys.start(t, longrun.StartOptions{ConflictKey: "k"})
	sys.start(t, longrun.StartOptions{ValidateOnly: true})
	f.want(t, 2, 1, 0)
	sys.svc.Drain()
	if op := sys.start(t, longrun.StartOptions{}); op.State != longrun.Pending {
		t.Errorf("while draining: %v, want PENDING", op.State)
	}
	f.want(t, 2, 1, 0)
}

func TestFold_Withdrawn(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	withdraw := sys.work.Offer(func(string) *longrun.Slot { t.Error("a slot was asked for"); return nil })
	other := 0
	defer sys.work.Offer(func(string) *longrun.Slot { other++; return nil })()
	withdraw()
	sys.start(t, longrun.StartOptions{})
	if other != 1 {
		t.Errorf("the other offer was asked %d times, want 1", other)
	}
}

// A slot that is not used comes back with the reason.
func TestFold_Dropped(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	first := sys.start(t, longrun.StartOptions{RequestID: requestID})
	f := sys.folder(t)
	sys.store.onCall("List", func() error { return nil })
	sys.start(t, longrun.StartOptions{RequestID: requestID}) // known before: no slot is asked for
	f.want(t, 0, 0, 0)

	other := newSystemOn(t, &spoiled{Store: sys.store.Store}, longrun.Options{})
	sys.store.onCall("Create", once(1, func() { first = other.start(t, longrun.StartOptions{RequestID: requestID, Parent: "projects/p"}) }))
	if op := sys.start(t, longrun.StartOptions{RequestID: requestID, Parent: "projects/p"}); op.ID != first.ID {
		t.Errorf("lost race = %v, want %v", op.ID, first.ID)
	}
	f.want(t, 1, 0, 1)
	if !errors.Is(f.dropped[0], longrun.ErrExists) {
		t.Errorf("dropped with %v, want ErrExists", f.dropped[0])
	}
}

// H6: after ErrSessionLost the same id is stored without the claim.
func TestFold_SessionLost(t *testing.T) {
	t.Parallel()
	sys := newSystem(t, longrun.Options{})
	f := sys.folder(t)
	if err := sys.work.CloseSession(t.Context(), f.slot.Session); err != nil {
		t.Fatal(err)
	}
	op := sys.start(t, longrun.StartOptions{})
	f.want(t, 1, 0, 1)
	if !errors.Is(f.dropped[0], longrun.ErrSessionLost) || op.State != longrun.Pending || !op.Claim.Session.IsZero() {
		t.Errorf("dropped with %v, started as %v under %v", f.dropped[0], op.State, op.Claim)
	}
	if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 1 || page.Operations[0].ID != op.ID {
		t.Errorf("stored: %v, want the operation once", page.Operations)
	}
}

// An answer that was lost is asked for again: one operation, taken once.
func TestFold_UnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		f := sys.folder(t)
		sys.store.onAnswer("Create", times(2, errUnknown))
		op := sys.start(t, longrun.StartOptions{})
		f.want(t, 1, 1, 0)
		if page := sys.list(t, longrun.ListRequest{}); len(page.Operations) != 1 || page.Operations[0].ID != op.ID {
			t.Errorf("stored: %v, want the operation once", page.Operations)
		}
		sys.store.onAnswer("Create", func() error { return errUnknown })
		_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word})
		wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
		f.want(t, 2, 1, 1)
		if !longrun.IsUnknown(f.dropped[0]) {
			t.Errorf("dropped with %v, want an unknown outcome: the claim may be there", f.dropped[0])
		}
	})
}

// A store that cannot be reached any more, after an answer that was lost, says
// nothing about the first call: the claim may be there.
func TestFold_UnknownThenUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		f := sys.folder(t)
		sys.store.onAnswer("Create", func() error {
			sys.store.onCall("Create", func() error {
				return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Msg: "the database is gone"}
			})
			return errUnknown
		})
		_, err := sys.svc.Start(t.Context(), longrun.StartRequest{Method: word})
		wantError(t, err, codes.Unavailable, longrun.ReasonUnavailable)
		if !longrun.IsUnknown(err) {
			t.Errorf("Start = %v, want an unknown outcome: it was stored", err)
		}
		f.want(t, 1, 0, 1)
		if !longrun.IsUnknown(f.dropped[0]) {
			t.Errorf("dropped with %v, want an unknown outcome: the claim is there", f.dropped[0])
		}
	})
}

// A caller that goes away does not leave the runner in the dark.
func TestFold_CallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newSystem(t, longrun.Options{})
		f := sys.folder(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sys.store.onCall("Create", func() error { time.Sleep(2 * time.Second); return nil })
		op, err := sys.svc.Start(ctx, longrun.StartRequest{Method: word})
		if err != nil || op.State != longrun.Running {
			t.Errorf("Start = %v, %v; want it stored as claimed", op, err)
		}
		f.want(t, 1, 1, 0)
	})
}
