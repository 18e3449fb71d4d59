// Package genlongrun is the protoc plugin protoc-gen-go-longrun: it reads the
// annotation google.longrunning.operation_info and writes the Go code that turns
// each annotated method into a durable operation.
//
//	service LibraryService {
//	  rpc ImportBooks(ImportBooksRequest) returns (google.longrunning.Operation) {
//	    option (google.longrunning.operation_info) = {
//	      response_type: "ImportBooksResponse"
//	      metadata_type: "ImportBooksMetadata"
//	    };
//	  }
//	}
//
// For a service like this one it writes the [longrun.Method] values, the struct
// LibraryServiceHandlers with one function per method, HandleLibraryService and
// NewLibraryServiceStarter, which make the LibraryServiceStarter that an author
// embeds in the gRPC server, and LibraryServiceOperations for callers.
// docs/plugin.md is the manual.
//
// # How it goes
//
// [Run] is the process: a CodeGeneratorRequest in, a CodeGeneratorResponse out.
// [Generate] is the same without I/O. First everything is checked (check.go,
// resolve.go, names.go, released.go), and each problem is written down with its
// place and the rule of the spec that it breaks. Only a run without problems
// writes code (emit.go, server.go, client.go), so that nothing is half generated.
//
// # Limits
//
// It sees the files of one request and what they import. It cannot know what else
// is in the Go package that it writes into; a clash with that is the Go compiler's
// to find.
//
// [longrun.Method]: https://pkg.go.dev/github.com/longrun-dev/longrun#Method
package genlongrun

//go:generate testdata/generate.sh
