package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun/longrunpb"
)

// What the command's end means for the operation.
func TestResult(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		exit    int
		stopped bool
		code    codes.Code
		word    string
	}{
		{"succeeded", 0, false, codes.OK, "succeeded"},
		{"failed", 3, false, codes.Unknown, "failed"},
		{"stopped", 143, true, codes.Canceled, "was cancelled"},
		{"stopped, and it says that all is well", 0, true, codes.Canceled, "was cancelled"},
	} {
		r := &running{stopped: tt.stopped, child: &child{took: time.Second}}
		r.tail.keep([]byte("the end"))
		response, fail := r.result(tt.exit)
		if got := codes.Code(fail.GetCode()); got != tt.code {
			t.Errorf("%s: code = %v, want %v", tt.name, got, tt.code)
		}
		if (response == nil) == (fail == nil) {
			t.Errorf("%s: response %v and error %v, want one of them", tt.name, response, fail)
		}
		if response != nil && (string(response.GetOutputTail()) != "the end" || response.GetRunDuration().AsDuration() != time.Second) {
			t.Errorf("%s: response = %v", tt.name, response)
		}
		if got := ended(fail); got != tt.word {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.word)
		}
	}
}

// OP-11: the error says why in a form for programs.
func TestFailure(t *testing.T) {
	t.Parallel()
	err := status.FromProto(failure(7, "bad \xff")).Err()
	if got := reasonOf(err); got != "COMMAND_FAILED" {
		t.Errorf("reason = %q, want COMMAND_FAILED", got)
	}
	if got := status.Convert(err).Message(); got != "bad ?" {
		t.Errorf("message = %q, want valid UTF-8", got)
	}
}

// teller is a run whose command has ended with exit status 0, inside a bubble.
func teller(t *testing.T, d *desk) (*running, *screen) {
	t.Helper()
	talk := newScreen()
	r := &running{
		a: &app{err: talk}, s: d.open(t), notices: make(chan notice, 8), over: make(chan struct{}), signals: make(chan os.Signal, 1), patience: 10 * time.Minute,
		child: &child{took: time.Second},
	}
	r.s.name, r.s.told = "operations/x", r.told
	return r, talk
}

func wantLost(t *testing.T, err error, msg string) {
	t.Helper()
	p, ok := errors.AsType[*problem](err)
	if !ok || p.exit != exitLost || p.hint == "" || !strings.Contains(p.msg, msg) || !strings.Contains(p.msg, "(exit status 0)") {
		t.Errorf("tell = %+v, want exit status %d, %q and the command's exit status", err, exitLost, msg)
	}
}

// The server is away when the command ends, and comes back.
func TestTell_RidesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		r, talk := teller(t, d)
		begin := time.Now()
		d.answer = func(method string, _ int) error {
			if method == "finish" && time.Since(begin) < time.Minute {
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}
		if err := r.tell(t.Context(), &longrunpb.CommandResponse{}, nil); err != nil {
			t.Errorf("tell = %v, want nil", err)
		}
		if got := strings.Count(talk.String(), "waiting for the server"); got != 1 {
			t.Errorf("said %q, want once that it waits", talk.String())
		}
	})
}

// The server stays away: patience ends, or a signal ends it.
func TestTell_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(method string, _ int) error {
			if method == "finish" {
				return status.Error(codes.Unavailable, "away")
			}
			return nil
		}}
		r, _ := teller(t, d)
		begin := time.Now()
		wantLost(t, r.tell(t.Context(), &longrunpb.CommandResponse{}, nil), "was not there to be told")
		if got := time.Since(begin); got != r.patience {
			t.Errorf("gave up after %v, want %v", got, r.patience)
		}

		r, _ = teller(t, d)
		r.s.away.Store(true)
		begin = time.Now()
		time.AfterFunc(time.Second, func() { r.signals <- syscall.SIGINT })
		wantLost(t, r.tell(t.Context(), &longrunpb.CommandResponse{}, nil), "was not there to be told")
		if got := time.Since(begin); got > 2*time.Second {
			t.Errorf("gave up %v after a signal, want at once", got)
		}
	})
}

// A Ctrl-C that meets an absent server must not make the run endless: the cancel goes
// on and on, and patience ends it as it ends the rest, and so does the next signal.
func TestTell_GivesUpTheCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(method string, _ int) error {
			if method == "cancel" || method == "finish" {
				return status.Error(codes.Unavailable, "away")
			}
			return nil
		}}
		for _, tt := range []struct {
			name   string
			signal time.Duration // after which one comes
			want   time.Duration
		}{
			{"patience", time.Hour, 3 * time.Second},
			{"signal", time.Second, time.Second},
		} {
			r, _ := teller(t, d)
			r.patience = 3 * time.Second
			ctx, stop := context.WithCancel(t.Context())
			r.interrupt(ctx)
			begin := time.Now()
			again := time.AfterFunc(tt.signal, func() { r.signals <- syscall.SIGINT })
			// Without an end of its own, the wait would end with the bubble's context.
			release := time.AfterFunc(time.Minute, stop)
			_, fail := (&running{stopped: true}).result(143)
			wantLost(t, r.tell(ctx, nil, fail), "was not there to be told")
			if got := time.Since(begin); got != tt.want {
				t.Errorf("%s: gave up after %v, want %v", tt.name, got, tt.want)
			}
			again.Stop()
			release.Stop()
			stop()
			<-r.cancelDone
		}
	})
}

// That the operation is lost is heard, however much else waits to be heard: else the
// refusal of its end would read as a mistake in it.
func TestTell_LostBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, stranger := fault(t, codes.Aborted, "CLAIM_LOST", "over"), fault(t, codes.InvalidArgument, "INVALID_FIELD", "who")
		d := &desk{answer: func(method string, n int) error {
			switch {
			case method == "finish":
				return stranger
			case method == "beat" && n > 20:
				return gone
			case method == "beat" && n%2 == 1:
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}}
		r, talk := teller(t, d)
		r.s.beats(t.Context()) // nobody listens meanwhile
		if got := len(r.notices); got != cap(r.notices) {
			t.Fatalf("%d notices wait, want %d", got, cap(r.notices))
		}
		wantLost(t, r.tell(t.Context(), &longrunpb.CommandResponse{}, nil), "has given operation \"operations/x\" up")
		if got := strings.Count(talk.String(), "given operation"); got > 1 {
			t.Errorf("said %d times that it is lost, want once at most:\n%s", got, talk)
		}
	})
}

// The server has given the operation up, or does not take the end.
func TestTell_Refused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   codes.Code
		reason string
		lost   bool
		msg    string
	}{
		{"claim lost", codes.Aborted, "CLAIM_LOST", false, "has given operation \"operations/x\" up before the command ended"},
		{"session lost", codes.Aborted, "SESSION_LOST", false, "has given operation \"operations/x\" up"},
		{"another store", codes.InvalidArgument, "INVALID_FIELD", true, "has given operation \"operations/x\" up"},
		{"refused", codes.InvalidArgument, "PAYLOAD_TOO_LARGE", false, "the server does not take it: over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refusal := fault(t, tt.code, tt.reason, "over")
				d := &desk{answer: func(method string, _ int) error {
					if method == "finish" {
						return refusal
					}
					return nil
				}}
				r, _ := teller(t, d)
				if tt.lost {
					r.told(lost)
				}
				wantLost(t, r.tell(t.Context(), nil, &statuspb.Status{Code: 2}), tt.msg)
			})
		})
	}
}

// A Ctrl-C cancels the operation before its run ends with code 1, which means nothing
// of an operation that nobody has cancelled.
func TestTell_CancelsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		r, _ := teller(t, d)
		d.answer = func(method string, n int) error {
			switch {
			case method == "cancel" && n < 5:
				return status.Error(codes.Unavailable, "restarting")
			case method == "finish" && d.cancels < 5:
				t.Error("the run was ended before the operation was cancelled")
			}
			return nil
		}
		r.interrupt(t.Context())
		r.stopped = true
		_, fail := r.result(143)
		if err := r.tell(t.Context(), nil, fail); err != nil {
			t.Errorf("tell = %v, want nil", err)
		}
		synctest.Wait()
		if d.cancels != 5 || len(d.ends) != 1 {
			t.Errorf("%d cancels and %d ends, want 5 and 1", d.cancels, len(d.ends))
		}
	})
}

// A signal before the command begins gives the start up.
func TestBegin_Interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(method string, _ int) error {
			if method == "start" {
				return status.Error(codes.Unavailable, "restarting")
			}
			return nil
		}}
		s := d.open(t)
		r := &running{a: &app{err: newScreen()}, args: []string{"true"}, notices: make(chan notice, 8), signals: make(chan os.Signal, 1)}
		time.AfterFunc(time.Second, func() { r.signals <- syscall.SIGTERM })
		err := r.begin(t.Context(), s.c)
		p, ok := errors.AsType[*problem](err)
		if !ok || p.exit != exitSignal+int(syscall.SIGTERM) {
			t.Errorf("begin = %+v, want exit status 143", err)
		}
		synctest.Wait()
		if !d.closed {
			t.Error("the session was left open, and with it the operation that may have been started")
		}
	})
}

func TestNotRun(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("no"), &problem{msg: "no", exit: 2}} {
		p, ok := errors.AsType[*problem](notRun(err))
		if !ok || p.exit != exitNotRun || p.msg != "no" {
			t.Errorf("notRun(%v) = %+v, want exit status %d", err, p, exitNotRun)
		}
	}
}
