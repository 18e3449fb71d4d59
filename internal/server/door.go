package server

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// refusedLinger is how long a connection that was refused with words stays open, so
// that they arrive; maxLingering is how many do at a time.
const (
	refusedLinger = time.Second
	maxLingering  = 64
)

// A door is a listener that lets in so many connections and turns the rest away at
// once: whoever is refused can try again or elsewhere, while whoever waits in a
// system's queue knows nothing. It knows who is in, to show them out when the server
// stops. It is safe for concurrent use.
type door struct {
	net.Listener
	limit    int
	words    []byte        // for who is refused; none: the connection is closed
	patience time.Duration // for a write; zero: no limit

	mu        sync.Mutex // guards what follows
	shut      bool       // nobody is let in any more
	in        map[*guest]struct{}
	lingering int
	unread    int // bytes of replies that clients have not taken
}

func newDoor(l net.Listener, words []byte, patience time.Duration) *door {
	return &door{Listener: l, limit: maxConnections, words: words, patience: patience, in: map[*guest]struct{}{}}
}

// Accept waits for a connection and lets it in, or turns it away and waits for the
// next.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := d.admit(conn); g != nil {
			return g, nil
		}
		d.refuse(conn)
	}
}

// admit lets conn in; nil says that there is no room.
func (d *door) admit(conn net.Conn) *guest {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut || len(d.in) >= d.limit {
		return nil
	}
	g := &guest{Conn: conn, door: d}
	d.in[g] = struct{}{}
	return g
}

// refuse turns conn away. Closing it at once would take back what was said, when the
// client has sent something that nobody has read.
func (d *door) refuse(conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || len(d.words) == 0 || !d.linger() {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Now().Add(refusedLinger))
	_, _ = conn.Write(d.words) // into an empty buffer: it does not block
	_ = half.CloseWrite()
	time.AfterFunc(refusedLinger, func() {
		_ = conn.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lingering--
	})
}

func (d *door) linger() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lingering >= maxLingering {
		return false
	}
	d.lingering++
	return true
}

// closeSilent lets nobody in any more, and closes the connections that have sent nothing
// yet: no call is under way on them, and waiting for their first byte would hold up the
// end.
func (d *door) closeSilent() {
	d.mu.Lock()
	d.shut = true
	d.mu.Unlock()
	d.closeIf(func(g *guest) bool { return !g.heard.Load() })
}

// closeAll closes all connections.
func (d *door) closeAll() { d.closeIf(func(*guest) bool { return true }) }

func (d *door) closeIf(f func(*guest) bool) {
	d.mu.Lock()
	var out []*guest
	for g := range d.in {
		if f(g) {
			out = append(out, g)
		}
	}
	d.mu.Unlock()
	for _, g := range out {
		_ = g.Close()
	}
}

// A guest is a connection that was let in.
type guest struct {
	net.Conn
	door   *door
	heard  atomic.Bool // it has sent something
	unread int         // bytes of replies that it has not taken; guarded by door.mu
}

// Read notes that the client has said something.
func (g *guest) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if n > 0 && !g.heard.Load() {
		g.heard.Store(true)
	}
	return n, err
}

// Write gives the client so long to take what is written. One that does not read would
// otherwise hold on to its replies, and to a goroutine, for ever.
func (g *guest) Write(b []byte) (int, error) {
	if g.door.patience > 0 {
		if err := g.SetWriteDeadline(time.Now().Add(g.door.patience)); err != nil {
			return 0, err
		}
	}
	n, err := g.Conn.Write(b)
	if err != nil && g.door.patience > 0 {
		_ = g.Close() // grpc waits for its reads to fail as well
	}
	return n, err
}

// CloseWrite ends what is written. net/http does so when it refuses a client that is
// still sending, which could not read the refusal otherwise.
func (g *guest) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close gives the place back, once.
func (g *guest) Close() error {
	d := g.door
	d.mu.Lock()
	if _, in := d.in[g]; in {
		delete(d.in, g)
		d.unread -= g.unread
	}
	d.mu.Unlock()
	return g.Conn.Close()
}

// RemoteAddr is the client's address, by which held finds the connection of a call.
func (g *guest) RemoteAddr() net.Addr { return guestAddr{g.Conn.RemoteAddr(), g} }

type guestAddr struct {
	net.Addr
	guest *guest
}

// hold counts a reply of so many bytes as unread, unless too much is already.
func (g *guest) hold(n int) bool {
	d := g.door
	d.mu.Lock()
	defer d.mu.Unlock()
	_, in := d.in[g]
	switch {
	case !in:
		return false
	case g.unread >= maxUnread || d.unread >= maxUnreadAll:
		return false
	}
	g.unread += n
	d.unread += n
	return true
}

// taken counts a reply as read, or as one that nobody will ever read.
func (g *guest) taken(n int) {
	d := g.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, in := d.in[g]; in {
		g.unread -= n
		d.unread -= n
	}
}
