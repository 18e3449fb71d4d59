// Package longruntest has a running system in one line, for the tests of those
// who build on longrun: a store, a Service, a runner, and a gRPC server with the
// author's own services beside google.longrunning.Operations.
//
//	func TestTranslate_Cancelled(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			sys := longruntest.New(t, longruntest.Options{Register: translation.Register})
//			op := longruntest.Start(t, sys, translation.Translate, &pb.Request{Pages: 1000})
//			time.Sleep(time.Minute) // costs nothing: the bubble's clock jumps
//			if err := sys.Service().Cancel(t.Context(), op.Name()); err != nil {
//				t.Fatal(err)
//			}
//			if got := sys.Done(t, op).State; got != longrun.Cancelled {
//				t.Errorf("State = %v, want CANCELLED", got)
//			}
//		})
//	}
//
// # What there is
//
// [New] begins everything and ends it when the test ends. [Start] starts an
// operation of a typed Method, [System.Start] one of which only the name counts;
// [System.Done] waits for the end. [System.Conn] is a real grpc-go connection, made
// in memory, for generated clients. [System.Crash] ends a process as a killed one
// ends, and begins another on the same store: does the work go on where it was?
// [System.Session] is a session driven by hand, claim by claim, for tests of what
// happens when a worker falls silent.
//
// # Rules
//
//   - Handlers are registered in Options.Register, before the runner begins. It is
//     called again after a Crash, for the new process.
//   - In a testing/synctest bubble, New is called inside the bubble, and handlers
//     touch nothing outside it: no network, no real files, no channels made
//     elsewhere. Time then jumps whenever all goroutines wait.
//   - A handler that does not return when its context ends fails the test.
//
// # Limits
//
// Crash cannot stop a goroutine. It cuts the old process off from the store and
// ends the contexts of its runs; what a handler does to other systems after that,
// it does. Outside a bubble everything takes the time that it takes: a session
// that has crashed is given up after its TTL, 5 seconds at least.
package longruntest
