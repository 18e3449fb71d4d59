package runner_test

import (
	"context"
	"log/slog"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/runner"
)

// BenchmarkStartToDone is what the engine itself costs: callers that start an
// operation and wait for it, on a store that costs next to nothing.
func BenchmarkStartToDone(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	svc, err := longrun.New(inmem.New(), longrun.Options{Log: log})
	if err != nil {
		b.Fatal(err)
	}
	defer svc.Close()
	longrun.Handle(svc, work, succeed)
	r, err := runner.New(svc, runner.Options{Log: log})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			op, err := longrun.Start(ctx, svc, work, wrapperspb.String("request"), longrun.StartOptions{})
			if err == nil {
				_, err = longrun.Wait(ctx, svc, work, op.Name())
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
