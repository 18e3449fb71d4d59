package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/grpcapi"
)

// discard is a http.ResponseWriter that keeps nothing.
type discard struct{ head http.Header }

func (d *discard) Header() http.Header         { return d.head }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// ceiling is what somebody would write by hand for the two paths: the same methods, and
// the same JSON.
type ceiling struct {
	longrunningpb.OperationsServer
}

func (c ceiling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	var reply proto.Message
	var err error
	if parent, ok := strings.CutSuffix(name, "/operations"); ok {
		reply, err = c.ListOperations(r.Context(), &longrunningpb.ListOperationsRequest{Name: parent})
	} else {
		reply, err = c.GetOperation(r.Context(), &longrunningpb.GetOperationRequest{Name: name})
	}
	var body []byte
	if err == nil {
		body, err = protojson.Marshal(reply)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}

// registered takes the server out of a registration.
type registered struct {
	server longrunningpb.OperationsServer
}

func (r *registered) RegisterService(_ *grpc.ServiceDesc, impl any) {
	r.server = impl.(longrunningpb.OperationsServer)
}

func benchmark(b *testing.B) (ours, hand http.Handler, get, list string) {
	s := newSystem(b)
	var op *longrun.Operation
	for range 100 {
		op = s.run(b, parent)
	}
	var r registered
	grpcapi.Register(&r, s.svc, grpcapi.Options{})
	return s.web, ceiling{r.server}, "/v1/" + op.Name().String(), "/v1/" + parent + "/operations"
}

// header is what Go's client sends.
func header(r *http.Request) {
	r.Header.Set("User-Agent", "Go-http-client/1.1")
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("X-Goog-Api-Client", "gl-go/1.26 gapic/1.5.0 gax/2.27.0 rest/UNKNOWN")
	r.Header.Set("X-Goog-Request-Params", "name=projects%2Fp1")
	r.Header.Set("Content-Type", "application/json")
}

// BenchmarkServe measures the handlers alone, beside their ceilings: Get of an operation
// and a page of 100. They take turns in short batches, so that what else the machine
// does falls on both. "ratio" is of the CPU time of the process, garbage collection too.
func BenchmarkServe(b *testing.B) {
	ours, hand, get, list := benchmark(b)
	for what, path := range map[string]string{"get": get, "page": list} {
		b.Run(what, func(b *testing.B) {
			r := httptest.NewRequestWithContext(context.Background(), "GET", "http://localhost"+path, nil)
			header(r)
			var spent [2]time.Duration
			batch := map[string]int{"get": 200, "page": 4}[what]
			for b.Loop() {
				for i, h := range []http.Handler{ours, hand} {
					begin := cpuTime(b)
					for range batch {
						h.ServeHTTP(&discard{head: make(http.Header, 8)}, r)
					}
					spent[i] += cpuTime(b) - begin
				}
			}
			report(b, spent, batch)
		})
	}
}

// BenchmarkHTTP is BenchmarkServe's Get through servers on loopback, with the CPU of
// net/http and of the client in it.
func BenchmarkHTTP(b *testing.B) {
	ours, hand, get, _ := benchmark(b)
	var spent [2]time.Duration
	var servers [2]*httptest.Server
	for i, h := range []http.Handler{ours, hand} {
		servers[i] = httptest.NewServer(h)
		defer servers[i].Close()
	}
	const batch = 50
	for b.Loop() {
		for i, server := range servers {
			begin := cpuTime(b)
			for range batch {
				fetch(b, server.Client(), server.URL+get)
			}
			spent[i] += cpuTime(b) - begin
		}
	}
	report(b, spent, batch)
}

func fetch(b *testing.B, c *http.Client, url string) {
	r, err := http.NewRequestWithContext(b.Context(), "GET", url, nil)
	if err != nil {
		b.Fatal(err)
	}
	header(r)
	resp, err := c.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		b.Fatal(resp.Status, err)
	}
}

// report says what each request cost, ours and by hand, and how much more ours is.
func report(b *testing.B, spent [2]time.Duration, batch int) {
	per := float64(b.N * batch)
	b.ReportMetric(float64(spent[0])/per, "ours-cpu-ns")
	b.ReportMetric(float64(spent[1])/per, "hand-cpu-ns")
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "ratio")
}
