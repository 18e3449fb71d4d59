// Command protoc-gen-go-longrun is a plugin of protoc and buf: for each method that
// is annotated with google.longrunning.operation_info it writes the Go code of a
// durable operation.
//
//	protoc --go_out=. --go-grpc_out=. --go-longrun_out=. library.proto
//
// docs/plugin.md has its options, what it writes and what it refuses.
package main

import (
	"os"

	"github.com/longrun-dev/longrun/internal/genlongrun"
)

func main() { os.Exit(genlongrun.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
