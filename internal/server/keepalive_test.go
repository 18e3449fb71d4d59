package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/longrun-dev/longrun/internal/server"
)

func (r *raw) ping() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fr.WritePing(false, [8]byte{1}); err != nil {
		r.t.Logf("ping: %v", err)
	}
}

// A client may ping as often as is said, also without a call.
func TestKeepalive_MayPing(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, _ *house, l, _ *bufconn.Listener) {
		r := newRaw(t, dialIn(t, l))
		done := r.listen()
		for range 20 {
			time.Sleep(server.MinPing + time.Millisecond)
			r.ping()
		}
		synctest.Wait()
		if got := r.frames(of(http2.FrameGoAway)); len(got) != 0 || !r.ended().IsZero() {
			t.Errorf("a client that pings every %v was sent away: %+v", server.MinPing, got)
		}
		r.conn.Close()
		<-done
	})
}

// One that pings more often is sent away, and told why.
func TestKeepalive_PingsTooOften(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, _ *house, l, _ *bufconn.Listener) {
		r := newRaw(t, dialIn(t, l))
		done := r.listen()
		for range 5 {
			time.Sleep(server.MinPing - time.Millisecond)
			r.ping()
		}
		<-done
		got := r.frames(of(http2.FrameGoAway))
		if len(got) == 0 || got[len(got)-1].code != http2.ErrCodeEnhanceYourCalm {
			t.Errorf("a client that pings too often was sent away with %+v, want ENHANCE_YOUR_CALM", got)
		}
	})
}

// A call that waits survives a NAT that forgets a connection on which nothing is said:
// the server says something at least every IdlePing.
func TestKeepalive_KeepsLongPollsAlive(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, _ *house, l, _ *bufconn.Listener) {
		r := newRaw(t, dialIn(t, l))
		done, last := r.listen(), time.Now()
		r.call(healthpb.Health_Watch_FullMethodName, &healthpb.HealthCheckRequest{})
		time.Sleep(10 * time.Minute)
		said := r.frames(func(seen) bool { return true })
		for _, s := range said {
			if quiet := s.at.Sub(last); quiet > server.IdlePing+server.PingTimeout {
				t.Errorf("nothing was said for %v, want something every %v", quiet, server.IdlePing)
			}
			last = s.at
		}
		if pings := len(r.frames(of(http2.FramePing))); pings < 9 {
			t.Errorf("%d pings in ten minutes, want one every %v", pings, server.IdlePing)
		}
		if !r.ended().IsZero() {
			t.Error("the connection has ended, want that a client that answers pings stays")
		}
		r.conn.Close()
		<-done
	})
}

// A connection without a call is let go, in a way that loses no call.
func TestKeepalive_Idle(t *testing.T) {
	inHouse(t, 1<<16, func(t *testing.T, _ *house, l, _ *bufconn.Listener) {
		r := newRaw(t, dialIn(t, l))
		done, begin := r.listen(), time.Now()
		time.Sleep(server.IdleTimeout - time.Second)
		r.call(healthpb.Health_Check_FullMethodName, &healthpb.HealthCheckRequest{})
		time.Sleep(server.IdleTimeout - time.Second)
		if !r.ended().IsZero() {
			t.Error("the connection has ended, want that a call begins the count anew")
		}
		wantEnd(t, r, done, begin, 2*server.IdleTimeout-time.Second)
		if got := r.frames(of(http2.FrameGoAway)); len(got) == 0 || got[0].code != http2.ErrCodeNo {
			t.Errorf("an idle connection was sent away with %+v, want NO_ERROR", got)
		}
	})
}

// Of calls that wait, a connection has so many: one more is refused, in a way after
// which clients try again, and has room when one has ended.
func TestStreams_Limit(t *testing.T) {
	inHouse(t, 1<<20, func(t *testing.T, h *house, l, _ *bufconn.Listener) {
		r := newRaw(t, dialIn(t, l))
		done := r.listen()
		var first uint32
		for range server.MaxStreams {
			first = r.call(healthpb.Health_Watch_FullMethodName, &healthpb.HealthCheckRequest{})
		}
		synctest.Wait()
		if got := h.s.CallsUnderWay(); got != server.MaxStreams {
			t.Errorf("%d calls are under way, want %d", got, server.MaxStreams)
		}
		over := r.call(healthpb.Health_Watch_FullMethodName, &healthpb.HealthCheckRequest{})
		synctest.Wait()
		if got := r.frames(of(http2.FrameRSTStream)); len(got) != 1 || got[0].stream != over || got[0].code != http2.ErrCodeRefusedStream {
			t.Errorf("one call more: %+v, want REFUSED_STREAM of %d", got, over)
		}
		r.mu.Lock()
		if err := r.fr.WriteRSTStream(first, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
		r.mu.Unlock()
		synctest.Wait()
		r.call(healthpb.Health_Watch_FullMethodName, &healthpb.HealthCheckRequest{})
		synctest.Wait()
		if got := r.frames(of(http2.FrameRSTStream)); len(got) != 1 {
			t.Errorf("a call after one has ended was refused too: %+v", got[1:])
		}
		r.conn.Close()
		<-done
	})
}
