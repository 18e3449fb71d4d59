package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun/internal/mask"
)

var (
	noStore = []string{"no-store"} // GET-12
	noSniff = []string{"nosniff"}
)

// ServeHTTP answers a request by the method that its path stands for. It never
// redirects.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.serving.Load() {
		h.serving.Store(true)
	}
	head := w.Header()
	head["Cache-Control"] = noStore
	head["X-Content-Type-Options"] = noSniff
	if err := h.guard.check(r); err != nil {
		h.refuse(w, r, "", err, false)
		return
	}
	t, err := parseTarget(r)
	if err != nil {
		h.refuse(w, r, "", err, false)
		return
	}
	b, p := h.find(r.Method, t)
	switch {
	case b != nil:
		h.guard.share(head, r)
		h.serve(w, r, b, p)
	case isOpenAPI(r):
		h.guard.share(head, r)
		h.serveOpenAPI(w, r)
	case r.Method == http.MethodOptions && len(h.router.allowed(t)) > 0:
		head.Set("Allow", allow(h.router.allowed(t)))
		h.guard.share(head, r)
		w.WriteHeader(http.StatusNoContent)
	default:
		h.guard.share(head, r)
		h.notFound(w, r, t)
	}
}

// find takes HEAD as GET where nothing else takes it (HTTP-15).
func (h *Handler) find(method string, t target) (*binding, path) {
	b, p := h.router.find(method, t)
	if b == nil && method == http.MethodHead {
		return h.router.find(http.MethodGet, t)
	}
	return b, p
}

// parseTarget reads what a request is for.
func parseTarget(r *http.Request) (t target, err error) {
	raw := r.URL.RawPath
	if raw == "" {
		raw = r.URL.EscapedPath()
	}
	if len(raw)+len(r.URL.RawQuery) > MaxURL {
		f := tooLarge(http.StatusRequestURITooLong, "the URL has more than %d bytes", MaxURL)
		f.code = codes.InvalidArgument
		return t, f
	}
	if t.whole, err = parsePath(raw); err != nil {
		return t, invalid(ReasonInvalidPath, "", "%v", err)
	}
	t.query = r.URL.RawQuery
	t.before, t.verb, t.hasVerb = t.whole.verb()
	return t, nil
}

// notFound answers a request that nothing is bound to (HTTP-13, HTTP-14).
func (h *Handler) notFound(w http.ResponseWriter, r *http.Request, t target) {
	if methods := h.router.allowed(t); len(methods) > 0 {
		w.Header().Set("Allow", allow(methods))
		h.refuse(w, r, "", &fault{code: codes.Unimplemented, http: http.StatusMethodNotAllowed, reason: ReasonHTTPMethod,
			msg: "the path does not have this HTTP method; the header Allow has those that it has"}, false)
		return
	}
	h.refuse(w, r, "", &fault{code: codes.NotFound, reason: ReasonUnknownPath, msg: "there is nothing at this path"}, false)
}

func allow(methods []string) string { return strings.Join(methods, ", ") + ", OPTIONS" }

// A request is one that has a method, as it was before the method ran.
type request struct {
	*binding
	path   path
	query  []parameter
	system system
	mask   mask.Mask
	body   []byte
	// bodyLost is whether there is a body that is not in body.
	bodyLost bool
	// wrong is what the request is refused for, if its caller may know (AUT-02).
	wrong error
}

// serve answers a request whose binding is known.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, b *binding, p path) {
	q := request{binding: b, path: p}
	ctx, cancel, err := h.read(w, r, &q)
	if err != nil {
		h.refuse(w, r, b.fullName, err, q.system.pretty)
		return
	}
	defer cancel()
	ctx, c := begin(ctx, r, b.fullName)
	if b.unary == nil {
		h.serveStream(ctx, w, r, c, &q)
		return
	}
	var reply any
	if q.wrong == nil {
		reply, err = h.invoke(ctx, &q)
	}
	if q.wrong != nil {
		err = h.turnDown(ctx, &q)
	}
	c.answer(w.Header())
	if err == nil {
		err = h.reply(w, r, &q, reply)
	}
	if err != nil {
		h.refuse(w, r, b.fullName, err, q.system.pretty)
	}
}

// read reads all of a request but its fields. The error is one of transport, which
// comes before who is calling; any other is q.wrong.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, q *request) (context.Context, context.CancelFunc, error) {
	list, wrong := parseQuery(r.URL.RawQuery)
	var inSystem, inMask, inBody error
	q.system, q.query, inSystem = q.takeSystem(list)
	if inSystem == nil {
		q.mask, inMask = q.binding.mask(q.system, strings.Join(r.Header[maskHeader], ","))
	}
	if q.body, inBody = h.readBody(w, r); isTransport(inBody) {
		return nil, nil, inBody
	}
	q.bodyLost = q.body == nil && inBody != nil
	if inBody == nil { // else net/http is to read the rest of it, and not for ever
		liftReadTimeout(w, r)
	}
	ctx, cancel, inHeader := withDeadline(r.Context(), r.Header)
	q.wrong = cmp.Or(wrong, inSystem, inMask, inBody, inHeader)
	return ctx, cancel, nil
}

// isTransport reports whether err is about a body that is too large to be read.
func isTransport(err error) bool {
	f, ok := errors.AsType[*fault](err)
	return ok && f.reason == ReasonTooLarge
}

// liftReadTimeout keeps the server's ReadTimeout, which is for the request, from ending a
// long poll: net/http would cancel the call.
func liftReadTimeout(w http.ResponseWriter, r *http.Request) {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if ok && server.ReadTimeout > 0 {
		// A writer without deadlines has none to lift.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
}

// invoke calls the method in this process, unless its request cannot be read: then
// that is q.wrong, and nothing has happened.
func (h *Handler) invoke(ctx context.Context, q *request) (reply any, err error) {
	defer caught(&err)
	read := func(in any) error {
		q.wrong = h.decode(q, in)
		return q.wrong
	}
	return q.unary(q.impl, ctx, read, h.unary)
}

// decode fills in what the handler has made for the request. What the path says
// comes last, and is what counts (QRY-05, QRY-11).
func (h *Handler) decode(q *request, in any) (err error) {
	m, ok := in.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message", in)
	}
	if err := h.setBody(q.binding, m, q.body); err != nil {
		return err
	}
	root := m.ProtoReflect()
	if err := q.setQuery(root, q.query); err != nil {
		return err
	}
	for i, p := range q.vars {
		text, err := q.template.value(q.template.vars[i], q.path)
		if err != nil {
			return invalid(ReasonInvalidPath, "", "%v", err)
		}
		if err := p.bind(root, text); err != nil {
			return invalid(ReasonInvalidParameter, p.jsonName(), "%s %v", p.jsonName(), err)
		}
	}
	return nil
}

// reply sends what the method has returned.
func (h *Handler) reply(w http.ResponseWriter, r *http.Request, q *request, reply any) error {
	m, ok := reply.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message", reply)
	}
	buf := buffers.Get().(*[]byte)
	body, err := h.render(*buf, q.binding, m, q.system, q.mask)
	if err != nil {
		return err
	}
	body = append(body, '\n')
	write(w, r, http.StatusOK, body)
	recycle(buf, body)
	return nil
}
