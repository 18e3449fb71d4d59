package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/inmem"
	"github.com/longrun-dev/longrun/runner"
)

func TestNew_Options(t *testing.T) {
	t.Parallel()
	svc, err := longrun.New(inmem.New(), longrun.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		o    runner.Options
		err  string // a part of it
	}{
		{"zero", runner.Options{}, ""},
		{"shortest TTL", runner.Options{SessionTTL: longrun.MinSessionTTL}, ""},
		{"longest TTL", runner.Options{SessionTTL: longrun.MaxSessionTTL}, ""},
		{"TTL too short", runner.Options{SessionTTL: longrun.MinSessionTTL - 1}, "SessionTTL"},
		{"TTL too long", runner.Options{SessionTTL: longrun.MaxSessionTTL + 1}, "SessionTTL"},
		{"negative TTL", runner.Options{SessionTTL: -1}, "SessionTTL"},
		{"longest worker", runner.Options{Worker: strings.Repeat("w", 128)}, ""},
		{"worker too long", runner.Options{Worker: strings.Repeat("w", 129)}, "Worker"},
		{"worker not UTF-8", runner.Options{Worker: "\xff"}, "Worker"},
		{"no methods", runner.Options{Methods: []string{}}, "Methods"},
		{"only sweeps", runner.Options{Concurrency: -1}, ""},
		{"no grace", runner.Options{Grace: -time.Second}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := runner.New(svc, tt.o)
			if got := err != nil; got != (tt.err != "") || got && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("New = %v, want an error with %q", err, tt.err)
			}
		})
	}
	if _, err := runner.New(nil, runner.Options{}); err == nil {
		t.Error("New(nil) succeeds, want an error")
	}
}

func TestRun_MethodWithoutHandler(t *testing.T) {
	inBubble(t, func(t *testing.T, s *system) {
		longrun.Handle(s.Service, work, succeed)
		r, err := runner.New(s.Service, runner.Options{Methods: []string{"work", "play"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `"play"`) {
			t.Errorf("Run = %v, want an error that names the method", err)
		}
	})
}

func TestRun_SessionRefused(t *testing.T) {
	t.Parallel()
	no := errors.New("not here")
	svc, err := longrun.New(inmem.New(), longrun.Options{Authorize: func(context.Context, longrun.Verb, string) error { return no }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(svc, runner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); longrun.CodeOf(err) != codes.PermissionDenied || !errors.Is(err, no) {
		t.Errorf("Run = %v, want what Authorize said", err)
	}
}
