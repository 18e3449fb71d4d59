package sqlite

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	// checkpointPages is about how many pages are written to the log before
	// they are copied into the file.
	checkpointPages = 1500
	// restartPages is how long the log may become before writers are held up for
	// as long as it takes to begin it anew. A log that is written over costs less
	// than one that grows, since a file of a new size has more to flush: a caller
	// alone was an eighth to a third faster with 6 MiB of log than with 32.
	restartPages = 1500
	// truncatePages is from which length on the log's file is cut as well.
	truncatePages = 4 * walPages
	pageBytes     = 4096
	// checkpointPatience is how long beginning the log anew, for which writers
	// wait, may wait for a reader. The next time may do.
	checkpointPatience = 100 * time.Millisecond
)

// checkpointer copies the log into the file, on a goroutine and a connection of
// its own, so that commits do not wait for it.
type checkpointer struct {
	c     *conn
	log   *slog.Logger
	pages atomic.Int64 // about how many were written since the last checkpoint
	wake  chan struct{}
	stop  chan struct{}
	done  chan struct{}
	held  atomic.Int32 // readers that stay: see hold
	one   sync.Mutex   // guards c
	// writing is held by the writer during a transaction, and by the
	// checkpointer while no transaction may begin.
	writing sync.Mutex
}

func newCheckpointer(c *conn, log *slog.Logger) *checkpointer {
	return &checkpointer{c: c, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// wrote notes what a commit has written, which it knows about only.
func (p *checkpointer) wrote(writes, bytes int) {
	if writes == 0 {
		return
	}
	if p.pages.Add(int64(4+writes/4+bytes/pageBytes)) < checkpointPages {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run works until close.
func (p *checkpointer) run() {
	defer close(p.done)
	for {
		select {
		case <-p.stop:
			return
		case <-p.wake:
		}
		p.pages.Store(0)
		if err := p.checkpoint(); err != nil {
			p.log.Warn("checkpoint", "err", err)
		}
	}
}

func (p *checkpointer) close() {
	close(p.stop)
	<-p.done
}

// hold says that a reader is about to begin that will take long: until release,
// nobody tries to begin the log anew, for which writers would wait in vain.
func (p *checkpointer) hold() (release func()) {
	p.held.Add(1)
	return func() {
		p.held.Add(-1)
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

const (
	sqlPassive  = `PRAGMA wal_checkpoint(PASSIVE)`
	sqlRestart  = `PRAGMA wal_checkpoint(RESTART)`
	sqlTruncate = `PRAGMA wal_checkpoint(TRUNCATE)`
)

// checkpoint copies what it can without holding anybody up. A log that has
// become long is then begun anew: what is left to copy is little, and the writer
// waits for that only.
func (p *checkpointer) checkpoint() error {
	p.one.Lock()
	defer p.one.Unlock()
	length, err := p.pragma(sqlPassive)
	if err != nil || length < restartPages || p.held.Load() > 0 {
		return err
	}
	if _, err := p.pragma(sqlPassive); err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	how := sqlRestart
	if length >= truncatePages {
		how = sqlTruncate
	}
	_, err = p.pragma(how)
	return err
}

// pragma returns how many pages are in the log. Busy is no error: a reader is in
// the way, and the next time may do.
func (p *checkpointer) pragma(query string) (pages int64, err error) {
	err = p.c.once(query, func(stmt *sqlite.Stmt) { pages = stmt.ColumnInt64(1) })
	return pages, err
}
