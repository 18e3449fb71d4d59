package longrun_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun"
)

// One line for each run, with what it is and how it ended, and no payload.
func TestLogRuns(t *testing.T) {
	for name, tt := range map[string]struct {
		handler func() (*wrapperspb.Int64Value, error)
		want    []string
	}{
		"a response": {func() (*wrapperspb.Int64Value, error) { return int64Value(4711), nil },
			[]string{"level=INFO", `msg="run succeeded"`}},
		"an error": {func() (*wrapperspb.Int64Value, error) { return nil, errors.New("no disk") },
			[]string{"level=WARN", `msg="run returned an error"`, `err="no disk"`}},
		"asked to be repeated": {func() (*wrapperspb.Int64Value, error) { return nil, longrun.RetryAfter(time.Minute, nil) },
			[]string{"level=WARN", `err="retry after 1m0s"`}},
		"a panic": {func() (*wrapperspb.Int64Value, error) { panic("hunter2") },
			[]string{"level=WARN", `msg="run panicked"`}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				sys := intercepted(t, longrun.LogRuns(slog.New(slog.NewTextHandler(&out, nil))))
				sys.handle(func(context.Context, *run) (*wrapperspb.Int64Value, error) {
					time.Sleep(3 * time.Second)
					return tt.handler()
				})
				op, _ := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{})
				tt.want = append(tt.want, "operation="+op.Name().String(), "method="+word, "attempt=1", "duration=3s")
				for _, want := range tt.want {
					if !strings.Contains(out.String(), want) {
						t.Errorf("log = %s, want %s in it", &out, want)
					}
				}
				if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "4711") || strings.Contains(out.String(), "hunter2") {
					t.Errorf("log = %s, want one line without payloads", &out)
				}
			})
		})
	}
}

// Without a logger it is the default one, as everywhere.
func TestLogRuns_Default(t *testing.T) {
	t.Parallel()
	sys := intercepted(t, longrun.LogRuns(nil))
	sys.handle(func(context.Context, *run) (*wrapperspb.Int64Value, error) { return nil, nil })
	if op, r := sys.do(t, longrun.StartOptions{}, longrun.TaskOptions{}); op.State != longrun.Succeeded {
		t.Errorf("operation = %v, %v", op.State, r.Err)
	}
}
