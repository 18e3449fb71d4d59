package longrun_test

import (
	"testing"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

func TestState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state       longrun.State
		text        string
		done, valid bool
	}{
		{0, "STATE_UNSPECIFIED", false, false},
		{longrun.Pending, "PENDING", false, true},
		{longrun.Running, "RUNNING", false, true},
		{longrun.Succeeded, "SUCCEEDED", true, true},
		{longrun.Failed, "FAILED", true, true},
		{longrun.Cancelled, "CANCELLED", true, true},
		{longrun.Cancelled + 1, "STATE_UNSPECIFIED", true, false},
	} {
		if got := tt.state.String(); got != tt.text {
			t.Errorf("State(%d).String() = %q, want %q", tt.state, got, tt.text)
		}
		if got := tt.state.Done(); got != tt.done {
			t.Errorf("State(%d).Done() = %v, want %v", tt.state, got, tt.done)
		}
		if got := tt.state.Valid(); got != tt.valid {
			t.Errorf("State(%d).Valid() = %v, want %v", tt.state, got, tt.valid)
		}
	}
}

// OP-27: the states on the wire are ours, and the zero one is none of them.
func TestState_IsTheWireEnum(t *testing.T) {
	t.Parallel()
	for number, name := range longrunpb.OperationMetadata_State_name {
		if got := longrun.State(number).String(); got != name {
			t.Errorf("State(%d).String() = %q, want %q", number, got, name)
		}
	}
}

func TestConflictPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy longrun.ConflictPolicy
		text   string
		valid  bool
	}{
		{0, "QUEUE", true}, // a key without a policy protects
		{longrun.Queue, "QUEUE", true},
		{longrun.Reject, "REJECT", true},
		{longrun.Preempt, "PREEMPT", true},
		{longrun.Preempt + 1, "CONFLICT_POLICY_UNSPECIFIED", false},
	} {
		if got := tt.policy.String(); got != tt.text {
			t.Errorf("ConflictPolicy(%d).String() = %q, want %q", tt.policy, got, tt.text)
		}
		if got := tt.policy.Valid(); got != tt.valid {
			t.Errorf("ConflictPolicy(%d).Valid() = %v, want %v", tt.policy, got, tt.valid)
		}
	}
}
