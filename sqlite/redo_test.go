package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// testRedo returns an empty log.
func testRedo(t *testing.T) *redo {
	t.Helper()
	l := newRedo(filepath.Join(t.TempDir(), "x.db"), [16]byte{1, 2, 3}, 0)
	t.Cleanup(func() { l.close() })
	return l
}

// frameOf is a frame of one payload, as append takes it.
func frameOf(payload string) []byte { return append(make([]byte, redoHeader), payload...) }

func appendFrames(t *testing.T, l *redo, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := l.append(frameOf(p)); err != nil {
			t.Fatal(err)
		}
	}
}

// wantFrames compares what is in the log with payloads, numbered from first.
func wantFrames(t *testing.T, l *redo, first int64, payloads ...string) {
	t.Helper()
	frames, err := l.read()
	if err != nil {
		t.Fatal(err)
	}
	if len(frames) != len(payloads) {
		t.Fatalf("%d frames, want %d", len(frames), len(payloads))
	}
	for i, f := range frames {
		if f.seq != first+int64(i) || string(f.payload) != payloads[i] {
			t.Errorf("frame %d = %d %q, want %d %q", i, f.seq, f.payload, first+int64(i), payloads[i])
		}
	}
}

// What was appended is read back, in order, from both halves.
func TestRedo_ReadsBack(t *testing.T) {
	t.Parallel()
	l := testRedo(t)
	wantFrames(t, l, 1)
	appendFrames(t, l, "one", "two")
	l.turn()
	appendFrames(t, l, "three", "", "five")
	wantFrames(t, l, 1, "one", "two", "three", "", "five")
	// A half is written over from its start. What is left there of the round
	// before is no frame any more.
	l.turn()
	appendFrames(t, l, "six")
	wantFrames(t, l, 3, "three", "", "five", "six")
}

// A log that was cut off anywhere, or has a byte changed, is read up to there and
// no further.
func TestRedo_Torn(t *testing.T) {
	t.Parallel()
	l := testRedo(t)
	appendFrames(t, l, "one", "two", "three")
	whole, err := os.ReadFile(l.names[0])
	if err != nil {
		t.Fatal(err)
	}
	end := redoStart
	for i, p := range []string{"one", "two", "three"} {
		next := end + redoHeader + len(p)
		for at := end; at < next; at++ {
			if n := len(readFrames(whole[redoStart:at])); n != i {
				t.Errorf("cut off at %d: %d frames, want %d", at, n, i)
			}
			spoilt := bytes.Clone(whole)
			spoilt[at] ^= 0x40
			if n := len(readFrames(spoilt[redoStart:])); n != i {
				t.Errorf("spoilt at %d: %d frames, want %d", at, n, i)
			}
		}
		end = next
	}
}

// CON-02: a log that is another's, or does not follow on its database, is refused
// and not taken for an empty one.
func TestRedo_Refused(t *testing.T) {
	t.Parallel()
	l := testRedo(t)
	appendFrames(t, l, "one", "two", "three")
	ours, applied := l.store, l.seq
	for _, tt := range []struct {
		name   string
		change func()
		want   string
	}{
		{"gap", func() { l.seq = -1 }, errGap.Error()},
		{"store", func() { l.store[0]++ }, `"x.db.redo-a" is the redo log of another database`},
		{"magic", func() { writeAt(t, l.names[0], 0, "hello") }, `"x.db.redo-a" is not a redo log`},
	} {
		l.store, l.seq = ours, applied
		tt.change()
		if _, err := l.unapplied(); err == nil || err.Error() != tt.want {
			t.Errorf("%s: err = %v, want %s", tt.name, err, tt.want)
		}
	}
}

func writeAt(t *testing.T, name string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Only what the database does not have is to be applied.
func TestRedo_Unapplied(t *testing.T) {
	t.Parallel()
	l := testRedo(t)
	appendFrames(t, l, "one", "two", "three")
	for applied, want := range []string{"[one two three]", "[two three]", "[three]", "[]", "[]"} {
		l.seq = int64(applied)
		frames, err := l.unapplied()
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, f := range frames {
			got = append(got, string(f.payload))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("after %d: %v, want %s", applied, got, want)
		}
	}
}

// faults says how the files of a log fail.
type faults struct {
	write, flush error
	late         error // of a write that has happened
}

// faultyFile fails on demand.
type faultyFile struct {
	redoFile
	faults *faults
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if f.faults.write != nil {
		n, err := f.redoFile.WriteAt(b[:len(b)/2], off)
		return n, errors.Join(err, f.faults.write)
	}
	n, err := f.redoFile.WriteAt(b, off)
	return n, errors.Join(err, f.faults.late)
}

func (f *faultyFile) Flush() error {
	if f.faults.flush != nil {
		return f.faults.flush
	}
	return f.redoFile.Flush()
}

// makeFaulty lets every file of a log fail as what it returns says.
func makeFaulty(l *redo) *faults {
	f := &faults{}
	open := l.open
	l.open = func(name string) (redoFile, error) {
		file, err := open(name)
		return &faultyFile{redoFile: file, faults: f}, err
	}
	return f
}

var errBroken = errors.New("broken disk")

// A write that fails may leave a frame, or none: nothing is appended any more until
// the log begins anew, past that frame.
func TestRedo_WriteFails(t *testing.T) {
	t.Parallel()
	l := testRedo(t)
	f := makeFaulty(l)
	appendFrames(t, l, "one")
	f.write = errBroken
	if err := l.append(frameOf("never")); !errors.Is(err, errBroken) || errors.Is(err, errFlush) {
		t.Errorf("append = %v, want that it is not there", err)
	}
	wantFrames(t, l, 1, "one")
	f.write = nil
	if err := l.append(frameOf("never")); err == nil || !l.isBroken() {
		t.Errorf("append after a failed write = %v, want an error", err)
	}
	if err := l.mend(); err != nil {
		t.Fatal(err)
	}
	appendFrames(t, l, "three")
	wantFrames(t, l, 3, "three")
}

// After a flush that failed nobody knows what is on the disk: nothing is appended
// any more until the log begins anew, past the frame in doubt.
func TestRedo_FlushFails(t *testing.T) {
	t.Parallel()
	l := testRedo(t)
	f := makeFaulty(l)
	appendFrames(t, l, "one")
	f.flush = errBroken
	if err := l.append(frameOf("who knows")); !errors.Is(err, errFlush) {
		t.Errorf("append = %v, want %v", err, errFlush)
	}
	f.flush = nil
	if err := l.append(frameOf("never")); err == nil || !l.isBroken() {
		t.Errorf("append after a failed flush = %v, want an error", err)
	}
	if err := l.mend(); err != nil {
		t.Fatal(err)
	}
	appendFrames(t, l, "three")
	wantFrames(t, l, 3, "three")
}

// CON-06 and everything else rest on it: whatever bytes a log has, reading it ends
// and gives no more than is there.
func FuzzRedo(f *testing.F) {
	l := newRedo(filepath.Join(f.TempDir(), "x.db"), [16]byte{}, 0)
	r := &record{op: newOp()}
	c, err := packCold(r.op)
	if err != nil {
		f.Fatal(err)
	}
	for _, whole := range []*cold{&c, nil} {
		frame, err := appendEntry(make([]byte, redoHeader), r, whole)
		if err == nil {
			err = l.append(frame)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	whole, err := os.ReadFile(l.names[0])
	if err != nil {
		f.Fatal(err)
	}
	if err := l.close(); err != nil {
		f.Fatal(err)
	}
	f.Add(whole[redoStart : redoStart+1024])
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, frame := range readFrames(b) {
			read(frame.payload)
		}
		read(b)
	})
}

// read reads entries as replaying does.
func read(payload []byte) {
	var before *record
	_ = eachEntry(payload, func(e entry) (err error) {
		before, err = e.record(before)
		return err
	})
}
