package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/groupcommit"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// overloadDelay is when a caller that found the queue full tries again.
const overloadDelay = 500 * time.Millisecond

func unavailable(verb, msg string, err error) *longrun.Error {
	return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Verb: verb, Msg: msg, Err: err}
}

// errClosed says that a call that began before Close came too late.
var errClosed = errors.New("the store is closed")

func closedError(verb string) error { return unavailable(verb, "the store is closed", nil) }

// queueError says what it means for a call that its item did not come back from
// the queue.
func queueError(verb string, err error) error {
	switch {
	case errors.Is(err, groupcommit.ErrFull):
		return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonOverloaded, Delay: overloadDelay,
			Verb: verb, Msg: "too many writes are waiting", Err: err}
	case errors.Is(err, groupcommit.ErrClosed):
		return closedError(verb)
	case errors.Is(err, groupcommit.ErrWithdrawn):
		return unavailable(verb, "the caller has gone", err)
	case errors.Is(err, groupcommit.ErrInFlight):
		return unavailable(verb, "the caller has gone", errors.Join(longrun.ErrUnknown, err))
	}
	return unavailable(verb, "the outcome is unknown", errors.Join(longrun.ErrUnknown, err))
}

// isOutage reports whether a database error says that the disk or the file
// cannot be written now, whoever asks.
func isOutage(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultNoMem, sqlite.ResultBusy, sqlite.ResultLocked,
		sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultProtocol, sqlite.ResultInterrupt:
		return true
	}
	return false
}

// authorError is the error of what an author does in a transaction: as it is, but
// UNAVAILABLE where the disk gave out under it, so that a run which returns it is
// repeated.
func authorError(verb string, err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultNoMem:
		return unavailable(verb, outageMsg(err), err)
	}
	return err
}

// outageMsg is what a caller may know of an outage.
func outageMsg(err error) string {
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultFull {
		return "the disk is full"
	}
	return "the database cannot be written"
}

// changeError is the error of one item of a batch, nothing of which was kept.
func changeError(verb string, err error) error {
	if err == nil || err == longrun.ErrExists || err == longrun.ErrSessionLost {
		return err
	}
	if _, ok := errors.AsType[*longrun.Error](err); ok {
		return err
	}
	if isOutage(err) {
		return unavailable(verb, outageMsg(err), err)
	}
	return &longrun.Error{Code: codes.Internal, Reason: longrun.ReasonInternal, Verb: verb, Msg: "the store cannot keep this", Err: err}
}

// readError is the error of a call that only reads.
func readError(verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case err == errClosed:
		return closedError(verb)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &longrun.Error{Code: longrun.CodeOf(err), Reason: longrun.ReasonUnavailable, Verb: verb, Msg: "the caller has gone", Err: err}
	case sqlite.ErrCode(err).ToPrimary() == sqlite.ResultFull:
		return unavailable(verb, outageMsg(err), err) // of what had to be written first
	case sqlite.ErrCode(err).ToPrimary() == sqlite.ResultInterrupt:
		return &longrun.Error{Code: codes.Canceled, Reason: longrun.ReasonUnavailable, Verb: verb, Msg: "the caller has gone", Err: err}
	}
	if _, ok := errors.AsType[*longrun.Error](err); ok {
		return err
	}
	return unavailable(verb, "the database cannot be read", err)
}

// Why a file is refused, in the tree of the error of Open and Check, for whoever
// tells people what to do about it.
var (
	// ErrInUse is of a file that another server has open.
	ErrInUse = errors.New("in use by another server")
	// ErrForeign is of a file that is no store of ours, or of a newer version of us.
	ErrForeign = errors.New("not a store of this version")
	// ErrLinked is of a file that has more than one name.
	ErrLinked = errors.New("more than one name")
	// ErrReadOnly is of a file that the system does not let us read or write.
	ErrReadOnly = errors.New("not ours to read and write")
)

// openError refuses a file in one line. The causes among args are in its tree.
func openError(verb string, code codes.Code, file, format string, args ...any) *longrun.Error {
	e := &longrun.Error{Code: code, Reason: longrun.ReasonUnavailable, Verb: verb, Msg: fmt.Sprintf("%q: ", file) + fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			e.Err = errors.Join(e.Err, err)
		}
	}
	if e.Err != nil && isDenied(e.Err) {
		e.Err = errors.Join(ErrReadOnly, e.Err)
	}
	return e
}

// isDenied reports whether the system, or SQLite, says that the file cannot be read
// or written by us.
func isDenied(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultPerm:
		return true
	}
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// because puts why a file is refused into the tree of e.
func because(why error, e *longrun.Error) *longrun.Error {
	e.Err = errors.Join(why, e.Err)
	return e
}

// authorPanic is what becomes of a panic of an author's function that ran on the
// store's goroutine.
type authorPanic struct {
	value any
	stack []byte
}

// Error returns the value of the panic, and where it was.
func (p *authorPanic) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }
