package cli

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// screen is an output that tests can wait for. It is safe for concurrent use.
type screen struct {
	mu      sync.Mutex // guards b
	b       bytes.Buffer
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// await waits until the screen shows text.
func (s *screen) await(t testing.TB, text string) {
	t.Helper()
	end := time.After(patience)
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.changed:
		case <-end:
			t.Fatalf("%q does not come: %q", text, s.String())
		}
	}
}

// start starts a shell command whose output is on the screen.
func start(t *testing.T, in *bytes.Buffer, script string) (*child, *screen) {
	t.Helper()
	out := newScreen()
	streams := childIO{out: out, err: out}
	if in != nil {
		streams.in, streams.inTerm = in, true
	}
	c, err := startChild([]string{"sh", "-c", script}, streams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.kill()
		<-c.done
	})
	return c, out
}

func TestChild_Status(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script string
		want   int
	}{{"exit 0", 0}, {"exit 3", 3}, {"exit 255", 255}, {"kill -9 $$", 137}, {"kill -2 $$", 130}} {
		c, _ := start(t, nil, tt.script)
		<-c.done
		if got := c.status(); got != tt.want {
			t.Errorf("status of %q = %d, want %d", tt.script, got, tt.want)
		}
		c.terminate() // its process id may be another's by now: nothing happens
	}
}

func TestStartStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want int
	}{{[]string{"no-such-command"}, 127}, {[]string{"./no/such/file"}, 127}, {[]string{"/dev/null"}, 126}, {[]string{"/"}, 126}} {
		_, err := startChild(tt.args, childIO{})
		if err == nil {
			t.Errorf("%v was started", tt.args)
			continue
		}
		if got := startStatus(err); got != tt.want {
			t.Errorf("%v: %v is %d, want %d", tt.args, err, got, tt.want)
		}
	}
	if got := startStatus(&exec.Error{Name: "x", Err: fs.ErrPermission}); got != exitNotExec {
		t.Errorf("no permission is %d, want %d", got, exitNotExec)
	}
}

// What a terminal gives is read by us: the command has a pipe, and its end.
func TestChild_TerminalInput(t *testing.T) {
	t.Parallel()
	c, out := start(t, bytes.NewBufferString("one\ntwo\n"), "cat; test -t 0 || echo a pipe")
	<-c.done
	if got, want := out.String(), "one\ntwo\na pipe\n"; got != want {
		t.Errorf("output = %q, want %q", got, want)
	}
}

// The group is the command's own, so that Ctrl-C does not reach it, and stopping it
// reaches what it has started.
func TestChild_Group(t *testing.T) {
	t.Parallel()
	c, out := start(t, nil, "sh -c 'trap \"echo inner; exit\" TERM; echo begun; while :; do sleep 0.05; done' & wait; echo outer")
	out.await(t, "begun")
	group, err := syscall.Getpgid(c.pid)
	if err != nil || group != c.pid || group == syscall.Getpgrp() {
		t.Errorf("process group = %d, %v; want its own, %d", group, err, c.pid)
	}
	c.terminate()
	<-c.done
	out.await(t, "inner")
}

// A process that the command leaves behind with its output does not keep it from
// ending.
func TestChild_LeavesOneBehind(t *testing.T) {
	t.Parallel()
	c, out := start(t, nil, "sleep 1000 & echo $!")
	<-c.done
	if c.status() != 0 || c.took > patience {
		t.Errorf("status = %d after %v, want 0 soon", c.status(), c.took)
	}
	var pid int
	for _, r := range strings.TrimSpace(out.String()) {
		pid = pid*10 + int(r-'0')
	}
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

// attend stops a command that was cancelled from elsewhere, and kills it when it is
// deaf.
func TestAttend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		stop         func(*running)
		grace        time.Duration
		exit         int
		said         string
	}{
		{"cancelled", "trap 'exit 9' TERM; echo begun; while :; do sleep 0.05; done",
			func(r *running) { r.notices <- cancelled }, time.Hour, 9, "was cancelled: stopping the command"},
		{"deaf", "trap '' TERM; echo begun; while :; do sleep 0.05; done",
			func(r *running) { r.notices <- cancelled }, 10 * time.Millisecond, 137, "has not ended within 10ms: SIGKILL"},
		{"lost", "echo begun; sleep 0.2; exit 4",
			func(r *running) { r.told(lost) }, time.Hour, 4, "the command is left to finish"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			talk := newScreen()
			r := &running{a: &app{err: talk}, s: &session{name: "operations/x"}, notices: make(chan notice, 8), over: make(chan struct{}), signals: make(chan os.Signal), grace: tt.grace}
			var out *screen
			r.child, out = start(t, nil, tt.script)
			out.await(t, "begun")
			tt.stop(r)
			r.attend(t.Context())
			if got := r.child.status(); got != tt.exit {
				t.Errorf("exit status = %d, want %d", got, tt.exit)
			}
			if !strings.Contains(talk.String(), tt.said) || strings.Count(talk.String(), tt.said) != 1 {
				t.Errorf("said %q, want %q once", talk.String(), tt.said)
			}
		})
	}
}
