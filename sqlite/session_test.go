package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longrun-dev/longrun"
	"google.golang.org/grpc/codes"
)

// holdWriter runs f in a transaction that stays open, as on a disk that stands
// still, until release is called. A nil f does nothing.
func holdWriter(t *testing.T, s *Store, f func(w *writer) error) (release func()) {
	t.Helper()
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan error)
	held := &anyChange{outcome: outcome{verb: "test"}, f: func(w *writer) (err error) {
		if f != nil {
			err = f(w)
		}
		close(entered)
		<-leave
		return err
	}}
	go func() { left <- s.queue.Do(context.Background(), held, 1) }()
	<-entered
	return func() {
		close(leave)
		if err := <-left; err != nil || held.err != nil {
			t.Errorf("transaction that was held: %v, %v", err, held.err)
		}
	}
}

// dueLater asks Due while the writer is held. The answer comes afterwards.
func dueLater(t *testing.T, s *Store, c longrun.Contact) (wait func()) {
	t.Helper()
	answer := make(chan error)
	go func() {
		_, err := s.Due(context.Background(), c, 10)
		answer <- err
	}()
	synctest.Wait()
	return func() {
		if err := <-answer; err != nil {
			t.Errorf("Due: %v", err)
		}
	}
}

// HLT-01: a stalled disk kills no session that beats, also if its beats have to
// be written and nobody waits for that any more.
func TestBeat_StalledDisk(t *testing.T) {
	for name, before := range map[string]func(longrun.SessionID) func(*writer) error{
		"before a beat": func(longrun.SessionID) func(*writer) error { return nil },
		"in the commit of a beat": func(id longrun.SessionID) func(*writer) error {
			return (&beatChange{b: longrun.Session{ID: id, TTL: time.Minute, Closed: 1}}).apply
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
				process, remote, silent := openSession(t, s, "process"), openSession(t, s, "remote"), openSession(t, s, "remote")
				release := holdWriter(t, s, before(remote))
				contact := longrun.Contact{Span: time.Hour}
				for call := range int64(6) {
					ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
					_, err := s.Beat(ctx, longrun.Session{ID: remote, TTL: time.Minute, Closed: 2 + call})
					stop()
					wantCode(t, "beat of the remote session", err, codes.Unavailable)
					b, err := s.Beat(t.Context(), longrun.Session{ID: process, TTL: time.Minute})
					if err != nil {
						t.Fatalf("beat of the process: %v", err)
					}
					contact.AsOf = b.Time
				}
				wait := dueLater(t, s, contact)
				release()
				wait()
				dueLater(t, s, contact)() // now that the writer has caught up
				if _, err := s.Beat(t.Context(), longrun.Session{ID: remote, TTL: time.Minute, Closed: 9}); err != nil {
					t.Errorf("beat after the stall: %v, want that the session lives", err)
				}
				if _, err := s.Beat(t.Context(), longrun.Session{ID: silent, TTL: time.Minute}); err != longrun.ErrSessionLost {
					t.Errorf("beat of one that was silent: %v, want %v", err, longrun.ErrSessionLost)
				}
			})
		})
	}
}

// A beat that comes while its session is being ended or marked revives nothing:
// the session is lost for ever, whatever the beat has renewed.
func TestBeat_NeverRevives(t *testing.T) {
	for name, end := range map[string]func(longrun.SessionID) change{
		"ended": func(id longrun.SessionID) change { return &beatChange{b: longrun.Session{ID: id}} },
		"marked": func(id longrun.SessionID) change {
			return &judgeChange{ids: []longrun.SessionID{id}, contact: longrun.Contact{AsOf: time.Now().Add(time.Hour), Span: time.Hour}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
				id := openSession(t, s, "remote")
				release := holdWriter(t, s, end(id).apply)
				late := make(chan error)
				go func() {
					_, err := s.Beat(context.Background(), longrun.Session{ID: id, TTL: time.Minute, Closed: 1})
					late <- err
				}()
				synctest.Wait()
				release()
				if err := <-late; err != longrun.ErrSessionLost {
					t.Errorf("beat that came meanwhile: %v, want %v", err, longrun.ErrSessionLost)
				}
				for call := range int64(3) {
					_, err := s.Beat(t.Context(), longrun.Session{ID: id, TTL: time.Minute, Closed: call, Open: true})
					if err != longrun.ErrSessionLost {
						t.Errorf("beat after the end: %v, want %v", err, longrun.ErrSessionLost)
					}
				}
			})
		})
	}
}

// Due marks so many sessions and no more in one commit. Those that hold claims
// come first, so that no operation has to wait for the marks of idle sessions.
func TestDue_MarksAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
		var all []longrun.SessionID
		for i := range 12 {
			id := openSession(t, s, "remote")
			all = append(all, id)
			if i%4 == 3 {
				create(t, s, claimed(id))
			}
		}
		time.Sleep(time.Hour)
		contact := longrun.Contact{AsOf: time.Now(), Span: time.Hour}
		for want := 2; want <= len(all); want += 2 {
			due, err := s.Due(t.Context(), contact, 2)
			if err != nil {
				t.Fatal(err)
			}
			gone := 0
			for _, id := range all {
				if !s.isAlive(id) {
					gone++
				}
			}
			if len(due) != 2 || gone != want {
				t.Errorf("%d operations due, %d sessions marked; want 2, %d", len(due), gone, want)
			}
		}
		if due, err := s.Due(t.Context(), contact, 10); err != nil || len(due) != 3 {
			t.Errorf("%d operations due, %v; want 3", len(due), err)
		}
	})
}
