package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/longrun-dev/longrun/httpapi"
)

// openDoor returns a door with room for one, on a socket.
func openDoor(t *testing.T, words string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(l, []byte(words), 0)
	d.limit = 1
	t.Cleanup(func() { d.Close() })
	return d
}

func dialDoor(t *testing.T, d *door) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// busy is what is said where there is no room (ERR-20).
const busy = `{"error":{"code":503,"message":"too many connections","status":"UNAVAILABLE","details":[` +
	`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"OVERLOADED","domain":"d.example.com"},` +
	`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}]}}`

// ERR-10: over HTTP, who finds no room is told so, and when to come again, also when its
// request was on its way already.
func TestDoor_HTTPBusy(t *testing.T) {
	t.Parallel()
	web, err := httpapi.New(httpapi.Options{Domain: "d.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	d := openDoor(t, string(web.Busy("too many connections")))
	h := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- h.Serve(d) }()
	in := dialDoor(t, d)
	if _, err := io.WriteString(in, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the one that was let in is not answered: %v", err)
	}
	out := dialDoor(t, d)
	if _, err := io.WriteString(out, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(out), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" || string(body) != busy+"\n" {
		t.Errorf("one more = %v %v, %q, %v; want 503 with Retry-After: 1", resp.Status, resp.Header, body, err)
	}
	h.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve = %v, want %v", err, http.ErrServerClosed)
	}
}

// Who is turned away with words stays for a moment, but not too many of them do.
func TestDoor_Lingering(t *testing.T) {
	t.Parallel()
	d := openDoor(t, "busy")
	d.limit = 0
	go func() {
		for {
			if _, err := d.Accept(); err != nil {
				return
			}
		}
	}()
	told := 0
	for range maxLingering + 10 {
		if b, _ := io.ReadAll(dialDoor(t, d)); string(b) == "busy" {
			told++
		}
	}
	// The first may have gone when the last come, on a slow machine.
	if told < maxLingering {
		t.Errorf("%d were told why, want %d at least", told, maxLingering)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		d.mu.Lock()
		left := d.lingering
		d.mu.Unlock()
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d linger for ever", left)
		}
	}
}

// A place is given back once, however often a connection is closed.
func TestDoor_PlaceComesBackOnce(t *testing.T) {
	t.Parallel()
	d := openDoor(t, "")
	d.limit = 2
	client, conn := net.Pipe()
	defer client.Close()
	first, second := d.admit(conn), d.admit(conn)
	if d.admit(conn) != nil {
		t.Fatal("a third was let in, want two")
	}
	first.hold(100)
	second.hold(50)
	first.Close()
	first.Close()
	first.taken(100)
	if d.unread != 50 {
		t.Errorf("unread = %d after the one with 100 has gone, want 50", d.unread)
	}
	if first.hold(1) {
		t.Error("a reply was counted on a connection that has gone")
	}
	if d.admit(conn) == nil || d.admit(conn) != nil {
		t.Error("want room for one when one has gone, however often it was closed")
	}
	d.closeSilent()
	if len(d.in) != 0 || d.admit(conn) != nil {
		t.Errorf("%d are in after the door was shut, want none, and nobody let in", len(d.in))
	}
}

// What is unread is bounded for one connection and for all: the reply that reaches the
// bound is still given.
func TestGuest_Hold(t *testing.T) {
	t.Parallel()
	d := openDoor(t, "")
	d.limit = maxConnections
	client, conn := net.Pipe()
	defer client.Close()
	g := d.admit(conn)
	if !g.hold(maxUnread-1) || !g.hold(10) || g.hold(1) {
		t.Errorf("unread = %d, want replies until %d is reached, and no more", g.unread, maxUnread)
	}
	g.taken(10)
	if !g.hold(1) {
		t.Error("a reply was refused when there is room again")
	}
	for d.unread < maxUnreadAll {
		d.admit(conn).hold(maxUnread)
	}
	if d.admit(conn).hold(1) {
		t.Errorf("unread = %d on all connections, want %d at most", d.unread, maxUnreadAll)
	}
}
