package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// taker is a caller of BackUpStore.
type taker struct {
	grpc.ServerStream
	ctx  context.Context
	take func(*longrunpb.BackUpStoreResponse) error
}

func (s *taker) Context() context.Context                    { return s.ctx }
func (s *taker) Send(m *longrunpb.BackUpStoreResponse) error { return s.take(m) }

// from is a call's context that says where it comes from.
func from(ctx context.Context, addr net.Addr) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: addr})
}

var here = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5}

// copyable is a store that streams pieces of a kilobyte until it fails.
type copyable struct {
	longrun.Store
	pieces int
	ended  chan error
}

func (c *copyable) Stream(ctx context.Context, w io.Writer, o sqlite.BackupOptions) (err error) {
	defer func() { c.ended <- err }()
	o.Progress(0, int64(c.pieces)*1024)
	for range c.pieces {
		if _, err := w.Write(make([]byte, 1024)); err != nil {
			return err
		}
	}
	return nil
}

// Without authentication a copy of everything, with the keys in it, is for callers on
// this machine alone, whatever the server listens on.
func TestAdmin_LocalCallersAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		addr net.Addr
		want codes.Code
	}{
		{here, codes.Unimplemented}, // by the store in memory
		{&net.TCPAddr{IP: net.IPv6loopback}, codes.Unimplemented},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1")}, codes.Unimplemented},
		{&net.UnixAddr{Name: "@", Net: "unix"}, codes.Unimplemented},
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, codes.PermissionDenied},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1")}, codes.PermissionDenied},
		{&net.TCPAddr{}, codes.PermissionDenied},
		{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, codes.PermissionDenied},
	} {
		a := &admin{store: inmem.New(), log: slog.New(slog.DiscardHandler)}
		err := a.BackUpStore(nil, &taker{ctx: from(t.Context(), tt.addr)})
		if got := status.Code(err); got != tt.want {
			t.Errorf("from %v: %v, want %v", tt.addr, err, tt.want)
		}
	}
	if err := (&admin{}).BackUpStore(nil, &taker{ctx: t.Context()}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("from nowhere: %v, want PERMISSION_DENIED", err)
	}
}

// The log of the store is not held by a caller that takes nothing.
func TestAdmin_SlowCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &copyable{pieces: 10, ended: make(chan error, 1)}
		a := &admin{store: store, log: slog.New(slog.DiscardHandler)}
		gone := make(chan struct{})
		answered := make(chan error, 1)
		go func() {
			answered <- a.BackUpStore(nil, &taker{ctx: from(context.Background(), here), take: func(*longrunpb.BackUpStoreResponse) error {
				<-gone
				return errors.New("gone")
			}})
		}()
		if err := <-store.ended; !errors.Is(err, errSlow) {
			t.Errorf("the copying ended with %v, want %v while the caller is still there", err, errSlow)
		}
		close(gone)
		if err := <-answered; status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("the call ended with %v, want DEADLINE_EXCEEDED", err)
		}
	})
}

// A caller that goes ends the copying.
func TestAdmin_CallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &copyable{pieces: 10, ended: make(chan error, 1)}
		a := &admin{store: store, log: slog.New(slog.DiscardHandler)}
		ctx, leave := context.WithCancel(from(context.Background(), here))
		taken := 0
		err := a.BackUpStore(nil, &taker{ctx: ctx, take: func(*longrunpb.BackUpStoreResponse) error {
			if taken++; taken == 3 {
				leave()
				return status.FromContextError(ctx.Err()).Err()
			}
			return nil
		}})
		if status.Code(err) != codes.Canceled || taken != 3 {
			t.Errorf("the call ended with %v after %d pieces, want CANCELLED after 3", err, taken)
		}
		if err := <-store.ended; err == nil {
			t.Error("the copying went on to its end")
		}
	})
}

// Reasons of the store reach the caller; others do not.
func TestAdmin_Errors(t *testing.T) {
	t.Parallel()
	busy := &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonOverloaded, Msg: "another backup is under way"}
	if got := outside(busy); got != error(busy) {
		t.Errorf("outside = %v, want the store's error", got)
	}
	secret := errors.New("/var/lib/secret: broken")
	if got := outside(secret); status.Code(got) == codes.OK || errors.Is(got, secret) {
		t.Errorf("outside = %v, want a code and no more", got)
	}
}
