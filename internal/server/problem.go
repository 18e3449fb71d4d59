package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/sqlite"
)

// Problem is an error for whoever runs the server.
type Problem struct {
	Msg  string // what is wrong, in one line
	Hint string // what to do about it; may be empty
	Err  error  // the cause, if there is one

	// Usage says whether the options are at fault, whatever the machine is like.
	Usage bool
}

// Error returns Msg.
func (p *Problem) Error() string { return p.Msg }

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// storeProblem explains why a store cannot be used.
func storeProblem(file string, err error) *Problem {
	p := &Problem{Msg: oneLine(err.Error()), Hint: sqlite.Hint(err), Err: err}
	switch {
	case errors.Is(err, sqlite.ErrReadOnly):
		p.Hint = "the file, its directory and what lies beside it (-wal, -shm, .lock) must be ours to read and write: see their owner, their permissions and how the file system is mounted"
	case p.Hint != "":
	case errors.Is(err, sqlite.ErrInUse):
		p.Hint = "stop the server that has it open, or name another file with: --store sqlite:FILE"
	case errors.Is(err, sqlite.ErrLinked):
		p.Hint = "remove its other names, or name a copy of it with: --store sqlite:FILE"
	case errors.Is(err, sqlite.ErrForeign):
		p.Hint = "it is left as it is; name the file of a store, or one that does not exist yet, with: --store sqlite:FILE"
	case longrun.CodeOf(err) == codes.DataLoss:
		p.Hint = "keep the file, restore a backup of it under another name, and serve that with: --store sqlite:FILE"
	case longrun.CodeOf(err) == codes.NotFound:
		p.Hint = "name the file of a store, such as longrun.db"
		if _, err := os.Stat(filepath.Dir(file)); err != nil {
			p.Hint = "its directory must exist"
		}
	default:
		p.Hint = "the file system does not let us use the file: see that it is local, that it works and that it has room"
	}
	return p
}

// listenProblem explains why nobody can listen on an address.
func listenProblem(flag, addr string, err error) error {
	p := &Problem{Msg: fmt.Sprintf("listen on %s: %v", addr, rootCause(err)), Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		p.Msg = fmt.Sprintf("listen on %s: the address is in use", addr)
		p.Hint = fmt.Sprintf("another longrun serve may be running; choose another port: %s %s", flag, withPort(addr, "0"))
	case errors.Is(err, syscall.EACCES):
		p.Hint = fmt.Sprintf("ports below 1024 are for root; choose another port: %s %s", flag, withPort(addr, "0"))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		p.Hint = "the address is not one of this machine"
	}
	return p
}

// rootCause is err without what net has wrapped around it.
func rootCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

func withPort(addr, port string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return net.JoinHostPort(host, port)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
