package longruntest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longruntest"
	"github.com/longrun-dev/longrun/storetest"
)

// Faults strike the process and its sessions, and not what the test looks at; what
// is left of them at the end of a test does not fail it.
func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{})
		op := sys.Start(t, "by-hand")
		session := sys.Session(t, "a")
		sys.Faults().Inject(storetest.Fault{Times: -1})
		if _, err := session.TryClaim(t, 1); longrun.CodeOf(err) != codes.Unavailable {
			t.Errorf("TryClaim = %v, want UNAVAILABLE", err)
		}
		if _, err := sys.Service().Get(t.Context(), op.Name()); longrun.CodeOf(err) != codes.Unavailable {
			t.Errorf("Get of the process = %v, want UNAVAILABLE", err)
		}
		longruntest.WantState(t, sys.Get(t, op), longrun.Pending)
		sys.Faults().Heal()
		if got := len(session.Claim(t, 1)); got != 1 {
			t.Errorf("after Heal %d operations were claimed, want 1", got)
		}
		sys.Faults().Inject(storetest.Fault{Times: -1, Hang: true})
		time.Sleep(time.Minute)
	})
}

// A run outlives a store that is away for a while: the work is done once.
func TestFaults_StoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: register})
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(5))
		time.Sleep(30 * time.Second)
		sys.Faults().Inject(storetest.Fault{Times: -1})
		time.Sleep(20 * time.Second)
		sys.Faults().Heal()
		got := longruntest.Response(t, translate, sys.Done(t, op)).GetValue()
		if want := "5 pages in 1 runs"; got != want {
			t.Errorf("response = %q, want %q", got, want)
		}
	})
}

// CON-04: a commit that arrives after its process has crashed comes in, and the
// next process goes on from it; healing brings the old process not back.
func TestFaults_LateCommitOfACrashedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := longruntest.New(t, longruntest.Options{Register: register})
		op := longruntest.Start(t, sys, translate, wrapperspb.Int64(2))
		sys.Until(t, op, func(op *longrun.Operation) bool { return op.CompletedSteps == 1 })
		before, old := sys.Faults(), sys.Service()
		before.Inject(storetest.Fault{On: storetest.OnUpdate, Outcome: storetest.Late, Times: -1})
		time.Sleep(time.Minute + time.Second)
		longruntest.WantState(t, sys.Get(t, op), longrun.Running)
		sys.Crash(t)
		before.Heal()
		if _, err := old.Get(t.Context(), op.Name()); longrun.CodeOf(err) != codes.Unavailable {
			t.Errorf("Get of the crashed process = %v, want UNAVAILABLE", err)
		}
		if before == sys.Faults() {
			t.Error("the new process has the old one's faults")
		}
		if got := before.Deliver(); got == 0 {
			t.Error("Deliver = 0, want the commit of the second step")
		}
		if got := sys.Get(t, op).CompletedSteps; got != 2 {
			t.Errorf("CompletedSteps = %d after the late commit, want 2", got)
		}
		done := sys.Done(t, op)
		longruntest.WantAttempt(t, done, 2)
		if got, want := longruntest.Response(t, translate, done).GetValue(), "2 pages in 2 runs"; got != want {
			t.Errorf("response = %q, want %q", got, want)
		}
	})
}
