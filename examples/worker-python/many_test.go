package workerpython

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

// many is how many operations one worker holds at a time.
const many = 500

// startMany starts operations that wait for a file.
func (s *system) startMany(path string) []string {
	s.t.Helper()
	names := make([]string, many)
	var wg sync.WaitGroup
	for part := range 10 {
		wg.Go(func() {
			for i := part; i < many; i += 10 {
				names[i] = s.start("await-file", path)
			}
		})
	}
	wg.Wait()
	return names
}

// attempts counts the operations in a state by their attempt.
func (s *system) attempts(state longrunpb.OperationMetadata_State) map[int64]int {
	s.t.Helper()
	count := map[int64]int{}
	for token := ""; ; {
		page, err := s.ops.ListOperations(s.t.Context(), &longrunningpb.ListOperationsRequest{PageSize: 1000, PageToken: token})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, op := range page.GetOperations() {
			if md := s.metadata(op); md.GetState() == state {
				count[md.GetAttempt()]++
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return count
		}
	}
}

// One session holds 500 operations by one beat for each third of its TTL. When its
// worker is killed, another takes all of them over as their next attempt, each once,
// and a late answer of the first is refused (CON-04).
func TestWorker_ManyOperations(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	path := filepath.Join(t.TempDir(), "file")
	names := s.startMany(path)
	w := s.work(many)
	eventually(t, "the worker runs all as attempt 1", func() bool {
		return s.attempts(longrunpb.OperationMetadata_RUNNING)[1] == many
	})
	first := s.proxy.token(0)
	s.wantBeats(first)

	w.kill()
	killed := time.Now()
	other := s.work(many)
	eventually(t, "the other worker runs all as attempt 2", func() bool {
		return s.attempts(longrunpb.OperationMetadata_RUNNING)[2] == many
	})
	t.Logf("taken over %v after the kill; the TTL is %v", time.Since(killed).Round(time.Millisecond), ttl)
	for _, name := range []string{names[0], names[many-1]} {
		wantReason(t, s.answer(first, name, 1), "CLAIM_LOST")
	}
	s.wantBeats(s.proxy.token(1))

	arrives(t, path)
	eventually(t, "all have succeeded as attempt 2", func() bool {
		return s.attempts(longrunpb.OperationMetadata_SUCCEEDED)[2] == many
	})
	if got := s.proxy.count("OpenSession"); got != 2 {
		t.Errorf("%d sessions were opened, want 2: one for each worker", got)
	}
	other.signal(t, 15)
	if err := other.wait(); err != nil {
		t.Errorf("the worker ended with %v, want exit status 0", err)
	}
}

// wantBeats watches a session for two TTLs: each beat names all operations, and there
// is one for each third of the TTL.
func (s *system) wantBeats(token string) {
	s.t.Helper()
	eventually(s.t, "a beat names all operations", func() bool {
		beats := s.proxy.beatsOf(token, time.Time{})
		return len(beats) > 0 && len(beats[len(beats)-1].held) == many
	})
	from := time.Now()
	time.Sleep(2 * ttl)
	beats := s.proxy.beatsOf(token, from)
	// One more by where the watch begins, and some less on a busy machine.
	if n := len(beats); n < 2 || n > 7 {
		s.t.Errorf("%d beats in %v, want 6: one for each third of %v", n, 2*ttl, ttl)
	}
	for _, b := range beats {
		if len(b.held) != many {
			s.t.Errorf("a beat names %d operations, want %d", len(b.held), many)
		}
	}
}
