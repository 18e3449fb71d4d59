package storetest

import (
	"context"
	"slices"
	"sync"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

// Calls is a set of methods of a Store.
type Calls uint16

// The methods that can fail, and sets of them. Close never does.
const (
	OnCreate Calls = 1 << iota
	OnGet
	OnList
	OnUpdate
	OnClaim
	OnBeat
	OnDue
	OnExpire
	OnSteps
	OnWatch
	OnSecret

	OnReads  = OnGet | OnList | OnSteps | OnWatch
	OnWrites = OnCreate | OnUpdate | OnClaim | OnBeat | OnDue | OnExpire | OnSecret
	OnAll    = OnReads | OnWrites
)

// Outcome is what becomes of a call that fails. For reads, which change
// nothing, every Outcome is Refused.
type Outcome uint8

// The outcomes of a call that fails.
const (
	// Refused: it did not happen, and the error says so: Unavailable.
	Refused Outcome = iota
	// Committed: it happened, and nobody knows: the error has ErrUnknown in its
	// tree, whatever the store answered.
	Committed
	// Dropped: it did not happen, and nobody knows.
	Dropped
	// Late: nobody knows, and it happens only when Faulty.Deliver is called: a
	// commit that arrives after its caller has gone.
	Late
)

// Fault says which calls fail, and how. The zero Fault is: the next call,
// whatever it is, is refused.
type Fault struct {
	// On is which methods fail. Zero means OnAll.
	On Calls
	// Outcome is what becomes of the call.
	Outcome Outcome
	// Hang makes the call return only when its ctx ends. A commit, if there is
	// one, has happened by then.
	Hang bool
	// Skip is how many of these calls go well before the first that fails. Zero
	// means none, and so does a negative number.
	Skip int
	// Every fails, after the first, only every n-th call. Zero and less mean
	// every one.
	Every int
	// Times is how many calls fail. Zero means one; negative means all, until
	// Heal.
	Times int
}

// Faulty is a Store around a Store, whose calls fail as a test asks. Without a
// Fault it does nothing of its own. It is safe for concurrent use.
type Faulty struct {
	store longrun.Store

	mu     sync.Mutex // guards everything below
	faults []*fault
	late   []func()
	struck int
}

var _ longrun.Store = (*Faulty)(nil)

// fault is a Fault and how far it has got.
type fault struct {
	Fault
	seen, failed int
}

// NewFaulty returns a Faulty around s without faults. Whoever has made s closes
// it, by either.
func NewFaulty(s longrun.Store) *Faulty { return &Faulty{store: s} }

// Inject adds a fault. Of several that would strike a call, the one that was
// added first does; the others do not count the call.
func (f *Faulty) Inject(fl Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.On == 0 {
		fl.On = OnAll
	}
	fl.Every = max(fl.Every, 1)
	if fl.Times == 0 {
		fl.Times = 1
	}
	f.faults = append(f.faults, &fault{Fault: fl})
}

// Heal removes all faults. Calls that hang go on hanging, and late ones still
// wait for Deliver.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Struck returns how many calls have failed by a fault, those that still hang
// too.
func (f *Faulty) Struck() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.struck
}

// Deliver lets all late calls happen, in the order in which they were made, and
// returns how many there were. Nobody hears their results.
func (f *Faulty) Deliver() int {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	for _, call := range late {
		call()
	}
	return len(late)
}

// strike returns the fault that strikes a call, nil if it goes well.
func (f *Faulty) strike(on Calls) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fl := range f.faults {
		if fl.On&on == 0 {
			continue
		}
		fl.seen++
		n := fl.seen - max(fl.Skip, 0)
		if n <= 0 || (n-1)%fl.Every != 0 {
			continue
		}
		fl.failed++
		if fl.Times > 0 && fl.failed == fl.Times {
			f.faults = slices.DeleteFunc(f.faults, func(o *fault) bool { return o == fl })
		}
		f.struck++
		struck := fl.Fault
		if on&OnReads != 0 {
			struck.Outcome = Refused
		}
		return &struck
	}
	return nil
}

// around makes one call of the store, or lets it fail.
func around[T any](ctx context.Context, f *Faulty, on Calls, verb string, call func(ctx context.Context) (T, error)) (T, error) {
	fl := f.strike(on)
	if fl == nil {
		return call(ctx)
	}
	var none T
	switch fl.Outcome {
	case Committed:
		_, _ = call(ctx) // the answer is what gets lost
	case Late:
		ctx := context.WithoutCancel(ctx)
		f.mu.Lock()
		f.late = append(f.late, func() { _, _ = call(ctx) })
		f.mu.Unlock()
	}
	e := &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonUnavailable, Verb: verb, Msg: "the store cannot be reached"}
	if fl.Outcome != Refused {
		e.Msg, e.Err = "the store did not answer", longrun.ErrUnknown
	}
	if fl.Hang {
		<-ctx.Done()
	}
	return none, e
}

// Create is the store's, unless a fault strikes.
func (f *Faulty) Create(ctx context.Context, n longrun.NewOperation) (*longrun.Operation, error) {
	return around(ctx, f, OnCreate, "create", func(ctx context.Context) (*longrun.Operation, error) {
		return f.store.Create(ctx, n)
	})
}

// Get is the store's, unless a fault strikes.
func (f *Faulty) Get(ctx context.Context, ids ...longrun.ID) ([]*longrun.Operation, error) {
	return around(ctx, f, OnGet, "get", func(ctx context.Context) ([]*longrun.Operation, error) {
		return f.store.Get(ctx, ids...)
	})
}

// List is the store's, unless a fault strikes.
func (f *Faulty) List(ctx context.Context, q longrun.Query) (longrun.Page, error) {
	return around(ctx, f, OnList, "list", func(ctx context.Context) (longrun.Page, error) {
		return f.store.List(ctx, q)
	})
}

// Update is the store's, unless a fault strikes.
func (f *Faulty) Update(ctx context.Context, c longrun.Change) (*longrun.Operation, error) {
	return around(ctx, f, OnUpdate, "update", func(ctx context.Context) (*longrun.Operation, error) {
		return f.store.Update(ctx, c)
	})
}

// Claim is the store's, unless a fault strikes.
func (f *Faulty) Claim(ctx context.Context, r longrun.ClaimRequest) (longrun.Claimed, error) {
	return around(ctx, f, OnClaim, "claim", func(ctx context.Context) (longrun.Claimed, error) {
		return f.store.Claim(ctx, r)
	})
}

// Beat is the store's, unless a fault strikes.
func (f *Faulty) Beat(ctx context.Context, s longrun.Session) (longrun.Beat, error) {
	return around(ctx, f, OnBeat, "beat", func(ctx context.Context) (longrun.Beat, error) {
		return f.store.Beat(ctx, s)
	})
}

// Due is the store's, unless a fault strikes.
func (f *Faulty) Due(ctx context.Context, c longrun.Contact, n int) ([]longrun.Overdue, error) {
	return around(ctx, f, OnDue, "due", func(ctx context.Context) ([]longrun.Overdue, error) {
		return f.store.Due(ctx, c, n)
	})
}

// Expire is the store's, unless a fault strikes.
func (f *Faulty) Expire(ctx context.Context, n int) (int, error) {
	return around(ctx, f, OnExpire, "expire", func(ctx context.Context) (int, error) {
		return f.store.Expire(ctx, n)
	})
}

// Steps is the store's, unless a fault strikes.
func (f *Faulty) Steps(ctx context.Context, id longrun.ID, after string, n int) ([]longrun.Step, error) {
	return around(ctx, f, OnSteps, "steps", func(ctx context.Context) ([]longrun.Step, error) {
		return f.store.Steps(ctx, id, after, n)
	})
}

// Watch is the store's, unless a fault strikes when it begins.
func (f *Faulty) Watch(ctx context.Context, hint func(longrun.Hint)) error {
	_, err := around(ctx, f, OnWatch, "watch", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.store.Watch(ctx, hint)
	})
	return err
}

// Secret is the store's, unless a fault strikes.
func (f *Faulty) Secret(ctx context.Context, name string) ([]byte, error) {
	return around(ctx, f, OnSecret, "secret", func(ctx context.Context) ([]byte, error) {
		return f.store.Secret(ctx, name)
	})
}

// Close closes the store. It never fails by a fault.
func (f *Faulty) Close() error { return f.store.Close() }
