package longrun

import (
	"context"
	"time"

	"github.com/longrun-dev/longrun/filter"
)

// A Store keeps operations. All methods are safe for concurrent use.
//
// Durable: a write is on disk when its method returns nil.
//
// Unknown outcome: an error for which IsUnknown holds means that the write may
// have happened. The caller makes the same call again; every change is
// idempotent, so "already so" is success. A write that did not happen and may
// be tried again is an *Error with code Unavailable. A ctx that ends while a
// write is under way is one of the two, never a plain context error.
//
// Times are UTC, whole microseconds, by the store's clock, which does not go
// back: now is never earlier than a time the store has given out.
//
// Records: see Operation. A store keeps each field as it is, the nil and the
// empty payload apart.
type Store interface {
	Creator

	// Get returns the operations with these ids, in this order, nil where there
	// is none. Hidden ones are returned; callers' verbs skip them.
	Get(ctx context.Context, ids ...ID) ([]*Operation, error)

	// List returns operations, newest first by (CreateTime, ID). See Query.
	List(ctx context.Context, q Query) (Page, error)

	// Update applies c.Apply to the record inside the writing transaction and
	// keeps what it returns. It returns the record as it now is, also beside the
	// error of Apply, which comes back as it is. When Apply returns the record
	// it was given, no record is written. A missing record is an *Error with code
	// NotFound.
	//
	// In the same commit: c.Step is remembered (a step that is remembered already
	// is kept as it was, and the error is ErrExists; then nothing is written); an ended
	// operation loses its steps, and if it held a conflict key, the oldest
	// operation that waits for the key is made ready (Operation.MakeReady).
	Update(ctx context.Context, c Change) (*Operation, error)

	// Claim gives ready operations of each wanted method to r.Session, oldest
	// ready time first, each changed by Operation.ClaimBy. It returns none, and
	// no error, when nothing is ready. A session that is not alive on record is
	// ErrSessionLost. See ClaimRequest for calls of remote sessions.
	Claim(ctx context.Context, r ClaimRequest) (Claimed, error)

	// Beat opens (s.Open), renews, or with TTL 0 ends the session, and returns
	// what it should hear. Worker, Remote and TTL are kept as they were when it was
	// opened. Death is a mark, set once and for ever: a session
	// that is dead, ended or unknown is ErrSessionLost; opening it again too.
	// Ending a session leaves its claims, for Due to find. A renewal may count even
	// where the call fails: the session has spoken.
	Beat(ctx context.Context, s Session) (Beat, error)

	// Due marks sessions dead by c.Dead of their last beat and TTL, judged in this
	// commit. It returns up to n unfinished operations that need a decision:
	// Running under a session that is not alive on record, Running past
	// DeadlineTime + DeadlineGrace, or Pending past DeadlineTime. It may leave
	// sessions beyond n to later calls, those without a claim last.
	Due(ctx context.Context, c Contact, n int) ([]Overdue, error)

	// Expire removes up to n done operations past ExpireTime, and forgets
	// sessions that are not alive, hold no claim and are older than a day. It
	// returns how many operations it dealt with. One that was created less than
	// EmptiedRetention ago is emptied (Operation.Empty) instead of removed, so
	// that a late Create cannot bring it back.
	//
	// It is also the net under conflict keys. A key that is waited for and has no
	// holder, which no commit leaves behind, goes to the operation that goes ahead
	// with it, or else to the oldest that waits, which is made ready.
	Expire(ctx context.Context, n int) (int, error)

	// Steps returns up to n remembered steps of the operation whose key is
	// greater than after, in key order, bytewise. n is positive.
	Steps(ctx context.Context, id ID, after string, n int) ([]Step, error)

	// Watch calls f with hints, one call at a time, until ctx ends, and then
	// returns ctx's error, or earlier with another when it can watch no more.
	// Hints may be lost, repeated or late; one that is given came after its
	// commit. The first hint is All, when the watch has begun. f must not block.
	Watch(ctx context.Context, f func(Hint)) error

	// Secret returns the 32 random bytes called name, made by the first caller
	// and the same ever after, on every node.
	Secret(ctx context.Context, name string) ([]byte, error)

	// Close flushes and releases everything. Later calls are Unavailable. A
	// second Close does nothing.
	Close() error
}

// A Creator stores new operations. Every Store is one; so is what lets an author
// start an operation inside a transaction of theirs.
type Creator interface {
	// Create stores n.Operation as Operation.Stored makes it, and returns it.
	// It looks in this order:
	//
	//  1. Same ID: returns what is stored, and nil: a retry of ours. Nothing is
	//     written, also where the row is hidden or emptied.
	//  2. Same Parent, Method and RequestID (unless empty), not hidden: returns
	//     the earlier one and ErrExists. The caller compares RequestHash.
	//  3. Claim.Session is set and not alive on record: ErrSessionLost.
	//  4. ConflictKey (unless empty) is held: by OnConflict, Queue stores it
	//     waiting; Reject is an *Error with code Aborted and reason
	//     CONCURRENT_OPERATION; Preempt applies Operation.Preempt to every
	//     unfinished operation of the key, and stores it waiting if one of them
	//     still runs.
	//
	// n.Write runs last, in the same commit; its error undoes all and comes back
	// as it is. With n.DryRun everything is checked, n.Write runs, and all is
	// undone; what would have been stored is returned.
	Create(ctx context.Context, n NewOperation) (*Operation, error)
}

// NewOperation is what Create stores.
type NewOperation struct {
	// Operation has an ID, Method and State 0; its times are zero. Claim.Session
	// set means: already claimed by it, as attempt 1.
	Operation *Operation
	// Write, if not nil, gets the store's own transaction type and runs the
	// author's statements.
	Write func(ctx context.Context, tx any) error
	// DryRun checks all and keeps nothing.
	DryRun bool
}

// Change is what Update writes.
type Change struct {
	ID ID
	// Apply returns the record as it shall be: one of the transitions of
	// Operation. It is pure and quick: it may be called more than once, on any
	// goroutine, with the store's locks held. now is the store's time.
	Apply func(op *Operation, now time.Time) (*Operation, error)
	// Step, if not nil, is remembered if Apply returns no error. Its Time is
	// filled by the store.
	Step *Step
}

// Query says which operations List returns. Hidden operations are never listed,
// except when Session is set.
type Query struct {
	// Parent is exact, or has "-" for segments, or is "-" for every parent
	// (MatchParent). Not used when Session is set.
	Parent string
	// Session, if set, asks for all that run under this session, hidden too, in
	// no order, with no limit.
	Session SessionID
	// RequestID and Method, if set, ask for the one operation of Parent that
	// was started by this request.
	RequestID, Method string
	// Where, if not nil, says what is looked for. A store may leave out operations
	// that it does not match, as Service.Proto renders them, and returns all that
	// it does: it narrows by what it can tell cheaply, or not at all. The caller
	// judges each operation that comes back. Not used when Session or RequestID is
	// set.
	Where *filter.Filter
	// After asks for what comes after this place; the zero Cursor for the start.
	After Cursor
	// Limit is how many operations to return at most; positive. A page of large
	// records may end earlier.
	Limit int
	// Scan is how many rows to read at most, at least Limit; 0 for as many as
	// it takes. With Where, rows that a store leaves out without reading the
	// record may count for less.
	Scan int
}

// Cursor is a place in a list.
type Cursor struct {
	CreateTime time.Time
	ID         ID
}

// Page is a part of a list.
type Page struct {
	Operations []*Operation
	// Next is where to go on, and More whether there may be something there.
	// More is exact unless Scan cut the page, or Where was set.
	Next Cursor
	More bool
}

// ClaimRequest asks for operations to run.
type ClaimRequest struct {
	Session SessionID
	// Call numbers the calls of a remote session from 1; 0 in process. The same
	// number again returns what is still claimed under it and claims no more; while
	// nothing is, it claims. A number that is not above the session's Closed
	// claims nothing and returns nothing.
	Call int64
	Want []Want
}

// Want asks for up to N operations of a method.
type Want struct {
	Method string
	N      int
}

// Claimed is what Claim gives.
type Claimed struct {
	Operations []*Operation
	// Next is the earliest ready time of an operation of these methods that was
	// not ready yet; zero if there is none. It may be in the past when more was
	// ready than was wanted; a Want with N 0 asks for no more than this.
	Next time.Time
}

// Session is what Beat writes of a session.
type Session struct {
	ID     SessionID
	Worker string // who it is, for people; written when it opens
	Remote bool   // a worker outside our processes; written when it opens
	Open   bool   // register it; the same session again, alive, is a renewal
	// TTL is how long its claims hold without a beat, written when it opens; 0 ends
	// the session, and in a renewal any other value is as good.
	TTL time.Duration
	// Closed, of a remote session: every call up to this number was answered,
	// or will be ignored if it still is. A claim of a call up to this beat's
	// Closed that this beat's Held does not name is released (Operation.EndRun with
	// RunReleased): a beat that was overtaken judges only what it knew. Claim
	// refuses calls up to the highest Closed of all beats.
	Closed int64
	// Held is what the session says it holds. What of it is not claimed by the
	// session under this attempt comes back in Beat.Stop.
	Held []Held
}

// Beat is the answer to a session.
type Beat struct {
	// Stop names the session's claims whose run must stop, in every answer until
	// they have ended, and what of Held is not its claim any more.
	Stop []Stop
	// Time is the store's, in this commit.
	Time time.Time
	// TTL is what the session was opened with.
	TTL time.Duration
}

// Stop is a run that must stop.
type Stop struct {
	Name    Name
	Attempt int64
	// Why is ErrCancelled, ErrPreempted, ErrDeadline or ErrClaimLost; of two
	// that hold, ErrPreempted, then ErrDeadline.
	Why error
}

// Contact is how well the caller has been in touch with the store until now:
// only who heard it all the time may say that a session did not speak. The zero
// Contact judges nobody.
type Contact struct {
	// AsOf is the store's time in the caller's last answered beat.
	AsOf time.Time
	// Span is for how long, up to AsOf, its contact was unbroken.
	Span time.Duration
	// Gap is the longest time between two answers in Span that still matters.
	Gap time.Duration
}

// Dead reports whether a session that last beat at beat, by the store's time, is
// dead: its time was over at AsOf, and the contact was unbroken, without a gap of
// more than a third of its TTL, for the whole of its TTL.
func (c Contact) Dead(beat time.Time, ttl time.Duration) bool {
	return ttl <= c.Span && 3*c.Gap <= ttl && !beat.Add(ttl).After(c.AsOf)
}

// Overdue is an unfinished operation that needs a decision.
type Overdue struct {
	Operation *Operation
	// SessionLost says that its session is not alive on record; otherwise its
	// deadline has passed.
	SessionLost bool
}

// Hint says what may have changed.
type Hint struct {
	IDs   []ID     // operations that may have changed
	Ready []string // methods that may have new work
	All   bool     // anything may have changed
}
