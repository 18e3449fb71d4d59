package runner

import (
	"context"
	"time"
)

const (
	// sweepInterval is how often a runner sweeps. What a crashed process has left
	// waits this long, beside its TTL.
	sweepInterval = 2500 * time.Millisecond
	// sweepTimeout limits one sweep; the next goes on where it ended.
	sweepTimeout = time.Minute
)

// keepSweeping sweeps at once, and then by a jittered tick, so that of many
// runners each has its turn, until ctx ends. A sweep that is cut short there is
// no loss: what it does is idempotent, and another runner goes on.
func (e *engine) keepSweeping(ctx context.Context) {
	for failed := false; ; {
		err := e.sweep(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failed {
			e.log.Warn("sweep ended early", "err", err)
		}
		failed = err != nil
		if !pause(ctx, jitter(sweepInterval)) {
			return
		}
	}
}

func (e *engine) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	return e.work.Sweep(ctx)
}
