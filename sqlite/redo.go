package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
)

// The redo log makes a batch of simple changes durable with one write and one
// flush, long before the database hears of them. It has two halves, each a file.
// A half is written from its start while the changes in it are fresh, that is in
// memory and not in the database; then the other half takes over, and this one is
// written over when all of it is in the database. So the log never grows by more
// than what may be fresh, and is overwritten in place, which flushes faster than a
// file that grows.
//
// A half begins with whose log it is. Then follow frames, one for each batch,
// numbered without gaps across both halves. A frame that is not whole, or whose
// number is not the next one, ends its half: it was being written when the machine
// stopped, or is left from an earlier round. docs/adr/0011-redo-log.md has the reasons.
type redo struct {
	names [2]string
	store [16]byte // whose log it is: the database says the same
	open  func(name string) (redoFile, error)

	// mu is held from the writing of a frame until its changes are fresh, and
	// by whoever turns to the other half.
	mu     sync.Mutex
	files  [2]redoFile // nil until they are needed
	half   int         // which is written
	at     int64       // where the next frame goes
	end    [2]int64    // how far the files reach
	seq    int64       // of the last frame that was tried
	broken bool        // a frame was not written or not flushed: what is on the disk nobody knows
}

// redoFile is what the log needs of a file.
type redoFile interface {
	WriteAt(b []byte, off int64) (int, error)
	Flush() error // the bytes that were written are on the disk
	Close() error
}

const (
	// redoHeader is what stands before the changes of a frame: a checksum of all
	// that follows, their length, and the frame's number.
	redoHeader = 4 + 4 + 8
	// redoStep is by how much a file grows at a time, so that most frames do not
	// change its size.
	redoStep = 256 << 10
	// maxFrame is how large a frame may be. What is larger is no simple change.
	maxFrame = 8 << 20
	// redoMagic is what a half begins with; the database's own number follows.
	redoMagic = "longrun redo 01\n"
	redoStart = len(redoMagic) + 16
)

// redoSuffixes make the names of the log's halves.
var redoSuffixes = [2]string{".redo-a", ".redo-b"}

func newRedo(file string, store [16]byte, seq int64) *redo {
	l := &redo{store: store, seq: seq, at: int64(redoStart), open: openRedoFile}
	for i, suffix := range redoSuffixes {
		l.names[i] = file + suffix
	}
	return l
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers a frame after its first four bytes.
func checksum(frame []byte) uint32 {
	return crc32.Checksum(frame[4:], castagnoli)
}

// errFlush says that nobody knows whether a frame is on the disk.
var errFlush = errors.New("redo log: not flushed")

// append makes a frame durable that begins with redoHeader bytes of room. When it
// fails, the frame was not flushed, unless it is errFlush: its batch may go another
// way, once the log is mended. The caller holds mu.
func (l *redo) append(frame []byte) error {
	if l.broken {
		return errors.New("redo log: an earlier frame is in doubt")
	}
	f, err := l.file(l.half)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-redoHeader))
	binary.LittleEndian.PutUint64(frame[8:], uint64(l.seq+1))
	binary.LittleEndian.PutUint32(frame, checksum(frame))
	end := l.at + int64(len(frame))
	if end > l.end[l.half] {
		if err := l.grow(f, end); err != nil {
			return err
		}
	}
	l.seq++
	if _, err := f.WriteAt(frame, l.at); err != nil {
		l.broken = true
		return fmt.Errorf("redo log: %w", err)
	}
	if err := f.Flush(); err != nil {
		l.broken = true
		return errors.Join(errFlush, err)
	}
	l.at = end
	return nil
}

// grow makes room until end, and some more.
func (l *redo) grow(f redoFile, end int64) error {
	to := (end + redoStep - 1) / redoStep * redoStep
	zeros := make([]byte, min(redoStep, to-l.end[l.half]))
	for at := l.end[l.half]; at < to; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-at)], at); err != nil {
			return fmt.Errorf("redo log: %w", err)
		}
	}
	l.end[l.half] = to
	return nil
}

// file returns a half's file. One that is new is durable as a name, too.
func (l *redo) file(half int) (redoFile, error) {
	if l.files[half] != nil {
		return l.files[half], nil
	}
	f, err := l.open(l.names[half])
	if err != nil {
		return nil, fmt.Errorf("redo log: %w", err)
	}
	if _, err := f.WriteAt(append([]byte(redoMagic), l.store[:]...), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("redo log: %w", err), f.Close())
	}
	l.files[half], l.end[half] = f, int64(redoStart)
	return f, nil
}

// turn lets the next frame begin the other half, of which everything must be in
// the database. The caller holds mu.
func (l *redo) turn() {
	l.half, l.at = 1-l.half, int64(redoStart)
}

// mend begins the log anew after a write or a flush has failed. Everything that was told to
// be done is in the database, and the number up to which it is covers the frame
// of which nobody knows. The caller holds mu.
func (l *redo) mend() error {
	if err := l.remove(); err != nil {
		return err
	}
	l.broken = false
	return nil
}

// remove takes the files away. They hold nothing that is not in the database.
func (l *redo) remove() error {
	errs := []error{l.close()}
	for _, name := range l.names {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// close closes the files and leaves them as they are.
func (l *redo) close() error {
	var errs []error
	for i, f := range l.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
		l.files[i], l.end[i] = nil, 0
	}
	l.half, l.at = 0, int64(redoStart)
	return errors.Join(errs...)
}

// diskFile is a redoFile on a disk.
type diskFile struct{ *os.File }

// Flush makes what was written durable.
func (f diskFile) Flush() error { return datasync(f.File) }

// openRedoFile makes a file and makes its name durable. Only its owner can read
// it: it holds requests and results.
func openRedoFile(name string) (redoFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return diskFile{f}, nil
}

// isBroken reports whether a frame is in doubt.
func (l *redo) isBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}
