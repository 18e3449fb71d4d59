package longrun

import "context"

// LocalCaller is who calls when nobody has said otherwise.
const LocalCaller = "local"

type (
	callerKey struct{}
	traceKey  struct{}
)

// WithCaller returns a context whose calls are made by caller: an opaque name
// of at most MaxCallerBytes that whoever authenticates chooses. It is recorded
// with the operations that the caller starts.
func WithCaller(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerOf returns who makes the calls of ctx; LocalCaller if nobody has said.
func CallerOf(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(string); ok && c != "" {
		return c
	}
	return LocalCaller
}

// WithTraceParent returns a context that carries a W3C traceparent, which is
// recorded with the operations that are started under it and handed to their
// runs. One that is not well-formed is dropped.
func WithTraceParent(ctx context.Context, traceparent string) context.Context {
	if !validTraceParent(traceparent) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceparent)
}

// TraceParentOf returns the W3C traceparent of ctx, or "".
func TraceParentOf(ctx context.Context) string {
	s, _ := ctx.Value(traceKey{}).(string)
	return s
}

// validTraceParent checks the form of version 00: four fields of lower-case
// hexadecimal digits, such as
// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".
func validTraceParent(s string) bool {
	const form = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx"
	if len(s) != len(form) {
		return false
	}
	for i := range len(form) {
		hex := '0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f'
		if form[i] == 'x' && !hex || form[i] == '-' && s[i] != '-' {
			return false
		}
	}
	return true
}
