// Package simulator serves longrun.v1.Simulator: operations that behave as asked,
// so that authors of clients can test polling, waiting, cancelling and expiry
// without work that is really slow.
//
//	svc, err := longrun.New(store, longrun.Options{})
//	if err != nil {
//		return err
//	}
//	simulator.Register(server, svc) // before a runner of svc runs
//	r, err := runner.New(svc, runner.Options{})
//	if err != nil {
//		return err
//	}
//	go r.Run(ctx)
//
//	// in a client
//	op, err := simulatorClient.Simulate(ctx, &longrunpb.SimulateRequest{
//		RunDuration:   durationpb.New(10 * time.Second),
//		ProgressSteps: 5,
//		CancelDelay:   durationpb.New(2 * time.Second),
//	})
//
// A simulated operation is one like any other: it has a method with a handler and
// a starting hook, is stored, claimed, cancelled and swept by the same code, and
// may be started through the Dispatcher too, by its method's name and a
// SimulateRequest.
//
// # How it behaves
//
//	start_error     the starting call fails with it, and nothing is stored
//	failures        the first runs, this many, end UNAVAILABLE at once, and the
//	                operation is tried again after a backoff of a second and more
//	run_duration    the next run takes this long
//	progress_steps  it says so many times how far it is, the last time at its end
//	cancel          it stops cancel_delay after it was asked to, CANCELLED; or, if
//	                it ends before that or has ignore_cancel, as if nobody had asked
//	response, error how it ends; neither is a response of google.protobuf.Empty
//
// An operation that was preempted stops like a cancelled one, and ends ABORTED
// whatever it returns. With error.code UNAVAILABLE the operation ends with it,
// after the failures that were asked for.
//
// # A crash in the middle
//
// The moment at which the run began is remembered as a step of the operation. So
// when its process is killed, the next run goes on where time has got to: an
// operation of 10 seconds that was killed after 5 and taken up again 3 seconds
// later ends 2 seconds after that, and one whose time has passed meanwhile ends
// at once. Progress goes on from there as well. A run of less than a second is
// not worth a write and begins again.
//
// # Limits
//
// run_duration and cancel_delay are at most 30 days, progress_steps 1,000,
// failures 100. A response may be as large as a request may be, 3 MiB; an error
// has 63 KiB. Anything beyond is INVALID_ARGUMENT from the starting call.
package simulator
