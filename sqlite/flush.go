package sqlite

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	// freshFor is how long a record may be in the redo log alone. An operation
	// that takes less is written into the database once.
	freshFor = 100 * time.Millisecond
	// freshEnough is how many fresh records are stored at once, however new.
	freshEnough = 8192
	// flushAgain is the pause after the database could not be written.
	flushAgain = time.Second
)

// flusher brings what is fresh into the database, on a goroutine of its own.
type flusher struct {
	store func() error // puts what is fresh now into the database
	log   *slog.Logger
	wake  chan struct{} // holds one: something is fresh
	soon  chan struct{} // holds one: somebody waits, or much is fresh
	stop  chan struct{}
	done  chan struct{}

	mu      sync.Mutex   // guards what follows
	waiting []chan error // of capacity 1 each
}

func newFlusher(store func() error, log *slog.Logger) *flusher {
	return &flusher{
		store: store, log: log, wake: make(chan struct{}, 1), soon: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

func raise(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run works until close.
func (f *flusher) run() {
	defer close(f.done)
	for {
		select {
		case <-f.stop:
			return
		case <-f.soon:
		case <-f.wake:
			if !f.pause(freshFor) {
				return
			}
		}
		waiting := f.take()
		err := f.store()
		for _, c := range waiting {
			c <- err
		}
		if err == nil {
			continue
		}
		f.log.Warn("operations are in the redo log alone", "err", err)
		if !f.pause(flushAgain) {
			return
		}
		raise(f.wake)
	}
}

// pause waits, less when somebody asks, and reports whether work goes on.
func (f *flusher) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-f.stop:
		return false
	case <-f.soon:
	case <-timer.C:
	}
	return true
}

func (f *flusher) take() []chan error {
	f.mu.Lock()
	defer f.mu.Unlock()
	waiting := f.waiting
	f.waiting = nil
	return waiting
}

// await waits until everything is in the database that is fresh now.
func (f *flusher) await(ctx context.Context) error {
	c := make(chan error, 1)
	f.mu.Lock()
	f.waiting = append(f.waiting, c)
	f.mu.Unlock()
	raise(f.soon)
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		return errClosed
	}
}

func (f *flusher) close() {
	close(f.stop)
	<-f.done
}

// settle waits until the database has everything that was told to be done: what a
// query then finds is true.
func (s *Store) settle(ctx context.Context) error {
	if n, _ := s.cache.unstored(); n == 0 {
		return nil
	}
	return s.flusher.await(ctx)
}

// awaitRoom waits until more may be fresh, and reports whether it may.
func (w *writer) awaitRoom() bool {
	if w.s.redo.isBroken() {
		return false
	}
	if _, full := w.s.cache.unstored(); !full {
		return true
	}
	return w.s.flusher.await(context.Background()) == nil
}

// freshened says that there are fresh records.
func (w *writer) freshened() {
	if n, _ := w.s.cache.unstored(); n >= freshEnough {
		raise(w.s.flusher.soon)
		return
	}
	raise(w.s.flusher.wake)
}

// flush stores what is fresh now.
func (s *Store) flush() error {
	s.checkpoints.writing.Lock()
	defer s.checkpoints.writing.Unlock()
	again, err := s.writer.storeFresh()
	if err == nil && again {
		_, err = s.writer.storeFresh()
	}
	return err
}

// storeAll leaves nothing fresh. It is the writer's, which could add to it.
func (w *writer) storeAll() error {
	for {
		if n, _ := w.s.cache.unstored(); n == 0 {
			break
		}
		w.mixed = mixedBatches
		if _, err := w.storeFresh(); err != nil {
			return err
		}
	}
	return w.mendRedo()
}

// storeLast is storeAll when the writer has ended.
func (s *Store) storeLast() error {
	s.checkpoints.writing.Lock()
	defer s.checkpoints.writing.Unlock()
	return s.writer.storeAll()
}

// storeFresh stores what is frozen. It reports whether that had been frozen
// before, by an attempt that has failed, so that there may be more.
func (w *writer) storeFresh() (again bool, err error) {
	f, anew := w.freeze()
	if len(f.order) == 0 {
		return false, nil
	}
	if w.unsure {
		applied, err := w.c.number(sqlReadApplied)
		if err != nil {
			return false, err
		}
		w.unsure = false
		if applied >= f.seq {
			w.floor.publish(f.puts())
			w.s.cache.thaw()
			return true, nil
		}
	}
	if err := w.store(f); err != nil {
		return false, err
	}
	w.s.cache.thaw()
	return !anew, nil
}

// freeze turns to the other half of the log, if what this one holds has not been
// frozen.
func (w *writer) freeze() (f *fresh, anew bool) {
	redo := w.s.redo
	redo.mu.Lock()
	defer redo.mu.Unlock()
	f, anew = w.s.cache.freeze()
	if anew {
		f.seq = redo.seq
		redo.turn()
	}
	return f, anew
}

const (
	sqlReadApplied = `SELECT applied FROM longrun_clock`
	sqlApplied     = `UPDATE longrun_clock SET applied = ?`
)

// store puts records into the database in one commit.
func (w *writer) store(f *fresh) error {
	w.reset()
	if err := w.c.exec(sqlBegin, nil); err != nil {
		return err
	}
	if err := w.storeEntries(f); err != nil {
		w.rollback()
		return err
	}
	if err := w.c.exec(sqlCommit, nil); err != nil {
		w.unsure = sqlite.ErrCode(err).ToPrimary() != sqlite.ResultFull
		w.rollback()
		return err
	}
	if !w.raised.IsZero() {
		w.ceiling = w.raised
	}
	w.floor.publish(w.puts)
	w.s.checkpoints.wrote(w.writes, w.bytes)
	w.reset()
	return nil
}

func (w *writer) storeEntries(f *fresh) error {
	for _, e := range f.order {
		if e.before == nil {
			if err := w.insert(e.now, e.cold); err != nil {
				return err
			}
			continue
		}
		if err := w.update(e.before, e.now); err != nil {
			return err
		}
		w.keep(e.now.op.ID, e.before, e.now)
	}
	if err := w.raiseCeiling(); err != nil {
		return err
	}
	return w.wrote(w.c.exec(sqlApplied, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, f.seq) }))
}

// mendRedo takes the redo log into use again after it has failed.
// Nothing is fresh. The frame of which nobody knows is passed over for ever.
func (w *writer) mendRedo() error {
	redo := w.s.redo
	redo.mu.Lock()
	defer redo.mu.Unlock()
	if !redo.broken {
		return nil
	}
	if err := w.c.exec(sqlApplied, func(stmt *sqlite.Stmt) { stmt.BindInt64(1, redo.seq) }); err != nil {
		return err
	}
	if err := redo.mend(); err != nil {
		w.s.log.Warn("redo log", "err", err)
	}
	return nil
}
