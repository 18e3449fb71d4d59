package main

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmepb"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
	"github.com/longrun-dev/longrun/sqlite"
)

// callers is how many start operations at a time, in the benchmarks of methods.
const callers = 64

// rounds is into how many parts their measurements are cut.
const rounds = 32

// raw is a method of which nothing is known but its name.
var raw = longrun.Method[*anypb.Any, *anypb.Any, *longrunpb.OperationMetadata]{Name: "/acme.v1.Library/Raw"}

// importBooks is a method as the plugin writes it. Its metadata is that of raw, so that
// types are all in which they differ.
var importBooks = longrun.Method[*acmepb.ImportBooksRequest, *acmepb.ImportBooksResponse, *longrunpb.OperationMetadata]{
	Name:   "/acme.v1.Library/Imp",
	Parent: func(req *acmepb.ImportBooksRequest) string { return longrun.UnderParent(req.GetParent()) },
}

// stores are what the benchmarks of methods run on.
var stores = map[string]func(b *testing.B) longrun.Store{
	"inmem": func(b *testing.B) longrun.Store {
		store := inmem.New()
		b.Cleanup(func() { store.Close() })
		return store
	},
	"sqlite": func(b *testing.B) longrun.Store {
		b.Helper()
		store, err := sqlite.Open(filepath.Join(b.TempDir(), "longrun.db"), sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := store.Close(); err != nil {
				b.Error(err)
			}
		})
		return store
	},
}

// BenchmarkTyped is an operation from its start to its end as generated code brings it:
// the starter, a handler with its own messages, the typed wait. Beside it, in the same
// run and in turns, are two through the untyped engine: "bare" is handed Anys that
// were packed long ago and looks into none, so that x-bare has all that messages cost;
// "by hand" packs and unpacks the same four messages itself, so that x-by-hand is what
// the types cost.
//
//	go -C bench test -run '^$' -bench Typed -benchtime 50000x
func BenchmarkTyped(b *testing.B) {
	for name, open := range stores {
		b.Run(name, func(b *testing.B) {
			all := []contestant{openBare(b, open(b)), openByHand(b, open(b)), openTyped(b, open(b))}
			inTurns(b, rounds*callers, all) // warms up
			b.ResetTimer()
			cpu := inTurns(b, b.N, all)
			b.StopTimer()
			b.ReportMetric(cpu[2], "cpu-us/op")
			b.ReportMetric(cpu[2]/cpu[0], "x-bare")
			b.ReportMetric(cpu[2]/cpu[1], "x-by-hand")
		})
	}
}

// contestant brings operations to their end. settle returns when nothing is left to
// be done for them later.
type contestant struct{ do, settle func(context.Context) error }

// booksRequest returns what an operation asks for, as large as noop's.
func booksRequest() *acmepb.ImportBooksRequest {
	return &acmepb.ImportBooksRequest{Parent: "publishers/acme", Titles: []string{strings.Repeat("x", requestBytes)}}
}

// openTyped brings operations of a method as it is generated.
func openTyped(b *testing.B, store longrun.Store) contestant {
	b.Helper()
	svc := work(b, store, func(svc *longrun.Service) {
		longrun.Handle(svc, importBooks, func(_ context.Context, r *acmepb.ImportBooksRequest, _ *longrun.Run[*longrunpb.OperationMetadata]) (*acmepb.ImportBooksResponse, error) {
			return &acmepb.ImportBooksResponse{Count: int32(len(r.GetTitles()))}, nil
		})
	})
	s := &starter{svc: svc, importBooks: &importBooks}
	return contestant{settle: settled(svc), do: func(ctx context.Context) error {
		started, err := s.ImportBooks(ctx, booksRequest())
		if err != nil {
			return err
		}
		name, err := longrun.ParseName(started.GetName())
		if err != nil {
			return err
		}
		_, err = longrun.Wait(ctx, svc, importBooks, name)
		return err
	}}
}

// starter is what the plugin writes.
type starter struct {
	svc         *longrun.Service
	importBooks *longrun.Method[*acmepb.ImportBooksRequest, *acmepb.ImportBooksResponse, *longrunpb.OperationMetadata]
}

func (s *starter) ImportBooks(ctx context.Context, req *acmepb.ImportBooksRequest) (*longrunningpb.Operation, error) {
	op, err := longrun.Start(ctx, s.svc, *s.importBooks, req, longrun.StartOptions{})
	return s.svc.Proto(op), err
}

// openBare brings operations whose messages nobody looks into.
func openBare(b *testing.B, store longrun.Store) contestant {
	b.Helper()
	request, err := anypb.New(booksRequest())
	response, respErr := anypb.New(&acmepb.ImportBooksResponse{Count: 1})
	if err := errors.Join(err, respErr); err != nil {
		b.Fatal(err)
	}
	svc := work(b, store, func(svc *longrun.Service) {
		longrun.Handle(svc, raw, func(context.Context, *anypb.Any, *longrun.Run[*longrunpb.OperationMetadata]) (*anypb.Any, error) {
			return response, nil
		})
	})
	return contestant{settle: settled(svc), do: func(ctx context.Context) error {
		_, err := bringRaw(ctx, svc, booksRequest(), request)
		return err
	}}
}

// openByHand brings operations whose messages are packed and unpacked by the author.
func openByHand(b *testing.B, store longrun.Store) contestant {
	b.Helper()
	svc := work(b, store, func(svc *longrun.Service) {
		longrun.Handle(svc, raw, func(_ context.Context, packed *anypb.Any, _ *longrun.Run[*longrunpb.OperationMetadata]) (*anypb.Any, error) {
			r := &acmepb.ImportBooksRequest{}
			if err := packed.UnmarshalTo(r); err != nil {
				return nil, err
			}
			return anypb.New(&acmepb.ImportBooksResponse{Count: int32(len(r.GetTitles()))})
		})
	})
	return contestant{settle: settled(svc), do: func(ctx context.Context) error {
		r := booksRequest()
		request, err := anypb.New(r)
		if err != nil {
			return err
		}
		response, err := bringRaw(ctx, svc, r, request)
		if err != nil {
			return err
		}
		return response.UnmarshalTo(&acmepb.ImportBooksResponse{})
	}}
}

// bringRaw brings an operation of raw to its end, through the untyped engine.
func bringRaw(ctx context.Context, svc *longrun.Service, r *acmepb.ImportBooksRequest, request *anypb.Any) (*anypb.Any, error) {
	op, err := svc.Start(ctx, longrun.StartRequest{
		StartOptions: longrun.StartOptions{Parent: longrun.UnderParent(r.GetParent())}, Method: raw.Name, Request: request,
	})
	if err != nil {
		return nil, err
	}
	name, err := longrun.ParseName(svc.Proto(op).GetName())
	if err != nil {
		return nil, err
	}
	return longrun.Wait(ctx, svc, raw, name)
}

// settled returns when what svc's store has put off is done: it reads tables, which
// waits for that.
func settled(svc *longrun.Service) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := svc.List(ctx, longrun.ListRequest{Parent: "publishers/none"})
		return err
	}
}

// work runs what register registers, until the benchmark ends.
func work(b *testing.B, store longrun.Store, register func(*longrun.Service)) *longrun.Service {
	b.Helper()
	svc, err := longrun.New(store, longrun.Options{})
	if err != nil {
		b.Fatal(err)
	}
	register(svc)
	r, err := runner.New(svc, runner.Options{Concurrency: 2 * callers}) // see openLongrun
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := errors.Join(<-ran, svc.Close()); err != nil {
			b.Error(err)
		}
	})
	return svc
}

// inTurns has each do n operations, in turn, and returns the CPU time of one of each,
// in microseconds. Garbage is collected between the turns, outside of what is
// measured: in whose turn a collection falls would be chance, and it costs more than
// types do.
func inTurns(b *testing.B, n int, all []contestant) []float64 {
	b.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	cpu := make([]float64, len(all))
	for i := range rounds {
		part := n*(i+1)/rounds - n*i/rounds
		for c := range all {
			runtime.GC()
			before := cpuTime()
			crowd(b, callers, part, all[c].do)
			crowd(b, 1, 1, all[c].settle)
			cpu[c] += float64((cpuTime() - before).Nanoseconds()) / 1000 / float64(n)
		}
	}
	return cpu
}

// crowd has do called n times, by so many at a time.
func crowd(b *testing.B, callers, n int, do func(context.Context) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
