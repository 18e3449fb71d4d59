package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
	"github.com/longrun-dev/longrun/httpapi"
)

// Timeouts of the HTTP face, which cut slow and half-open clients off.
const (
	readHeaderTimeout = 10 * time.Second
	// readTimeout is for a whole request. httpapi lifts it when it has the body, so
	// that it ends no long poll.
	readTimeout = 30 * time.Second
	// replyTimeout begins with the request. It must outlast the longest poll.
	replyTimeout    = longrun.MaxWait + 30*time.Second
	httpIdleTimeout = 2 * time.Minute
)

// newHTTP returns the HTTP server.
func newHTTP(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      replyTimeout,
		IdleTimeout:       httpIdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}

// face is all that the HTTP face serves. A ServeMux would redirect paths that it
// finds unclean.
func (s *Server) face() http.Handler {
	health := s.readiness.handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/readyz":
			health.ServeHTTP(w, r)
		default:
			s.web.ServeHTTP(w, r)
		}
	})
}

// An HTTPRoute is one way to call a method over HTTP.
type HTTPRoute = httpapi.Route

// HTTPRoutes returns the routes that a method of ours has over HTTP, unless a service
// configuration says otherwise; none if it is for gRPC alone. The first that fits a
// request is as good as any other. The error says what is wrong with a rule of the
// proto file.
func HTTPRoutes(method protoreflect.MethodDescriptor) ([]HTTPRoute, error) {
	return httpapi.DefaultRoutes(method)
}

// readServiceConfig reads the configuration in a file; without a name there is none.
func readServiceConfig(file string) (*httpapi.ServiceConfig, error) {
	if file == "" {
		return nil, nil
	}
	hint := "it is a google.api.Service in YAML, such as: http: {rules: [{selector: google.longrunning.Operations.GetOperation, get: '/v3/{name=projects/*/operations/*}'}]}"
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &Problem{Msg: fmt.Sprintf("--service-config: %v", oneLine(err.Error())), Hint: hint, Err: err}
	}
	config, err := httpapi.ParseServiceConfig(text)
	if err != nil {
		return nil, &Problem{Msg: fmt.Sprintf("%s: %v", file, oneLine(err.Error())), Hint: hint, Err: err}
	}
	return config, nil
}

// apiOptions switches off what the configuration does not bind (MIX-02).
func (s *Server) apiOptions(config *httpapi.ServiceConfig, o Options) grpcapi.Options {
	off := func(method protoreflect.Name) bool {
		return config.Off("google.longrunning.Operations." + protoreflect.FullName(method))
	}
	return grpcapi.Options{
		NoList: off("ListOperations"), NoCancel: off("CancelOperation"), NoDelete: off("DeleteOperation"), NoWait: off("WaitOperation"),
		Types: s.types,
		Log:   o.Log,
	}
}

// newWeb returns the HTTP face of services that are to be registered.
func (s *Server) newWeb(config *httpapi.ServiceConfig, api grpcapi.Options, o Options) (*httpapi.Handler, error) {
	web, err := httpapi.New(httpapi.Options{
		Config:       config,
		Interceptors: []grpc.UnaryServerInterceptor{grpcapi.UnaryInterceptor(s.svc, api)},
		Types:        s.types,
		Hosts:        append(slices.Clone(o.Hosts), ownHosts(o.HTTP)...),
		Origins:      o.Origins,
		Domain:       s.svc.Domain(),
		Log:          o.Log,
	})
	if err != nil {
		return nil, &Problem{Msg: oneLine(err.Error()), Hint: "names: --allow-host longrun.example.com; pages: --allow-origin https://console.example.com", Err: err}
	}
	return web, nil
}

// ownHosts is the host that the HTTP face was told to listen on, if that is one by
// which it can be asked.
func ownHosts(addr string) []string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsUnspecified() || ip.Zone() != "") {
		return nil
	}
	return []string{host}
}

// checkWeb refuses a service configuration that does not fit the services, and says
// what it has for others.
func (s *Server) checkWeb(o Options) error {
	if err := s.web.Check(); err != nil {
		return &Problem{Msg: fmt.Sprintf("%s: %v", o.ServiceConfig, oneLine(err.Error())), Hint: "the selectors and paths must fit the methods that this server has", Err: err}
	}
	if others := s.web.Unserved(); len(others) > 0 {
		s.log.Warn("the service configuration has rules for services that are not served", "selectors", others)
	}
	return nil
}
