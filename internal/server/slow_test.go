package server_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"golang.org/x/net/http2"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// inHouse runs f with a server in a bubble, and drains it after f, which has closed its
// connections or left them to the server. The buffers of connections hold so many bytes.
func inHouse(t *testing.T, buffer int, f func(t *testing.T, h *house, l, web *bufconn.Listener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, web := bufconn.Listen(buffer), bufconn.Listen(buffer)
		h := buildFaces(t, l, web)
		time.Sleep(time.Second)
		f(t, h, l, web)
		begin := time.Now()
		h.stop()
		if err := <-h.ran; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(begin); took > server.StopTimeout+5*time.Second+time.Second {
			t.Errorf("the drain took %v, want the handlers' grace and %v at most", took, server.StopTimeout)
		}
	})
}

func dialIn(t *testing.T, l *bufconn.Listener) net.Conn {
	t.Helper()
	conn, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// wantEnd waits until the connection has ended, and checks that this took so long.
func wantEnd(t *testing.T, r *raw, done <-chan struct{}, begin time.Time, want time.Duration) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Hour):
		t.Fatalf("the connection lasts, want that it ends after %v", want)
	}
	if got := r.ended().Sub(begin); got < want || got > want+2*time.Second {
		t.Errorf("the connection has ended after %v, want %v", got, want)
	}
}

// large starts an operation whose reply is large, and returns its name.
func large(t *testing.T, h *house, size int) string {
	t.Helper()
	body, err := anypb.New(wrapperspb.Bytes(make([]byte, size)))
	if err != nil {
		t.Fatal(err)
	}
	op, err := h.s.Service().Start(t.Context(), longrun.StartRequest{
		StartOptions: longrun.StartOptions{Metadata: body}, Method: "nobody-has-it",
	})
	if err != nil {
		t.Fatal(err)
	}
	return op.Name().String()
}

// A connection on which nothing comes is closed when a handshake should be over.
func TestSlow_SilentConnection(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, _ *house, l, web *bufconn.Listener) {
		for face, l := range map[string]*bufconn.Listener{"gRPC": l, "HTTP": web} {
			conn, begin := dialIn(t, l), time.Now()
			for n, err := 1, error(nil); err == nil; { // gRPC says its settings first
				n, err = conn.Read(make([]byte, 1024))
				_ = n
			}
			if took := time.Since(begin); took > 11*time.Second {
				t.Errorf("%s: a silent connection lasted %v, want 10s", face, took)
			}
		}
	})
}

// A connection on which nothing has come does not hold up a drain, and one that has
// sent half a greeting does so for StopTimeout at most.
func TestSlow_SilentConnectionAndDrain(t *testing.T) {
	for said, want := range map[string]time.Duration{"": 100 * time.Millisecond, http2.ClientPreface[:10]: server.StopTimeout + 100*time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			l, web := bufconn.Listen(1<<16), bufconn.Listen(1<<16)
			h := buildFaces(t, l, web)
			time.Sleep(time.Second)
			for _, l := range []*bufconn.Listener{l, web} {
				if _, err := dialIn(t, l).Write([]byte(said)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			begin := time.Now()
			h.stop()
			if err := <-h.ran; err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
			if took := time.Since(begin); took > want {
				t.Errorf("after %q on each face the drain took %v, want %v at most", said, took, want)
			}
		})
	}
}

// Half a request is waited for as long as a request may take, and its call is over then;
// the connection and its other calls go on.
func TestSlow_HalfARequest(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, _ *house, l, _ *bufconn.Listener) {
		r := newRaw(t, dialIn(t, l))
		done, begin := r.listen(), time.Now()
		half := r.begin(longrunpb.Dispatcher_StartOperation_FullMethodName)
		time.Sleep(server.ReceiveTimeout - time.Millisecond)
		if got := r.frames(ends); len(got) != 0 {
			t.Errorf("the call has ended: %+v, want that it has until %v", got, server.ReceiveTimeout)
		}
		time.Sleep(time.Second)
		if got := r.frames(ends); len(got) != 1 || got[0].stream != half || got[0].at.Sub(begin) != server.ReceiveTimeout {
			t.Errorf("half a request has ended: %+v, want after %v", got, server.ReceiveTimeout)
		}
		whole := r.call(healthpb.Health_Check_FullMethodName, &healthpb.HealthCheckRequest{})
		time.Sleep(time.Second)
		if got := r.frames(ends); len(got) != 2 || got[1].stream != whole || got[1].fields["grpc-status"] != "0" {
			t.Errorf("another call on the connection: %+v, want OK", got)
		}
		// A call whose request has come may take longer.
		long := r.call(healthpb.Health_Watch_FullMethodName, &healthpb.HealthCheckRequest{})
		time.Sleep(2 * server.ReceiveTimeout)
		if got := r.frames(func(s seen) bool { return ends(s) && s.stream == long }); len(got) != 0 {
			t.Errorf("a call whose request has come was ended: %+v", got)
		}
		r.conn.Close()
		<-done
	})
}

// A client that reads nothing from its connection is cut off, and what it waited for
// goes on without it.
func TestSlow_ReadsNothing(t *testing.T) {
	inHouse(t, 1<<10, func(t *testing.T, h *house, l, _ *bufconn.Listener) {
		name := large(t, h, 128<<10)
		r := newRaw(t, dialIn(t, l))
		r.call(longrunningpb.Operations_GetOperation_FullMethodName, &longrunningpb.GetOperationRequest{Name: name})
		time.Sleep(server.WriteTimeout - time.Second)
		if got := h.s.Connections(); got != 1 {
			t.Errorf("%d connections before the time is over, want 1", got)
		}
		time.Sleep(2 * time.Second)
		if got := h.s.Connections(); got != 0 {
			t.Errorf("%d connections after %v, want 0", got, server.WriteTimeout)
		}
	})
}

// A client that reads its connection and opens no window for replies gets no more of
// them when it has left too many, and is let go of in the end.
func TestSlow_OpensNoWindow(t *testing.T) {
	inHouse(t, 1<<20, func(t *testing.T, h *house, l, _ *bufconn.Listener) {
		const size = 200 << 10
		name := large(t, h, size)
		r := newRaw(t, dialIn(t, l), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		done, begin := r.listen(), time.Now()
		for range server.MaxUnread/size + 20 {
			r.call(longrunningpb.Operations_GetOperation_FullMethodName, &longrunningpb.GetOperationRequest{Name: name})
			synctest.Wait()
		}
		got := r.frames(ends)
		if len(got) < 15 || len(got) > 20 {
			t.Errorf("%d calls were refused, want all beyond %d bytes", len(got), server.MaxUnread)
		}
		for _, s := range got {
			if s.fields["grpc-status"] != "14" || s.fields["grpc-status-details-bin"] == "" {
				t.Fatalf("a call was refused with %v, want UNAVAILABLE with details", s.fields)
			}
		}
		if n := len(r.frames(of(http2.FrameData))); n != 0 {
			t.Errorf("the server has sent %d frames of data into no window", n)
		}
		wantEnd(t, r, done, begin, server.UnreadTimeout)
	})
}

// Who reads late gets everything, and has its room back: also when it has given calls up.
func TestSlow_ReadsLate(t *testing.T) {
	inHouse(t, 1<<20, func(t *testing.T, h *house, l, _ *bufconn.Listener) {
		const size, many = 200 << 10, server.MaxUnread/(200<<10) - 1
		name := large(t, h, size)
		r := newRaw(t, dialIn(t, l), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		done := r.listen()
		get := func() uint32 {
			return r.call(longrunningpb.Operations_GetOperation_FullMethodName, &longrunningpb.GetOperationRequest{Name: name})
		}
		for range 3 { // places that do not come back would show
			var calls []uint32
			for range many {
				calls = append(calls, get())
			}
			time.Sleep(time.Minute)
			for i, id := range calls {
				r.mu.Lock()
				if i%2 == 0 {
					if err := r.fr.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
						t.Fatal(err)
					}
				} else if err := r.fr.WriteWindowUpdate(id, size*2); err != nil {
					t.Fatal(err)
				}
				if err := r.fr.WriteWindowUpdate(0, size*2); err != nil {
					t.Fatal(err)
				}
				r.mu.Unlock()
				synctest.Wait()
			}
		}
		ok := r.frames(func(s seen) bool { return s.fields["grpc-status"] == "0" })
		if len(ok) != 3*(many/2) {
			t.Errorf("%d replies came whole, want %d", len(ok), 3*(many/2))
		}
		if got := r.frames(func(s seen) bool { return ends(s) && s.fields["grpc-status"] != "0" }); len(got) != 0 {
			t.Errorf("%d calls were refused, the first with %v", len(got), got[0].fields)
		}
		r.conn.Close()
		<-done
	})
}

// WAI-14: a client that has vanished without a word is found by a ping that it does not
// answer, and whatever waited for it is over.
func TestSlow_HalfOpen(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, h *house, l, _ *bufconn.Listener) {
		r := newRaw(t, dialIn(t, l))
		r.mute = true
		done, begin := r.listen(), time.Now()
		r.call(healthpb.Health_Watch_FullMethodName, &healthpb.HealthCheckRequest{})
		wantEnd(t, r, done, begin, server.IdlePing+server.PingTimeout)
	})
}

// Slow-loris: a header that comes a byte at a time is cut off as a whole.
func TestSlow_HTTPHeader(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, _ *house, _, web *bufconn.Listener) {
		conn, begin := dialIn(t, web), time.Now()
		for _, b := range []byte("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1000)) {
			if _, err := conn.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took < 9*time.Second || took > 12*time.Second {
			t.Errorf("a header at a byte a second was taken for %v, want 10s", took)
		}
	})
}

// A waiter on a connection that is cut off gives its place back.
func TestSlow_WaiterIsFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(filepath.Join(t.TempDir(), "longrun.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := bufconn.Listen(1 << 16)
		h := run(t, store, l, nil)
		time.Sleep(time.Second)
		op, err := h.s.Service().Start(t.Context(), longrun.StartRequest{Method: "nobody-has-it"})
		if err != nil {
			t.Fatal(err)
		}
		r := newRaw(t, dialIn(t, l))
		done := r.listen()
		for range 100 {
			r.call(longrunningpb.Operations_WaitOperation_FullMethodName,
				&longrunningpb.WaitOperationRequest{Name: op.Name().String(), Timeout: durationpb.New(time.Minute)})
		}
		synctest.Wait()
		if got := h.s.CallsUnderWay(); got != 100 {
			t.Errorf("%d calls are under way, want 100", got)
		}
		r.conn.Close()
		<-done
		synctest.Wait()
		if got := h.s.CallsUnderWay(); got != 0 {
			t.Errorf("%d calls are under way after their client has gone, want 0", got)
		}
		h.stop()
		if err := <-h.ran; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}
