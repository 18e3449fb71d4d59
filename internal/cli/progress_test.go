package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
)

// In a log there is a line for each change, and none for no change.
func TestLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l := &lines{a: &app{err: &b}}
	for _, v := range []view{
		{name: "operations/x", state: "PENDING"}, {name: "operations/x", state: "PENDING"},
		{name: "operations/x", state: "RUNNING", done: 1, total: 4, message: "copying"},
		{name: "operations/x", state: "RUNNING", done: 1, total: 4, message: "copying"},
		{name: "operations/x", state: "SUCCEEDED", done: 4, total: 4},
	} {
		l.show(v)
	}
	l.say("hello %d", 1)
	l.end()
	want := `longrun: operation "operations/x" PENDING
longrun: operation "operations/x" RUNNING 25% copying
longrun: operation "operations/x" SUCCEEDED 100%
longrun: hello 1
`
	if b.String() != want {
		t.Errorf("lines:\n%s\nwant:\n%s", b.String(), want)
	}
}

// On a terminal there is a bar, which is gone at the end.
func TestBar(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	bar := newBar(&b)
	bar.show(view{state: "PENDING"})
	if !strings.Contains(b.String(), "PENDING") {
		t.Errorf("bar = %q, want PENDING", b.String())
	}
	b.Reset()
	bar.show(view{state: "RUNNING", done: 1, total: 4, message: "copying"})
	if !strings.Contains(b.String(), "RUNNING copying") || !strings.Contains(b.String(), "25%") {
		t.Errorf("bar = %q, want RUNNING copying 25%%", b.String())
	}
	bar.show(view{state: "RUNNING", done: 4, total: 4})
	if strings.Contains(b.String(), "100%") {
		t.Errorf("bar = %q: full, and the operation has not ended", b.String())
	}
	b.Reset()
	bar.say("the server has gone")
	if !strings.HasSuffix(b.String(), "longrun: the server has gone\n") || !strings.HasPrefix(b.String(), "\x1b[2K\r") {
		t.Errorf("say = %q, want the bar wiped and a line", b.String())
	}
	b.Reset()
	bar.end()
	if b.Len() != 0 {
		t.Errorf("a bar that is gone draws %q", b.String())
	}
}

// The time is drawn below the command's output, never in a line of it, and is gone at
// the end.
func TestDrawElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := newScreen()
		a := &app{out: screen, err: screen, outTerm: true, errTerm: true}
		s, undraw := a.drawElapsed(childIO{out: screen, err: screen})
		write := func(text string) {
			t.Helper()
			if n, err := s.out.Write([]byte(text)); n != len(text) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		shown := func() string {
			synctest.Wait()
			screen.mu.Lock()
			defer screen.mu.Unlock()
			defer screen.b.Reset()
			return screen.b.String()
		}
		write("a line\n")
		if got := shown(); !strings.HasSuffix(got, "a line\n") {
			t.Errorf("shown %q", got)
		}
		time.Sleep(3500 * time.Millisecond)
		if got := shown(); !strings.Contains(got, "[3s]") {
			t.Errorf("after 3 s shown %q, want the time", got)
		}
		write("half a li")
		if got := shown(); !strings.HasPrefix(got, "\x1b[2K\r") || !strings.HasSuffix(got, "half a li") {
			t.Errorf("shown %q, want the time wiped before it", got)
		}
		time.Sleep(3 * time.Second)
		if got := shown(); got != "" {
			t.Errorf("drawn into a line of the command's: %q", got)
		}
		write("ne\n")
		if got := shown(); got != "ne\n" {
			t.Errorf("shown %q", got)
		}
		time.Sleep(2 * time.Second)
		shown()
		a.talk("talk")
		if got := shown(); got != "\x1b[2K\rlongrun: talk\n" {
			t.Errorf("shown %q", got)
		}
		undraw()
		undraw()
		write("")
		if a.err != screen {
			t.Error("the talk still goes through what was drawn")
		}
	})
}

// Elsewhere nothing is drawn, and output is passed on as it is.
func TestDrawElapsed_NoTerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s, undraw := (&app{out: &b, err: &b, errTerm: true}).drawElapsed(childIO{out: &b})
	defer undraw()
	if s.out != &b {
		t.Error("output that goes to a file is drawn over")
	}
}

// silent shows nothing.
type silent struct{ said []string }

func (s *silent) show(view)                   {}
func (s *silent) say(format string, _ ...any) { s.said = append(s.said, format) }
func (s *silent) end()                        {}

// A wait that ends without the operation has its latest state, and exit status 5.
func TestWaitStatus(t *testing.T) {
	t.Parallel()
	failed := &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Code: 9}}}
	cancelledOp := &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Code: 1}}}
	for _, tt := range []struct {
		op   *longrunningpb.Operation
		want int
	}{{&longrunningpb.Operation{Done: true}, 0}, {failed, 3}, {cancelledOp, 4}, {&longrunningpb.Operation{}, 5}} {
		var b bytes.Buffer
		if got := report(&b, waitStatus(tt.op, time.Second)); got != tt.want {
			t.Errorf("exit status = %d, want %d", got, tt.want)
		}
	}
}

// An absence of the server is said once, and so is its return.
func TestWaiter_Note(t *testing.T) {
	t.Parallel()
	s := &silent{}
	w := &waiter{c: &client{addr: "x"}, show: s}
	for _, away := range []bool{false, true, true, false, false} {
		w.note(away)
	}
	if len(s.said) != 2 {
		t.Errorf("said %q, want two things", s.said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pause(ctx, time.Hour) // does not wait
}
