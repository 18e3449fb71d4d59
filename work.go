package longrun

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
)

// Work has the verbs of whoever does the work: runners, and servers for workers
// in other processes. They never touch a Store, so that the rules of an
// operation's life are kept in one place. All methods are safe for concurrent
// use. Errors are as those of Service; in their tree is ErrSessionLost when the
// session is over, and ErrClaimLost when the operation is not the run's any more.
type Work struct{ s *Service }

// SessionOptions describes a session.
type SessionOptions struct {
	// Worker says who it is, for people: "host/pid". At most 128 bytes.
	Worker string
	// TTL is how long its claims hold without a beat, from 5 seconds to 10
	// minutes. Zero means 30 seconds.
	TTL time.Duration
	// Remote says that it is a worker outside our processes: it survives the
	// process that speaks to the store for it.
	Remote bool
}

// BeatRequest is what a session says of itself.
type BeatRequest struct {
	Session SessionID
	// ClosedCall, of a remote session: every call up to this number was
	// answered, or will be ignored if it still is.
	ClosedCall int64
	// Held names what the session runs. What of it is not its claim any more
	// comes back as a Stop with ErrClaimLost.
	Held []Held
}

// OpenSession registers a session. One whose reply was lost ends with its TTL.
func (w *Work) OpenSession(ctx context.Context, o SessionOptions) (SessionID, error) {
	if err := w.s.authorizeParent(ctx, VerbWork, "", Name{}); err != nil {
		return SessionID{}, err
	}
	ttl, err := checkTTL(o.TTL)
	if err != nil {
		return SessionID{}, w.s.fault("open session", Name{}, err)
	}
	if len(o.Worker) > MaxWorkerBytes || !utf8.ValidString(o.Worker) {
		return SessionID{}, w.s.fault("open session", Name{}, fieldError("worker", "worker is longer than 128 bytes or not valid UTF-8"))
	}
	session := Session{ID: NewSessionID(), Worker: o.Worker, Remote: o.Remote, Open: true, TTL: ttl}
	_, err = w.beat(ctx, session)
	if err != nil {
		return SessionID{}, w.s.fault("open session", Name{}, err)
	}
	return session.ID, nil
}

// Beat renews the session and says which of its runs must stop, over and over
// until they have ended. The answer to a beat that was sent at time t keeps the
// session's claims until t + TTL at least.
func (w *Work) Beat(ctx context.Context, r BeatRequest) (Beat, error) {
	if err := w.s.authorizeParent(ctx, VerbWork, "", Name{}); err != nil {
		return Beat{}, err
	}
	b, err := w.beat(ctx, Session{ID: r.Session, TTL: DefaultSessionTTL, Closed: r.ClosedCall, Held: r.Held})
	return b, w.s.fault("beat", Name{}, err)
}

// CloseSession ends the session. What it still holds is lost with it: release
// first. A session that is over already is no error.
func (w *Work) CloseSession(ctx context.Context, id SessionID) error {
	if err := w.s.authorizeParent(ctx, VerbWork, "", Name{}); err != nil {
		return err
	}
	_, err := w.beat(ctx, Session{ID: id})
	if errors.Is(err, ErrSessionLost) {
		return nil
	}
	return w.s.fault("close session", Name{}, err)
}

// hanging is how long a beat may take, until its caller gives it up, before that
// says something of the store and not of the caller.
const hanging = time.Second

// beat writes what the session says, and notes the answer.
func (w *Work) beat(ctx context.Context, s Session) (Beat, error) {
	var b Beat
	sent := time.Now()
	_, err := w.s.insist(ctx, func() (*Operation, error) {
		var err error
		b, err = w.s.store.Beat(ctx, s)
		return nil, err
	})
	switch {
	case err == nil:
		w.s.contact.answered(b.Time, time.Now())
	case !errors.Is(err, ErrSessionLost) && (ctx.Err() == nil || time.Since(sent) >= hanging):
		w.s.contact.broken()
	}
	return b, err
}

func checkTTL(ttl time.Duration) (time.Duration, error) {
	switch {
	case ttl == 0:
		return DefaultSessionTTL, nil
	case ttl < MinSessionTTL || ttl > MaxSessionTTL:
		return 0, fieldError("ttl", "ttl must be from 5 seconds to 10 minutes")
	}
	return ttl.Truncate(time.Microsecond), nil
}

// Heed returns a channel on which a hint comes when a claim of the session may
// have to stop, or something may have changed at all. A hint is as good as many;
// stop ends the subscription.
func (w *Work) Heed(session SessionID) (hints <-chan struct{}, stop func()) {
	return w.s.hub.onSession(session)
}

// Ready returns a channel on which a hint comes when there may be operations of
// these methods to claim; of no method means of every. A hint is as good as many;
// stop ends the subscription.
func (w *Work) Ready(methods ...string) (hints <-chan struct{}, stop func()) {
	return w.s.hub.onMethods(methods)
}

// Held returns all operations that run under the session, also deleted ones.
func (w *Work) Held(ctx context.Context, session SessionID) ([]*Operation, error) {
	if err := w.s.authorizeParent(ctx, VerbWork, "", Name{}); err != nil {
		return nil, err
	}
	page, err := w.s.store.List(ctx, Query{Session: session})
	return page.Operations, w.s.fault("list claims", Name{}, err)
}

// Claim gives ready operations to the session: up to N of each method, at most
// 1,000 in all. None, and no error, when nothing is ready; Next says when to ask
// again. An *Error after an unknown outcome has ErrUnknown in its tree: what was
// claimed shows in Held.
func (w *Work) Claim(ctx context.Context, r ClaimRequest) (Claimed, error) {
	if err := w.s.authorizeParent(ctx, VerbWork, "", Name{}); err != nil {
		return Claimed{}, err
	}
	want, err := checkWant(r.Want)
	if err != nil {
		return Claimed{}, w.s.fault("claim", Name{}, err)
	}
	r.Want = want
	c, err := w.s.store.Claim(ctx, r)
	return c, w.s.fault("claim", Name{}, err)
}

// checkWant checks what is wanted, and cuts it to MaxClaim in all.
func checkWant(want []Want) ([]Want, error) {
	if len(want) > MaxWantMethods {
		return nil, fieldError("methods", "there are more than 100 methods")
	}
	cut := make([]Want, 0, len(want))
	left := MaxClaim
	for _, m := range want {
		if err := checkMethod(m.Method); err != nil {
			return nil, fieldError("methods", "method "+err.Error())
		}
		if m.N < 0 {
			return nil, fieldError("max_operations", "max_operations must not be negative")
		}
		m.N = min(m.N, left)
		left -= m.N
		cut = append(cut, m)
	}
	return cut, nil
}

const (
	// A sweep decides this many operations at a time: enough to share a commit,
	// and so few that other writes, which come in between, hardly wait for them.
	sweepSlice = 100
	// A sweep ends after so many slices, and decides nothing more after so long,
	// so that what has expired has its turn; the next goes on.
	sweepSlices = 10_000
	sweepTime   = 30 * time.Second
)

// Sweep does what is due: marks dead sessions, decides what becomes of their
// operations and of those past their deadline, and removes what has expired. It
// judges sessions only as far as this process's beats allow. Any process may
// sweep, and several at a time; every runner does.
func (w *Work) Sweep(ctx context.Context) error {
	if err := w.s.authorizeParent(ctx, VerbWork, "", Name{}); err != nil {
		return err
	}
	undecided := w.decideDue(ctx)
	for range sweepSlices {
		n, err := w.s.store.Expire(ctx, sweepSlice)
		if err != nil || n < sweepSlice {
			return cmp.Or(undecided, w.s.fault("sweep", Name{}, err))
		}
	}
	return undecided
}

// decideDue decides what is due, and returns an error if there was one. What cannot be
// decided holds up nothing else, and is tried again by the next sweep.
func (w *Work) decideDue(ctx context.Context) error {
	for began := time.Now(); time.Since(began) < sweepTime; {
		due, err := w.s.store.Due(ctx, w.s.contact.unbroken(), sweepSlice)
		if err != nil {
			return w.s.fault("sweep", Name{}, err)
		}
		if err := w.decideAll(ctx, due); err != nil || len(due) < sweepSlice {
			return err
		}
	}
	return nil
}

// decideAll decides a slice, together so that the store can write it together,
// and returns one of the errors.
func (w *Work) decideAll(ctx context.Context, due []Overdue) error {
	failed := make([]error, len(due))
	var all sync.WaitGroup
	for i, d := range due {
		all.Go(func() { failed[i] = w.decide(ctx, d) })
	}
	all.Wait()
	return cmp.Or(failed...)
}

// decide ends a run whose session is not alive, or an operation past its
// deadline.
func (w *Work) decide(ctx context.Context, d Overdue) error {
	name := d.Operation.Name()
	_, err := w.s.update(ctx, name, func(op *Operation, now time.Time) (*Operation, error) {
		if d.SessionLost {
			return op.EndRun(RunEnd{Claim: d.Operation.Claim, Kind: RunLost}, now)
		}
		return op.PassDeadline(now), nil
	})
	if errors.Is(err, ErrClaimLost) || CodeOf(err) == codes.NotFound {
		return nil // it was decided by someone else
	}
	return w.s.fault("sweep", name, err)
}
