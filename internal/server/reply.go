package server

import (
	"context"
	"time"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// A client that sends requests and does not read the replies, or opens no window for
// them, would have the server keep them all. So replies that are not small are counted
// until they were written, for each connection and for all.
const (
	// smallReply is the size up to which replies are not counted; a connection has at
	// most maxStreams of them.
	smallReply = 4 << 10
	// maxUnread is how many bytes of replies may be unread on a connection before its
	// calls are refused. One reply more than that is under way at most.
	maxUnread = 16 << 20
	// maxUnreadAll is the same for all connections together.
	maxUnreadAll = 512 << 20
	// unreadTimeout is how long a reply may be unread; then its connection is closed.
	unreadTimeout = 2 * time.Minute
)

// heldReply is a reply that is counted until grpc has no more use for its bytes. It is
// the pool that these go back to.
type heldReply struct {
	proto.Message
	guest   *guest
	size    int
	overdue *time.Timer
}

// held returns reply as one that is counted, and false where the client has left too
// much unread already.
func held(ctx context.Context, reply any) (any, bool) {
	m, ok := reply.(proto.Message)
	if !ok {
		return reply, true
	}
	size := proto.Size(m)
	if size <= smallReply {
		return reply, true
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return reply, true
	}
	addr, ok := p.Addr.(guestAddr)
	if !ok {
		return reply, true
	}
	if !addr.guest.hold(size) {
		return nil, false
	}
	h := &heldReply{Message: m, guest: addr.guest, size: size}
	h.overdue = time.AfterFunc(unreadTimeout, func() { _ = h.guest.Close() })
	return h, true
}

// Get is never called: there are no other bytes in the pool.
func (h *heldReply) Get(n int) *[]byte {
	b := make([]byte, n)
	return &b
}

// Put is called when the bytes were written, or never will be.
func (h *heldReply) Put(*[]byte) {
	h.overdue.Stop()
	h.guest.taken(h.size)
}

// replyCodec encodes replies that are counted so that grpc says when it is done with
// them. All else it leaves to the codec that it stands before.
type replyCodec struct{ encoding.CodecV2 }

// Marshal encodes v.
func (c replyCodec) Marshal(v any) (mem.BufferSlice, error) {
	h, ok := v.(*heldReply)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	b, err := proto.Marshal(h.Message)
	if err != nil {
		h.Put(nil)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(&b, h)}, nil
}
