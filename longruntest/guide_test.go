package longruntest_test

// The code of docs/testing.md: TestGuide_ShowsWhatRuns compares them.

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/longruntest"
	"github.com/longrun-dev/longrun/storetest"
)

// Import imports books from a list of files.
var Import = longrun.Method[*structpb.ListValue, *wrapperspb.Int64Value, *longrunpb.OperationMetadata]{
	Name:        "import-books",
	MaxFailures: 3,
}

// library does the work. Its tests say what importing a file does.
type library struct {
	importFile func(ctx context.Context, file string) error
}

func (l *library) importBooks(ctx context.Context, files *structpb.ListValue, run *longrun.Run[*longrunpb.OperationMetadata]) (*wrapperspb.Int64Value, error) {
	total := int64(len(files.GetValues()))
	for i, file := range files.GetValues() {
		err := run.Step(ctx, file.GetStringValue(), func(ctx context.Context) error {
			return l.importFile(ctx, file.GetStringValue())
		})
		if err != nil {
			return nil, err
		}
		run.Update(func(m *longrunpb.OperationMetadata) {
			m.Progress = &longrunpb.Progress{CompletedUnits: int64(i + 1), TotalUnits: total}
		})
	}
	return wrapperspb.Int64(total), nil
}

// newLibrary returns a system that works for a library of this kind.
func newLibrary(t *testing.T, importFile func(ctx context.Context, file string) error) *longruntest.System {
	t.Helper()
	return longruntest.New(t, longruntest.Options{Register: func(_ grpc.ServiceRegistrar, svc *longrun.Service) {
		l := &library{importFile: importFile}
		longrun.Handle(svc, Import, l.importBooks)
	}})
}

// files is a request.
func files(names ...string) *structpb.ListValue {
	list := &structpb.ListValue{}
	for _, name := range names {
		list.Values = append(list.Values, structpb.NewStringValue(name))
	}
	return list
}

// anHour imports every file in an hour, and stops when it is told to.
func anHour(ctx context.Context, _ string) error {
	select {
	case <-time.After(time.Hour):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newLibrary(t, anHour)
		op := longruntest.Start(t, sys, Import, files("a.txt", "b.txt"))

		time.Sleep(90 * time.Minute) // costs nothing: the bubble's clock jumps
		md := longruntest.Metadata(t, Import, sys.Get(t, op))
		if got := md.GetProgress().GetCompletedUnits(); got != 1 {
			t.Errorf("after 90 minutes %d files, want 1", got)
		}

		done := sys.Done(t, op)
		if got := longruntest.Response(t, Import, done).GetValue(); got != 2 {
			t.Errorf("imported %d files, want 2", got)
		}
		longruntest.WantAttempt(t, done, 1)
	})
}

func TestImport_FileThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newLibrary(t, func(_ context.Context, file string) error {
			return status.Errorf(codes.NotFound, "there is no %q", file)
		})
		done := sys.Done(t, longruntest.Start(t, sys, Import, files("a.txt")))
		longruntest.WantError(t, done, codes.NotFound, longrun.ReasonOperationFailed)
		longruntest.WantAttempt(t, done, 1)
	})
}

func TestImport_TriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 2
		sys := newLibrary(t, func(context.Context, string) error {
			if failures--; failures >= 0 {
				return status.Error(codes.Unavailable, "the archive does not answer")
			}
			return nil
		})
		done := sys.Done(t, longruntest.Start(t, sys, Import, files("a.txt")))
		longruntest.WantState(t, done, longrun.Succeeded)
		longruntest.WantAttempt(t, done, 3)
	})
}

func TestImport_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newLibrary(t, func(context.Context, string) error {
			return status.Error(codes.Unavailable, "the archive does not answer")
		})
		done := sys.Done(t, longruntest.Start(t, sys, Import, files("a.txt")))
		longruntest.WantError(t, done, codes.Unavailable, "")
		longruntest.WantAttempt(t, done, 3) // Import.MaxFailures
	})
}

func TestImport_Cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newLibrary(t, anHour)
		op := longruntest.Start(t, sys, Import, files("a.txt", "b.txt"))
		sys.Until(t, op, func(op *longrun.Operation) bool { return op.CompletedSteps == 1 })

		if err := sys.Service().Cancel(t.Context(), op.Name()); err != nil {
			t.Fatal(err)
		}
		done := sys.Done(t, op)
		longruntest.WantState(t, done, longrun.Cancelled)
		if took := done.EndTime.Sub(op.CreateTime); took > 61*time.Minute {
			t.Errorf("it went on for %v after an hour and a cancel", took)
		}
	})
}

func TestImport_CrashBetweenSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var imported []string
		sys := newLibrary(t, func(ctx context.Context, file string) error {
			if err := anHour(ctx, file); err != nil {
				return err
			}
			imported = append(imported, file)
			return nil
		})
		op := longruntest.Start(t, sys, Import, files("a.txt", "b.txt", "c.txt"))
		sys.Until(t, op, func(op *longrun.Operation) bool { return op.CompletedSteps == 1 })

		sys.Crash(t) // "b.txt" is half done

		done := sys.Done(t, op)
		longruntest.WantState(t, done, longrun.Succeeded)
		longruntest.WantAttempt(t, done, 2)
		if want := []string{"a.txt", "b.txt", "c.txt"}; !slices.Equal(imported, want) {
			t.Errorf("imported %q, want %q: each once", imported, want)
		}
	})
}

func TestImport_CrashBeforeTheStepIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		imported := map[string]int{}
		reached := make(chan struct{}, 1)
		sys := newLibrary(t, func(ctx context.Context, file string) error {
			imported[file]++
			if imported[file] == 1 {
				reached <- struct{}{}
				<-ctx.Done() // the file is imported, and the process dies before it says so
				return context.Cause(ctx)
			}
			return nil
		})
		op := longruntest.Start(t, sys, Import, files("a.txt"))
		<-reached
		sys.Crash(t)
		longruntest.WantState(t, sys.Done(t, op), longrun.Succeeded)
		if got := imported["a.txt"]; got != 2 {
			t.Errorf("a.txt was imported %d times, want 2: a step that nobody remembers is done again", got)
		}
	})
}

func TestImport_AnswersGetLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		imported := 0
		sys := newLibrary(t, func(context.Context, string) error {
			imported++
			return nil
		})
		// Every third write happens, and its answer is lost.
		sys.Faults().Inject(storetest.Fault{On: storetest.OnUpdate, Outcome: storetest.Committed, Every: 3, Times: -1})

		op := longruntest.Start(t, sys, Import, files("a.txt", "b.txt", "c.txt"))
		longruntest.WantState(t, sys.Done(t, op), longrun.Succeeded)
		if imported != 3 || sys.Faults().Struck() == 0 {
			t.Errorf("imported %d files beside %d faults, want 3 beside some", imported, sys.Faults().Struck())
		}
	})
}

// books is the author's service, as its generated code registers it. It stands on
// the proto of the simulator, so that this guide needs no other.
type books struct {
	longrunpb.UnimplementedSimulatorServer
	svc *longrun.Service
}

func (b *books) Simulate(ctx context.Context, _ *longrunpb.SimulateRequest) (*longrunningpb.Operation, error) {
	op, err := longrun.Start(ctx, b.svc, Import, files("a.txt"), longrun.StartOptions{})
	return b.svc.Proto(op), err
}

func TestImport_ThroughTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: func(r grpc.ServiceRegistrar, svc *longrun.Service) {
			longrun.Handle(svc, Import, (&library{importFile: anHour}).importBooks)
			longrunpb.RegisterSimulatorServer(r, &books{svc: svc})
		}})
		op, err := longrunpb.NewSimulatorClient(sys.Conn()).Simulate(t.Context(), &longrunpb.SimulateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for client := longrunningpb.NewOperationsClient(sys.Conn()); !op.GetDone(); {
			op, err = client.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.GetName(), Timeout: durationpb.New(time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
		}
		if op.GetResponse() == nil {
			t.Errorf("it ended with %v, want a response", op.GetError())
		}
	})
}

func TestImport_WorkerFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{})
		op := longruntest.Start(t, sys, Import, files("a.txt")) // nobody here handles it
		silent := sys.Session(t, "worker-1")
		lost := silent.Claim(t, 1)[0]
		time.Sleep(2 * longrun.DefaultSessionTTL)

		again := sys.Session(t, "worker-2").Claim(t, 1)[0]
		longruntest.WantAttempt(t, again, 2)
		if _, err := silent.Finish(t, lost, longrun.Result{}); !errors.Is(err, longrun.ErrClaimLost) {
			t.Errorf("Finish of the silent worker = %v, want %v", err, longrun.ErrClaimLost)
		}
		longruntest.WantState(t, sys.Get(t, op), longrun.Running)
	})
}
