// Package storetest holds a store to the [longrun.Store] contract: a suite that
// knows only the interface. It is for authors of stores, and its Faulty, a store
// whose calls fail as asked, for tests of whatever stands on a store.
//
// A store's test is one function:
//
//	func TestContract(t *testing.T) {
//		t.Parallel()
//		storetest.Run(t, func(t *testing.T) (longrun.Store, func(time.Duration)) {
//			clock := storetest.NewClock()
//			s, err := mystore.Open(filepath.Join(t.TempDir(), "db"), mystore.Options{Now: clock.Now})
//			if err != nil {
//				t.Fatal(err)
//			}
//			t.Cleanup(func() { _ = s.Close() })
//			return s, clock.Advance
//		})
//	}
//
// # What is in it
//
// A test for each sentence of the contract, named by theme ("keys/fifo"); when it
// fails it quotes the sentence. Tests at which many goroutines meet ("together/...").
// Tests in which calls fail before or after they have happened, and are made again
// ("faults/..."). And "random": the same random commands to the store and to the
// model, inmem, with every answer compared. A difference is made as small as it
// gets and printed as a script; run its seed again with
//
//	go test -run 'TestContract/random/seed=7$'
//
// # Rules
//
//   - open gives a fresh, empty store each time. It is called by many tests at
//     once, and more than once in a test that looks for the smallest failure.
//   - Only advance moves the store's clock by more than the test takes: seconds are
//     told apart from minutes. A store whose clock is a database's adds an offset.
//     The suite does not run inside a testing/synctest bubble, since its tests are
//     subtests; a store with a clock hook needs none.
//   - open may return a store that does not wait for its disk. What survives a
//     crash is not in the suite: each store tests its own reopening.
//   - Nothing is skipped. A store that cannot be reached fails or is not tested at
//     all, and says so.
//
// # Limits
//
// The suite asks nothing where the contract is silent: the order of what Due
// returns, what a call of Claim is given again after all it had claimed has ended,
// or how much earlier than never a hint comes. With -short the random test plays
// fewer seeds. The whole takes about a second of CPU time plus what the store
// takes for some twenty thousand calls.
package storetest
