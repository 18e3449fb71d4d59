package longrun

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
)

// LogRuns returns an Interceptor that writes a line for each run when it has ended,
// with its operation, method, attempt and duration: at level Info for one that
// returned a response, at Warn for one that returned an error, with that, or that
// panicked; with what, the engine says. Requests, responses and metadata are in no
// line. Nil means slog.Default().
//
// What a run returns need not be how its operation ends: an error may be one that is
// tried again. The engine logs the cause of an operation that ends as INTERNAL in any
// case, under the id that callers see.
func LogRuns(log *slog.Logger) Interceptor {
	if log == nil {
		log = slog.Default()
	}
	return func(ctx context.Context, req proto.Message, run AnyRun, next Handler) (proto.Message, error) {
		began, returned := time.Now(), false
		operation := run.Name().String()
		defer func() {
			if !returned {
				log.Warn("run panicked", "operation", operation, "method", run.Method(), "attempt", run.Attempt(), "duration", time.Since(began))
			}
		}()
		resp, err := next(ctx, req, run)
		returned = true
		if err != nil {
			log.Warn("run returned an error", "operation", operation, "method", run.Method(), "attempt", run.Attempt(), "duration", time.Since(began), "err", err)
		} else {
			log.Info("run succeeded", "operation", operation, "method", run.Method(), "attempt", run.Attempt(), "duration", time.Since(began))
		}
		return resp, err
	}
}
