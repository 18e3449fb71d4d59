package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Limits on what a request may bring. What is past them is refused.
const (
	// DefaultMaxBody is Options.MaxBody unless it says otherwise: a payload of
	// 3 MiB in base64, and what goes with it.
	DefaultMaxBody = 8 << 20
	// MaxURL is the length of a path and a query together.
	MaxURL = 32 << 10
	// MaxDepth is how deep the JSON of a body may be nested.
	MaxDepth = 100
	// MaxParameters is how many query parameters a request may have.
	MaxParameters = 256
)

// DefaultDomain is Options.Domain unless it says otherwise.
const DefaultDomain = "longrun.dev"

// A Resolver finds the types of what is inside a google.protobuf.Any. It is safe for
// concurrent use.
type Resolver interface {
	protoregistry.MessageTypeResolver
	protoregistry.ExtensionTypeResolver
}

// Options configures a Handler. The zero Options is ready for use.
type Options struct {
	// Config is a service configuration whose rules override those of the proto
	// files. Nil means none.
	Config *ServiceConfig
	// Interceptors run around every call, the first one outermost, as those of
	// grpc.ChainUnaryInterceptor do. Nil means none.
	Interceptors []grpc.UnaryServerInterceptor
	// StreamInterceptors run around the calls of server-streaming methods. Nil
	// means none.
	StreamInterceptors []grpc.StreamServerInterceptor
	// Types are types for google.protobuf.Any that are not linked into the
	// program. It is asked first. Nil means only those that are linked.
	Types Resolver
	// Files has the descriptors of the services that are registered. Nil means
	// those that are linked into the program.
	Files protodesc.Resolver
	// Hosts are names, beside those of loopback, by which this server may be
	// asked, without ports; "*" allows any, and gives up the protection from DNS
	// rebinding. Nil means loopback only.
	Hosts []string
	// Origins are web origins, such as "https://console.example.com", whose
	// pages may call this server. Nil means none but its own.
	Origins []string
	// MaxBody is how many bytes a body may have. Zero means DefaultMaxBody.
	MaxBody int64
	// Domain is that of the errors which this package makes (ERR-05). Empty
	// means DefaultDomain.
	Domain string
	// Log gets what callers must not see. Nil means slog.Default().
	Log *slog.Logger
}

// Handler is a grpc.ServiceRegistrar and an http.Handler: it serves the services
// that are registered with it as HTTP/JSON. Register them all, look at Check, then
// serve. Serving is safe for concurrent use, registering is not.
type Handler struct {
	config  *ServiceConfig
	unary   grpc.UnaryServerInterceptor
	stream  grpc.StreamServerInterceptor
	types   Resolver
	files   protodesc.Resolver
	guard   guard
	maxBody int64
	domain  string
	log     *slog.Logger

	serving  atomic.Bool
	services map[protoreflect.FullName]bool
	routes   []*binding
	router   router
	wrong    []error
	openAPI  func() ([]byte, error) // made once
}

// New returns a Handler without services. The error says which option is wrong.
func New(o Options) (*Handler, error) {
	g, err := newGuard(o.Hosts, o.Origins)
	if err != nil {
		return nil, err
	}
	if o.MaxBody < 0 {
		return nil, errors.New("MaxBody must not be negative")
	}
	h := &Handler{
		config: o.Config, unary: chainUnary(o.Interceptors), stream: chainStream(o.StreamInterceptors),
		types: withLinked(o.Types), files: o.Files, guard: g,
		maxBody: cmp.Or(o.MaxBody, DefaultMaxBody), domain: cmp.Or(o.Domain, DefaultDomain), log: cmp.Or(o.Log, slog.Default()),
		services: map[protoreflect.FullName]bool{},
	}
	if h.files == nil {
		h.files = protoregistry.GlobalFiles
	}
	h.openAPI = sync.OnceValues(h.OpenAPI)
	return h, nil
}

var (
	_ grpc.ServiceRegistrar = (*Handler)(nil)
	_ http.Handler          = (*Handler)(nil)
)

// RegisterService serves the methods of a service that have a rule. Like that of a
// grpc.Server it panics for a service that is registered already, for an impl that
// is not one, and once the Handler serves. What is wrong with the rules, or with the
// descriptors, Check says.
func (h *Handler) RegisterService(desc *grpc.ServiceDesc, impl any) {
	name := protoreflect.FullName(desc.ServiceName)
	switch {
	case h.serving.Load():
		panic(fmt.Sprintf("httpapi: %s is registered while serving", name))
	case h.services[name]:
		panic(fmt.Sprintf("httpapi: %s is registered twice", name))
	case impl != nil && desc.HandlerType != nil && !reflect.TypeOf(impl).Implements(reflect.TypeOf(desc.HandlerType).Elem()):
		panic(fmt.Sprintf("httpapi: %T is no %s", impl, name))
	}
	h.services[name] = true
	found, err := h.files.FindDescriptorByName(name)
	if err != nil {
		h.wrong = append(h.wrong, fmt.Errorf("%s: %w", name, err))
		return
	}
	sd, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		h.wrong = append(h.wrong, fmt.Errorf("%s is not a service", name))
		return
	}
	// In the order of the proto file, which decides between paths that are alike.
	for i := range sd.Methods().Len() {
		if m := newMethod(desc, sd.Methods().Get(i), impl); m != nil {
			h.bind(m)
		}
	}
	h.wrong = append(h.wrong, h.config.unknownMethods(sd)...)
}

// newMethod finds the method in the service, nil if it has none.
func newMethod(desc *grpc.ServiceDesc, md protoreflect.MethodDescriptor, impl any) *method {
	m := &method{desc: md, fullName: "/" + desc.ServiceName + "/" + string(md.Name()), impl: impl}
	for i := range desc.Methods {
		if desc.Methods[i].MethodName == string(md.Name()) {
			m.unary = desc.Methods[i].Handler
			return m
		}
	}
	for i := range desc.Streams {
		if desc.Streams[i].StreamName == string(md.Name()) {
			m.stream = &desc.Streams[i]
			return m
		}
	}
	return nil
}

// bind makes the routes of a method.
func (h *Handler) bind(m *method) {
	var list []*binding
	for _, rule := range h.rules(m.desc) {
		b, err := m.bindings(rule)
		if err != nil {
			if configured, ok := h.config.rule(m.desc.FullName()); ok {
				err = configured.wrong(err)
			}
			h.wrong = append(h.wrong, fmt.Errorf("%s: %w", m.desc.FullName(), err))
			continue
		}
		list = append(list, b...)
	}
	if b, err := h.bareWait(m); err != nil {
		h.wrong = append(h.wrong, fmt.Errorf("%s: %w", m.desc.FullName(), err))
	} else if b != nil {
		list = append(list, b)
	}
	for _, b := range list {
		h.routes = append(h.routes, b)
		h.router.add(b)
	}
}

// Check returns what is wrong with the rules of the services that are registered:
// paths that are malformed, fields that are not there, methods that a service
// configuration names and a service does not have. A Handler whose Check fails
// serves what was right.
func (h *Handler) Check() error { return errors.Join(h.wrong...) }

// Unserved returns the selectors of Options.Config whose services are not
// registered, in the order of the file. Google's configurations name services that
// others serve, so this is no error; it is one line in a log.
func (h *Handler) Unserved() []string { return h.config.unserved(h.services) }

// A Route is one way to call a method by HTTP.
type Route struct {
	// HTTPMethod is GET, POST and so on; "*" is any.
	HTTPMethod string
	// Path is the template, such as "/v1/{name=operations/**}:cancel".
	Path string
	// Body is "*" if the body is the request, the JSON name of a field if it is
	// that, and empty if there is none.
	Body string
	// ResponseBody is the JSON name of the field that is the reply; empty means
	// that the whole response is.
	ResponseBody string
	// Query is whether fields that neither the path nor the body has can be
	// query parameters.
	Query bool
	// Method is what is called.
	Method protoreflect.MethodDescriptor
}

// Routes returns the routes in the order in which they were registered.
func (h *Handler) Routes() []Route {
	routes := make([]Route, len(h.routes))
	for i, b := range h.routes {
		routes[i] = b.route()
	}
	return routes
}

// route is the binding as others see it.
func (b *binding) route() Route {
	r := Route{HTTPMethod: b.httpMethod, Path: b.template.text, Body: b.body, Query: b.takesQuery(), Method: b.desc}
	if b.response != nil {
		r.ResponseBody = b.response.JSONName()
	}
	return r
}

// chainUnary makes one interceptor of many, nil of none.
func chainUnary(list []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	list = slices.Clone(list)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		for _, next := range slices.Backward(list) {
			inner := handler
			handler = func(ctx context.Context, req any) (any, error) { return next(ctx, req, info, inner) }
		}
		return handler(ctx, req)
	}
}

func chainStream(list []grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		for _, next := range slices.Backward(list) {
			inner := handler
			handler = func(srv any, ss grpc.ServerStream) error { return next(srv, ss, info, inner) }
		}
		return handler(srv, ss)
	}
}

// serviceOf is the service of a selector, "" if it has no dot.
func serviceOf(selector string) protoreflect.FullName {
	return protoreflect.FullName(selector[:max(strings.LastIndexByte(selector, '.'), 0)])
}
