package server

import (
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// readiness is whether new calls are welcome, said in both faces: the gRPC health
// service and /readyz. It is safe for concurrent use.
type readiness struct {
	grpc  *health.Server
	ready atomic.Bool
}

// newReadiness registers the health service with g. Nothing is ready yet.
func newReadiness(g *grpc.Server) *readiness {
	r := &readiness{grpc: health.NewServer()}
	r.grpc.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	healthpb.RegisterHealthServer(g, r.grpc)
	return r
}

// begin says that the services of g, and so the whole server, are ready.
func (r *readiness) begin(g *grpc.Server) {
	for name := range g.GetServiceInfo() {
		r.grpc.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	r.grpc.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	r.ready.Store(true)
}

// end says that nothing is ready any more, for good.
func (r *readiness) end() {
	r.ready.Store(false)
	r.grpc.Shutdown()
}

// handler serves /healthz, which is 200 for as long as the process can answer, and
// /readyz, which is 503 before the server is ready and once it drains.
func (r *readiness) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if r.ready.Load() {
			say(w, http.StatusOK, "ready")
		} else {
			say(w, http.StatusServiceUnavailable, "not ready")
		}
	})
	return mux
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n")) // whoever asked has gone; nobody is left to tell
}
