package inmem

import (
	"cmp"
	"slices"

	"github.com/longrun-dev/longrun"
)

// index finds the operations that can be claimed and those that are, so that Claim
// and Beat cost what they return, whatever else the store holds. It is changed where
// records are, in Store.putLocked, and nowhere else.
type index struct {
	ready   map[string][]*longrun.Operation            // by method, in the order byReady
	running map[longrun.SessionID][]*longrun.Operation // by who runs them, in the order byAge
}

func newIndex() index {
	return index{ready: map[string][]*longrun.Operation{}, running: map[longrun.SessionID][]*longrun.Operation{}}
}

// byReady is the order in which operations are claimed: oldest ready time first, of
// the same time in the order of their start.
func byReady(a, b *longrun.Operation) int {
	return cmp.Or(a.ReadyTime.Compare(b.ReadyTime), byAge(a, b))
}

// byAge is the order in which operations were started. No two are of the same time.
func byAge(a, b *longrun.Operation) int { return a.CreateTime.Compare(b.CreateTime) }

// canBeClaimed reports whether op is Pending and does not wait for its key.
func canBeClaimed(op *longrun.Operation) bool {
	return op.State == longrun.Pending && !op.ReadyTime.IsZero()
}

// replace notes op in place of old, which is nil for a new operation.
func (x index) replace(old, op *longrun.Operation) {
	switch {
	case old == nil:
	case canBeClaimed(old):
		remove(x.ready, old.Method, old, byReady)
	case old.State == longrun.Running:
		remove(x.running, old.Claim.Session, old, byAge)
	}
	switch {
	case canBeClaimed(op):
		insert(x.ready, op.Method, op, byReady)
	case op.State == longrun.Running:
		insert(x.running, op.Claim.Session, op, byAge)
	}
}

func insert[K comparable](lists map[K][]*longrun.Operation, k K, op *longrun.Operation, order func(a, b *longrun.Operation) int) {
	at, _ := slices.BinarySearchFunc(lists[k], op, order)
	lists[k] = slices.Insert(lists[k], at, op)
}

func remove[K comparable](lists map[K][]*longrun.Operation, k K, op *longrun.Operation, order func(a, b *longrun.Operation) int) {
	at, _ := slices.BinarySearchFunc(lists[k], op, order)
	if lists[k] = cut(lists[k], at); len(lists[k]) == 0 {
		delete(lists, k)
	}
}

// cut removes the element at i. It moves what is before it where that is less: most
// of what is removed is old.
func cut[T any](list []T, i int) []T {
	if i >= len(list)/2 {
		return slices.Delete(list, i, i+1)
	}
	copy(list[1:i+1], list[:i])
	clear(list[:1])
	return list[1:]
}
