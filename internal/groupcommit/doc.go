// Package groupcommit lets many callers share one commit.
//
// A commit costs a flush of the disk, whether it carries one change or five
// hundred. A Queue has one writer, which commits at once when it is idle and
// takes along everything that has queued up meanwhile when it is not. There are
// no timers: one caller alone pays for one flush and waits for nobody.
//
//	q := groupcommit.New(groupcommit.Limits{}, func(batch []*change) {
//		// one transaction; each change keeps its own result
//	})
//	go q.Run()
//	defer q.Close()
//
//	c := &change{...}
//	if err := q.Do(ctx, c, c.size()); err != nil {
//		return err // ErrFull, ErrClosed, ErrWithdrawn: not done. ErrInFlight: unknown
//	}
//	return c.err
//
// # Rules
//
// An item belongs to the queue from Do until commit has returned with it, also
// when Do has returned ErrInFlight: its caller must not look at it any more.
//
// What happens to one item of a batch when another one is bad is the business of
// commit, which knows its database. When commit panics, the callers of its batch
// get a *PanicError and the writer goes on with the next batch.
//
// # Limits
//
// What waits is bounded by number and by size, and so is a batch. What begins
// something new (DoNew) has three quarters of the room. An item larger
// than a bound is taken when nothing else waits. Order is first come, first
// served.
package groupcommit
