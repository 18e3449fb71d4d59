// Package client follows operations from outside: over any gRPC connection, on any
// server of google.longrunning.Operations. The typed handles that
// protoc-gen-go-longrun generates stand on it.
package client
