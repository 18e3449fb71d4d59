// Package longrun is the server side of google.longrunning: what an API needs so
// that its slow methods can return an Operation and keep the promise that comes
// with it.
//
// An author writes a function and gets a durable operation that any Google client
// can poll, wait for, cancel, list and delete, and that goes on after a crash:
//
//	var Resize = longrun.Method[*pb.ResizeRequest, *pb.ResizeResponse, *longrunpb.OperationMetadata]{
//		Name: pb.Images_Resize_FullMethodName,
//	}
//
//	store, err := sqlite.Open("longrun.db", sqlite.Options{})
//	svc, err := longrun.New(store, longrun.Options{})
//	longrun.Handle(svc, Resize, resize)                        // func(ctx, req, run) (resp, error)
//	grpcapi.Register(grpcServer, svc, grpcapi.Options{})       // google.longrunning.Operations
//	r, err := runner.New(svc, runner.Options{})
//	go r.Run(ctx)                                              // works until ctx ends, then drains
//
//	// in the RPC that starts it
//	op, err := longrun.Start(ctx, svc, Resize, req, longrun.StartOptions{Parent: req.Parent})
//	return svc.Proto(op), err
//
// # The life of an operation
//
//	          start                    claim                     finish
//	(caller) -------->  PENDING  ---------------->  RUNNING  ---------------->  SUCCEEDED | FAILED | CANCELLED
//	                     ^  |                        |                              |
//	                     |  +-- cancel -> CANCELLED  |                              +-- expire_time -> removed
//	                     +------ retry, release, session lost
//
// Every arrow is one pure function in transition.go, and nothing else moves a
// state. A done operation never changes again.
//
// # What is promised
//
//   - Durable before promised: Start returns a name after its record is on disk; a
//     result is seen only after it is.
//   - At least once, never two endings: a run may repeat after a crash, and
//     exactly one end is kept. Every write of a run carries its claim (session,
//     attempt); a late one is refused. AtMostOnce gives up the repetition instead.
//   - The deadline and the cancellation of a starting call never reach the run.
//   - Cancel asks; it does not promise. Delete hides; it does not cancel.
//
// # Who is who
//
// A [Service] has the verbs of callers: Start, Get, List, Wait, Cancel, Delete.
// [Service.Work] has those of whoever does the work: package runner for handlers
// in this process, package dispatch for workers in any other. A [Store] keeps the
// records; package sqlite in one file, package inmem in memory. [Method], [Handle],
// [Begin], [Start] and [Run] are what an author of an API uses, and [Declare] on a node
// whose runners are elsewhere. An [Interceptor] stands around all handlers of a process.
//
// # Rules for a handler
//
// Its context ends when the run must stop, and context.Cause says why:
// [ErrCancelled], [ErrPreempted], [ErrDeadline], [ErrDraining] or [ErrClaimLost].
// It steers by what it returns: a response; a Status, kept whole; UNAVAILABLE or
// [RetryAfter], run again; anything else, INTERNAL with an id whose cause is in
// the log. What must not be done twice goes into [Run.Step], or carries
// [Run.Attempt] as its fence.
//
// # Limits
//
// A request must have the fields that google.api.field_behavior requires, and a
// response the type of its method. Payloads are limited to 3 MiB, metadata to 256 KiB,
// errors to 64 KiB; limits.go has them all. The rules are those of docs/spec.md, and tests name them by id.
package longrun
