package longrun_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/longrun-dev/longrun"
)

// The name of a caller has a limit, and who has none is "local".
func TestCaller_Limit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, caller, recorded string
	}{
		{"nobody has said", "", longrun.LocalCaller},
		{"at the limit", strings.Repeat("a", longrun.MaxCallerBytes), strings.Repeat("a", longrun.MaxCallerBytes)},
		{"past the limit", strings.Repeat("a", longrun.MaxCallerBytes+1), ""},
		{"not UTF-8", "a\xff", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := newSystem(t, longrun.Options{})
			op, err := sys.svc.Start(longrun.WithCaller(t.Context(), tt.caller), longrun.StartRequest{Method: word})
			if tt.recorded == "" {
				wantError(t, err, codes.Internal, longrun.ReasonInternal)
				return
			}
			if err != nil || op.Caller != tt.recorded {
				t.Errorf("Start = %v, %v; want it recorded for %q", op, err, tt.recorded)
			}
		})
	}
}
