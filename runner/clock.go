package runner

import (
	"context"
	"math/rand/v2"
	"time"
)

// A moment is what both clocks of the process show. The monotonic clock of many
// systems stands still while the machine sleeps; the wall clock can be set.
type moment struct {
	mono time.Duration // since some fixed point
	wall time.Time
}

// clockFrom returns a clock that reads both clocks of the process.
func clockFrom(start time.Time) func() moment {
	return func() moment {
		now := time.Now()
		return moment{mono: now.Sub(start), wall: now.Round(0)}
	}
}

// since returns how much time has passed from a to m, by whichever clock says
// more.
func (m moment) since(a moment) time.Duration {
	return max(m.mono-a.mono, m.wall.Sub(a.wall))
}

// pause waits for d and reports whether ctx has lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter returns d, or up to a fifth less or more, so that many processes do not
// keep step.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5+1)
}

// raise gives a hint to one who may not be listening; a hint is as good as many.
func raise(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
