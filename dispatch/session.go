package dispatch

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// OpenSession registers a worker.
func (s *server) OpenSession(ctx context.Context, r *longrunpb.OpenSessionRequest) (_ *longrunpb.OpenSessionResponse, err error) {
	defer s.inDomain(&err)
	if err := s.svc.Authorize(ctx, longrun.VerbWork, ""); err != nil {
		return nil, err
	}
	ttl := duration(r.GetTtl())
	switch {
	case r.GetTtl() == nil:
		ttl = longrun.DefaultSessionTTL
	case ttl == 0:
		ttl = refused // Work takes 0 for "the default"
	}
	if !s.desk.enter() {
		return nil, unavailable("open session", longrun.ReasonOverloaded, "the server has as many sessions as it may")
	}
	id, token, err := s.openSession(ctx, longrun.SessionOptions{Worker: r.GetWorker(), TTL: ttl, Remote: true})
	if err != nil {
		s.desk.refused()
		return nil, err
	}
	s.desk.opened(id, ttl)
	return &longrunpb.OpenSessionResponse{Session: token, Ttl: durationpb.New(ttl.Truncate(time.Microsecond))}, nil
}

// openSession opens a session. One whose token cannot be made ends with its TTL.
func (s *server) openSession(ctx context.Context, o longrun.SessionOptions) (longrun.SessionID, string, error) {
	id, err := s.work.OpenSession(ctx, o)
	if err != nil {
		return id, "", err
	}
	token, err := s.work.SessionToken(ctx, id)
	return id, token, err
}

// CloseSession ends a session; one that is over already is no error.
func (s *server) CloseSession(ctx context.Context, r *longrunpb.CloseSessionRequest) (_ *longrunpb.CloseSessionResponse, err error) {
	defer s.inDomain(&err)
	if err := s.svc.Authorize(ctx, longrun.VerbWork, ""); err != nil {
		return nil, err
	}
	id, err := s.work.SessionOf(ctx, r.GetSession())
	if err != nil {
		return nil, err
	}
	if err := s.work.CloseSession(ctx, id); err != nil {
		return nil, err
	}
	s.desk.forget(id)
	return &longrunpb.CloseSessionResponse{}, nil
}
