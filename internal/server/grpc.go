package server

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/dispatch"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/simulator"

	// Reflection resolves the types that are linked in, and payloads are often of
	// these. What grpcurl prints of an operation is then complete.
	_ "google.golang.org/genproto/googleapis/rpc/code"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/apipb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/sourcecontextpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/typepb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	_ "github.com/longrun-dev/longrun/longrunpb"
)

// Limits of the faces.
const (
	// maxReceiveBytes limits a message that is received: the largest request or
	// response of an operation, 3 MiB, its metadata, and what goes with them.
	maxReceiveBytes = 4 << 20
	// maxStreams limits the calls at a time on one connection, most of which may
	// be waiting for operations.
	maxStreams = 10_000
	// maxConnections limits the connections of each face; more are turned away.
	maxConnections = 4096
	// maxHeaderBytes limits the header of a request on each face, as the face counts
	// it: HTTP adds some slack.
	maxHeaderBytes = 64 << 10

	// Of each stream and each connection, so much is taken in that no handler has
	// read. Fixed, because grpc-go otherwise measures the connection with a ping
	// whenever a message comes in. A call that waits, for a commit or longer, leaves
	// that ping nothing to travel with: two more packets a call, and their system
	// calls doubled what a worker's operation cost.
	streamWindowBytes = 1 << 20
	connWindowBytes   = 4 << 20

	handshakeTimeout = 10 * time.Second
	minPing          = 10 * time.Second // a client that pings more often is disconnected
	idlePing         = time.Minute
	pingTimeout      = 20 * time.Second
	// idleTimeout is how long a connection may be without a call.
	idleTimeout = 15 * time.Minute
	// writeTimeout is how long a client may take to receive what is written at once, 32
	// KiB or so.
	writeTimeout = 20 * time.Second
)

// newGRPC returns a gRPC server without services, whose calls a admits.
func newGRPC(svc *longrun.Service, a *admission, api grpcapi.Options) *grpc.Server {
	return grpc.NewServer(append(append(grpcapi.ServerOptions(svc, api), a.options()...),
		grpc.MaxRecvMsgSize(maxReceiveBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.StaticStreamWindowSize(streamWindowBytes),
		grpc.StaticConnWindowSize(connWindowBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout, Time: idlePing, Timeout: pingTimeout}),
	)...)
}

// register serves every service of the options on r.
func register(r grpc.ServiceRegistrar, svc *longrun.Service, api grpcapi.Options, sim Switch) {
	grpcapi.Register(r, svc, api)
	dispatch.Register(r, svc, dispatch.Options{})
	if sim == On {
		simulator.Register(r, svc)
	}
}

// both registers each service with two faces.
type both [2]grpc.ServiceRegistrar

// RegisterService registers the service with both.
func (b both) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, r := range b {
		r.RegisterService(desc, impl)
	}
}
