package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
)

// The random test does the same random commands to the store under test and to
// the model, inmem, and compares every answer. Commands are drawn from the seed
// before they are carried out, and name operations and sessions by number, so
// that a seed says all, and so that a failure can be made small by leaving
// commands out.
const (
	seeds      = 12
	shortSeeds = 3 // with -short
	commands   = 250
	// tries is how many runs to spend on making a failure small.
	tries = 100
	// tolerance is how far the two stores' times may differ. The commands keep a
	// second between every time at which something is decided and every time at
	// which it is looked at.
	tolerance = 900 * time.Millisecond
	// tooSlow is how long may pass by itself between two commands, by a clock that
	// runs. What took longer says nothing, and is done anew, for so many times.
	tooSlow = tolerance / 2
	anew    = 20
)

// opener opens a fresh store.
type opener = func(t *testing.T) (longrun.Store, func(time.Duration))

func testRandom(t *testing.T, open opener) {
	n := uint64(seeds)
	if testing.Short() {
		n = shortSeeds
	}
	var small atomic.Bool // one failure is made small
	for seed := range n {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			cmds := draw(seed)
			res := simulate(t, open, cmds)
			for n := 0; n < anew && res.diff != "" && res.passed > tooSlow; n++ {
				res = simulate(t, open, cmds)
			}
			switch {
			case res.diff == "":
			case small.Swap(true):
				t.Errorf("the store and the model differ; to see where, run this seed alone")
			default:
				res = shrink(t, open, cmds[:res.failed+1], res)
				t.Errorf("after this the store and the model differ (#n: operation n, sn: session n, = what the model answered):\n\t%s\n(-model +store):\n%s",
					strings.Join(res.script, "\n\t"), res.diff)
			}
		})
	}
}

// command is one of the verbs, with numbers that say the rest.
type command struct {
	verb       string
	a, b, c, d int
}

// draw returns the commands of a seed: starts and claims often, so that there
// is something to do, and long waits rarely, so that it is not over.
func draw(seed uint64) []command {
	r := rand.New(rand.NewPCG(seed, 1))
	var often []string
	for _, w := range weights {
		often = append(often, slices.Repeat([]string{w.verb}, w.weight)...)
	}
	cmds := make([]command, commands)
	for i := range cmds {
		cmds[i] = command{verb: often[r.IntN(len(often))], a: r.IntN(64), b: r.IntN(64), c: r.IntN(64), d: r.IntN(64)}
	}
	return cmds
}

// result is how a simulation has gone.
type result struct {
	failed int           // the number of the command after which they differ
	diff   string        // how they differ, "" where they do not
	script []string      // what was done
	passed time.Duration // the most that has passed by itself between two commands
}

// simulate carries out the commands on a fresh store and on the model.
func simulate(t *testing.T, open opener, cmds []command) result {
	store, advance := open(t)
	sim := newSimulation(t, store, advance)
	for i, c := range cmds {
		sim.tick(time.Millisecond)
		if diff := sim.verb(c); diff != "" {
			return sim.result(i, diff)
		}
	}
	return sim.result(len(cmds)-1, sim.everything())
}

// result is how it has gone until now.
func (s *simulation) result(failed int, diff string) result {
	if b, err := s.store.Beat(s.ctx, longrun.Session{ID: s.keeper, TTL: keeperTTL}); err == nil {
		s.passed = max(s.passed, b.Time.Sub(s.now))
	}
	return result{failed: failed, diff: diff, script: s.log, passed: s.passed}
}

// shrink leaves out commands as long as the rest still fails.
func shrink(t *testing.T, open opener, cmds []command, res result) result {
	left := tries
	for size := len(cmds) / 2; size > 0 && left > 0; size /= 2 {
		for at := 0; at+size <= len(cmds) && left > 0; left-- {
			rest := slices.Concat(cmds[:at], cmds[at+size:])
			if r := simulate(t, open, rest); r.diff != "" {
				cmds, res = rest[:r.failed+1], r
			} else {
				at += size
			}
		}
	}
	return res
}

// simulation is a store and the model, side by side.
type simulation struct {
	ctx     context.Context
	store   longrun.Store
	model   longrun.Store
	advance func(time.Duration)

	now      time.Time // the store's, which is the model's clock
	keeper   longrun.SessionID
	ops      []*longrun.Operation // as they were given to Create
	sessions []longrun.SessionID
	calls    map[longrun.SessionID]int64
	log      []string
	passed   time.Duration // the most that has passed by itself from tick to tick
}

func newSimulation(t *testing.T, store longrun.Store, advance func(time.Duration)) *simulation {
	s := &simulation{
		ctx: t.Context(), store: store, advance: advance,
		keeper: longrun.NewSessionID(), calls: map[longrun.SessionID]int64{},
	}
	s.model = inmem.NewWithOptions(inmem.Options{Now: func() time.Time { return s.now }})
	if _, err := store.Beat(s.ctx, longrun.Session{ID: s.keeper, Open: true, TTL: keeperTTL}); err != nil {
		t.Fatalf("Beat: %v", err)
	}
	return s
}

// keeperTTL is the TTL of the session that asks the store for its time: longer
// than any contact.
const keeperTTL = 100000 * time.Hour

// tick moves the store's clock, and the model's after it.
func (s *simulation) tick(d time.Duration) {
	s.advance(d)
	b, err := s.store.Beat(s.ctx, longrun.Session{ID: s.keeper, TTL: keeperTTL})
	if err != nil {
		panic(fmt.Sprintf("beat of the session that keeps the time: %v", err))
	}
	if !s.now.IsZero() {
		s.passed = max(s.passed, b.Time.Sub(s.now)-d)
	}
	s.now = b.Time
}

// both makes one call of both stores and compares their answers.
func (s *simulation) both(what string, call func(longrun.Store) answer) string {
	want := call(s.model)
	s.log = append(s.log, what+" = "+want.short(s))
	return want.diff(call(s.store))
}
