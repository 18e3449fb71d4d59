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
//			longruntest.WantState(t, sys.Done(t, op), longrun.Cancelled)
//		})
//	}
//
// # What there is
//
// [New] begins everything and ends it when the test ends. [Start] starts an
// operation of a typed Method, [System.Start] one of which only the name counts;
// [System.Done] waits for the end, and [System.Until] for anything before it.
// [WantState], [WantError], [WantAttempt], [Response] and [Metadata] say what has
// become of an operation, or fail the test. [System.Conn] is a real grpc-go
// connection, made in memory, for generated clients. [System.Crash] ends a process as
// a killed one ends, and begins another on the same store: does the work go on where
// it was? [System.Faults] lets calls of the store fail, or lose their answers.
// [System.Session] is a session driven by hand, claim by claim, for tests of what
// happens when a worker falls silent.
//
// docs/testing.md goes through a handler's tests in order.
//
// # Rules
//
//   - Handlers are registered in Options.Register, before the runner begins. It is
//     called again after a Crash, for the new process.
//   - In a testing/synctest bubble, New is called inside the bubble, and handlers
//     touch nothing outside it: no network, no real files, no channels made
//     elsewhere. Time then jumps whenever all goroutines wait.
//   - A handler that does not return when its context ends fails the test.
//   - A Session belongs to the process that had it opened: after a Crash, and while
//     faults strike, its calls fail as those of the process do.
//
// # Limits
//
// Crash cannot stop a goroutine. It cuts the old process off from the store and
// ends the contexts of its runs; what a handler does to other systems after that,
// it does. Outside a bubble everything takes the time that it takes: a session
// that has crashed is given up after its TTL, 5 seconds at least.
package longruntest
