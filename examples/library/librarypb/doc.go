// Package librarypb is the API of examples/library, generated from its proto file and
// checked in:
//
//   - messages, by protoc-gen-go;
//   - [LibraryServiceServer] and [LibraryServiceClient], by protoc-gen-go-grpc;
//   - what is in library_longrun.pb.go, by protoc-gen-go-longrun: for the server
//     [HandleLibraryService], which takes a function for each long-running method and
//     returns a [LibraryServiceStarter] to embed, and for the client
//     [LibraryServiceOperations], whose calls return handles with the operation's types.
package librarypb

//go:generate ./generate.sh
