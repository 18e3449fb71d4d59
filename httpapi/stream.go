package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// messageTimeout is how long one message of a stream may take to be sent.
const messageTimeout = 30 * time.Second

// serveStream answers a server-streaming method with a JSON array: a message is an
// element, and an error after the first is the last element, {"error": ...}.
func (h *Handler) serveStream(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, q *request) {
	if q.stream.ClientStreams {
		h.refuse(w, r, q.fullName, &fault{code: codes.Unimplemented, reason: ReasonStreaming,
			msg: "the method takes a stream, which HTTP/JSON cannot send; use gRPC"}, false)
		return
	}
	s := &serverStream{ctx: ctx, h: h, w: w, r: r, call: c, q: q, control: http.NewResponseController(w)}
	err := s.run()
	if !s.begun && err != nil {
		c.answer(w.Header())
		h.refuse(w, r, q.fullName, err, q.system.pretty)
		return
	}
	s.end(err)
}

// serverStream is the grpc.ServerStream of a streaming method.
type serverStream struct {
	ctx      context.Context // of the call, which the stream is
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	call     *call
	q        *request
	control  *http.ResponseController
	outer    grpc.ServerStream // what interceptors have made of it
	read     bool              // the request was handed out
	begun    bool              // the header was written
	broken   bool              // the client has gone
	elements int
}

func (s *serverStream) run() (err error) {
	defer caught(&err)
	info := &grpc.StreamServerInfo{FullMethod: s.q.fullName, IsServerStream: true}
	return s.h.stream(s.q.impl, s, info, func(srv any, outer grpc.ServerStream) error {
		s.outer = outer
		return s.q.stream.Handler(srv, outer)
	})
}

// SetHeader adds to the header of the reply.
func (s *serverStream) SetHeader(md metadata.MD) error { return s.call.SetHeader(md) }

// SendHeader sends the header.
func (s *serverStream) SendHeader(md metadata.MD) error {
	if err := s.call.SendHeader(md); err != nil {
		return err
	}
	return s.write("")
}

// SetTrailer adds to the trailer of the reply.
func (s *serverStream) SetTrailer(md metadata.MD) {
	// A trailer can be set until the call is over.
	_ = s.call.SetTrailer(md)
}

// Context returns the context of the call.
func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg reads the one message of the request, and then io.EOF.
func (s *serverStream) RecvMsg(m any) error {
	if s.read {
		return io.EOF
	}
	s.read = true
	if s.q.wrong == nil {
		s.q.wrong = s.h.decode(s.q, m)
	}
	if s.q.wrong == nil {
		return nil
	}
	return s.h.verdict(s.outer.Context(), s.q, m, s.h.salvage(s.q, m))
}

// SendMsg sends an element.
func (s *serverStream) SendMsg(m any) error {
	reply, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message", m)
	}
	text, err := s.h.render(nil, s.q.binding, reply, s.q.system, s.q.mask)
	if err != nil {
		return err
	}
	return s.write(string(text))
}

// write sends an element, or with none the header alone. The header comes before the
// first.
func (s *serverStream) write(element string) error {
	if !s.begun {
		s.begun = true
		s.call.answer(s.w.Header())
		s.w.Header()["Content-Type"] = jsonType
		s.w.WriteHeader(http.StatusOK)
		s.send("[")
	}
	if element != "" {
		if s.elements++; s.elements > 1 {
			element = ",\n" + element
		}
		s.send(element)
	}
	if s.broken {
		return status.Error(codes.Canceled, "the client has gone")
	}
	return nil
}

// send writes text through to the client, which has its time for it.
func (s *serverStream) send(text string) {
	if s.broken || s.r.Method == http.MethodHead {
		return
	}
	// A writer without deadlines, or that sends by itself, needs neither.
	_ = s.control.SetWriteDeadline(time.Now().Add(messageTimeout))
	_, err := io.WriteString(s.w, text)
	_ = s.control.Flush()
	s.broken = err != nil
}

// end closes the array, behind the error if there was one.
func (s *serverStream) end(err error) {
	if err != nil {
		st, httpStatus := s.h.outside(s.q.fullName, err)
		_ = s.write(string(s.h.envelope(st, httpStatus))) // says that the client has gone
	} else {
		_ = s.write("")
	}
	s.send("]\n")
	s.call.mu.Lock()
	defer s.call.mu.Unlock()
	copyMetadata(s.w.Header(), http.TrailerPrefix+trailerPrefix, s.call.trailer)
}
