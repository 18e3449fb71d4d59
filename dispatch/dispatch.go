package dispatch

import (
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// Options configures the Dispatcher. The zero Options is ready for use.
type Options struct {
	// Poll is how often an AcquireOperations that waits asks the store although
	// nobody has said that there is work, as when another process has started
	// it and the hint was lost. Zero means 5 seconds; negative means never.
	Poll time.Duration

	// MaxAcquires is how many calls of AcquireOperations may wait at a time, of all
	// sessions together; beyond, one that would have to wait is UNAVAILABLE with
	// reason OVERLOADED (POL-04). Zero means 10,000; negative lets none wait.
	MaxAcquires int
}

const (
	defaultPoll = 5 * time.Second
	// DefaultMaxAcquires is Options.MaxAcquires where that is 0.
	DefaultMaxAcquires = longrun.MaxSessions
	// MaxSessionAcquires is how many calls of AcquireOperations of one session may
	// wait at a time, so that one worker does not take the places of the others.
	MaxSessionAcquires = 100
)

// Register serves longrun.v1.Dispatcher of svc on r. It starts nothing. Its calls
// are safe for concurrent use, and end when svc drains or their caller goes.
func Register(r grpc.ServiceRegistrar, svc *longrun.Service, o Options) {
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.MaxAcquires == 0 {
		o.MaxAcquires = DefaultMaxAcquires
	}
	longrunpb.RegisterDispatcherServer(r, &server{svc: svc, work: svc.Work(), poll: o.Poll, desk: newDesk(o.MaxAcquires)})
}

// server is the Dispatcher. It is safe for concurrent use.
type server struct {
	longrunpb.UnimplementedDispatcherServer
	svc  *longrun.Service
	work *longrun.Work
	poll time.Duration // negative: never
	desk *desk
}

// draining reports whether the service answers long polls at once.
func (s *server) draining() bool {
	select {
	case <-s.svc.Draining():
		return true
	default:
		return false
	}
}

// inDomain is deferred by every method: it puts an error of ours into the domain of
// the service, whoever has made it (ERR-05).
func (s *server) inDomain(err *error) {
	e, ok := errors.AsType[*longrun.Error](*err)
	if !ok {
		return
	}
	in := *e
	in.Domain = s.svc.Domain()
	*err = &in
}
