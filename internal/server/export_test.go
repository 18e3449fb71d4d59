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

	MaxUnread         = maxUnread
	UnreadTimeout     = unreadTimeout
	ReceiveTimeout    = receiveTimeout
	WriteTimeout      = writeTimeout
	IdleTimeout       = idleTimeout
	MinPing           = minPing
	IdlePing          = idlePing
	PingTimeout       = pingTimeout
	StreamWindowBytes = streamWindowBytes
	ReadHeaderTimeout = readHeaderTimeout
	ReadTimeout       = readTimeout
	HTTPIdleTimeout   = httpIdleTimeout
)

// SetPlay says what plays the command line.
func SetPlay(f func(args []string) int) { play = f }

// OpenOn returns a server on an open store that serves gRPC on l and no HTTP, for
// bubbles of synctest, in which a listener of the system hangs.
func OpenOn(store longrun.Store, l net.Listener, o Options) (*Server, error) {
	o.Log = slog.New(slog.DiscardHandler)
	types, err := LoadTypes(o.DescriptorSets...)
	if err != nil {
		return nil, err
	}
	s := &Server{log: o.Log, store: store, grpcL: l, types: types}
	return s, s.assemble(o, nil)
}

// ServeHTTPOn makes a server of OpenOn serve HTTP on l.
func (s *Server) ServeHTTPOn(l net.Listener) { s.httpL = l }

// HTTPHandler returns what the HTTP face serves.
func (s *Server) HTTPHandler() http.Handler { return s.face() }

// CallsUnderWay returns how many gRPC calls have a place.
func (s *Server) CallsUnderWay() int64 { return s.admission.all.Load() }

// Connections returns how many connections have a place at the gRPC face.
func (s *Server) Connections() int {
	d := s.doors[0]
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.in)
}

// Service returns the service, for tests through the Go door.
func (s *Server) Service() *longrun.Service { return s.svc }
