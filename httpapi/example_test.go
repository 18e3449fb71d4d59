package httpapi_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun/httpapi"
)

// shop has one operation.
type shop struct {
	longrunningpb.UnimplementedOperationsServer
}

func (shop) GetOperation(_ context.Context, r *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	if !strings.HasSuffix(r.GetName(), "operations/7") {
		return nil, status.Errorf(codes.NotFound, "no operation %q", r.GetName())
	}
	return &longrunningpb.Operation{Name: r.GetName()}, nil
}

// Any gRPC service is served as HTTP/JSON by registering it.
func ExampleNew() {
	web, err := httpapi.New(httpapi.Options{Domain: "shop.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	longrunningpb.RegisterOperationsServer(web, shop{})
	if err := web.Check(); err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/v1/operations/7", "/v1/users/u/operations/7", "/v1/operations/8"} {
		w := httptest.NewRecorder()
		web.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil))
		fmt.Println(w.Code, strings.Contains(w.Body.String(), `"name"`))
	}
	// Output:
	// 200 true
	// 200 true
	// 404 false
}

// A service configuration replaces the routes.
func ExampleParseServiceConfig() {
	config, err := httpapi.ParseServiceConfig([]byte(`
apis:
- name: google.longrunning.Operations
http:
  rules:
  - selector: google.longrunning.Operations.GetOperation
    get: /v3/{name=users/*/operations/*}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	web, err := httpapi.New(httpapi.Options{Config: config})
	if err != nil {
		fmt.Println(err)
		return
	}
	longrunningpb.RegisterOperationsServer(web, shop{})
	for _, r := range web.Routes() {
		fmt.Println(r.HTTPMethod, r.Path, r.Method.Name())
	}
	fmt.Println("delete is off:", config.Off("google.longrunning.Operations.DeleteOperation"))

	_, err = httpapi.ParseServiceConfig([]byte("http:\n  rules:\n  - selector: a.b.C\n    get: v1/x"))
	fmt.Println(err)
	// Output:
	// GET /v3/{name=users/*/operations/*} GetOperation
	// delete is off: true
	// service config: line 3: http.rules[0]: path "v1/x": column 1: a path begins with a slash
}

// A client that has the proto files knows the paths.
func ExampleDefaultRoutes() {
	file := longrunningpb.File_google_longrunning_operations_proto
	routes, err := httpapi.DefaultRoutes(file.Services().ByName("Operations").Methods().ByName("CancelOperation"))
	if err != nil {
		fmt.Println(err)
	}
	for _, r := range routes {
		fmt.Printf("%s %s body %q\n", r.HTTPMethod, r.Path, r.Body)
	}
	// Output:
	// POST /v1/{name=operations/**}:cancel body "*"
	// POST /v1/{name=**/operations/*}:cancel body "*"
}
