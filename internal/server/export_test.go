package server

import (
	"log/slog"
	"net"
	"net/http"

	"github.com/longrun-dev/longrun"
)

// PlayEnv makes the test binary play the command line when it is set, PlayLeashed
// for as long as its standard input is open.
const (
	PlayEnv     = playEnv
	PlayLeashed = playLeashed
)

// The limits of the faces.
const (
	MaxReceiveBytes = maxReceiveBytes
	MaxStreams      = maxStreams
	MaxConnections  = maxConnections
	MaxHeaderBytes  = maxHeaderBytes

	ReadHeaderTimeout = readHeaderTimeout
	ReadTimeout       = readTimeout
	IdleTimeout       = idleTimeout
)

// SetPlay says what plays the command line.
func SetPlay(f func(args []string) int) { play = f }

// OpenOn returns a server on an open store that serves gRPC on l and no HTTP, for
// bubbles of synctest, in which a listener of the system hangs.
func OpenOn(store longrun.Store, l net.Listener, o Options) (*Server, error) {
	o.Log = slog.New(slog.DiscardHandler)
	s := &Server{log: o.Log, store: store, grpcL: l}
	return s, s.assemble(o, nil)
}

// ServeHTTPOn makes a server of OpenOn serve HTTP on l.
func (s *Server) ServeHTTPOn(l net.Listener) { s.httpL = l }

// HTTPHandler returns what the HTTP face serves.
func (s *Server) HTTPHandler() http.Handler { return s.face() }

// Service returns the service, for tests through the Go door.
func (s *Server) Service() *longrun.Service { return s.svc }
