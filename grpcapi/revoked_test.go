package grpcapi_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
)

// WAI-16: a right that is taken away during the wait is gone when it returns.
func TestWait_Revoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var revoked atomic.Bool
		s := newSystemWith(t, settings{Options: longrun.Options{Authorize: func(context.Context, longrun.Verb, string) error {
			if revoked.Load() {
				return errRefused
			}
			return nil
		}}})
		r := s.run(t, parent)
		go func() {
			time.Sleep(time.Second)
			revoked.Store(true)
		}()
		_, err := s.wait(t.Context(), r.name, 5*time.Second)
		expectNamed(t, err, denied, r.name)
	})
}
