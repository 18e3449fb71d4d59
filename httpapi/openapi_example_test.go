package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun/httpapi"
)

func ExampleHandler_OpenAPI() {
	config, err := httpapi.ParseServiceConfig([]byte(`
apis:
- name: google.longrunning.Operations
http:
  rules:
  - selector: google.longrunning.Operations.GetOperation
    get: /v3/{name=projects/*/operations/*}
  - selector: google.longrunning.Operations.CancelOperation
    post: /v3/{name=projects/*/operations/*}:cancel
    body: "*"
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
	longrunningpb.RegisterOperationsServer(web, longrunningpb.UnimplementedOperationsServer{})
	document, err := web.OpenAPI()
	if err != nil {
		fmt.Println(err)
		return
	}
	var api struct {
		OpenAPI string
		Paths   map[string]any
	}
	if err := json.Unmarshal(document, &api); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(api.OpenAPI)
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		fmt.Println(path)
	}
	// Output:
	// 3.0.3
	// /v3/projects/{projectsId}/operations/{operationsId}
	// /v3/projects/{projectsId}/operations/{operationsId}:cancel
}
