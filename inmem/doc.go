// Package inmem is a [longrun.Store] in the memory of the process: for tests,
// for trying things out, and as the model that the other stores are compared
// with. It is written to be obviously right before anything else.
//
//	store := inmem.New()
//	defer store.Close()
//	svc, err := longrun.New(store, longrun.Options{})
//	if err != nil {
//		return err
//	}
//	longrun.Handle(svc, Translate, translate)
//	r, err := runner.New(svc, runner.Options{})
//	if err != nil {
//		return err
//	}
//	return r.Run(ctx)
//
// # Rules
//
//   - Several Services may share one Store, as several processes share a
//     database; none of them owns it, and whoever made it closes it.
//   - NewOperation.Write runs with the store locked. A Write that calls the
//     store waits for itself for ever.
//   - Inside a testing/synctest bubble the store's clock is the bubble's. A test
//     without a bubble moves time through Options.Now.
//
// # Limits
//
// "On disk" means "in memory" here: nothing outlives the process. There is one
// lock; a call reads, at worst, every operation that the store holds (List of a
// rare parent), and Due and calls that deal with a conflict key read every
// unfinished one. Claim and Beat read what they return.
package inmem
