package server_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// A raw client speaks HTTP/2 by hand, so that it can do what no client library does.
type raw struct {
	t    *testing.T
	conn net.Conn
	fr   *http2.Framer
	mute bool // it acknowledges nothing

	mu   sync.Mutex // guards what follows, and writes
	next uint32
	saw  []seen
	over error // what has ended the connection; nil while it lasts
	end  time.Time
}

// seen is a frame that the server has sent.
type seen struct {
	kind   http2.FrameType
	stream uint32
	code   http2.ErrCode     // of RST_STREAM and GOAWAY
	bytes  int               // of DATA
	fields map[string]string // of HEADERS
	at     time.Time
}

// newRaw begins to speak on conn, with these settings.
func newRaw(t *testing.T, conn net.Conn, settings ...http2.Setting) *raw {
	t.Helper()
	r := &raw{t: t, conn: conn, fr: http2.NewFramer(conn, conn), next: 1}
	r.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := r.fr.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return r
}

// listen reads what the server sends until the connection ends.
func (r *raw) listen() (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for {
			f, err := r.fr.ReadFrame()
			if err != nil {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.over, r.end = err, time.Now()
				return
			}
			r.see(f)
		}
	}()
	return done
}

func (r *raw) see(f http2.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := seen{kind: f.Header().Type, stream: f.Header().StreamID, at: time.Now()}
	var err error
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() && !r.mute {
			err = r.fr.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() && !r.mute {
			err = r.fr.WritePing(true, f.Data)
		}
	case *http2.MetaHeadersFrame:
		s.fields = map[string]string{}
		for _, h := range f.Fields {
			s.fields[h.Name] = h.Value
		}
	case *http2.RSTStreamFrame:
		s.code = f.ErrCode
	case *http2.GoAwayFrame:
		s.code = f.ErrCode
	case *http2.DataFrame:
		s.bytes = len(f.Data())
	}
	if err != nil {
		r.t.Logf("acknowledge: %v", err)
	}
	r.saw = append(r.saw, s)
}

// begin sends the header of a call of method and returns its stream.
func (r *raw) begin(method string) uint32 {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			r.t.Fatal(err)
		}
	}
	id := r.next
	r.next += 2
	if err := r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		r.t.Fatalf("write headers: %v", err)
	}
	return id
}

// call makes a call.
func (r *raw) call(method string, request proto.Message) uint32 {
	r.t.Helper()
	id := r.begin(method)
	body, err := proto.Marshal(request)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(id, append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...))
	return id
}

// send sends data and ends the stream.
func (r *raw) send(id uint32, data []byte) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fr.WriteData(id, true, data); err != nil {
		r.t.Fatalf("write data: %v", err)
	}
}

// frames returns what the server has sent that is wanted.
func (r *raw) frames(want func(seen) bool) []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []seen
	for _, s := range r.saw {
		if want(s) {
			all = append(all, s)
		}
	}
	return all
}

// of wants frames of one kind.
func of(kind http2.FrameType) func(seen) bool { return func(s seen) bool { return s.kind == kind } }

// ends wants the status with which calls end.
func ends(s seen) bool { return s.fields["grpc-status"] != "" }

// ended returns when the connection has ended; zero while it lasts.
func (r *raw) ended() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end
}
