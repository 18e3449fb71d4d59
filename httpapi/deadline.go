package httpapi

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"
)

// withDeadline gives a call the deadline that its client says: in Grpc-Timeout as in
// gRPC ("1500m"), or in X-Server-Timeout in seconds ("1.5"). The earlier counts. With
// an error the context is ctx.
func withDeadline(ctx context.Context, head http.Header) (context.Context, context.CancelFunc, error) {
	if head["Grpc-Timeout"] == nil && head["X-Server-Timeout"] == nil {
		return ctx, func() {}, nil
	}
	timeout := time.Duration(math.MaxInt64)
	for name, parse := range timeoutHeaders {
		values := head[name]
		if len(values) == 0 {
			continue
		}
		d, ok := parse(values[0])
		if !ok || len(values) > 1 {
			return ctx, func() {}, invalid(ReasonInvalidHeader, "", "the header %s is not a timeout", name)
		}
		timeout = min(timeout, d)
	}
	if timeout == math.MaxInt64 {
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return ctx, cancel, nil
}

var timeoutHeaders = map[string]func(string) (time.Duration, bool){
	"Grpc-Timeout":     parseGRPCTimeout,
	"X-Server-Timeout": parseSeconds,
}

// parseGRPCTimeout reads at most eight digits and a unit.
func parseGRPCTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 63)
	if !ok || err != nil {
		return 0, false
	}
	if n > math.MaxInt64/uint64(unit) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * unit, true
}

// parseSeconds reads a number of seconds.
func parseSeconds(s string) (time.Duration, bool) {
	f, err := parseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f < 0 {
		return 0, false
	}
	if f >= math.MaxInt64/1e9 {
		return math.MaxInt64, true
	}
	return time.Duration(f * 1e9), true
}
