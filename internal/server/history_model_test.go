package server_test

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
)

// The model refuses what must never happen: a checker that takes everything would
// pass every crash.
func TestOperationModel(t *testing.T) {
	t.Parallel()
	running := call{verb: vSee, outcome: ok, seen: sight{attempt: 1, updated: 1}}
	later := call{verb: vSee, outcome: ok, seen: sight{attempt: 2, updated: 2, units: 5}}
	doneA := call{verb: vSee, outcome: ok, result: "A", seen: sight{done: true, whole: "a", attempt: 2, updated: 3, units: 5}}
	doneB := call{verb: vSee, outcome: ok, result: "B", seen: sight{done: true, whole: "b", attempt: 2, updated: 3, units: 5}}
	touched := call{verb: vSee, outcome: ok, result: "A", seen: sight{done: true, whole: "a2", attempt: 2, updated: 4, units: 5}}
	gone := call{verb: vSee, outcome: notFound}
	start, maybeStart := call{verb: vStart, outcome: ok}, call{verb: vStart, outcome: unknown}
	cancel, maybeCancel := call{verb: vCancel, outcome: ok}, call{verb: vCancel, outcome: unknown}
	del, maybeDel := call{verb: vDelete, outcome: ok}, call{verb: vDelete, outcome: unknown}
	acquire := func(n int64) call { return call{verb: vAcquire, outcome: ok, attempt: n} }
	finish := func(result string) call { return call{verb: vFinish, outcome: ok, result: result} }
	maybeFinish := call{verb: vFinish, outcome: unknown, result: "A"}

	for _, tt := range []struct {
		name  string
		calls []call // one after the other; those of unknown outcome have no end
		want  bool
	}{
		{"life", []call{start, running, later, doneA, doneA}, true},
		{"lost", []call{start, gone}, false},
		{"lost after done", []call{start, doneA, gone}, false},
		{"an unknown start that happened", []call{maybeStart, start, running}, true},
		{"an unknown start that did not", []call{maybeStart, gone, start, running}, true},
		{"deleted", []call{start, del, gone, {verb: vDelete, outcome: notFound}}, true},
		{"deleted twice", []call{start, del, del}, false},
		{"back after delete", []call{start, del, running}, false},
		{"an unknown delete that happened", []call{start, maybeDel, running, gone}, true},
		{"an unknown delete that came back", []call{start, maybeDel, gone, running}, false},
		{"two endings", []call{start, doneA, doneB}, false},
		{"touched after done", []call{start, doneA, touched}, false},
		{"undone", []call{start, doneA, later}, false},
		{"attempt goes back", []call{start, later, running}, false},
		{"finished", []call{start, acquire(1), finish("A"), doneA}, true},
		{"finished again", []call{start, acquire(1), finish("A"), finish("A"), doneA}, true},
		{"an answered finish is gone", []call{start, acquire(1), finish("A"), running}, false},
		{"finished, and ended otherwise", []call{start, acquire(1), finish("A"), doneB}, false},
		{"two finishes", []call{start, acquire(1), finish("A"), acquire(2)}, false},
		{"two different finishes", []call{start, acquire(1), finish("A"), finish("B")}, false},
		{"an unknown finish that happened", []call{start, acquire(1), maybeFinish, doneA}, true},
		{"an unknown finish that did not", []call{start, acquire(1), maybeFinish, acquire(2), finish("B"), doneB}, true},
		{"acquired twice", []call{start, acquire(1), acquire(1)}, false},
		{"acquired after done", []call{start, doneA, acquire(3)}, false},
		{"a deleted one is worked on", []call{start, del, acquire(1), finish("A"), gone}, true},
		{"a cancel is seen", []call{start, cancel, {verb: vSee, outcome: ok, seen: sight{attempt: 1, cancelling: true}}}, true},
		{"a cancel is forgotten", []call{start, cancel, running}, false},
		{"an unknown cancel that did not happen", []call{start, maybeCancel, running}, true},
		{"a cancel of a done one", []call{start, doneA, cancel, doneA}, true},
		{"a retry of a done one", []call{start, acquire(1), finish("A"), {verb: vRetry, outcome: ok}}, false},
	} {
		var ops []porcupine.Operation
		for i, c := range tt.calls {
			end := int64(2*i + 1)
			if c.outcome == unknown {
				end = math.MaxInt64
			}
			ops = append(ops, porcupine.Operation{ClientId: i, Input: c, Call: int64(2 * i), Return: end})
		}
		if got := porcupine.CheckOperations(operationModel, ops); got != tt.want {
			t.Errorf("%s: legal = %v, want %v", tt.name, got, tt.want)
		}
	}
}
