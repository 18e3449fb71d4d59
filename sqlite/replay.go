package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

// redoFrame is a frame as it was read.
type redoFrame struct {
	seq     int64
	payload []byte
}

// read reads what is in a redo log, in order, as far as it is whole.
func (l *redo) read() ([]redoFrame, error) {
	var frames []redoFrame
	for _, name := range l.names {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("redo log: %w", err)
		}
		half, err := l.readHalf(b)
		if err != nil {
			return nil, fmt.Errorf("%q %w", filepath.Base(name), err)
		}
		frames = append(frames, half...)
	}
	slices.SortFunc(frames, func(a, b redoFrame) int { return int(a.seq - b.seq) })
	return frames, nil
}

// readHalf returns the frames of a half. It refuses one that is not this log's:
// what is in it may be all there is of another database's operations.
func (l *redo) readHalf(b []byte) ([]redoFrame, error) {
	if len(strings.Trim(string(b[:min(redoStart, len(b))]), "\x00")) == 0 {
		return nil, nil // the machine stopped before it was begun
	}
	if !strings.HasPrefix(string(b), redoMagic) || len(b) < redoStart {
		return nil, errors.New("is not a redo log")
	}
	if string(b[len(redoMagic):redoStart]) != string(l.store[:]) {
		return nil, errors.New("is the redo log of another database")
	}
	return readFrames(b[redoStart:]), nil
}

// readFrames returns the frames that b begins with.
func readFrames(b []byte) (frames []redoFrame) {
	for len(b) >= redoHeader {
		n := uint64(binary.LittleEndian.Uint32(b[4:]))
		if n > uint64(len(b)-redoHeader) {
			return frames
		}
		frame := b[:redoHeader+n]
		f := redoFrame{seq: int64(binary.LittleEndian.Uint64(b[8:])), payload: frame[redoHeader:]}
		if binary.LittleEndian.Uint32(b) != checksum(frame) {
			return frames
		}
		if len(frames) > 0 && f.seq != frames[len(frames)-1].seq+1 {
			return frames
		}
		frames = append(frames, f)
		b = b[len(frame):]
	}
	return frames
}

// errGap says that a redo log does not follow on its database.
var errGap = errors.New("its redo log does not go on where it ends: one of them was replaced or is missing")

// unapplied returns what the database does not have, which must begin where it
// ends.
func (l *redo) unapplied() ([]redoFrame, error) {
	frames, err := l.read()
	if err != nil {
		return nil, err
	}
	frames = slices.DeleteFunc(frames, func(f redoFrame) bool { return f.seq <= l.seq })
	for i, f := range frames {
		if f.seq != l.seq+1+int64(i) {
			return nil, errGap
		}
	}
	return frames, nil
}

const sqlRedo = `SELECT store, applied FROM longrun_clock`

// openRedo finds the database's redo log.
func openRedo(c *conn, file string) (l *redo, err error) {
	err = c.query(sqlRedo, nil, func(stmt *sqlite.Stmt) error {
		var store [16]byte
		stmt.ColumnBytes(0, store[:])
		l = newRedo(file, store, stmt.ColumnInt64(1))
		return nil
	})
	if err == nil && l == nil {
		err = errors.New("longrun_clock has lost its row")
	}
	return l, err
}

// replay brings into the database what the file's last owner has left in the redo
// log, and takes the log away.
func (s *Store) replay(w *writer) error {
	l := s.redo
	frames, err := l.unapplied()
	if err != nil {
		return advise(openError("open", codes.FailedPrecondition, s.file, "%v", err), hintRedo)
	}
	if len(frames) == 0 {
		return l.remove()
	}
	f, err := replayed(w.c, frames)
	if err != nil {
		return openError("open", codes.DataLoss, s.file, "%v", err)
	}
	for _, e := range f.order {
		s.clock.reached(e.now.op.CreateTime, e.now.op.UpdateTime)
	}
	if err := w.store(f); err != nil {
		return err
	}
	l.seq = f.seq
	return l.remove()
}

// replayed returns what frames make of what is in the database.
func replayed(c *conn, frames []redoFrame) (*fresh, error) {
	f := newFresh()
	for _, frame := range frames {
		f.seq = frame.seq
		err := eachEntry(frame.payload, func(e entry) error { return f.replay(c, e) })
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fresh) replay(c *conn, e entry) error {
	known := f.entries[e.id]
	if known == nil {
		before, err := c.one(sqlByID, func(stmt *sqlite.Stmt) { stmt.BindBytes(1, e.id[:]) })
		if err != nil {
			return err
		}
		if before != nil && e.cold != nil {
			return fmt.Errorf("redo log: operation %v is created twice", e.id)
		}
		known = &freshEntry{before: before, now: before}
		f.entries[e.id] = known
		f.order = append(f.order, known)
	}
	now, err := e.record(known.now)
	if err != nil {
		return err
	}
	own := *now.op
	known.now = newRecord(&own)
	if e.cold != nil {
		known.cold, err = packCold(&own)
	}
	return err
}

// reached says that the clock has given out these times.
func (c *clock) reached(create, update time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if create.After(c.lastCreate) {
		c.lastCreate = create
	}
	for _, t := range []time.Time{create, update} {
		if t.After(c.last) {
			c.last = t
		}
	}
}

const sqlNewest = `SELECT max(id) FROM longrun_operation`

// newestID returns the highest id of any operation.
func (c *conn) newestID() (id longrun.ID, err error) {
	err = c.query(sqlNewest, nil, func(stmt *sqlite.Stmt) error {
		stmt.ColumnBytes(0, id[:])
		return nil
	})
	return id, err
}
