package longruntest

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Conn returns a connection to the system's gRPC server: a real one of grpc-go,
// made in memory, so that it works in a synctest bubble. It serves
// google.longrunning.Operations and what Options.Register has registered. Every
// call returns the same connection, which the System closes; after a Crash it
// connects to the new process, as a client of a restarted server does.
func (s *System) Conn() *grpc.ClientConn {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return s.conn
	}
	conn, err := grpc.NewClient("passthrough:///longruntest",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return s.current().listener.DialContext(ctx)
		}))
	if err != nil {
		s.t.Fatalf("longruntest: %v", err)
	}
	s.conn = conn
	return conn
}

// hangUp closes the connection, if there is one.
func (s *System) hangUp() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		return
	}
	if err := conn.Close(); err != nil {
		s.t.Errorf("longruntest: %v", err)
	}
}
