package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/longrun-dev/longrun"
)

// crashFile names the database for the child that is killed.
const crashFile = "LONGRUN_SQLITE_CRASH_FILE"

// writeUntilKilled creates and completes operations and says so on standard
// output, one line for each write that was answered.
func writeUntilKilled(file string) {
	ctx := context.Background()
	s, err := Open(file, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	session := longrun.NewSessionID()
	if _, err := s.Beat(ctx, longrun.Session{ID: session, Open: true, TTL: time.Hour}); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				op := newOp()
				op.Request, op.Claim.Session = anyOf(i*100%5000), session
				if i%4 == 0 {
					op.Claim, op.ConflictKey = longrun.Claim{}, "key"
				}
				if _, err := s.Create(ctx, longrun.NewOperation{Operation: op}); err != nil {
					fmt.Println("error", err)
				}
				fmt.Println("created", op.ID)
				end := returned(i * 50 % 3000)
				if op.ConflictKey != "" {
					end = cancel
				}
				if _, err := s.Update(ctx, longrun.Change{ID: op.ID, Apply: end}); err != nil {
					fmt.Println("error", err)
				}
				fmt.Println("ended", op.ID)
			}
		}()
	}
	select {}
}

// CON-02: what was answered is there after the process was killed at any moment,
// and the file is sound.
func TestCrash_KeepsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	said := map[longrun.ID]string{}
	for range 10 {
		killed(t, file, time.Duration(50+rand.IntN(250))*time.Millisecond, said)
		wantSound(t, file)
		s := openTest(t, file, Options{})
		for id, what := range said {
			op := get(t, s, id)
			if op == nil {
				t.Fatalf("operation %v was %s and is not there", id, what)
			}
			if what == "ended" && !op.State.Done() {
				t.Fatalf("operation %v has ended and is %v", id, op.State)
			}
		}
		closeTest(t, s)
		wantSound(t, file)
	}
	if len(said) == 0 {
		t.Error("nothing was written before the process was killed")
	}
}

// killed runs the child for a while, kills it and adds what it has said.
func killed(t *testing.T, file string, after time.Duration, said map[longrun.ID]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashFile+"="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		// The child is killed by the clock, from its first write on.
		kill.Do(func() { time.AfterFunc(after, func() { cmd.Process.Kill() }) })
		what, id, _ := strings.Cut(lines.Text(), " ")
		parsed, err := uuid.Parse(id)
		if what == "error" || err != nil {
			if len(id) == 36 || what == "error" {
				t.Errorf("the child said %q", lines.Text())
			}
			continue // the last line may be cut off
		}
		said[longrun.ID(parsed)] = what
	}
	cmd.Wait() // killed
}

// A server that was killed leaves its lock's file and no lock.
func TestCrash_LockIsFree(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	killed(t, file, 20*time.Millisecond, map[longrun.ID]string{})
	owner, err := os.ReadFile(file + lockSuffix)
	if err != nil || !strings.HasPrefix(string(owner), "pid ") {
		t.Errorf("lock file = %q, %v, want the name of the one that was killed", owner, err)
	}
	openTest(t, file, Options{})
}
