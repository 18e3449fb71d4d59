package cli

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/google/uuid"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	// startPatience is how long the first calls ride through a restart of the
	// server; nothing runs before they are answered.
	startPatience = time.Minute
	// beatSlack is how much longer than it asks for a beat may take to come back.
	beatSlack = 10 * time.Second
	// toldPause is between two beats when the first has said to stop: it is
	// repeated until the run has ended, at once.
	toldPause = time.Second

	firstAttempt = 1 // what an operation is claimed as that a session starts itself
	firstCall    = 1 // the one call of the session that claims
)

// session is a worker's registration with the server, and the one operation that it
// runs. The operation is offered to nobody else, so the session holds on to it
// through any absence of the server, also past its own TTL, and asks on return.
type session struct {
	c     *client
	work  longrunpb.DispatcherClient
	token string
	ttl   time.Duration
	name  string // of the operation

	away atomic.Bool  // the server does not answer
	told func(notice) // hears what the server says; called by beats and finish
}

// notice is what a session hears.
type notice int

// The notices of a session.
const (
	serverAway notice = iota // lost contact
	serverBack               // contact again, and the operation is still ours
	cancelled                // somebody cancelled the operation
	lost                     // the operation is not ours any more; comes once, from beats, which end
)

// openSession registers with the server, with a TTL that is the server's if ttl is 0.
// It makes one call: who wants a server that is not there yet calls again.
func openSession(ctx context.Context, c *client, ttl time.Duration) (*session, error) {
	s := &session{c: c, work: longrunpb.NewDispatcherClient(c.conn)}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	req := &longrunpb.OpenSessionRequest{Worker: fmt.Sprintf("%.100s/%d", host, os.Getpid())}
	if ttl != 0 {
		req.Ttl = durationpb.New(ttl)
	}
	err = c.call(ctx, func(ctx context.Context) error {
		r, err := s.work.OpenSession(ctx, req)
		s.token, s.ttl = r.GetSession(), r.GetTtl().AsDuration()
		return err
	})
	return s, err
}

// start creates the operation, claimed by the session. The request id makes sure
// that a reply that was lost has started nothing twice.
func (s *session) start(ctx context.Context, parent string, command *longrunpb.CommandRequest) error {
	body, err := anypb.New(command)
	if err != nil {
		return err
	}
	req := &longrunpb.StartOperationRequest{
		Parent: parent, Method: "command", Request: body, RequestId: uuid.NewString(), Session: s.token, Call: firstCall,
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return s.c.retry(ctx, nil, func(ctx context.Context, opts ...grpc.CallOption) error {
		op, err := s.work.StartOperation(ctx, req, opts...)
		if err == nil && op.GetDone() {
			err = status.FromProto(op.GetError()).Err() // the session has ended meanwhile
		}
		s.name = op.GetName()
		return err
	})
}

// beats keeps the session and its operation until ctx ends or they are lost.
func (s *session) beats(ctx context.Context) {
	wait := s.ttl / 3
	req := &longrunpb.BeatSessionRequest{
		Session: s.token, ClosedCall: firstCall,
		Held: []*longrunpb.HeldOperation{{Operation: s.name, Attempt: firstAttempt}},
	}
	for ctx.Err() == nil {
		req.WaitTimeout = durationpb.New(wait)
		if s.away.Load() {
			req.WaitTimeout = nil // the first answer says how we stand
		}
		call, cancel := context.WithTimeout(ctx, wait+beatSlack)
		r, err := s.work.BeatSession(call, req, grpc.WaitForReady(true))
		cancel()
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil:
			s.heard()
			if !s.stops(ctx, r.GetStop()) {
				return
			}
			pause(ctx, retryPause) // a server that stops answers at once, over and over
		case isLost(err) || isStranger(err):
			s.told(lost)
			return
		default:
			s.unheard(err)
			pause(ctx, retryPause)
		}
	}
}

// stops passes on what the answer to a beat says, and reports whether to go on
// beating.
func (s *session) stops(ctx context.Context, stop []*longrunpb.StoppedOperation) bool {
	for _, op := range stop {
		if op.GetOperation() != s.name || op.GetAttempt() != firstAttempt {
			continue
		}
		if op.GetCause() == longrunpb.StoppedOperation_CLAIM_LOST {
			s.told(lost)
			return false
		}
		s.told(cancelled) // nothing else applies: no conflict key, no deadline
		pause(ctx, toldPause)
	}
	return true
}

func (s *session) heard() {
	if s.away.Swap(false) {
		s.told(serverBack)
	}
}

func (s *session) unheard(error) {
	if !s.away.Swap(true) {
		s.told(serverAway)
	}
}

// cancel marks the operation as cancelled, by us. It rides through restarts.
func (s *session) cancel(ctx context.Context) error {
	err := s.c.retry(ctx, nil, func(ctx context.Context, opts ...grpc.CallOption) error {
		_, err := s.c.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: s.name}, opts...)
		return err
	})
	if status.Code(err) == codes.NotFound {
		return nil // it was deleted; there is nobody to tell
	}
	return err
}

// finish ends the operation: with response, or with failure if that is not nil. It
// rides through restarts, and is as good the second time.
func (s *session) finish(ctx context.Context, response *longrunpb.CommandResponse, failure *statuspb.Status) error {
	req := &longrunpb.FinishOperationRequest{Name: s.name, Session: s.token, Attempt: firstAttempt}
	if failure != nil {
		req.Result = &longrunpb.FinishOperationRequest_Error{Error: failure}
	} else {
		body, err := anypb.New(response)
		if err != nil {
			return err
		}
		req.Result = &longrunpb.FinishOperationRequest_Response{Response: body}
	}
	return s.c.retry(ctx, s.unheard, func(ctx context.Context, opts ...grpc.CallOption) error {
		_, err := s.work.FinishOperation(ctx, req, opts...)
		return err
	})
}

// close ends the session, if the server is there to hear it; else it ends with its
// TTL.
func (s *session) close() {
	if s.away.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = s.work.CloseSession(ctx, &longrunpb.CloseSessionRequest{Session: s.token})
}

// isLost reports whether the server has given the operation up.
func isLost(err error) bool {
	reason := reasonOf(err)
	return reason == "SESSION_LOST" || reason == "CLAIM_LOST"
}

// isStranger reports whether the server answers that it does not know the session at
// all, as when it has come back with another store.
func isStranger(err error) bool {
	code := status.Code(err)
	return reasonOf(err) != "" && (code == codes.InvalidArgument || code == codes.NotFound || code == codes.PermissionDenied)
}
