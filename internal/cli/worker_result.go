package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// exitRetry is the exit status of a command that wants to be run again: EX_TEMPFAIL.
const exitRetry = 75

// The reasons of errors that a worker makes.
const (
	reasonCommandFailed   = "COMMAND_FAILED"
	reasonInvalidResponse = "INVALID_RESPONSE"
	reasonTooLarge        = "PAYLOAD_TOO_LARGE"
)

// A stopCause is why a run was stopped. The zero stopCause: it was not.
type stopCause int

// The causes.
const (
	notStopped stopCause = iota
	byCancel             // somebody cancelled the operation, or a newer one has taken its key
	byDeadline           // its execution timeout is over
	byDrain              // the worker is to end
	byLoss               // the claim is another's
)

// result is what the server is told of a run: a response, an error, or neither, which
// gives it back undone.
type result struct {
	response *anypb.Any
	fail     *statuspb.Status
	delay    *durationpb.Duration // with fail
	word     string               // what it is, for people
}

// request is how the server is told; nil for a run that is given back.
func (r result) request() *longrunpb.FinishOperationRequest {
	switch {
	case r.fail != nil:
		return &longrunpb.FinishOperationRequest{Result: &longrunpb.FinishOperationRequest_Error{Error: r.fail}, RetryDelay: r.delay}
	case r.response != nil:
		return &longrunpb.FinishOperationRequest{Result: &longrunpb.FinishOperationRequest_Response{Response: r.response}}
	}
	return nil
}

// result reads the end of a command. docs/workers.md has it as a table.
func (e *ending) result(cause stopCause) result {
	if cause != notStopped {
		return e.stopped(cause)
	}
	switch {
	case e.fail != nil && e.delay != nil:
		return result{fail: e.fail, delay: e.delay, word: "is run again after " + took(e.delay.AsDuration())}
	case e.fail != nil:
		return result{fail: e.fail, word: fmt.Sprintf("failed, %v", codes.Code(e.fail.GetCode()))}
	case e.delay != nil:
		return result{fail: e.failure(codes.Unavailable, reasonCommandFailed, "the command asks to be run again"), delay: e.delay,
			word: "is run again after " + took(e.delay.AsDuration())}
	case e.excess:
		return failed(e.failure(codes.Internal, reasonTooLarge, fmt.Sprintf("the command has printed more than %d bytes", maxOutputBytes)))
	case e.passing():
		return result{fail: e.failure(codes.Unavailable, reasonCommandFailed, e.end()), word: "is run again, if it may: " + e.end()}
	case e.exit != 0:
		return failed(e.failure(codes.Unknown, reasonCommandFailed, e.end()))
	case e.bad != nil:
		return failed(e.failure(codes.Internal, reasonInvalidResponse, "a line on descriptor 3 cannot be read: "+e.bad.Error()))
	}
	response, err := responseOf(e.out, e.learnt)
	switch {
	case errors.Is(err, errTooLarge):
		return failed(e.failure(codes.Internal, reasonTooLarge, err.Error()))
	case err != nil:
		return failed(e.failure(codes.Internal, reasonInvalidResponse, err.Error()))
	}
	return result{response: response, word: "succeeded"}
}

// stopped is the result of a command that was told to stop: a response that it has
// printed nevertheless, or what the cause says.
func (e *ending) stopped(cause stopCause) result {
	if e.exit == 0 && e.fail == nil && e.delay == nil && len(bytes.TrimSpace(e.out)) > 0 {
		if r := e.result(notStopped); r.response != nil {
			return r
		}
	}
	switch cause {
	case byCancel:
		return result{fail: &statuspb.Status{Code: int32(codes.Canceled), Message: "the command was stopped"}, word: "was cancelled"}
	case byDeadline:
		return result{fail: &statuspb.Status{Code: int32(codes.DeadlineExceeded), Message: "the command was stopped at the deadline"}, word: "has passed its deadline"}
	}
	return result{word: "is given back"}
}

// passing reports whether the command has ended in a way that says nothing against
// running it again: it asks for that, or somebody else has stopped it.
func (e *ending) passing() bool {
	switch e.signal {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return true
	}
	return e.exit == exitRetry
}

// end is how the process has ended, in words.
func (e *ending) end() string {
	if e.signal != 0 {
		return fmt.Sprintf("the command was ended by a signal (%v)", e.signal)
	}
	return fmt.Sprintf("the command ended with exit status %d", e.exit)
}

func failed(st *statuspb.Status) result {
	first, _, _ := strings.Cut(st.GetMessage(), "\n")
	return result{fail: st, word: "failed: " + strings.TrimSuffix(first, ":")}
}

// failure is an error that says how the command has ended, with the last that it
// wrote to standard error behind what.
func (e *ending) failure(code codes.Code, reason, what string) *statuspb.Status {
	if text := strings.TrimSpace(strings.ToValidUTF8(string(e.tail), "?")); text != "" {
		what += ":\n" + text
	}
	return statusOf(code, reason, what, e.exit)
}

// statusOf is an error of a worker's.
func statusOf(code codes.Code, reason, msg string, exit int) *statuspb.Status {
	st := &statuspb.Status{Code: int32(code), Message: strings.ToValidUTF8(msg, "?")}
	info, err := anypb.New(&errdetails.ErrorInfo{
		Reason: reason, Domain: "longrun.dev", Metadata: map[string]string{"exit_status": strconv.Itoa(exit)},
	})
	if err == nil {
		st.Details = append(st.Details, info)
	}
	return st
}
