package httpapi

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// An Authorizer is a service that says who may call it. One that is registered with a
// Handler is asked before a caller hears what is wrong with a parameter, a mask or a
// body: whoever may not make the call hears that instead (AUT-02). Where nothing is
// wrong with a request, its method decides.
type Authorizer interface {
	// AuthorizeCall returns why the caller in ctx may not make the call, nil if he
	// may. The method is its full name, "/package.Service/Method". The request has what
	// could be read of it: always what the path says, which is never overruled. It is
	// safe for concurrent use.
	AuthorizeCall(ctx context.Context, method string, request any) error
}

// turnDown returns with what a faulty request is refused: what an interceptor says,
// which may not know the caller, or the service, who may not let him, or q.wrong. The
// method is not called.
func (h *Handler) turnDown(ctx context.Context, q *request) (err error) {
	defer caught(&err)
	known := false
	read := func(in any) error {
		known = h.salvage(q, in)
		return nil
	}
	_, err = q.unary(q.impl, ctx, read, func(ctx context.Context, in any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		last := func(ctx context.Context, in any) (any, error) { return nil, h.verdict(ctx, q, in, known) }
		if h.unary == nil {
			return last(ctx, in)
		}
		return h.unary(ctx, in, info, last)
	})
	return err
}

// verdict is why the caller may not make the call, else what is wrong with it.
func (h *Handler) verdict(ctx context.Context, q *request, in any, known bool) error {
	if a, ok := q.impl.(Authorizer); ok && known {
		if err := a.AuthorizeCall(ctx, q.fullName, in); err != nil {
			return err
		}
	}
	if f, ok := errors.AsType[*fault](q.wrong); ok {
		return f.in(h.domain) // interceptors look at it
	}
	return q.wrong
}

// salvage reads what can be read of a faulty request, and reports whether that says
// what the request is about: not if it would be in a body that cannot be read.
func (h *Handler) salvage(q *request, in any) bool {
	m, ok := in.(proto.Message)
	if !ok {
		return false
	}
	proto.Reset(m)
	known := h.salvageBody(q, m)
	if !known {
		proto.Reset(m)
	}
	root := m.ProtoReflect()
	for _, parameter := range q.query {
		if p, err := q.parameterField(parameter.name); err == nil {
			_ = p.set(root, parameter.value) // one that is wrong says nothing
		}
	}
	for i, p := range q.vars {
		text, err := q.template.value(q.template.vars[i], q.path)
		if err != nil || p.set(root, text) != nil {
			return false
		}
	}
	return known || len(q.vars) > 0
}

// salvageBody reads the fields that a body has beside those that are unknown.
func (h *Handler) salvageBody(q *request, m proto.Message) bool {
	body := q.body
	switch {
	case q.binding.body == "":
		return true
	case body == nil:
		return !q.bodyLost
	case q.binding.body != "*":
		body = append(append([]byte("{"+quote(q.binding.body)+":"), body...), '}')
	}
	o := protojson.UnmarshalOptions{Resolver: opaque{h.types}, RecursionLimit: 2 * MaxDepth, DiscardUnknown: true}
	return o.Unmarshal(body, m) == nil
}
