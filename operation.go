package longrun

import (
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// Operation is the durable record of one slow call. Service.Proto renders the
// part of it that callers see.
//
// Records are values: whoever gets one may keep it and change its fields, but
// nobody ever changes a message, a map or a slice that a record points to.
// Times are the store's, UTC, in whole microseconds; the zero time means "not
// yet" or "never".
type Operation struct {
	ID       ID
	Parent   string // the resource it lives under; may be empty
	Method   string // a full gRPC method "/pkg.Service/Method", or a short word
	Revision int64  // counts changes of the record from 1; progress is none
	State    State

	Request  *anypb.Any
	Response *anypb.Any       // set if and only if State is Succeeded and not Hidden
	Error    *statuspb.Status // set if and only if State is Failed or Cancelled and not Hidden
	Metadata *anypb.Any       // as last written by the starter or a run; nil means OperationMetadata

	// Claim is the claim under which the operation runs, and when it does not
	// run, the last one. It tells who ended a run, so that the same end can be
	// applied again. Claim.Attempt counts claims from 1 and never goes back.
	Claim    Claim
	Failures int // runs that ended in a retryable error or with their session

	CancelRequested bool // somebody asked to cancel it
	Preempted       bool // a newer operation waits for its conflict key; its end is decided
	Hidden          bool // deleted: not found by callers; its work goes on
	AtMostOnce      bool // a run that was lost is never repeated
	Pinned          bool // offered to the session that started it and to nobody else
	EndedByRun      bool // ended by what its run returned under Claim

	CreateTime   time.Time // when it was stored
	StartTime    time.Time // when it was first claimed
	ClaimTime    time.Time // when it was last claimed
	UpdateTime   time.Time // when anything here last changed; never goes back
	EndTime      time.Time // when it ended
	ReadyTime    time.Time // Pending: when it may be claimed; zero while it waits for its conflict key
	DeadlineTime time.Time // when its runs must have ended; fixed at the first claim
	ExpireTime   time.Time // when it may be removed; fixed at the end

	RequestID   string   // canonical UUID, or empty; freed when hidden
	RequestHash [32]byte // of the request that RequestID stands for
	ConflictKey string   // no two operations with the same key are claimed at a time
	OnConflict  ConflictPolicy
	Caller      string // who started it
	TraceParent string // W3C trace context of the starting call, or empty

	ExecutionTimeout time.Duration     // how long all runs together may take; 0 for ever
	MaxFailures      int               // how many runs may fail
	Retention        time.Duration     // how long it is kept after its end
	CompletedSteps   int               // steps remembered so far
	Labels           map[string]string // of the starter, for filters
}

// Name returns the operation's resource name.
func (op *Operation) Name() Name { return Name{Parent: op.Parent, ID: op.ID} }

// Claim says that Session runs an operation as attempt Attempt. Attempt never
// repeats for one operation: it is the fence.
type Claim struct {
	Session SessionID
	Attempt int64
	Call    int64 // of the remote session's call that claimed it; 0 in process
}

// Same reports whether c and d are the same claim. Call is no part of it.
func (c Claim) Same(d Claim) bool { return c.Session == d.Session && c.Attempt == d.Attempt }

// Held is a run that a session says it holds.
type Held struct {
	Name    Name
	Attempt int64
}

// A Step is a piece of a handler's work that is remembered, so that a later run
// of the same operation does not repeat it.
type Step struct {
	Key    string // at most MaxStepKeyBytes
	Result []byte // at most MaxStepBytes
	Time   time.Time
}
