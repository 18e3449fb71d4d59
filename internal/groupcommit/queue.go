package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// What Do returns when it cannot say that the item was handed to commit.
var (
	// ErrFull says that too much waits already. The item was not done; the
	// caller tries again later.
	ErrFull = errors.New("group commit: queue is full")
	// ErrClosed says that the queue takes no more. The item was not done.
	ErrClosed = errors.New("group commit: queue is closed")
	// ErrWithdrawn says that the caller's ctx ended before the item's batch
	// began. The item was not done.
	ErrWithdrawn = errors.New("group commit: caller has gone")
	// ErrInFlight says that the caller's ctx ended while the item's batch was
	// under way. Nobody knows yet whether it will be done.
	ErrInFlight = errors.New("group commit: caller has gone while its commit was in flight")
)

// PanicError is what the callers of a batch get when commit panicked. Nobody
// knows whether their items were done.
type PanicError struct {
	Value any    // what commit panicked with
	Stack []byte // where
}

// Error returns the value of the panic.
func (e *PanicError) Error() string { return fmt.Sprintf("group commit: panic: %v", e.Value) }

// Limits bounds a Queue. The zero Limits is ready for use.
type Limits struct {
	// Items is how many items may wait. Zero means 16,384.
	Items int
	// Bytes is how large the items that wait may be together, by the sizes
	// given to Do. Zero means 64 MiB.
	Bytes int
	// BatchItems is how many items one batch may hold. Zero means 1,024.
	BatchItems int
	// BatchBytes is how large a batch may be. Zero means 16 MiB.
	BatchBytes int
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Items, 16384}, {&l.Bytes, 64 << 20}, {&l.BatchItems, 1024}, {&l.BatchBytes, 16 << 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// Queue hands items to a commit function in batches. It is safe for concurrent
// use. Make one with New.
type Queue[T any] struct {
	commit func([]T)
	limits Limits
	wake   chan struct{} // of capacity 1: something waits, or the queue was closed
	pool   sync.Pool     // of *entry[T] that nobody holds

	mu          sync.Mutex // guards everything below
	first, last *entry[T]  // what waits, oldest first
	items       int
	bytes       int
	idle        bool // the writer waits for wake
	closed      bool
}

// entry is an item and its caller. Its links are guarded by Queue.mu.
type entry[T any] struct {
	item       T
	bytes      int
	prev, next *entry[T]
	waiting    bool
	err        error         // written before done is
	done       chan struct{} // of capacity 1
}

// New returns a queue whose Run calls commit with one batch after the other. It
// starts nothing.
func New[T any](limits Limits, commit func(batch []T)) *Queue[T] {
	return &Queue[T]{commit: commit, limits: limits.withDefaults(), wake: make(chan struct{}, 1)}
}

// Do queues item, which counts as so many bytes, and waits until commit has
// returned with it, which is nil. Any other error is ErrFull, ErrClosed,
// ErrWithdrawn, ErrInFlight or a *PanicError; ErrWithdrawn and ErrInFlight come
// joined with the cause of ctx's end.
func (q *Queue[T]) Do(ctx context.Context, item T, bytes int) error {
	return q.do(ctx, item, bytes, 0)
}

// DoNew is Do for an item that begins something. It leaves a quarter of the queue,
// by number and by size, to those that carry on or end what has begun: a flood of
// new work is refused with ErrFull before it is in the way of the work that is
// there.
func (q *Queue[T]) DoNew(ctx context.Context, item T, bytes int) error {
	return q.do(ctx, item, bytes, newSpare)
}

// newSpare is the part of a queue, one in so many, that DoNew leaves free.
const newSpare = 4

// do is Do. It leaves one part in spare of the queue free; none where spare is 0.
func (q *Queue[T]) do(ctx context.Context, item T, bytes, spare int) error {
	if ctx.Err() != nil {
		return errors.Join(ErrWithdrawn, context.Cause(ctx))
	}
	e, ok := q.pool.Get().(*entry[T])
	if !ok {
		e = &entry[T]{done: make(chan struct{}, 1)}
	}
	e.item, e.bytes, e.err = item, bytes, nil
	if err := q.push(e, spare); err != nil {
		q.release(e)
		return err
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		if q.withdraw(e) {
			q.release(e)
			return errors.Join(ErrWithdrawn, context.Cause(ctx))
		}
		return errors.Join(ErrInFlight, context.Cause(ctx))
	}
	err := e.err
	q.release(e)
	return err
}

func (q *Queue[T]) release(e *entry[T]) {
	var none T
	e.item = none
	q.pool.Put(e)
}

func (q *Queue[T]) push(e *entry[T], spare int) error {
	items, bytes := q.limits.Items, q.limits.Bytes
	if spare > 0 {
		items -= items / spare
		bytes -= bytes / spare
	}
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrClosed
	case q.items > 0 && (q.items >= items || q.bytes+e.bytes > bytes):
		q.mu.Unlock()
		return ErrFull
	}
	e.prev, e.next, e.waiting = q.last, nil, true
	if q.last == nil {
		q.first = e
	} else {
		q.last.next = e
	}
	q.last = e
	q.items++
	q.bytes += e.bytes
	idle := q.idle
	q.idle = false
	q.mu.Unlock()
	if idle {
		q.wakeUp()
	}
	return nil
}

func (q *Queue[T]) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// withdraw takes e out, unless its batch has begun.
func (q *Queue[T]) withdraw(e *entry[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !e.waiting {
		return false
	}
	q.unlinkLocked(e)
	return true
}

func (q *Queue[T]) unlinkLocked(e *entry[T]) {
	if e.prev == nil {
		q.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next, e.waiting = nil, nil, false
	q.items--
	q.bytes -= e.bytes
}

// Run commits what is queued until Close has been called and nothing waits any
// more. It is called once, on the goroutine that is to be the writer.
func (q *Queue[T]) Run() {
	var entries []*entry[T]
	var batch []T
	for {
		var closed bool
		entries, closed = q.take(entries[:0])
		if len(entries) == 0 {
			if closed {
				return
			}
			<-q.wake
			continue
		}
		batch = batch[:0]
		for _, e := range entries {
			batch = append(batch, e.item)
		}
		err := q.commitOne(batch)
		for _, e := range entries {
			e.err = err
			e.done <- struct{}{}
		}
		clear(entries)
		clear(batch)
	}
}

// take moves the next batch to entries, and says that the writer is idle when
// there is none.
func (q *Queue[T]) take(entries []*entry[T]) (batch []*entry[T], closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes := 0
	for e := q.first; e != nil && len(entries) < q.limits.BatchItems; e = q.first {
		bytes += e.bytes
		if len(entries) > 0 && bytes > q.limits.BatchBytes {
			break
		}
		q.unlinkLocked(e)
		entries = append(entries, e)
	}
	q.idle = len(entries) == 0 && !q.closed
	return entries, q.closed
}

// commitOne calls commit and catches its panic.
func (q *Queue[T]) commitOne(batch []T) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	q.commit(batch)
	return nil
}

// Close lets what waits be committed and takes no more: Do returns ErrClosed. It
// does not wait for Run, which returns when it has done its work. Closing twice
// is harmless.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed, q.idle = true, false
	q.mu.Unlock()
	q.wakeUp()
}
