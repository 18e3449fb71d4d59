package sqlite

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/longrun-dev/longrun"
	"google.golang.org/protobuf/proto"
)

// A machine whose power fails keeps of a file what was flushed, and of what was
// written since then any part.

// sector is what a disk writes as a whole.
const sector = 512

// unsafeFile is a file of the redo log, and knows what of it is on the disk.
type unsafeFile struct {
	redoFile
	name    string
	machine *machine
	durable []byte
	written []byte
}

func (f *unsafeFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.redoFile.WriteAt(b, off)
	if grow := int(off) + n - len(f.written); grow > 0 {
		f.written = append(f.written, make([]byte, grow)...)
	}
	copy(f.written[off:], b[:n])
	return n, err
}

func (f *unsafeFile) Flush() error {
	f.machine.beforeFlush()
	err := f.redoFile.Flush()
	f.durable = append(f.durable[:0], f.written...)
	return err
}

// left is what a power cut leaves.
func (f *unsafeFile) left(random *rand.Rand) []byte {
	b := append([]byte(nil), f.durable...)
	if random.IntN(4) > 0 {
		b = append(b, make([]byte, len(f.written)-len(b))...)
	} else if len(f.written) > len(b) {
		b = append(b, make([]byte, random.IntN(len(f.written)-len(b)))...)
	}
	for at := 0; at < len(b); at += sector {
		end := min(at+sector, len(b))
		if random.IntN(2) == 0 {
			copy(b[at:end], f.written[at:end])
		}
	}
	return b
}

// machine is where a store runs whose power fails now and then.
type machine struct {
	t      *testing.T
	s      *Store
	random *rand.Rand
	files  map[string]*unsafeFile

	mu    sync.Mutex // guards what follows
	told  map[longrun.ID]*longrun.Operation
	tried map[longrun.ID]bool // a change of it is under way
	twins []twin
}

// twin is what a power cut has left, and what was told to be done before it.
type twin struct {
	file  string
	told  map[longrun.ID]*longrun.Operation
	tried map[longrun.ID]bool
}

// beforeFlush fails the power now and then, with a frame under way. The caller
// holds the log.
func (m *machine) beforeFlush() {
	if m.random.IntN(6) > 0 || !m.s.checkpoints.writing.TryLock() {
		return
	}
	defer m.s.checkpoints.writing.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.twins) == 6 {
		return
	}
	left := twin{file: filepath.Join(m.t.TempDir(), "twin.db"), told: maps.Clone(m.told), tried: maps.Clone(m.tried)}
	for _, end := range []string{"", "-wal"} {
		if err := copyFile(m.s.file+end, left.file+end); err != nil {
			m.t.Error(err)
		}
	}
	for name, f := range m.files {
		if err := os.WriteFile(left.file+filepath.Ext(name), f.left(m.random), 0o600); err != nil {
			m.t.Error(err)
		}
	}
	m.twins = append(m.twins, left)
}

func copyFile(from, to string) error {
	a, err := os.Open(from)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(b, a)
	return errors.Join(err, b.Close())
}

// CON-01, CON-02, CON-06: whatever of the last frame a power cut leaves, the file
// opens, again and again, and has everything that was told to be done.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m := &machine{
				t: t, random: rand.New(rand.NewPCG(seed, 11)), files: map[string]*unsafeFile{},
				told: map[longrun.ID]*longrun.Operation{}, tried: map[longrun.ID]bool{},
			}
			m.s = openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{CacheBytes: 200_000})
			open := m.s.redo.open
			m.s.redo.open = func(name string) (redoFile, error) {
				file, err := open(name)
				f := &unsafeFile{redoFile: file, name: name, machine: m}
				m.files[name] = f
				return f, err
			}
			session := openSession(t, m.s, "process")
			for round := uint64(0); len(m.twins) == 0 && !t.Failed(); round++ { // it does not fail while a checkpoint holds the files
				var all sync.WaitGroup
				for i := range uint64(12) {
					all.Go(func() { m.work(rand.New(rand.NewPCG(seed, 100*round+i)), session) })
				}
				all.Wait()
			}
			for _, left := range m.twins {
				left.wantWhole(t)
			}
		})
	}
}

// work creates operations and changes them, of all kinds.
func (m *machine) work(random *rand.Rand, session longrun.SessionID) {
	for range 15 {
		op := newOp()
		if random.IntN(3) > 0 {
			op.Claim.Session = session
		}
		op.Request = anyOf(random.IntN(3000))
		if random.IntN(3) == 0 {
			op.RequestID = uuid.NewString()
		}
		if random.IntN(60) == 0 {
			op.ConflictKey = op.ID.String()
		}
		id := op.ID
		if !m.try(id, func() (*longrun.Operation, error) {
			return m.s.Create(m.t.Context(), longrun.NewOperation{Operation: op})
		}) {
			return
		}
		for range random.IntN(6) {
			change := longrun.Change{ID: id, Apply: (&mixed{}).change(random)}
			if !m.try(id, func() (*longrun.Operation, error) { return m.s.Update(m.t.Context(), change) }) {
				return
			}
		}
		if random.IntN(10) == 0 {
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond) // the tables catch up
		}
	}
}

func (m *machine) try(id longrun.ID, do func() (*longrun.Operation, error)) bool {
	m.mu.Lock()
	m.tried[id] = true
	m.mu.Unlock()
	op, err := do()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.t.Error(err)
		return false
	}
	delete(m.tried, id)
	m.told[id] = op
	return true
}

func (tw twin) wantWhole(t *testing.T) {
	t.Helper()
	wantSound(t, tw.file)
	s, err := Open(tw.file, Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	for id, op := range tw.told {
		got := get(t, s, id)
		switch {
		case got == nil:
			t.Errorf("%v was told to be there and is not", id)
		case !tw.tried[id]:
			wantAlike(t, "after a power cut", got, op)
		case got.UpdateTime.Before(op.UpdateTime):
			t.Errorf("%v is older than was told", id)
		}
	}
	page, err := s.List(t.Context(), longrun.Query{Parent: "-", Limit: 10_000})
	if err != nil {
		t.Error(err)
	}
	for _, op := range page.Operations {
		wantAlike(t, "List beside Get", op, get(t, s, op.ID))
		if tw.told[op.ID] == nil && !tw.tried[op.ID] {
			t.Errorf("%v is there and nobody has asked for it", op.ID)
		}
	}
}

// wantAlike is wantSame for many: it looks closer only where something differs.
func wantAlike(t *testing.T, what string, got, want *longrun.Operation) {
	t.Helper()
	if got.State != want.State || got.Revision != want.Revision || got.Claim != want.Claim || got.RequestID != want.RequestID ||
		!got.UpdateTime.Equal(want.UpdateTime) || !got.ReadyTime.Equal(want.ReadyTime) || !got.ExpireTime.Equal(want.ExpireTime) ||
		!proto.Equal(got.Request, want.Request) || !proto.Equal(got.Metadata, want.Metadata) ||
		!proto.Equal(got.Response, want.Response) || !proto.Equal(got.Error, want.Error) {
		wantSame(t, what, got, want)
	}
}
