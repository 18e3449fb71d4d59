package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
)

// contract is one sentence of the Store contract and the test that guards it.
type contract struct {
	name string
	why  string // the sentence being checked
	test func(t *testing.T, x subject)
}

// Run runs the contract tests, in parallel. It calls open for a fresh, empty
// store before every test, with a way to move the store's clock forward: see
// Clock, or an offset where the clock is a database's. Nothing but advance moves
// time by more than the test takes. open registers its own cleanup on t, and may
// be called more than once in a test, and by many tests at once.
//
// Run itself returns before its tests have run, as t.Run does for parallel
// tests; a caller who must know wraps it in a t.Run of its own.
func Run(t *testing.T, open func(t *testing.T) (longrun.Store, func(time.Duration))) {
	for _, c := range slices.Concat(
		createContracts, requestContracts, keyContracts, preemptContracts,
		getContracts, listContracts, whereContracts, updateContracts, stepContracts, fieldContracts,
		claimContracts, callContracts, beatContracts, stopContracts, dueContracts, expireContracts,
		watchContracts, secretContracts, timeContracts, closeContracts,
		concurrencyContracts, faultContracts,
	) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Log("contract:", c.why)
				}
			})
			s, advance := open(t)
			c.test(t, subject{Store: s, t: t, advance: advance})
		})
	}
	t.Run("random", func(t *testing.T) {
		t.Parallel()
		testRandom(t, open)
	})
}
