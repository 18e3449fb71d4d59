package client

import (
	"context"
	"fmt"

	"google.golang.org/grpc/status"
)

// interruptedError is what Wait returns when its context ends before the operation.
// It is told from an operation that has failed with the same code by errors.Is
// with context.Canceled or context.DeadlineExceeded.
type interruptedError struct {
	name  string
	ended error // ctx.Err()
	cause error // context.Cause
	last  error // of the last call; nil: it was answered
}

func interrupted(ctx context.Context, name string, last error) error {
	return &interruptedError{name: name, ended: ctx.Err(), cause: context.Cause(ctx), last: last}
}

// Error names the operation, says why the wait ended, and what kept it from an
// answer.
func (e *interruptedError) Error() string {
	text := fmt.Sprintf("wait for operation %q: %v", e.name, e.cause)
	if e.last != nil {
		text += fmt.Sprintf(" (the last call: %v)", e.last)
	}
	return text
}

// Unwrap returns the context's error and its cause.
func (e *interruptedError) Unwrap() []error { return []error{e.ended, e.cause} }

// GRPCStatus gives CANCELLED or DEADLINE_EXCEEDED, so that status.Code is that of a
// call with the same context.
func (e *interruptedError) GRPCStatus() *status.Status {
	return status.New(status.FromContextError(e.ended).Code(), e.Error())
}
