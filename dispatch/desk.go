package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/longrun-dev/longrun"
)

// A desk keeps what this process knows of remote sessions beside the store: how
// many operations each may hold at most, what it was told last, and which of its
// calls wait. All that it knows of a session may be forgotten at any time. It is safe
// for concurrent use.
type desk struct {
	mu      sync.Mutex // guards what follows
	notes   map[longrun.SessionID]*note
	pruned  time.Time
	opening int // sessions that are being opened
	room    int // for so many more acquires that wait
}

// note is about one session.
type note struct {
	seen time.Time
	ttl  time.Duration // 0: not known

	acquires int           // that wait
	beat     chan struct{} // closed when a newer beat waits; nil where none does

	known    bool // held is an upper bound
	held     int  // operations it may hold, without reserved
	reserved int  // room that calls under way have taken
	granted  int  // operations given to it, ever

	told   map[longrun.Held]bool // runs of its last answer that must stop
	toldAt time.Time
}

const pruneEvery = time.Minute

// newDesk returns a desk with room for so many acquires that wait.
func newDesk(acquires int) *desk {
	return &desk{notes: map[longrun.SessionID]*note{}, room: acquires}
}

// noteLocked returns the note of a session, and drops those of sessions that
// must be over.
func (d *desk) noteLocked(id longrun.SessionID) *note {
	now := time.Now()
	if now.Sub(d.pruned) > pruneEvery {
		d.pruneLocked(now)
	}
	n := d.notes[id]
	if n == nil {
		n = &note{}
		d.notes[id] = n
	}
	n.seen = now
	return n
}

func (d *desk) pruneLocked(now time.Time) {
	d.pruned = now
	for id, n := range d.notes {
		if n.reserved == 0 && n.acquires == 0 && now.Sub(n.seen) > n.silence() {
			delete(d.notes, id)
		}
	}
}

// silence is how long a session is silent that must be over: one that has crashed is
// marked within two of its TTLs.
func (n *note) silence() time.Duration {
	if n.ttl == 0 {
		return longrun.MaxSessionTTL
	}
	return 2 * n.ttl
}

// enter takes a place for a session that is about to be opened, and reports whether
// there was one. What becomes of it is said by opened or by refused. A session that
// was not closed has its place until it must be over.
func (d *desk) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.notes)+d.opening >= longrun.MaxSessions {
		d.pruneLocked(time.Now())
	}
	if len(d.notes)+d.opening >= longrun.MaxSessions {
		return false
	}
	d.opening++
	return true
}

// refused gives the place of a session back that was not opened.
func (d *desk) refused() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening--
}

// opened notes a session that holds nothing yet.
func (d *desk) opened(id longrun.SessionID, ttl time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening--
	n := d.noteLocked(id)
	n.known, n.ttl = true, ttl
}

// wait takes a place for an acquire of the session that is about to wait, and reports
// whether there was one; if so, leave gives it back.
func (d *desk) wait(id longrun.SessionID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.noteLocked(id)
	if d.room <= 0 || n.acquires >= MaxSessionAcquires {
		return false
	}
	d.room--
	n.acquires++
	return true
}

// leave gives back what wait has taken.
func (d *desk) leave(id longrun.SessionID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room++
	if n := d.notes[id]; n != nil && n.acquires > 0 { // it may have been forgotten meanwhile
		n.acquires--
	}
}

// beats returns a channel that is closed when a newer beat of the session waits, and
// ends the wait of the one before. over is called when this one waits no more.
func (d *desk) beats(id longrun.SessionID, wait time.Duration) (newer <-chan struct{}, over func()) {
	if wait == 0 {
		return nil, func() {}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.noteLocked(id)
	if n.beat != nil {
		close(n.beat)
	}
	own := make(chan struct{})
	n.beat = own
	return own, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if n.beat == own {
			n.beat = nil
		}
	}
}

// forget drops what is known of a session that is over.
func (d *desk) forget(id longrun.SessionID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.notes, id)
}

// forget passes err on, and forgets the session if that is what it says.
func (s *server) forget(id longrun.SessionID, err error) error {
	if errors.Is(err, longrun.ErrSessionLost) {
		s.desk.forget(id)
	}
	return err
}

// room is what a session may still claim.
type room struct {
	n     int  // operations; reserved until desk.settle
	again bool // the call has claimed something already
}

// reserve takes room for up to n more operations of the session. It asks the
// store what the session holds only when its upper bound leaves too little room.
func (s *server) reserve(ctx context.Context, id longrun.SessionID, call int64, n int) (room, error) {
	granted, ok := s.desk.take(id, n)
	if ok {
		return room{n: n}, nil
	}
	ops, err := s.work.Held(ctx, id)
	if err != nil {
		return room{}, s.forget(id, err)
	}
	r := room{n: s.desk.counted(id, len(ops), granted, n)}
	for _, op := range ops {
		r.again = r.again || op.Claim.Call == call
	}
	return r, nil
}

// take reserves n if the upper bound allows it. Otherwise it returns how much the
// session was given so far, for counted.
func (d *desk) take(id longrun.SessionID, n int) (granted int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.noteLocked(id)
	if !t.known || t.held+t.reserved+n > longrun.MaxHeld {
		return t.granted, false
	}
	t.reserved += n
	return t.granted, true
}

// counted notes that the session held so many operations when granted had been
// given to it, and reserves up to n of what is left.
func (d *desk) counted(id longrun.SessionID, held, granted, n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.noteLocked(id)
	t.known = true
	t.held = held + max(t.granted-granted, 0)
	n = max(min(n, longrun.MaxHeld-t.held-t.reserved), 0)
	t.reserved += n
	return n
}

// settle gives back what was reserved and notes what was given.
func (d *desk) settle(id longrun.SessionID, reserved, got int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.noteLocked(id)
	t.reserved = max(t.reserved-reserved, 0)
	t.held += got
	t.granted += got
}

// repeatAfter is how long a session is not told the same again unasked: a worker
// whose run takes its time to stop must not be answered in a tight loop.
const repeatAfter = time.Second

// due returns when the session may be told this: now if something in it is new,
// zero if there is nothing to tell.
func (d *desk) due(id longrun.SessionID, stops []longrun.Stop, now time.Time) time.Time {
	if len(stops) == 0 {
		return time.Time{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.noteLocked(id)
	for _, s := range stops {
		if !t.told[longrun.Held{Name: s.Name, Attempt: s.Attempt}] {
			return now
		}
	}
	return t.toldAt.Add(repeatAfter)
}

// tell notes what the session is about to be told.
func (d *desk) tell(id longrun.SessionID, stops []longrun.Stop, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.noteLocked(id)
	t.told, t.toldAt = nil, now
	if len(stops) > 0 {
		t.told = make(map[longrun.Held]bool, len(stops))
	}
	for _, s := range stops {
		t.told[longrun.Held{Name: s.Name, Attempt: s.Attempt}] = true
	}
}
