package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/groupcommit"
	"github.com/longrun-dev/longrun/internal/migrate"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// Options configures a Store. The zero Options is ready for use.
type Options struct {
	// Log hears of what nobody asked for and nobody is told: a checkpoint that
	// did not work, a rollback that failed, a conflict key without a holder. Nil means slog.Default().
	Log *slog.Logger

	// CacheBytes is about how much memory recent operations may take, so that
	// reads of them need no query. Zero means 64 MiB; negative means next to
	// nothing.
	CacheBytes int

	// QueueBytes is how large the writes that wait may be together; beyond, a
	// write is refused as Unavailable with reason OVERLOADED. What stores a new
	// operation has three quarters of it. Zero or less means 64 MiB.
	QueueBytes int

	// Now is the clock. It may stand still. Where it goes back, the store's time
	// does not: it goes on, at nine tenths of the pace at which time passes, until
	// the two agree. It is called from several goroutines. Nil means time.Now.
	Now func() time.Time
}

// Store keeps operations in one file. It is safe for concurrent use. Make one
// with Open.
type Store struct {
	file        string
	log         *slog.Logger
	lock        *fileLock
	clock       clock
	cache       *cache
	live        live
	watchers    watchers
	readers     *readers
	queue       *groupcommit.Queue[change]
	checkpoints *checkpointer
	redo        *redo
	flusher     *flusher
	writer      *writer
	rescue      rescue
	copying     chan struct{} // of capacity 1: held by a copy that is under way, and by Close for ever
	copyLog     int64         // how much may be in the log while a copy is made, beside as much as is copied

	done  chan struct{} // closed by Close
	wrote chan struct{} // closed when the writer has ended

	closing  sync.Once
	closeErr error
}

var _ longrun.Store = (*Store)(nil)

// Open opens the database in file and makes it if there is none; its directory
// must exist. It brings an older schema up to date, declares dead what this
// file's last owner was running in its own process, and starts the store's
// goroutines, which Close ends.
//
// It refuses, with an *longrun.Error of one line, and changes nothing: a file
// that another server has open, naming it; one that is not a SQLite database, is
// another program's, or was written by a newer version, all FailedPrecondition;
// a damaged one, DataLoss; a directory that does not exist, NotFound. ErrInUse,
// ErrForeign and ErrLinked are in its tree where they apply.
func Open(file string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	pinPages()
	path, err := findFile("open", file)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile("open", path)
	if err != nil {
		return nil, err
	}
	if err := prepare(path); err != nil {
		lock.undo()
		return nil, err
	}
	s := &Store{
		file: path, log: o.Log, lock: lock,
		cache: newCache(max(o.CacheBytes, 0)),
		done:  make(chan struct{}), wrote: make(chan struct{}),
		readers: newReaders(path), copying: make(chan struct{}, 1), copyLog: backupLog,
	}
	begin := time.Now()
	s.clock.source, s.clock.elapsed = o.Now, func() time.Duration { return time.Since(begin) }
	s.live.sessions = map[longrun.SessionID]*session{}
	if err := s.start(o); err != nil {
		if _, ok := errors.AsType[*longrun.Error](err); !ok {
			err = openError("open", codes.Unavailable, path, "%v", err)
		}
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// prepare looks at the file without changing it, and then makes or upgrades it.
func prepare(file string) error {
	all, err := migrate.Read(migrationFiles, "migration")
	if err != nil {
		return openError("open", codes.Internal, file, "%v", err)
	}
	h, err := readHeader("open", file)
	if err != nil {
		return err
	}
	if !h.empty {
		err := readAlone("open", file, func(c *conn) error { return c.inspect("open", file, all) })
		if err != nil {
			return err
		}
	}
	if err := upgrade(file, all); err != nil {
		return openError("open", codes.Unavailable, file, "%v", err)
	}
	return nil
}

// start opens the connections, reads what is kept in memory and starts the
// goroutines.
func (s *Store) start(o Options) error {
	c, err := openWriter(s.file)
	if err != nil {
		return err
	}
	s.writer = &writer{s: s, c: c, room: firstRoom, overlay: map[longrun.ID]*record{}}
	if err := c.SetAuthorizer(sqlite.AuthorizeFunc(s.writer.authorize)); err != nil {
		return err
	}
	other, err := openConn(s.file, sqlite.OpenReadWrite, "synchronous = FULL", "wal_autocheckpoint = 0")
	if err != nil {
		return err
	}
	other.SetBusyTimeout(checkpointPatience)
	s.checkpoints = newCheckpointer(other, s.log)
	if s.redo, err = openRedo(c, s.file); err != nil {
		return err
	}
	if err := s.resumeWriter(c); err != nil {
		return err
	}
	if err := s.replay(s.writer); err != nil {
		return err
	}
	if err := s.resume(c); err != nil {
		return err
	}
	if err := s.writer.beSimple(s.file); err != nil {
		return err
	}
	s.queue = groupcommit.New(groupcommit.Limits{Bytes: o.QueueBytes}, s.writer.commit)
	s.flusher = newFlusher(s.flush, s.log)
	go s.checkpoints.run()
	go s.flusher.run()
	go func() {
		defer close(s.wrote)
		s.queue.Run()
	}()
	return nil
}

// begin says whether a call may begin.
func (s *Store) begin(ctx context.Context, verb string) error {
	select {
	case <-s.done:
		return closedError(verb)
	default:
	}
	if ctx.Err() != nil {
		return unavailable(verb, "the caller has gone", context.Cause(ctx))
	}
	return nil
}

// write queues a change and waits for its commit. Unless it is answered, c still
// belongs to the writer, or holds nothing that means anything.
func (s *Store) write(ctx context.Context, c change, bytes int) (answered bool, err error) {
	o := c.state()
	verb := o.verb
	do := s.queue.Do
	if o.begins {
		do = s.queue.DoNew
	}
	if err := do(ctx, c, bytes); err != nil {
		return false, queueError(verb, err)
	}
	return !o.lost, o.err
}

// Close commits what is queued, copies the log into the file and gives the file
// back. It waits for reads and views that are under way, and ends a copy. Later calls are
// Unavailable. A second Close returns what the first one did.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.done)
		s.copying <- struct{}{}
		s.queue.Close()
		<-s.wrote
		s.flusher.close()
		err := s.storeLast()
		s.checkpoints.close()
		s.closeErr = errors.Join(err, s.release())
		if s.closeErr != nil {
			s.closeErr = unavailable("close", "the database was not closed in order", s.closeErr)
		}
	})
	return s.closeErr
}

// release closes whatever start has opened.
func (s *Store) release() error {
	s.readers.close()
	var errs []error
	if s.checkpoints != nil {
		errs = append(errs, s.checkpoints.c.close())
	}
	if w := s.writer; w != nil {
		if s.queue != nil {
			errs = append(errs, w.leave())
		}
		if w.simple != nil {
			errs = append(errs, w.simple.look.close())
		}
		errs = append(errs, w.c.close())
	}
	errs = append(errs, s.lock.release())
	return errors.Join(errs...)
}

// leave makes the file tidy for its next owner. A redo log that holds more than
// the database, or may do, stays where it is.
func (w *writer) leave() error {
	if n, _ := w.s.cache.unstored(); n > 0 || w.s.redo.isBroken() {
		return w.s.redo.close()
	}
	if err := w.s.redo.remove(); err != nil {
		return err
	}
	last := w.s.clock.latest()
	if last.Before(w.ceiling) {
		err := w.c.exec(sqlCeiling, func(stmt *sqlite.Stmt) {
			stmt.BindInt64(1, last.UnixMicro())
			stmt.BindInt64(2, 0)
		})
		if err != nil {
			return err
		}
	}
	return w.c.once(sqlTruncate, nil)
}
