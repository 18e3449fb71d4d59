package server_test

import (
	"cmp"
	"slices"
	"sync"
	"testing"
	"time"
)

// keyrings notes who held which conflict key for certain: from when a claim was
// answered until its end was first asked for. It is safe for concurrent use.
type keyrings struct {
	mu    sync.Mutex        // guards what follows
	keys  map[string]string // by operation
	holds []hold
}

type hold struct {
	name     string
	from, to int64
}

// hasKey notes an operation's conflict key.
func (k *keyrings) hasKey(name, key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string]string{}
	}
	k.keys[name] = key
}

// held notes a run whose end was taken: its claim held until then.
func (k *keyrings) held(name string, from, to int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holds = append(k.holds, hold{name: name, from: from, to: to})
}

// check finds two operations with the same key that were claimed at the same time
// (CON-05). It returns how many runs with a key it has looked at.
func (k *keyrings) check(t *testing.T) int {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	slices.SortFunc(k.holds, func(a, b hold) int { return cmp.Compare(a.from, b.from) })
	last := map[string]hold{}
	n := 0
	for _, h := range k.holds {
		key := k.keys[h.name]
		if key == "" {
			continue
		}
		n++
		if before := last[key]; before.to > h.from {
			t.Errorf("%s and %s were both claimed at %v, and have the key %s", before.name, h.name, time.Duration(h.from), key)
		}
		if h.to > last[key].to {
			last[key] = h
		}
	}
	return n
}
