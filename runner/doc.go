// Package runner runs the handlers of a longrun.Service in this process: it claims
// operations, keeps the claims alive, stops runs that must stop, brings their ends
// to the store, and gives back what it cannot finish.
//
//	longrun.Handle(svc, Translate, translate)
//	r, err := runner.New(svc, runner.Options{})
//	if err != nil {
//		return err
//	}
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	return r.Run(ctx) // works until ctx ends, then drains
//
// # Rules a caller must keep
//
// Handlers are registered before Run. A handler returns when its context ends;
// context.Cause says why. A process that starts operations and does not run them
// needs no runner, but somebody must sweep: at least one runner works on every
// store, if only with Concurrency -1. Several runners may share a Service, each
// with its own session and slots; then the first to drain answers everyone who
// waits in the process (Service.Drain), so they are to stop together.
//
// # Who decides
//
// The store is the authority for everything that must be agreed on:
//
//   - who holds a claim, and under which attempt: the fence of all that a run
//     writes;
//   - whether a session is alive. Its death is a mark, set once and for ever, in a
//     commit;
//   - what becomes of an operation whose run has ended. The runner only says how
//     it ended; the store applies the table "a run ends by" to the record as it is
//     then.
//
// The process decides two things alone, by its own clocks: when it stops
// believing that it still holds its claims, and when a deadline is near enough to
// stop a run. Both only make it more careful. That they can be wrong costs a run
// some time, never an operation its one ending: whatever a run writes under a
// claim that is not its own any more is refused.
//
// # One session, one beat
//
// Each call of Run opens a session: an id that is used once. The session beats
// once a second, and at once when it hears that a run has to be stopped; one beat
// keeps all its claims, be it one or a thousand. Its answer names the runs that
// must stop, again and again until they have ended, so that a lost answer does no
// harm. The beat also names what the session holds, and hears what of that is not
// its own any more.
//
// Once a second is far more than a TTL of 30 seconds asks for. But beats are more
// than signs of life. Their answers are how this process knows that it hears the
// store, and only who has heard the store without a gap may say that some other
// session has fallen silent: otherwise, when a store comes back from an outage,
// whoever speaks first would bury everyone else. A gap of more than a third of a
// session's TTL forbids judging it, so a session with the shortest TTL, 5 seconds,
// can be judged by those only who beat every second or so.
//
// # Trust
//
// After an answered beat the session is trusted until
//
//	sent + TTL - TTL/100
//
// where sent is the moment before the beat was sent, not the one at which the
// answer came. The store counts from when it took the beat, which lies somewhere
// between the two; counting from the earlier end can be too careful and never too
// bold, however long the answer travels. The hundredth is for clocks that do not
// run at the same rate. Time has passed if either the monotonic or the wall clock
// says so: the first stands still while a laptop sleeps, the second can be set.
//
// While the session is not trusted, nothing new begins: no claim, no operation
// that is stored as claimed already, no handler of an operation that is claimed
// but has not begun. Run.Trusted is false, for handlers that are about to do what
// must not be done twice.
//
// A run that has begun is not stopped. Not being able to hear the store is no
// evidence that someone else could: nobody may declare this session dead who
// could not hear the store either. If runs were stopped whenever trust ended, an
// outage of the store of half a minute would throw away all work in progress, of
// all processes at once. And work that is stopped but not given back, because
// nobody can be told, would be running on record and nowhere else when the store
// returns. So a run is stopped when an answer says that it must: session lost,
// claim lost, or stop. An outage re-runs nothing. What a run returns meanwhile
// waits, with its slot and its claim, and is brought to the store over and over
// until it answers.
//
// # A session that is lost
//
// A process that was cut off while others heard the store comes back to find its
// session dead. All its runs are stopped, with the cause ErrClaimLost. Nothing of
// the old session is given back: its claims are for whoever sweeps to decide, and
// some are others' already. An error that such a run returns is dropped, since it
// says no more than that the run was stopped. A response is tried once, because
// the store takes a result as long as nobody else has the claim, and work that is
// done should not be done again. Then the runner opens a new session and goes on.
//
// # Claims that nobody knows
//
// When a Claim ends without an answer, or the creation of an operation that was to
// be stored as claimed, the store may hold a claim of which the runner does not
// know. As the session answers for all that it holds, that operation would be kept
// from everyone for as long as the process lives. So after the first such outcome
// the runner lists its session's claims with every beat, until the session ends:
// not once, because a commit can arrive long after its caller has given up.
//
// What is listed and was known neither when the list began nor when it is read is
// released; it is never adopted. A list is older than the moment at which it is
// read: an operation on it may have been run and finished in between, and to adopt
// it would run it twice. For the same reason a list begins only while no Claim and
// no such creation is under way, and none begins until it has ended: an operation
// whose reply is still travelling is not unknown.
//
// # How runs are found and stopped
//
// An operation that is started in this process while a slot is free is stored as
// claimed, and runs at once. All others are claimed: by a hint that there is work,
// when a slot becomes free and more was ready than there were slots, when the next
// operation becomes ready that the store has told of, and every 5 seconds or so,
// in case all hints were lost. While older ones may be waiting for a slot, a new
// operation does not overtake them.
//
// A run goes on under a context that has nothing of the starting call's: no
// deadline and no end, only who called. It is stopped with a cause: ErrCancelled,
// ErrPreempted, ErrDeadline, ErrDraining or ErrClaimLost. The execution deadline
// is the record's, and the time left is measured from the claim, by the difference
// of two of the store's times, so that clocks need not agree on what time it is.
//
// What the handler returns counts, also when it was asked to stop. Only if it says
// no more than that it has stopped (its context's error or cause, ErrCancelled, or
// a Status CANCELLED), then the cause decides: after ErrDraining the run is
// released, after ErrDeadline the operation ends DEADLINE_EXCEEDED, and so on.
//
// Progress is saved while the handler goes on: the first report of a run at once,
// later ones a second apart, the latest winning. At most 32 reports of all runs are
// under way together, and one of each run: a report that is not answered delays
// only its own run, until as many as that hang. One that the service refuses as
// invalid is dropped and logged, once for each run. The last one is part of the
// commit that ends the run.
//
// # Drain
//
// When the context of Run ends, things stop in this order, and each step is there
// for the next:
//
//  1. Options.OnDrain is called: load balancers hear first, while everything works.
//  2. No claims and no new operations with a slot of ours; what is claimed and has
//     not begun is given back.
//  3. Whoever waits for an operation is answered with its latest state, so that
//     servers need not wait for them.
//  4. Handlers go on for Options.Grace.
//  5. The contexts of those that are left end, with the cause ErrDraining.
//  6. Runs that return are released, or finished if they have a result. StopGrace
//     later the rest is given up.
//  7. Where Claims, creations with a slot of ours or lists of claims are under way,
//     they have 10 seconds to end; what they bring is given back. If a claim is in
//     doubt, the session's claims are then listed a last time.
//  8. The session ends, last: until then it answers for what was still running, and
//     a claim under an ended session counts as a failed run.
//
// If runs are left that did not return, the session is not ended. They still hold
// their claims, and giving those back would let a second run start beside each of
// them; the process is about to end, and its TTL does the rest. Run's error names
// them. Nor is it ended while a Claim or such a creation is not answered, which
// Run's error says: an operation that is stored as claimed after Run has returned
// is released at once, if the process lasts, and otherwise its run is lost with the
// session's TTL.
//
// # Sweeps
//
// Every runner sweeps, at once and then every 2.5 seconds or so: marks dead
// sessions, decides what becomes of their operations and of those past their
// deadline, and removes what has expired. Sweeps of many runners do not disturb
// each other; the ticks are jittered so that each has its turn. What a crashed
// process has left goes on within two of its TTLs.
//
// # Limits
//
// A runner cannot end a goroutine: a handler that ignores its context keeps its
// slot. A run may repeat after a crash, so handlers make their work idempotent,
// remember it with Run.Step, or say AtMostOnce. Two runs of an operation can
// overlap in time when a process was cut off and does not know it yet; their
// attempts differ, and only one of them is kept.
package runner
