// Package longrunpb holds the messages and gRPC stubs of longrun.v1, generated
// from proto/longrun/v1 and checked in:
//
//   - [OperationMetadata], what an operation says about itself unless its
//     method has a metadata message of its own;
//   - [DispatcherClient] and [DispatcherServer], to start and work operations
//     from any language;
//   - [SimulatorClient] and [SimulatorServer], for operations that behave as
//     asked;
//   - [AdminClient] and [AdminServer], for whoever runs the server;
//   - [CommandRequest] and [CommandResponse], the messages of the method
//     "command", which is what "longrun run" runs.
//
// A client that wants to see how far an operation is needs no more than this
// package and Google's:
//
//	md := new(longrunpb.OperationMetadata)
//	if err := op.GetMetadata().UnmarshalTo(md); err != nil {
//		return err
//	}
//	fmt.Println(md.GetState(), md.GetProgress().GetCompletedUnits())
//
// The package imports nothing else of Longrun. Messages are safe for concurrent
// reading, as all Go protobuf messages are.
package longrunpb

//go:generate ./generate.sh
