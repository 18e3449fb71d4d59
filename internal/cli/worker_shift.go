package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	// trustMargin is how much earlier than the server a worker stops to trust its
	// session.
	trustMargin = time.Second
	// quietPause is before the next beat when one was answered early and had nothing
	// to say: the server stops.
	quietPause = time.Second
)

// claim is what a run is known by.
type claim struct {
	name    string
	attempt int64
}

// shift is the time that a worker works under one session: from its opening until the
// worker ends, or the server says that the session is over. What it runs then is
// stopped, because it will run elsewhere.
type shift struct {
	w    *worker
	s    *session
	over chan struct{} // closed when the session is over; by beats and acquire

	mu     sync.Mutex          // guards what follows
	held   map[claim]*handling // each until the server has answered how it ended
	call   int64               // the last one that was made
	closed int64               // all calls up to this were answered, or will be ignored
	sent   time.Time           // when the last answered beat was sent
	hasten context.CancelFunc  // ends the wait of the beat that is under way
	until  time.Time           // when that ends by itself
}

func newShift(w *worker, s *session) *shift {
	sh := &shift{w: w, s: s, over: make(chan struct{}), held: map[claim]*handling{}, sent: time.Now(), hasten: func() {}}
	s.told = sh.told
	return sh
}

// work acquires and runs operations until working ends, the session is over, or the
// server refuses to give any. Where the session is not over, it then waits for the
// runs, or stops them, and closes the session.
func (sh *shift) work(working context.Context, giveUp func()) error {
	ctx, end := context.WithCancel(sh.w.telling)
	var beats sync.WaitGroup
	beats.Go(func() { sh.beats(ctx) })
	err := sh.acquireAll(working)
	if !sh.isOver() {
		sh.w.drain(sh, giveUp)
	}
	end()
	beats.Wait()
	if !sh.isOver() {
		sh.leave()
	}
	return err
}

// leave closes all calls and the session. The last beat is for what a call has
// claimed whose answer was not waited for: it goes back at once, and as no failure.
func (sh *shift) leave() {
	sh.mu.Lock()
	sh.closed = sh.call
	sh.mu.Unlock()
	if sh.s.away.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, _ := sh.beat()
	req.WaitTimeout = nil
	_, _ = sh.s.work.BeatSession(ctx, req) // without it the claims end with the session
	sh.s.close()
}

// lose notes that the session is over, and stops all that runs under it.
func (sh *shift) lose(err error) {
	sh.mu.Lock()
	first := !sh.isOver()
	if first {
		close(sh.over)
	}
	n := len(sh.held)
	sh.mu.Unlock()
	if first {
		sh.w.a.talk("the session is over (%s): %d operations are stopped here, to be run again", verdict(err), n)
		sh.stopAll(byLoss)
	}
}

func (sh *shift) isOver() bool {
	select {
	case <-sh.over:
		return true
	default:
		return false
	}
}

func (sh *shift) stopAll(cause stopCause) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, h := range sh.held {
		h.stop(cause)
	}
}

func (sh *shift) told(n notice) {
	switch n {
	case serverAway:
		sh.w.a.talk("the server at %s does not answer; commands go on", sh.w.c.addr)
	case serverBack:
		sh.w.a.talk("the server at %s answers again", sh.w.c.addr)
	}
}

// beats keeps the session until ctx ends or it is over, and stops what must stop.
func (sh *shift) beats(ctx context.Context) {
	for ctx.Err() == nil {
		req, wait := sh.beat()
		if sh.s.away.Load() {
			req.WaitTimeout, wait = nil, 0 // the first answer says how we stand
		}
		call, cancel := context.WithTimeout(ctx, wait+beatSlack)
		sent := time.Now()
		hastened := sh.waiting(cancel, sent.Add(wait))
		r, err := sh.s.work.BeatSession(call, req, grpc.WaitForReady(true))
		cancel()
		switch {
		case ctx.Err() != nil:
		case err == nil:
			sh.heard(sent, r.GetStop())
			if len(r.GetStop()) == 0 && time.Since(sent) < wait-quietPause {
				pause(ctx, quietPause)
			}
			pause(ctx, retryPause)
		case isOver(err):
			sh.lose(err)
			return
		case hastened():
		default:
			sh.s.unheard(err)
			pause(ctx, retryPause)
		}
	}
}

// beat is the next beat, and how long it waits: not past the next deadline, so that
// the answer to the one after it says that it has passed.
func (sh *shift) beat() (*longrunpb.BeatSessionRequest, time.Duration) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	wait := sh.s.ttl / 3
	req := &longrunpb.BeatSessionRequest{Session: sh.s.token, ClosedCall: sh.closed}
	for c, h := range sh.held {
		req.Held = append(req.Held, &longrunpb.HeldOperation{Operation: c.name, Attempt: c.attempt})
		if d := h.op.GetDeadlineTime(); d != nil {
			// At least a second: the server's clock may be behind ours.
			wait = min(wait, max(time.Until(d.AsTime()), time.Second))
		}
	}
	req.WaitTimeout = durationpb.New(wait)
	return req, wait
}

// waiting notes the beat that is under way, which is hastened by cancel, and returns
// whether it was.
func (sh *shift) waiting(cancel func(), until time.Time) (hastened func() bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	was := false // guarded by sh.mu
	sh.until, sh.hasten = until, func() {
		was = true
		cancel()
	}
	return func() bool {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		return was
	}
}

// heard notes the answer to a beat that was sent at a time.
func (sh *shift) heard(sent time.Time, stop []*longrunpb.StoppedOperation) {
	sh.s.heard()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.sent = sent
	for _, x := range stop {
		if h := sh.held[claim{x.GetOperation(), x.GetAttempt()}]; h != nil {
			h.stop(causeOf(x.GetCause()))
		}
	}
}

func causeOf(c longrunpb.StoppedOperation_Cause) stopCause {
	switch c {
	case longrunpb.StoppedOperation_CLAIM_LOST:
		return byLoss
	case longrunpb.StoppedOperation_DEADLINE_PASSED:
		return byDeadline
	}
	return byCancel
}

// trusted reports whether something may begin: for one TTL from before the last
// answered beat was sent nobody can have judged the session dead. The time is what
// the monotonic or the wall clock says, whichever is more: the first stands still
// while the machine sleeps.
func (sh *shift) trusted() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	return max(now.Sub(sh.sent), now.Round(0).Sub(sh.sent.Round(0))) < sh.s.ttl-trustMargin
}

// isOver reports whether an error says that the session is over, or that the server
// knows nothing of it, as when it has come back with another store.
func isOver(err error) bool {
	return reasonOf(err) == "SESSION_LOST" || status.Code(err) == codes.InvalidArgument && fieldAtFault(err) == "session"
}

// fieldAtFault is the field that an error blames, "" if it blames none.
func fieldAtFault(err error) string {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) > 0 {
			return bad.GetFieldViolations()[0].GetField()
		}
	}
	return ""
}

// verdict is an error of the server's, for people: its reason and its message.
func verdict(err error) string {
	return fmt.Sprintf("%s: %s", reasonOf(err), status.Convert(err).Message())
}
