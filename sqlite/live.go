package sqlite

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/longrun-dev/longrun"
)

// live is what the store knows of sessions and of what they run. The rows of
// sessions are durable; when a session last beat is known here only.
type live struct {
	mu       sync.Mutex // guards everything below
	sessions map[longrun.SessionID]*session
}

// sessionRow is the durable part of a session. Rows are values.
type sessionRow struct {
	worker string
	remote bool
	ttl    time.Duration
	closed int64 // calls up to this one are closed
	opened time.Time
	gone   time.Time // when it ended or was marked dead; zero while it is alive
}

// session is a session as last committed.
type session struct {
	known  bool // its row is there
	row    sessionRow
	beat   time.Time // when it last beat
	moving bool      // a change of its row is in the writer's hands
	claims map[longrun.ID]claim

	isBehind bool  // there may be claims on disk that were not read: see behind.go
	readTo   int64 // the create time up to which they were
}

// claim is what beats and sweeps need to know of a running operation.
type claim struct {
	name      longrun.Name
	attempt   int64
	call      int64
	deadline  time.Time
	cancelled bool
	preempted bool
}

func claimOf(op *longrun.Operation) claim {
	return claim{
		name: op.Name(), attempt: op.Claim.Attempt, call: op.Claim.Call,
		deadline: op.DeadlineTime, cancelled: op.CancelRequested, preempted: op.Preempted,
	}
}

// why returns why the run must stop, nil if it need not.
func (c claim) why(now time.Time) error {
	switch {
	case c.preempted:
		return longrun.ErrPreempted
	case !c.deadline.IsZero() && !now.Before(c.deadline):
		return longrun.ErrDeadline
	case c.cancelled:
		return longrun.ErrCancelled
	}
	return nil
}

func (c claim) held() longrun.Held { return longrun.Held{Name: c.name, Attempt: c.attempt} }

func (s *session) alive() bool { return s != nil && s.known && s.row.gone.IsZero() }

// renewLocked notes a beat. A commit may bring an older one than came meanwhile.
func (s *session) renewLocked(beat time.Time) {
	if beat.After(s.beat) {
		s.beat = beat
	}
}

// at returns the session, and makes room for one of which only claims are known.
func (l *live) atLocked(id longrun.SessionID) *session {
	s := l.sessions[id]
	if s == nil {
		s = &session{claims: map[longrun.ID]claim{}}
		l.sessions[id] = s
	}
	return s
}

// row returns the row of a session as committed.
func (l *live) row(id longrun.SessionID) (row sessionRow, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[id]
	if s == nil || !s.known {
		return sessionRow{}, false
	}
	return s.row, true
}

// claimed returns what runs under a session.
func (l *live) claimed(id longrun.SessionID) []longrun.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[id]
	if s == nil {
		return nil
	}
	return slices.Collect(maps.Keys(s.claims))
}

// move says that the writer is about to change a session: until it has, the
// session's beats are the writer's business too.
func (l *live) move(id longrun.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.atLocked(id).moving = true
}

// settle says that the change came to nothing.
func (l *live) settle(id longrun.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sessions[id]; s != nil {
		s.moving = false
		l.tidyLocked(id, s)
	}
}

func (l *live) tidyLocked(id longrun.SessionID, s *session) {
	if !s.known && !s.moving && !s.isBehind && len(s.claims) == 0 {
		delete(l.sessions, id)
	}
}

// publish shows what a batch has changed.
func (l *live) publish(puts []put, sessions []sessionPut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range puts {
		if p.old != nil && p.old.op.State == longrun.Running {
			if s := l.sessions[p.old.op.Claim.Session]; s != nil {
				delete(s.claims, p.id)
				l.tidyLocked(p.old.op.Claim.Session, s)
			}
		}
		if p.next != removed && p.next.op.State == longrun.Running {
			l.atLocked(p.next.op.Claim.Session).claims[p.id] = claimOf(p.next.op)
		}
	}
	for _, p := range sessions {
		s := l.atLocked(p.id)
		s.known, s.row, s.moving = !p.gone, p.next, false
		if p.open {
			s.renewLocked(p.beat)
		}
		l.tidyLocked(p.id, s)
	}
}

// quickBeat answers a beat that changes nothing durable. It reports whether it
// could. If not, the beat has renewed its session all the same, and what becomes
// of it is the writer's business: a session that the writer is about to mark is
// not alive when that is published, however late it beat.
func (l *live) quickBeat(b longrun.Session, now time.Time) (longrun.Beat, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[b.ID]
	if !s.alive() || b.TTL <= 0 {
		return longrun.Beat{}, false
	}
	s.renewLocked(now)
	if s.moving || s.isBehind || b.Closed > s.row.closed {
		return longrun.Beat{}, false
	}
	held := heldSet(b.Held)
	for _, c := range s.claims {
		if mustRelease(c, b.Closed, held) {
			return longrun.Beat{}, false
		}
	}
	return longrun.Beat{Stop: stops(s.claims, b.Held, now), Time: now, TTL: s.row.ttl}, true
}

func heldSet(held []longrun.Held) map[longrun.Held]bool {
	set := make(map[longrun.Held]bool, len(held))
	for _, h := range held {
		set[h] = true
	}
	return set
}

// mustRelease reports whether the session's worker can never have heard of c:
// the call that claimed it is closed, and the worker does not name it.
func mustRelease(c claim, closed int64, held map[longrun.Held]bool) bool {
	return c.call > 0 && c.call <= closed && !held[c.held()]
}

// stops returns what a session with these claims must hear.
func stops(claims map[longrun.ID]claim, held []longrun.Held, now time.Time) []longrun.Stop {
	var all []longrun.Stop
	for _, c := range claims {
		if why := c.why(now); why != nil {
			all = append(all, longrun.Stop{Name: c.name, Attempt: c.attempt, Why: why})
		}
	}
	for _, h := range held {
		if c, ok := claims[h.Name.ID]; !ok || c.held() != h {
			all = append(all, longrun.Stop{Name: h.Name, Attempt: h.Attempt, Why: longrun.ErrClaimLost})
		}
	}
	return all
}

// overdue returns up to n sessions that are dead by c, those that hold claims
// first.
func (l *live) overdue(c longrun.Contact, n int) []longrun.SessionID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var holding, idle []longrun.SessionID
	for id, s := range l.sessions {
		switch {
		case !s.alive() || !c.Dead(s.beat, s.row.ttl):
		case s.isBehind || len(s.claims) > 0:
			holding = append(holding, id)
		default:
			idle = append(idle, id)
		}
	}
	all := append(holding, idle...)
	return all[:max(0, min(n, len(all)))]
}

// judge returns the row of a session if it is still dead by c, and takes it into
// the writer's hands.
func (l *live) judge(id longrun.SessionID, c longrun.Contact) (sessionRow, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[id]
	if !s.alive() || s.moving || !c.Dead(s.beat, s.row.ttl) {
		return sessionRow{}, false
	}
	s.moving = true
	return s.row, true
}

// forgettable returns up to n sessions that were gone at the time and hold
// nothing.
func (l *live) forgettable(before time.Time, n int) []longrun.SessionID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []longrun.SessionID
	for id, s := range l.sessions {
		if len(ids) == n {
			break
		}
		if s.known && !s.row.gone.IsZero() && s.row.gone.Before(before) && !s.moving && !s.isBehind && len(s.claims) == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// claims returns what a session runs as the open transaction sees it.
func (w *writer) claims(id longrun.SessionID) map[longrun.ID]claim {
	all := map[longrun.ID]claim{}
	l := &w.s.live
	l.mu.Lock()
	if s := l.sessions[id]; s != nil {
		for op, c := range s.claims {
			if _, changed := w.overlay[op]; !changed {
				all[op] = c
			}
		}
	}
	l.mu.Unlock()
	for op, r := range w.overlay {
		if r != removed && r.op.State == longrun.Running && r.op.Claim.Session == id {
			all[op] = claimOf(r.op)
		}
	}
	return all
}

// session returns the row of a session as the open transaction sees it.
func (w *writer) session(id longrun.SessionID) (row sessionRow, ok bool) {
	for i := len(w.sessions) - 1; i >= 0; i-- {
		if p := w.sessions[i]; p.id == id {
			return p.next, !p.gone
		}
	}
	return w.s.live.row(id)
}

// alive reports whether a session is alive on record.
func (w *writer) alive(id longrun.SessionID) bool {
	row, ok := w.session(id)
	return ok && row.gone.IsZero()
}
