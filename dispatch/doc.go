// Package dispatch serves longrun.v1.Dispatcher, by which programs in any
// language start operations and do their work, on a [longrun.Service].
//
//	svc, err := longrun.New(store, longrun.Options{})
//	if err != nil {
//		return err
//	}
//	server := grpc.NewServer()
//	grpcapi.Register(server, svc, grpcapi.Options{}) // callers: get, wait, cancel, ...
//	dispatch.Register(server, svc, dispatch.Options{})
//	return server.Serve(listener)
//
// # A worker's life
//
// A worker opens a session and keeps it by beating. A session answers for all
// that it has claimed: while it beats its claims hold, and when it is silent for
// its TTL they are lost, and the operations run again elsewhere.
//
//	OpenSession                          -> session (a secret), ttl
//	BeatSession(closed_call, held)       -> stop            in a loop of its own
//	AcquireOperations(methods, call)     -> operations      in another
//	  ReportProgress(name, attempt)                         as often as it likes
//	  FinishOperation(name, attempt)                        once for each
//	CloseSession                                            when all is finished
//
// # Rules a worker must keep
//
//   - It numbers its Acquire calls, and its Start calls with a session, from 1.
//     A call whose reply was lost is made again under the same number and returns
//     what it has claimed. Or the worker closes it: it puts the number, or a
//     higher one, into closed_call, and ignores the reply if it still comes.
//   - A beat names every run that the worker holds, each until its Finish or
//     Release was answered, not until it was sent. What a closed call has claimed
//     and a beat does not name is released: at once, and to somebody else.
//   - A beat keeps the claims for one TTL from when it arrives. A worker counts
//     from before it sent it, and begins nothing new after that time; it stops
//     what it runs when an answer says so.
//   - What must stop is said in every beat until it has ended: at once when it is
//     new, after a second to a worker that beats again at once. A beat that is
//     answered early and says nothing comes from a server that stops; the loop
//     waits a second then, as it does after a call that has failed.
//   - The first Finish that is taken counts. The same one again is no error; one with
//     another result is ABORTED with reason CLAIM_LOST, as the claim was over.
//   - ABORTED with reason CLAIM_LOST means: stop this run, nothing it still says
//     is kept. ABORTED with reason SESSION_LOST means: stop all runs, open
//     another session. UNAVAILABLE means: the same call again, a little later.
//   - The token of a session is a secret. It is only ever in a request body, and
//     neither in a log nor in an error here. One that was not issued here, be it
//     forged or of another server, is answered as a lost session, by every call and
//     before anything else is looked at.
//
// Every call that carries a claim may be repeated. So may StartOperation with a
// request_id, AcquireOperations with its number, and CloseSession. A repeated
// OpenSession opens another session; the one that nobody knows ends with its TTL.
//
// # Long polls
//
// BeatSession and AcquireOperations wait on the goroutine of their call, with no
// other. They answer a little before the caller's deadline, and at once when the
// Service drains. A session has one beat that waits: a newer one answers the one
// before it.
//
// A beat counts as a sign of life when it arrives. While it waits, a hint that
// something must stop makes the server ask the store again, which the store
// takes for a sign of life as well; so a worker that dies while it waits is found
// within a third of its TTL and one TTL more. Calls are closed, and what is
// missing is judged, only when a beat arrives: what the worker has finished since
// is not held against it.
//
// # Limits
//
//   - A TTL is from 5 seconds to 10 minutes; a beat waits for a third of it.
//   - AcquireOperations takes 100 methods, gives 100 operations, and waits for 60
//     seconds. A reply is cut at 3.5 MiB; what was claimed beyond that is released
//     before it is sent, and no run of it has begun.
//   - A session holds at most 1,000 operations. A process counts what a session
//     has claimed through it and asks the store only when that could be more than
//     1,000; a session that claims through several processes at a time can pass
//     the limit by what the others gave it meanwhile, and then cannot name all it
//     holds. At the limit AcquireOperations gives nothing and StartOperation with
//     a session is UNAVAILABLE, until something is finished.
//   - A server keeps 10,000 sessions (longrun.MaxSessions): beyond, OpenSession is
//     UNAVAILABLE. A session that was not closed has its place for two of its TTLs
//     after its last call.
//   - At most 10,000 calls of AcquireOperations wait (Options.MaxAcquires), and 100 of
//     one session. A call beyond that which finds nothing ready is UNAVAILABLE; one that finds
//     something gets it. A beat is never refused: where many are sent, the older ones
//     are answered early.
//   - Where more methods are wanted than operations, one method at a time is
//     first, in turn by the number of the call, and when it has none, the one
//     whose operation has been ready for longest.
package dispatch
