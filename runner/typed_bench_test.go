package runner_test

import (
	"context"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/internal/testpb"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/runner"
)

// processTime is the CPU that this process has had.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTyped is what types cost: from start to done of a method with required
// fields, against one without types whose author packs and unpacks the same messages by
// hand, in turns on one engine whose store costs next to nothing.
func BenchmarkTyped(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	svc, err := longrun.New(inmem.New(), longrun.Options{Log: log})
	if err != nil {
		b.Fatal(err)
	}
	defer svc.Close()
	typed := longrun.Method[*testpb.CreateBookRequest, *testpb.Book, *longrunpb.OperationMetadata]{Name: "typed"}
	untyped := longrun.Method[*anypb.Any, *anypb.Any, *longrunpb.OperationMetadata]{Name: "untyped"}
	book := &testpb.Book{Name: "shelves/s/books/b", Title: "Dune", Author: &testpb.Author{FamilyName: "Herbert"}}
	longrun.Handle(svc, typed, func(context.Context, *testpb.CreateBookRequest, *longrun.Run[*meta]) (*testpb.Book, error) {
		return book, nil
	})
	longrun.Handle(svc, untyped, func(_ context.Context, a *anypb.Any, _ *longrun.Run[*meta]) (*anypb.Any, error) {
		if err := a.UnmarshalTo(&testpb.CreateBookRequest{}); err != nil {
			return nil, err
		}
		return anypb.New(book)
	})
	r, err := runner.New(svc, runner.Options{Log: log})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()

	request := &testpb.CreateBookRequest{Parent: "shelves/s", Book: book}
	var spent [2]time.Duration
	const turn = 200
	for range b.N/turn + 1 {
		began := processTime(b)
		for range turn {
			roundTrip(b, svc, typed, request)
		}
		between := processTime(b)
		for range turn {
			a, err := anypb.New(request)
			if err == nil {
				err = roundTrip(b, svc, untyped, a).UnmarshalTo(&testpb.Book{})
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		spent[0] += between - began
		spent[1] += processTime(b) - between
	}
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "x_of_untyped")
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// roundTrip starts an operation and waits for its response.
func roundTrip[Req, Resp, Meta proto.Message](b *testing.B, svc *longrun.Service, m longrun.Method[Req, Resp, Meta], req Req) (resp Resp) {
	b.Helper()
	op, err := longrun.Start(b.Context(), svc, m, req, longrun.StartOptions{})
	if err == nil {
		resp, err = longrun.Wait(b.Context(), svc, m, op.Name())
	}
	if err != nil {
		b.Fatal(err)
	}
	return resp
}
