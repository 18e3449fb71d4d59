// Package client follows operations from outside: over a gRPC connection, on any
// server of google.longrunning.Operations, ours or another. It knows nothing of the
// engine, and a program that uses it links no store and no runner.
//
//	library := librarypb.NewLibraryServiceOperations(conn) // generated
//	op, err := library.ImportBooks(ctx, req)
//	if err != nil {
//		return err // nothing was started
//	}
//	save(op.Name())
//	resp, err := op.Wait(ctx) // *librarypb.ImportBooksResponse
//
// and in another process, tomorrow:
//
//	op := library.ImportBooksOperation(name)
//	resp, err := op.Wait(ctx)
//
// Handles that protoc-gen-go-longrun generates are made of [New] and [Resume], which
// do the same for any method that returns an operation.
//
// # How to ask
//
//	Wait      blocks until the end; a restart of the server does not end it
//	Poll      asks once
//	Done      says what was heard last; asks nobody
//	Metadata  likewise: how far the work was
//	Cancel    asks the work to stop; Wait gives CANCELLED, or what came first
//	Delete    forgets the operation; the work goes on
//
// To show progress, Poll at a pace of your own and look at Metadata; to have the
// result, Wait.
//
// # Whose error it is
//
// An operation that failed gives its google.rpc.Status, details and all, from Poll
// and Wait, just as if the call itself had failed with it. Done tells them apart:
//
//	resp, err := op.Wait(ctx)
//	switch {
//	case err == nil:
//		use(resp)
//	case op.Done(): // the operation has failed, for good
//		st := status.Convert(err)
//	case ctx.Err() != nil: // you stopped waiting; the operation goes on
//	default: // the server would not say
//	}
//
// Starting is not repeated by this package: give a request_id where the method has
// one, and start again with the same.
//
// # Rules
//
//   - Give Wait a context that ends. It waits for a server that is away for as long
//     as that lasts, since one that is being restarted looks the same as one that
//     never was; the error then says what the last call failed with.
//   - A network that drops silent connections without a word is found out by
//     grpc's keepalive (grpc.WithKeepaliveParams), which is the connection's. Without
//     it, a call that nobody answers is given up after 45 seconds.
//   - A message that New is given is kept, and must not change.
//
// # Limits
//
// A Wait is one call every 30 seconds, and one goroutine. Where a server has no
// WaitOperation the end is seen late by as much as the pause between two polls:
// up to 20 seconds, or what the server asks for by "retry-after", 10 minutes at
// most. Operations are not listed here, and nothing is known of HTTP: use Google's
// clients, or the generated longrunningpb.OperationsClient.
package client
