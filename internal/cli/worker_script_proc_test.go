package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// played is a shell script that a worker has run.
type played struct {
	*ending
	err    *screen
	mu     sync.Mutex // guards what follows
	heard  []line
	misses []error
	took   time.Duration
}

// play runs a shell script as a worker does.
func play(t *testing.T, in, text string, more ...func(*script)) *played {
	t.Helper()
	p := &played{err: newScreen()}
	s := &script{
		args: []string{"sh", "-c", text}, in: []byte(in), err: p.err, grace: patience,
		report: func(l line) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.heard = append(p.heard, l)
		},
		drop: func(err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.misses = append(p.misses, err)
		},
	}
	for _, f := range more {
		f(s)
	}
	begin := time.Now()
	e, err := s.run()
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	p.ending, p.took = e, time.Since(begin)
	return p
}

func TestScript_Streams(t *testing.T) {
	t.Parallel()
	p := play(t, "the request\n", `cat; echo "$EXTRA" >&2; echo '{"progress": {"completedUnits": 1}}' >&3; echo '{"retryDelay": "5s"}' >&3; exit 3`,
		func(s *script) { s.env = []string{"EXTRA=x y"} })
	if string(p.out) != "the request\n" || p.err.String() != "x y\n" || string(p.tail) != "x y\n" || p.exit != 3 || p.signal != 0 {
		t.Errorf("ending = %+v, standard error %q", p.ending, p.err)
	}
	if len(p.heard) != 1 || p.heard[0].progress.GetCompletedUnits() != 1 || p.delay.AsDuration() != 5*time.Second {
		t.Errorf("heard %v, delay %v", p.heard, p.delay)
	}
}

// The latest counts: of errors and of delays.
func TestScript_LatestCounts(t *testing.T) {
	t.Parallel()
	p := play(t, "", `for c in 3 5; do echo "{\"error\": {\"code\": $c}, \"retryDelay\": \"${c}s\"}"; done >&3; echo '{"steps": 1}' >&3`)
	if codes.Code(p.fail.GetCode()) != codes.NotFound || p.delay.AsDuration() != 5*time.Second || p.bad != nil || len(p.misses) != 1 {
		t.Errorf("error %v, delay %v, bad %v, dropped %v", p.fail, p.delay, p.bad, p.misses)
	}
}

// A command may leave its input unread, however much there is: that is its own affair.
func TestScript_ReadsNothing(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, pipeRoom, pipeRoom + 1, 3 << 20} {
		for _, text := range []string{"exit 0", "exec <&-; exit 0", "sleep 0.1"} {
			if p := play(t, strings.Repeat("x", n), text); p.exit != 0 || p.signal != 0 {
				t.Errorf("%d bytes unread by %q: %+v", n, text, p.ending)
			}
		}
	}
	if p := play(t, strings.Repeat("x", 3<<20), "wc -c"); strings.TrimSpace(string(p.out)) != strconv.Itoa(3<<20) {
		t.Errorf("read %q bytes of 3 MiB", p.out)
	}
}

// A command that prints a gigabyte is stopped soon after the limit, and takes no more
// memory than that.
func TestScript_PrintsGigabyte(t *testing.T) {
	t.Parallel()
	p := play(t, "", "exec head -c 1073741824 /dev/zero")
	if !p.excess || p.out != nil {
		t.Errorf("excess = %v with %d bytes kept, want true with none", p.excess, len(p.out))
	}
	// One that does not end for it is killed, and not waited for while it prints.
	p = play(t, "", `trap "" TERM; while :; do head -c 1048576 /dev/zero; done`, func(s *script) { s.grace = 50 * time.Millisecond })
	if !p.excess || p.signal != syscall.SIGKILL {
		t.Errorf("excess = %v, signal %v; want true, killed", p.excess, p.signal)
	}
	for _, tt := range []struct {
		n      int
		excess bool
	}{{maxOutputBytes, false}, {maxOutputBytes + 1, true}} {
		p := play(t, "", fmt.Sprintf("head -c %d /dev/zero", tt.n))
		if p.excess != tt.excess || !tt.excess && len(p.out) != tt.n {
			t.Errorf("%d bytes: excess = %v, %d bytes kept", tt.n, p.excess, len(p.out))
		}
	}
}

// A gigabyte on standard error or descriptor 3 is read, and little of it is kept.
func TestScript_Floods(t *testing.T) {
	t.Parallel()
	p := play(t, "", "head -c 104857600 /dev/zero >&2; echo end >&2", func(s *script) { s.err = io.Discard })
	if len(p.tail) != tailBytes || !bytes.HasSuffix(p.tail, []byte("end\n")) {
		t.Errorf("%d bytes of standard error kept, want the last %d", len(p.tail), tailBytes)
	}
	p = play(t, "", "head -c 104857600 /dev/zero >&3; echo '{}'")
	if p.bad == nil || p.exit != 0 || string(p.out) != "{}\n" {
		t.Errorf("bad = %v, exit status %d, want a bad line and 0", p.bad, p.exit)
	}
	p = play(t, "", `yes '{"progress": {"completedUnits": 1}}' | head -n 20000 >&3`)
	if len(p.heard) != 20000 || p.bad != nil {
		t.Errorf("heard %d lines, want 20000; %v", len(p.heard), p.bad)
	}
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(file)
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && bad == nil {
			return pid
		}
	}
	t.Fatalf("no process id in %s", file)
	return 0
}

func wantGone(t *testing.T, file string) {
	t.Helper()
	pid := pidIn(t, file)
	for end := time.Now().Add(patience); !hasEnded(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d of %s runs", pid, file)
		}
	}
}

// What a command leaves behind with its pipes may go on for a moment, and is killed
// then; what it leaves behind without them is killed at once. Either way the run ends,
// with what the command has said.
func TestScript_LeavesChildren(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		soon       bool
	}{
		{"holding all", `sleep 1000 & echo $! > "$PIDS"; echo '{}'`, false},
		{"deaf to all signals", `sh -c 'trap "" TERM HUP INT; sleep 1000; sleep 1000' & echo $! > "$PIDS"; echo '{}'`, false},
		{"holding none", `sleep 1000 </dev/null >/dev/null 2>&1 3>&- & echo $! > "$PIDS"; echo '{}'`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			p := play(t, "", tt.text, func(s *script) { s.env = []string{"PIDS=" + file} })
			wantGone(t, file)
			for end := time.Now().Add(patience); tt.soon && p.took >= outputGrace && time.Now().Before(end); { // the machine may be slow, once
				p = play(t, "", tt.text, func(s *script) { s.env = []string{"PIDS=" + file} })
				wantGone(t, file)
			}
			if string(p.out) != "{}\n" || p.exit != 0 || p.took > outputGrace+patience || (p.took < outputGrace) != tt.soon {
				t.Errorf("ended after %v with %+v, want a response and soon = %v", p.took, p.ending, tt.soon)
			}
		})
	}
}

// What has left the group, too, and holds the pipes is out of reach: the run ends
// nevertheless. What such a process writes to descriptor 3 later is not heard.
func TestScript_ChildOutOfReach(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("setsid is not installed")
	}
	dir := t.TempDir()
	p := play(t, "", `setsid sh -c 'echo $$ > pid; while ! test -e go; do sleep 0.05; done; echo "{\"error\": {\"code\": 5}}" >&3; echo $? > wrote; exec sleep 1000' &
		while ! test -s pid; do sleep 0.01; done; echo '{}'`, func(s *script) { s.args = []string{"sh", "-c", "cd " + dir + "; " + s.args[2]} })
	pid := pidIn(t, filepath.Join(dir, "pid"))
	defer syscall.Kill(pid, syscall.SIGKILL)
	if string(p.out) != "{}\n" || p.exit != 0 || p.fail != nil {
		t.Errorf("ending = %+v, want a response", p.ending)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); !hasEnded(pid); time.Sleep(5 * time.Millisecond) {
		if b, _ := os.ReadFile(filepath.Join(dir, "wrote")); len(b) > 0 && strings.TrimSpace(string(b)) != "0" {
			break // it was told that nobody reads
		}
		if time.Now().After(end) {
			t.Fatal("a process that writes after the end is not told that nobody reads")
		}
	}
	if r := p.result(notStopped); r.response == nil {
		t.Errorf("result = %v, want the response", r.fail)
	}
}

// Lines that a child writes after the command has ended, and while it is still waited
// for, count.
func TestScript_LastWords(t *testing.T) {
	t.Parallel()
	for end := time.Now().Add(patience); time.Now().Before(end); { // the child may have had no turn while it was waited for
		if p := play(t, "", `(sleep 0.2; echo '{"error": {"code": 5}}' >&3) & exit 0`); codes.Code(p.fail.GetCode()) == codes.NotFound {
			return
		}
	}
	t.Error("the error that a child has written was not heard, want NOT_FOUND")
}

// A stop is SIGTERM to the whole group, and SIGKILL after the grace.
func TestScript_Stop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		grace      time.Duration
		exit       int
	}{
		{"heeded", `sleep 1000 & echo $! > "$PIDS"; trap 'echo "{}"; exit 9' TERM; echo begun >&2; while :; do sleep 0.05; done`, patience, 9},
		{"deaf", `trap "" TERM; sh -c 'echo $$ > "$PIDS"; exec sleep 1000' & echo begun >&2; while :; do sleep 0.05; done`, 50 * time.Millisecond, 137},
		{"stopped", `sleep 1000 & echo $! > "$PIDS"; trap 'exit 9' TERM; echo begun >&2; kill -STOP $$; while :; do sleep 0.05; done`, patience, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file, stop := filepath.Join(t.TempDir(), "pid"), make(chan struct{})
			p := play(t, "", tt.text, func(s *script) {
				s.env, s.grace, s.stop = []string{"PIDS=" + file}, tt.grace, stop
				screen := s.err.(*screen)
				go func() {
					screen.await(t, "begun")
					close(stop)
				}()
			})
			if p.exit != tt.exit {
				t.Errorf("exit status = %d, want %d", p.exit, tt.exit)
			}
			wantGone(t, file)
		})
	}
}

// A worker that is told twice to end kills at once.
func TestScript_Hurry(t *testing.T) {
	t.Parallel()
	hurry := make(chan struct{})
	p := play(t, "", `trap "" TERM; echo begun >&2; while :; do sleep 0.05; done`, func(s *script) {
		s.hurry = hurry
		screen := s.err.(*screen)
		go func() {
			screen.await(t, "begun")
			close(hurry)
		}()
	})
	if p.signal != syscall.SIGKILL {
		t.Errorf("signal = %v, want SIGKILL", p.signal)
	}
}

// Nothing is left behind by a command that cannot be started.
func TestScript_NotStarted(t *testing.T) {
	t.Parallel()
	s := &script{args: []string{"/no/such/command"}, in: make([]byte, 1<<20), err: io.Discard, report: func(line) {}, drop: func(error) {}}
	for range 3 {
		if e, err := s.run(); err == nil || startStatus(err) != exitNotFound {
			t.Errorf("run = %v, %v; want an error of start", e, err)
		}
	}
}

// An output of ours that takes nothing does not stop the command.
func TestScript_DeafLog(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	p := play(t, "", "head -c 1048576 /dev/zero >&2; echo '{}'", func(s *script) { s.err = w })
	if p.exit != 0 || string(p.out) != "{}\n" || len(p.tail) != tailBytes {
		t.Errorf("ending = exit status %d, output %q, %d bytes of standard error", p.exit, p.out, len(p.tail))
	}
}
