package longrun

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// Report is how far a run is: exactly one of Metadata and Progress.
type Report struct {
	// Metadata replaces the metadata. What the starter has set in it is kept, and
	// units done do not go back.
	Metadata *anypb.Any
	// Progress replaces the progress of a method with the default metadata.
	Progress *longrunpb.Progress
}

// Result is how a run has ended.
type Result struct {
	// Response of success; used when Err is nil. Nil is an empty message of the
	// method's type, and google.protobuf.Empty where it promises none.
	Response *anypb.Any
	// Err is what the handler returned: see Handle.
	Err error
	// RetryOn are the codes, beside UNAVAILABLE, after which the run is repeated.
	RetryOn []codes.Code
	// Metadata, if not nil, is the last metadata, kept in the same commit.
	Metadata *anypb.Any
}

// Release is a run that is given back undone.
type Release struct {
	// Delay is how long not to offer it again. Zero means not at all.
	Delay time.Duration
	// Begun says that the handler has begun: an AtMostOnce operation then ends
	// ABORTED instead.
	Begun bool
	// Metadata, if not nil, is the last metadata.
	Metadata *anypb.Any
}

// Report keeps what the run under claim says of its progress; the latest wins.
func (w *Work) Report(ctx context.Context, name Name, claim Claim, r Report) error {
	if err := w.s.authorize(ctx, VerbWork, name); err != nil {
		return err
	}
	if (r.Metadata == nil) == (r.Progress == nil) {
		return w.s.fault("report", name, fieldError("report", "exactly one of metadata and progress is required"))
	}
	_, err := w.updateRun(ctx, name, func(op *Operation, now time.Time) (*Operation, error) {
		metadata, err := r.apply(op)
		if err == nil {
			err = w.s.checkMetadata(op, r.field(), metadata)
		}
		if err != nil {
			return op, err
		}
		return op.Report(claim, metadata, now)
	})
	return w.s.fault("report", name, err)
}

// field is what the caller has set.
func (r Report) field() string {
	if r.Progress != nil {
		return "progress"
	}
	return "metadata"
}

func (r Report) apply(op *Operation) (*anypb.Any, error) {
	metadata := r.Metadata
	if r.Progress != nil {
		var err error
		if metadata, err = withProgress(op.Metadata, r.Progress); err != nil {
			return nil, err
		}
	}
	return carry(op.Metadata, metadata), nil
}

// Step remembers the result of a step of the run under claim, and returns what
// is remembered: the result of the first, where the key was remembered already.
func (w *Work) Step(ctx context.Context, name Name, claim Claim, key string, result []byte) ([]byte, error) {
	if err := w.s.authorize(ctx, VerbWork, name); err != nil {
		return nil, err
	}
	if err := checkStep(key, result); err != nil {
		return nil, w.s.fault("step", name, err)
	}
	_, err := w.s.insist(ctx, func() (*Operation, error) {
		return w.s.store.Update(ctx, Change{
			ID:   name.ID,
			Step: &Step{Key: key, Result: result},
			Apply: func(op *Operation, now time.Time) (*Operation, error) {
				if op.Parent != name.Parent {
					return op, ErrClaimLost
				}
				return op.CountStep(claim, now)
			},
		})
	})
	if CodeOf(err) == codes.NotFound {
		err = ErrClaimLost
	}
	if errors.Is(err, ErrExists) {
		return w.remembered(ctx, name, key)
	}
	return result, w.s.fault("step", name, err)
}

func checkStep(key string, result []byte) error {
	switch {
	case key == "" || len(key) > MaxStepKeyBytes:
		return fieldError("key", "a step's key has 1 to 256 bytes")
	case len(result) > MaxStepBytes:
		return tooLarge("result", "a step's result is larger than 256 KiB")
	}
	return nil
}

// remembered returns the result of a step that is known to be there.
func (w *Work) remembered(ctx context.Context, name Name, key string) ([]byte, error) {
	before := key[:len(key)-1] // sorts before key, and nothing between is skipped
	for {
		steps, err := w.s.store.Steps(ctx, name.ID, before, 100)
		if err != nil {
			return nil, w.s.fault("step", name, err)
		}
		for _, s := range steps {
			if s.Key == key {
				return s.Result, nil
			}
		}
		if len(steps) == 0 {
			return nil, w.s.fault("step", name, ErrClaimLost)
		}
		before = steps[len(steps)-1].Key
	}
}

// Steps returns up to n remembered steps of the operation after a key, in key
// order. n is positive. They are there while the operation is not done.
func (w *Work) Steps(ctx context.Context, name Name, after string, n int) ([]Step, error) {
	if err := w.s.authorize(ctx, VerbWork, name); err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, w.s.fault("steps", name, fieldError("n", "n must be positive"))
	}
	steps, err := w.s.store.Steps(ctx, name.ID, after, n)
	return steps, w.s.fault("steps", name, err)
}

// Finish ends the run under claim by the table "a run ends by", and returns the
// operation as it now is: done, or pending where the run is repeated. The same
// Finish again is no error; one with another result is ABORTED with reason CLAIM_LOST,
// because the claim was over with the first. A response of another type than the
// method's ends the operation as INTERNAL, and what it was is logged (OP-06); metadata
// of another type is INVALID_ARGUMENT. A payload past its limit is
// INVALID_ARGUMENT with reason PAYLOAD_TOO_LARGE, and the run goes on; the metadata
// counts with what the starter has set in it.
func (w *Work) Finish(ctx context.Context, name Name, claim Claim, r Result) (*Operation, error) {
	if err := w.s.authorize(ctx, VerbWork, name); err != nil {
		return nil, err
	}
	end, id, err := runEnd(claim, r)
	if err != nil {
		return nil, w.s.fault("finish", name, err)
	}
	var broken atomic.Pointer[brokenPromise]
	op, err := w.endRun(ctx, name, func(op *Operation) RunEnd {
		return w.s.hold(op, end, r.Response.GetTypeUrl() == "", &broken)
	})
	cause := r.Err
	if b := broken.Load(); b != nil {
		id, cause = b.id, b.err
	}
	if id != "" && err == nil && op.State == Failed {
		w.s.log.Error("run failed", "id", id, "operation", name.String(), "method", op.Method, "attempt", claim.Attempt, "err", cause)
	}
	return op, w.s.fault("finish", name, err)
}

// Release gives the run under claim back undone: no failure, unless the
// operation may not be repeated or was cancelled meanwhile; then it ends.
func (w *Work) Release(ctx context.Context, name Name, claim Claim, r Release) (*Operation, error) {
	if err := w.s.authorize(ctx, VerbWork, name); err != nil {
		return nil, err
	}
	if r.Delay < 0 || r.Delay > MaxRetryDelay {
		return nil, w.s.fault("release", name, fieldError("retry_delay", "retry_delay must be from 0 to 30 days"))
	}
	if err := checkMetadata(r.Metadata); err != nil {
		return nil, w.s.fault("release", name, err)
	}
	end := RunEnd{Claim: claim, Kind: RunReleased, Begun: r.Begun, Delay: r.Delay.Truncate(time.Microsecond), Metadata: r.Metadata}
	op, err := w.endRun(ctx, name, func(*Operation) RunEnd { return end })
	return op, w.s.fault("release", name, err)
}

// endRun ends the run of the operation as end says.
func (w *Work) endRun(ctx context.Context, name Name, end func(op *Operation) RunEnd) (*Operation, error) {
	return w.updateRun(ctx, name, func(op *Operation, now time.Time) (*Operation, error) {
		e := end(op)
		e.Metadata = carry(op.Metadata, e.Metadata)
		next, err := op.EndRun(e, now)
		if err == nil && next != op && e.Metadata != nil {
			err = w.s.checkMetadata(op, "metadata", next.Metadata)
		}
		if err != nil {
			return op, err
		}
		return next, nil
	})
}

// updateRun is update for those who work; a record that is gone is a lost claim.
func (w *Work) updateRun(ctx context.Context, name Name, f func(*Operation, time.Time) (*Operation, error)) (*Operation, error) {
	op, err := w.s.update(ctx, name, func(op *Operation, now time.Time) (*Operation, error) {
		if op.Parent != name.Parent {
			return op, ErrClaimLost
		}
		return f(op, now)
	})
	if CodeOf(err) == codes.NotFound {
		return nil, ErrClaimLost
	}
	return op, err
}

// runEnd translates what a handler returned into the event of EndRun, and the id
// under which its cause is logged if that is how the operation ends.
func runEnd(claim Claim, r Result) (end RunEnd, id string, err error) {
	end = RunEnd{Claim: claim, Kind: RunReturned, Metadata: r.Metadata}
	if err := checkMetadata(r.Metadata); err != nil {
		return end, "", err
	}
	if r.Err == nil {
		end.Response, err = checkResponse(r.Response)
		return end, "", err
	}
	f := failureOf(r.Err, r.RetryOn)
	switch {
	case proto.Size(f.status) > MaxErrorBytes:
		return end, "", tooLarge("error", "error is larger than 64 KiB")
	case f.delay < 0 || f.delay > MaxRetryDelay:
		return end, "", fieldError("retry_delay", "retry_delay must be from 0 to 30 days")
	}
	end.Kind, end.Error, end.Delay = f.kind, f.status, f.delay.Truncate(time.Microsecond)
	end.BareCancel, end.Timeout = f.bareCancel, f.timeout
	end.Jitter = rand.Float64()
	return end, f.id, nil
}
