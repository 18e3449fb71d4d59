// Package grpcapi serves google.longrunning.Operations over gRPC, so that every
// Google client library can poll, wait for, cancel, list and delete the
// operations of a [longrun.Service]:
//
//	server := grpc.NewServer(grpcapi.ServerOptions(svc, grpcapi.Options{})...)
//	grpcapi.Register(server, svc, grpcapi.Options{})
//	pb.RegisterTranslationServiceServer(server, translation) // its methods return operations
//	go server.Serve(listener)
//	...
//	svc.Drain()           // whoever waits is answered with the latest state (WAI-15)
//	server.GracefulStop() // so this does not wait for them
//
// Rules a caller must keep: register on the server that serves the methods which
// start operations, since generated clients use one channel for both (GRPC-02);
// drain the Service before GracefulStop, or that takes as long as the longest
// wait; put whoever has authenticated into the context of each call by an
// interceptor ([longrun.WithCaller]), and decide in longrun.Options.Authorize.
//
// [ServerOptions] is for all methods of the server, the author's own too: every
// error that leaves it is a Status with an ErrorInfo (ERR-02), a panic is
// INTERNAL (ERR-15), and the W3C trace context of a call is recorded with the
// operations that it starts.
//
// Get and Wait of an operation that is not done set the header "retry-after" to a
// suggestion in whole seconds (POL-02). Pages stay under the 4 MiB that a gRPC
// client receives (GRPC-07). One WaitOperation lasts [longrun.MaxWait] at most
// (WAI-06), and a little less than its deadline (WAI-05); a client calls again
// until the operation is done.
//
// The metadata "x-goog-fieldmask" of a call is a response mask (SYS-06): with
// "operations(name,metadata.progress),nextPageToken" a list has nothing else. It
// is relative to the reply and reaches inside Any by [Options].Types. A path that the
// reply's type does not have is INVALID_ARGUMENT (SYS-10), so that a typo does not
// look like an empty answer; inside an Any it is ignored, and an Any of an unknown
// type is whole. Several values add up. The methods of the author have no mask.
//
// Limits: partial success is not supported (PS-02). Requests that grpc-go refuses
// before it knows their message, such as those past its size limit, carry no
// ErrorInfo.
package grpcapi
