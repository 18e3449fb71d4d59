package longruntest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longruntest"
)

// A judge is a test that is judged: it keeps what it fails with.
type judge struct {
	testing.TB
	said []string
}

type ended struct{}

func (j *judge) Helper()                      {}
func (j *judge) Context() context.Context     { return context.Background() }
func (j *judge) Errorf(f string, args ...any) { j.said = append(j.said, fmt.Sprintf(f, args...)) }
func (j *judge) Fatalf(f string, args ...any) { j.Errorf(f, args...); panic(ended{}) }

// verdict returns what a test that does f fails with, "" if it passes.
func verdict(f func(t testing.TB)) string {
	j := &judge{}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(ended{}) {
				panic(r)
			}
		}()
		f(j)
	}()
	return strings.Join(j.said, "; ")
}

// ends returns an operation that succeeded, one that failed, and one that waits.
func ends(t *testing.T, sys *longruntest.System) (done, failed, pending *longrun.Operation) {
	t.Helper()
	s := sys.Session(t, "by hand")
	finish := func(r longrun.Result) *longrun.Operation {
		sys.Start(t, "by-hand")
		op, err := s.Finish(t, s.Claim(t, 1)[0], r)
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	done = finish(longrun.Result{})
	failed = finish(longrun.Result{Err: status.Error(codes.NotFound, "no such page")})
	return done, failed, sys.Start(t, "by-hand")
}

// Each assertion passes where it should, and otherwise says what it has found.
func TestAssertions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done, failed, pending := ends(t, longruntest.New(t, longruntest.Options{}))
		for _, tt := range []struct {
			name string
			do   func(t testing.TB)
			want string // in the verdict; "" passes
		}{
			{"the state", func(t testing.TB) { longruntest.WantState(t, done, longrun.Succeeded) }, ""},
			{"another state", func(t testing.TB) { longruntest.WantState(t, pending, longrun.Running) }, "State = PENDING, want RUNNING"},
			{"another state, with an error", func(t testing.TB) { longruntest.WantState(t, failed, longrun.Succeeded) }, "State = FAILED (NotFound: no such page), want SUCCEEDED"},
			{"the error", func(t testing.TB) {
				longruntest.WantError(t, failed, codes.NotFound, longrun.ReasonOperationFailed)
			}, ""},
			{"any reason", func(t testing.TB) { longruntest.WantError(t, failed, codes.NotFound, "") }, ""},
			{"another code", func(t testing.TB) { longruntest.WantError(t, failed, codes.Internal, "") }, "want error Internal"},
			{"another reason", func(t testing.TB) { longruntest.WantError(t, failed, codes.NotFound, "NO_PAGE") }, `reason "OPERATION_FAILED"; want error NotFound, reason "NO_PAGE"`},
			{"no error", func(t testing.TB) { longruntest.WantError(t, done, codes.OK, "") }, "State = SUCCEEDED"},
			{"the attempt", func(t testing.TB) { longruntest.WantAttempt(t, done, 1) }, ""},
			{"no attempt", func(t testing.TB) { longruntest.WantAttempt(t, pending, 0) }, ""},
			{"another attempt", func(t testing.TB) { longruntest.WantAttempt(t, done, 2) }, "Attempt = 1, want 2"},
			{"the metadata", func(t testing.TB) { longruntest.Metadata(t, translate, pending) }, ""},
			{"a response of another type", func(t testing.TB) { longruntest.Response(t, translate, done) }, "Response of operations/"},
			{"no response", func(t testing.TB) { longruntest.Response(t, translate, failed) }, "State = FAILED (NotFound: no such page)"},
			{"not done", func(t testing.TB) { longruntest.Response(t, translate, pending) }, "State = PENDING"},
		} {
			got := verdict(tt.do)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("%s: the test says %q, want %q", tt.name, got, tt.want)
			}
		}
		if got := longruntest.Reason(done); got != "" {
			t.Errorf("Reason = %q, want none", got)
		}
	})
}

// Metadata of another type than the method's ends the test.
func TestMetadata_OfAnotherType(t *testing.T) {
	t.Parallel()
	sys := longruntest.New(t, longruntest.Options{})
	op, err := sys.Service().Start(t.Context(), longrun.StartRequest{
		Method: "by-hand", StartOptions: longrun.StartOptions{Metadata: wrapperspb.String("page 1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := verdict(func(t testing.TB) { longruntest.Metadata(t, translate, op) }); !strings.Contains(got, "Metadata of operations/") {
		t.Errorf("the test says %q, want that the metadata cannot be read", got)
	}
}

// A test that waits in vain fails and says how far the operation has come.
func TestDone_Never(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{})
		op := sys.Start(t, "by-hand")
		began := time.Now()
		for name, wait := range map[string]func(t testing.TB){
			"Done":  func(t testing.TB) { sys.Done(t, op) },
			"Until": func(t testing.TB) { sys.Until(t, op, func(op *longrun.Operation) bool { return op.Claim.Attempt > 0 }) },
		} {
			if got := verdict(wait); !strings.Contains(got, "is PENDING after 24h0m0s") {
				t.Errorf("%s: the test says %q, want that it is PENDING after a day", name, got)
			}
		}
		if took := time.Since(began); took < 2*longruntest.Patience {
			t.Errorf("it took %v, want %v", took, 2*longruntest.Patience)
		}
	})
}

// Get, Done and Until of an operation that nobody finds end the test.
func TestLook_NotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{})
		op := sys.Start(t, "by-hand")
		if err := sys.Service().Delete(t.Context(), op.Name()); err != nil {
			t.Fatal(err)
		}
		for _, look := range []func(t testing.TB){
			func(t testing.TB) { sys.Get(t, op) },
			func(t testing.TB) { sys.Done(t, op) },
			func(t testing.TB) { sys.Until(t, op, func(*longrun.Operation) bool { return true }) },
		} {
			if got := verdict(look); !strings.Contains(got, "not found") {
				t.Errorf("the test says %q, want not found", got)
			}
		}
	})
}

// Until sees what lasts, as it is when it happens, and gives up at the end.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: register})
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(10))
		got := sys.Until(t, op, func(op *longrun.Operation) bool { return op.CompletedSteps == 5 })
		if at := time.Since(op.CreateTime); got.CompletedSteps != 5 || at < 5*time.Minute || at > 5*time.Minute+time.Second {
			t.Errorf("%d steps after %v, want 5 after 5m0s", got.CompletedSteps, at)
		}
		never := func(op *longrun.Operation) bool { return op.State == longrun.Cancelled }
		want := "has ended as SUCCEEDED, and was not seen as what was waited for"
		if got := verdict(func(t testing.TB) { sys.Until(t, op, never) }); !strings.Contains(got, want) {
			t.Errorf("the test says %q, want %q", got, want)
		}
	})
}
