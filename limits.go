package longrun

import "time"

// Limits on what comes from outside. Each has a test at the limit and one just
// past it. Sizes are in bytes of the protobuf encoding unless said otherwise.
const (
	// MaxNameBytes limits the name of an operation (AIP-122, NM-08).
	MaxNameBytes = 1024
	// MaxParentBytes limits a parent, so that every name under it fits.
	MaxParentBytes = MaxNameBytes - len("/operations/") - 36
	// MaxMethodBytes limits the name of a method.
	MaxMethodBytes = 256
	// MaxConflictKeyBytes limits a conflict key.
	MaxConflictKeyBytes = 1024
	// MaxCallerBytes limits the name of a caller.
	MaxCallerBytes = 1024
	// MaxRequestBytes limits the request of an operation.
	MaxRequestBytes = 3 << 20
	// MaxResponseBytes limits its response.
	MaxResponseBytes = 3 << 20
	// MaxMetadataBytes limits its metadata.
	MaxMetadataBytes = 256 << 10
	// MaxErrorBytes limits its error.
	MaxErrorBytes = 64 << 10
	// MaxAnyDepth limits how deep an Any may hold another Any.
	MaxAnyDepth = 16
	// MaxRequestDepth limits how deep the messages of a request may nest whose type
	// has required fields.
	MaxRequestDepth = 100
	// MaxStepKeyBytes limits the key of a step.
	MaxStepKeyBytes = 256
	// MaxStepBytes limits the result of a step.
	MaxStepBytes = 256 << 10
	// MaxLabels limits the number of labels (AIP-148).
	MaxLabels = 64
	// MaxLabelChars limits a label's key and its value, in characters.
	MaxLabelChars = 63
	// MaxTargetBytes limits target, verb and api_version, each.
	MaxTargetBytes = 1024
	// MaxWarnings is how many warnings the metadata keeps; later ones are dropped.
	MaxWarnings = 100
	// MaxFailuresLimit is the largest MaxFailures of an operation.
	MaxFailuresLimit = 1000
	// MaxExecutionTimeout is the longest ExecutionTimeout of an operation.
	MaxExecutionTimeout = 10 * 365 * 24 * time.Hour
	// MaxRetryDelay is the longest delay before a run begins again.
	MaxRetryDelay = 30 * 24 * time.Hour
	// MaxPageSize is what a larger page size is cut to (PAG-02).
	MaxPageSize = 1000
	// DefaultPageSize is used when a page size is 0 (PAG-01).
	DefaultPageSize = 100
	// MaxPageBytes is where a page is cut, so that it fits into what a gRPC
	// client receives by default, 4 MiB (GRPC-07).
	MaxPageBytes = 3584 << 10
	// MaxPageTokenBytes limits a page token.
	MaxPageTokenBytes = 4096
	// MaxWait is the longest that one call of Wait waits (WAI-06).
	MaxWait = 60 * time.Second
	// DefaultMaxWaiters is how many calls of Wait may wait in one process where
	// Options.MaxWaiters is 0. One that waits over gRPC costs about 12 KB.
	DefaultMaxWaiters = 20_000
	// MaxWorkerBytes limits the name that a session gives itself.
	MaxWorkerBytes = 128
	// MaxSessionTokenBytes limits the token of a session.
	MaxSessionTokenBytes = 128
	// MinSessionTTL and MaxSessionTTL bound a session's TTL.
	MinSessionTTL = 5 * time.Second
	// MaxSessionTTL is the longest TTL of a session.
	MaxSessionTTL = 10 * time.Minute
	// MaxSessions is how many remote sessions one server keeps at a time.
	MaxSessions = 10_000
	// MaxHeld is how many operations one remote session may hold.
	MaxHeld = 1000
	// MaxWantMethods limits the methods in one call of Claim.
	MaxWantMethods = 100
	// MaxClaim limits the operations that one call of Claim returns.
	MaxClaim = 1000
)

// Defaults that a zero option stands for.
const (
	// DefaultSessionTTL is how long claims last without a beat.
	DefaultSessionTTL = 30 * time.Second
	// DefaultRetention is how long a done operation is kept (EXP-01).
	DefaultRetention = 30 * 24 * time.Hour
	// DefaultMaxFailures is how many runs may fail before the operation does.
	DefaultMaxFailures = 20
	// DefaultDomain is the ErrorInfo domain of our own errors.
	DefaultDomain = "longrun.dev"
)

// Times that are part of the contract.
const (
	// DeadlineGrace is how long after its deadline a running operation is left
	// to its run before a sweep ends it.
	DeadlineGrace = 30 * time.Second
	// EmptiedRetention is how long the emptied row of a deleted operation stays
	// after its work has ended, so that a late Create cannot bring it back.
	EmptiedRetention = 24 * time.Hour
)
