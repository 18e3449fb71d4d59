package sqlite

import (
	"context"
	"io"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// BackupOptions says how a backup is made. The zero BackupOptions is ready for use.
type BackupOptions struct {
	// Replace lets the backup take the place of an older one, or of a store that
	// nobody has open. What is neither is never replaced.
	Replace bool
	// Progress, if not nil, is told how many bytes were copied of how many: before
	// the first one, whenever some were, and after the last. It is called by the
	// goroutine that makes the backup, which waits for it.
	Progress func(done, total int64)
}

func (o BackupOptions) progress(done, total int64) {
	if o.Progress != nil {
		o.Progress(done, total)
	}
}

// Backup copies the store, while it is in use, into a file: see [SaveBackup] for
// what becomes of the file, and [Store.Stream] for what is in it.
func (s *Store) Backup(ctx context.Context, file string, o BackupOptions) error {
	return SaveBackup(ctx, file, o, func(w io.Writer) error { return s.Stream(ctx, w, o) })
}

// Backup copies the store in the file from, which no server may have open, into
// another: see [SaveBackup]. Where from is refused, the error is that of [Check].
func Backup(ctx context.Context, from, file string, o BackupOptions) error {
	path, unlock, err := lockSound("backup", from)
	if err != nil {
		return err
	}
	defer unlock()
	if to, err := findFile("backup", file); err == nil && to == path {
		return openError("backup", codes.InvalidArgument, file, "is the store itself")
	}
	return saveBackup(ctx, file, o, func(w io.Writer) error {
		return readAlone("backup", path, func(c *conn) error {
			return (&copier{c: c, w: w, o: o}).run(ctx)
		})
	}, func(partial string) error { return bringIn(path, partial) })
}

const (
	// backupChunk is how much is written at a time.
	backupChunk = 256 << 10
	// backupLog is by how much the log may be longer than the database before a
	// copy is given up, so that whoever takes one slowly does not fill the disk.
	backupLog = 1 << 30
	// backupDelay is when to ask again while another copy is under way.
	backupDelay = 10 * time.Second
)

// Stream writes the bytes of a database file to w, as they are at one moment that
// lies between the call and the first write: whatever was answered before the call
// is in it. The file is a store like any other: whoever opens it goes on where this
// one was at that moment, as after a crash.
//
// w gets at most 256 KiB at a time, and that is the memory it takes. Other calls
// go on, also writes. The log cannot be emptied meanwhile, and grows with what is
// written: take the copy quickly. When the log is a gigabyte longer than the database,
// the copy is given up as Unavailable. So is a second one while one is under
// way, with reason OVERLOADED. Close ends it, when the Write that is under way has returned.
//
// Of o only Progress is used. An error of w comes back as it is; what w has got by
// then is useless.
//
// The copy holds everything: requests, results, and the keys by which tokens are
// signed. Whoever gets it can also forge those of this store.
func (s *Store) Stream(ctx context.Context, w io.Writer, o BackupOptions) error {
	if err := s.begin(ctx, "backup"); err != nil {
		return err
	}
	select {
	case s.copying <- struct{}{}:
		defer func() { <-s.copying }()
	default:
		return &longrun.Error{Code: codes.Unavailable, Reason: longrun.ReasonOverloaded, Delay: backupDelay,
			Verb: "backup", Msg: "another backup is under way"}
	}
	if err := s.begin(ctx, "backup"); err != nil {
		return err // closed meanwhile
	}
	if err := s.settle(ctx); err != nil {
		return readError("backup", err)
	}
	defer s.checkpoints.hold()()
	c, err := openReader(s.file)
	if err != nil {
		return unavailable("backup", "the database cannot be read", err)
	}
	defer c.close()
	return (&copier{c: c, w: w, o: o, goOn: func(total int64) error {
		if walSize(s.file) > total+s.copyLog {
			return unavailable("backup", "more was written meanwhile than may be kept for it", nil)
		}
		return s.begin(ctx, "backup")
	}}).run(ctx)
}

// copier copies a database page by page.
type copier struct {
	c    *conn
	w    io.Writer
	o    BackupOptions
	goOn func(total int64) error // asked before each write; may be nil

	buf         []byte
	done, total int64
	wrong       error // of w or goOn
}

const (
	sqlPageCount = `PRAGMA page_count`
	sqlPageSize  = `PRAGMA page_size`
	sqlPages     = `SELECT data FROM sqlite_dbpage`
)

// run copies what is seen at one moment.
func (p *copier) run(ctx context.Context) error {
	defer p.c.SetInterrupt(p.c.SetInterrupt(ctx.Done()))
	err := p.pages(ctx)
	if p.wrong != nil {
		return p.wrong
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return readError("backup", err)
}

func (p *copier) pages(ctx context.Context) error {
	if err := p.c.exec(sqlBeginRead, nil); err != nil {
		return err
	}
	defer p.c.exec(sqlRollback, nil) // it has changed nothing, and the connection is closed next
	count, err := p.c.number(sqlPageCount)
	if err != nil {
		return err
	}
	size, err := p.c.number(sqlPageSize)
	if err != nil {
		return err
	}
	p.total = count * size
	p.buf = make([]byte, 0, backupChunk)
	p.o.progress(0, p.total)
	err = p.c.query(sqlPages, nil, func(stmt *sqlite.Stmt) error {
		n := len(p.buf)
		p.buf = p.buf[:n+int(size)]
		stmt.ColumnBytes(0, p.buf[n:])
		if len(p.buf)+int(size) <= cap(p.buf) {
			return nil
		}
		return p.flush(ctx)
	})
	if err == nil && len(p.buf) > 0 {
		err = p.flush(ctx)
	}
	if err == nil && p.done != p.total {
		return damaged("backup", "store", "not all of it can be read")
	}
	return err
}

// flush writes what was collected.
func (p *copier) flush(ctx context.Context) error {
	if p.goOn != nil {
		p.wrong = p.goOn(p.total)
	}
	if p.wrong == nil && ctx.Err() == nil {
		_, p.wrong = p.w.Write(p.buf)
	}
	if p.wrong != nil {
		return p.wrong
	}
	p.done += int64(len(p.buf))
	p.buf = p.buf[:0]
	p.o.progress(p.done, p.total)
	return ctx.Err()
}
