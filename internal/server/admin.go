package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// chunkPatience is how long a caller may take for one piece of a copy: while it
// is made, the store's log cannot be emptied.
const chunkPatience = 30 * time.Second

// streamer is a store that can copy itself.
type streamer interface {
	Stream(ctx context.Context, w io.Writer, o sqlite.BackupOptions) error
}

// admin serves longrun.v1.Admin.
type admin struct {
	longrunpb.UnimplementedAdminServer
	store longrun.Store
	log   *slog.Logger
}

// registerAdmin adds longrun.v1.Admin to g.
func registerAdmin(g *grpc.Server, store longrun.Store, log *slog.Logger) {
	longrunpb.RegisterAdminServer(g, &admin{store: store, log: log})
}

// BackUpStore streams a copy of the store to a caller on this machine.
func (a *admin) BackUpStore(_ *longrunpb.BackUpStoreRequest, stream grpc.ServerStreamingServer[longrunpb.BackUpStoreResponse]) error {
	if !isLocal(stream.Context()) {
		return &longrun.Error{Code: codes.PermissionDenied, Reason: longrun.ReasonPermissionDenied, Verb: "back up",
			Msg: "only callers on the server's own machine may have a copy of the store"}
	}
	s, ok := a.store.(streamer)
	if !ok {
		return &longrun.Error{Code: codes.Unimplemented, Reason: longrun.ReasonMethodNotSupported, Verb: "back up", Msg: "this store cannot be copied"}
	}
	err := a.send(stream, s)
	if err != nil {
		a.log.Warn("backup not made", "err", err)
		return outside(err)
	}
	return nil
}

// outside is an error for the caller: ours as it is, and of any other the code.
func outside(err error) error {
	if ours, ok := errors.AsType[*longrun.Error](err); ok {
		return ours
	}
	if errors.Is(err, errSlow) {
		return &longrun.Error{Code: codes.DeadlineExceeded, Reason: longrun.ReasonUnavailable, Verb: "back up", Msg: errSlow.Error(), Err: err}
	}
	if code := status.Code(err); code != codes.Unknown {
		return status.Error(code, "the copy was not taken")
	}
	return status.FromContextError(err).Err()
}

var errSlow = errors.New("the caller takes the copy too slowly")

// send streams the copy. It is made on a goroutine of its own, which gives up when
// the caller does not take a piece in time, though this one cannot: Send returns
// only when the caller has taken it or has gone.
func (a *admin) send(stream grpc.ServerStreamingServer[longrunpb.BackUpStoreResponse], s streamer) error {
	ctx, stop := context.WithCancelCause(stream.Context())
	defer stop(nil)
	pieces := make(pipe)
	copied := make(chan error, 1)
	go func() {
		defer close(pieces)
		copied <- s.Stream(ctx, pieces.in(ctx), sqlite.BackupOptions{Progress: func(done, total int64) {
			if done == 0 {
				pieces.put(ctx, &longrunpb.BackUpStoreResponse{TotalBytes: total})
			}
		}})
	}()
	slow := time.AfterFunc(chunkPatience, func() { stop(errSlow) })
	defer slow.Stop()
	sum := sha256.New()
	var failed error
	for piece := range pieces {
		if failed != nil {
			continue // until the copying has heard of it
		}
		sum.Write(piece.GetData()) // never fails
		slow.Reset(chunkPatience)
		if failed = stream.Send(piece); failed != nil {
			stop(failed)
		}
	}
	if err := <-copied; err != nil || failed != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return stream.Send(&longrunpb.BackUpStoreResponse{Sha256: sum.Sum(nil)})
}

// pipe carries the pieces of a copy.
type pipe chan *longrunpb.BackUpStoreResponse

// put waits until a piece was taken, or ctx ends.
func (p pipe) put(ctx context.Context, piece *longrunpb.BackUpStoreResponse) error {
	select {
	case p <- piece:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// in returns what is written to.
func (p pipe) in(ctx context.Context) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		// A copy: b is the writer's again when this returns, and Send may be at it.
		return len(b), p.put(ctx, &longrunpb.BackUpStoreResponse{Data: append([]byte(nil), b...)})
	})
}

type writerFunc func([]byte) (int, error)

// Write calls f.
func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// isLocal reports whether a call comes from this machine: over loopback, or not
// over the network at all.
func isLocal(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	switch p.Addr.Network() {
	case "unix":
		return true
	case "tcp":
	default:
		return false
	}
	addr, err := netip.ParseAddrPort(p.Addr.String())
	return err == nil && addr.Addr().Unmap().IsLoopback()
}
