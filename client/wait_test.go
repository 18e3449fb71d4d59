package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/client"
)

// bubble is a test whose clock jumps while all wait.
func bubble(f func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// WAI-09: a server may answer before the end; the client asks again, at once if the
// server has waited. Each answer brings the metadata up to date.
func TestWait_AgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{wait: until(t, 4, succeeded(t, wrapperspb.String("a book")))}
		op := follow(t, f)
		var watcher sync.WaitGroup
		watcher.Go(func() {
			time.Sleep(50 * time.Second)
			if md, err := op.Metadata(); err != nil || md.GetValue() != 2 || op.Done() {
				t.Errorf("after 50s: Metadata = %v, %v, Done = %v; want 2, nil, false", md, err, op.Done())
			}
		})
		begun := time.Now()
		got, err := op.Wait(t.Context())
		want(t, got, err, "a book")
		if took := time.Since(begun); took != 80*time.Second {
			t.Errorf("took %v, want 4 calls of 20s without a pause", took)
		}
		for _, c := range f.asked("wait") {
			if c.timeout != 30*time.Second || c.left != 45*time.Second || c.name != name {
				t.Errorf("asked %+v; want a timeout of 30s, and 15s more for the answer", c)
			}
		}
		watcher.Wait()
	})
}

// bare is a connection that gives the errors of contexts as they are, as interceptors may
// that limit a call themselves.
type bare struct{ grpc.ClientConnInterface }

func (b bare) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, 25*time.Second)
	defer cancel()
	err := b.ClientConnInterface.Invoke(ctx, method, req, resp, opts...)
	if ctx.Err() != nil {
		return fmt.Errorf("invoke: %w", ctx.Err())
	}
	return err
}

// A context's own error is one, whoever returns it: of a call it is waited through, and of
// the caller it ends the wait as ever.
func TestWait_BareContextErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{wait: func(ctx context.Context, n int) (*longrunningpb.Operation, error) {
			if n == 3 {
				return succeeded(t, wrapperspb.String("a book")), nil
			}
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		}}
		conn := bare{serve(t, f).conn()}
		op := client.Resume[*wrapperspb.StringValue, *wrapperspb.Int64Value](conn, name)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := op.Wait(ctx)
		if wantCode(t, err, codes.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), name) {
			t.Errorf("error = %v, want that of the context, and the operation", err)
		}
		got, err := op.Wait(t.Context())
		want(t, got, err, "a book")
	})
}

// A server whose WaitOperation does not wait is polled.
func TestWait_ServerThatDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{wait: func(_ context.Context, n int) (*longrunningpb.Operation, error) {
			if n == 20 {
				return succeeded(t, wrapperspb.String("a book")), nil
			}
			return running(t, int64(n)), nil
		}}
		got, err := follow(t, f).Wait(t.Context())
		want(t, got, err, "a book")
		wantGrowing(t, f.pauses("wait"), 20*time.Second)
	})
}

// wantGrowing fails the test unless pauses grow by 1.6 from 250ms to limit, each
// shortened by up to a half.
func wantGrowing(t *testing.T, pauses []time.Duration, limit time.Duration) {
	t.Helper()
	full := 250 * time.Millisecond
	for i, p := range pauses {
		if p <= full/2-time.Millisecond || p > full+time.Millisecond {
			t.Errorf("pause %d = %v, want %v to %v (of %v)", i, p, full/2, full, pauses)
		}
		full = min(full*8/5, limit)
	}
}

// WAI-17: a service may have no WaitOperation. Then GetOperation is polled, at a
// growing pace.
func TestWait_Unimplemented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{get: func(_ context.Context, n int) (*longrunningpb.Operation, error) {
			if n == 20 {
				return succeeded(t, wrapperspb.String("a book")), nil
			}
			return running(t, int64(n)), nil
		}}
		got, err := follow(t, f).Wait(t.Context())
		want(t, got, err, "a book")
		if n := len(f.asked("wait")); n != 1 {
			t.Errorf("WaitOperation was called %d times, want 1", n)
		}
		if n := len(f.asked("get")); n != 20 {
			t.Fatalf("GetOperation was called %d times, want 20", n)
		}
		if wait, get := f.asked("wait")[0].at, f.asked("get")[0].at; !get.Equal(wait) {
			t.Errorf("the first poll came %v later, want at once", get.Sub(wait))
		}
		wantGrowing(t, f.pauses("get"), 20*time.Second)
	})
}

// A server that has neither is no server of operations.
func TestWait_NeitherWaitNorGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := follow(t, &fake{}).Wait(t.Context())
		wantCode(t, err, codes.Unimplemented)
	})
}

// POL-02: an answer may say when to ask again.
func TestWait_RetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name     string
		send     func(context.Context, metadata.MD) error
		value    string
		from, to time.Duration
	}{
		{"header", grpc.SetHeader, "7", 7 * time.Second, 7700 * time.Millisecond},
		{"trailer", grpc.SetTrailer, "7", 7 * time.Second, 7700 * time.Millisecond},
		{"absurdly long", grpc.SetHeader, "2000000000", 10 * time.Minute, 11 * time.Minute},
		{"zero", grpc.SetHeader, "0", 0, 250 * time.Millisecond},
		{"negative", grpc.SetHeader, "-7", 0, 250 * time.Millisecond},
		{"a date", grpc.SetHeader, "Fri, 20 Nov 2026 07:28:00 GMT", 0, 250 * time.Millisecond},
		{"past any number", grpc.SetHeader, "99999999999999999999", 0, 250 * time.Millisecond},
	} {
		t.Run(tt.name, bubble(func(t *testing.T) {
			f := &fake{get: func(ctx context.Context, n int) (*longrunningpb.Operation, error) {
				if n == 2 {
					return succeeded(t, wrapperspb.String("a book")), nil
				}
				return running(t, 1), tt.send(ctx, metadata.Pairs("retry-after", tt.value))
			}}
			got, err := follow(t, f).Wait(t.Context())
			want(t, got, err, "a book")
			if p := f.pauses("get"); len(p) != 1 || p[0] < tt.from || p[0] > tt.to {
				t.Errorf("pauses = %v, want one of %v to %v", p, tt.from, tt.to)
			}
		}))
	}
}

// What an answer suggests to those who poll does not delay those who wait.
func TestWait_RetryAfterOfAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := until(t, 3, succeeded(t, wrapperspb.String("a book")))
		f := &fake{wait: func(ctx context.Context, n int) (*longrunningpb.Operation, error) {
			if err := grpc.SetHeader(ctx, metadata.Pairs("retry-after", "60")); err != nil {
				t.Errorf("SetHeader: %v", err)
			}
			return wait(ctx, n)
		}}
		begun := time.Now()
		got, err := follow(t, f).Wait(t.Context())
		want(t, got, err, "a book")
		if took := time.Since(begun); took != 60*time.Second {
			t.Errorf("took %v, want 3 calls of 20s without a pause", took)
		}
	})
}

// POL-04: load is shed by UNAVAILABLE, which a client waits through, for as long as
// RetryInfo asks at least. So are calls that take too long.
func TestWait_Through(t *testing.T) {
	overloaded, err := status.New(codes.Unavailable, "overloaded").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(9 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		err      error
		from, to time.Duration
	}{
		{"unavailable", status.Error(codes.Unavailable, "restarting"), 124 * time.Millisecond, 250 * time.Millisecond},
		{"deadline", status.Error(codes.DeadlineExceeded, "a proxy gave up"), 124 * time.Millisecond, 250 * time.Millisecond},
		{"RetryInfo", overloaded.Err(), 9 * time.Second, 9900 * time.Millisecond},
	} {
		t.Run(tt.name, bubble(func(t *testing.T) {
			f := &fake{wait: func(_ context.Context, n int) (*longrunningpb.Operation, error) {
				if n == 1 {
					return nil, tt.err
				}
				return succeeded(t, wrapperspb.String("a book")), nil
			}}
			got, err := follow(t, f).Wait(t.Context())
			want(t, got, err, "a book")
			if p := f.pauses("wait"); len(p) != 1 || p[0] < tt.from || p[0] > tt.to {
				t.Errorf("pauses = %v, want one of %v to %v", p, tt.from, tt.to)
			}
		}))
	}
}

// An outage is asked about less and less; an answer ends it, and the next begins
// anew.
func TestWait_Outages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{get: func(_ context.Context, n int) (*longrunningpb.Operation, error) {
			switch {
			case n == 16:
				return running(t, 1), nil
			case n == 32:
				return succeeded(t, wrapperspb.String("a book")), nil
			}
			return nil, status.Error(codes.Unavailable, "restarting")
		}}
		got, err := follow(t, f).Wait(t.Context())
		want(t, got, err, "a book")
		pauses := f.pauses("get")
		if len(pauses) != 31 {
			t.Fatalf("%d pauses, want 31", len(pauses))
		}
		wantGrowing(t, pauses[:15], 20*time.Second)
		wantGrowing(t, pauses[16:], 20*time.Second)
	})
}

// A server that holds a call and never answers is given up, and asked again.
func TestWait_SilentServer(t *testing.T) {
	for method, limit := range map[string]time.Duration{"wait": 45 * time.Second, "get": 15 * time.Second} {
		t.Run(method, bubble(func(t *testing.T) {
			silent := func(ctx context.Context, n int) (*longrunningpb.Operation, error) {
				if n > 1 {
					return succeeded(t, wrapperspb.String("a book")), nil
				}
				<-ctx.Done()
				return nil, status.FromContextError(ctx.Err()).Err()
			}
			f := &fake{get: silent}
			if method == "wait" {
				f = &fake{wait: silent}
			}
			got, err := follow(t, f).Wait(t.Context())
			want(t, got, err, "a book")
			if p := f.pauses(method); len(p) != 1 || p[0] < limit || p[0] > limit+time.Second {
				t.Errorf("pauses = %v, want one of a little more than %v", p, limit)
			}
		}))
	}
}

// Errors that another call would not mend end the wait. The operation is not done
// for that.
func TestWait_OtherErrors(t *testing.T) {
	for _, code := range []codes.Code{
		codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Internal,
		codes.Unknown, codes.Aborted, codes.ResourceExhausted, codes.Canceled, codes.FailedPrecondition, codes.DataLoss,
	} {
		t.Run(code.String(), bubble(func(t *testing.T) {
			f := &fake{wait: always(nil, status.Error(code, "no"))}
			op := follow(t, f)
			_, err := op.Wait(t.Context())
			if s := status.Convert(err); s.Code() != code || s.Message() != "no" || op.Done() {
				t.Errorf("Wait = %v, Done = %v; want %v as it was sent, false", err, op.Done(), code)
			}
			if n := len(f.asked("wait")); n != 1 {
				t.Errorf("the server was asked %d times, want 1", n)
			}
		}))
	}
}

// A connection that its owner has closed does not come back.
func TestWait_ConnectionClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serve(t, &fake{wait: until(t, 100, nil)}).conn()
		op := of(conn, running(t, 1))
		time.AfterFunc(time.Minute, func() { conn.Close() })
		begun := time.Now()
		_, err := op.Wait(t.Context())
		wantCode(t, err, codes.Canceled)
		if took := time.Since(begun); took != time.Minute || t.Context().Err() != nil {
			t.Errorf("took %v, want a minute", took)
		}
	})
}

// The server is killed in the middle of a call, is away for minutes, and comes back:
// the same Wait ends well.
func TestWait_ServerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{wait: until(t, 4, succeeded(t, wrapperspb.String("a book")))}
		h := serve(t, f)
		op := of(h.conn(), running(t, 1))
		var restarts sync.WaitGroup
		restarts.Go(func() {
			time.Sleep(30 * time.Second)
			h.kill()
			time.Sleep(5 * time.Minute)
			h.begin()
		})
		begun := time.Now()
		got, err := op.Wait(t.Context())
		want(t, got, err, "a book")
		if took := time.Since(begun); took < 5*time.Minute || took > 10*time.Minute {
			t.Errorf("took %v, want the outage of 5 minutes and a little more", took)
		}
		restarts.Wait()
	})
}

// The caller's patience ends: the error says so for errors.Is and for status.Code,
// and what kept it from an answer. It is no answer about the operation.
func TestWait_ContextEnds(t *testing.T) {
	bored := errors.New("bored")
	away := func(context.Context, int) (*longrunningpb.Operation, error) {
		return nil, status.Error(codes.Unavailable, "gone fishing")
	}
	for _, tt := range []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		fake *fake
		is   []error
		code codes.Code
		text string
	}{
		{
			"deadline in a call",
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 10*time.Second)
			},
			&fake{wait: until(t, 100, nil)}, []error{context.DeadlineExceeded}, codes.DeadlineExceeded, "context deadline exceeded",
		}, {
			"deadline in a pause",
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 10*time.Second)
			},
			&fake{wait: away}, []error{context.DeadlineExceeded}, codes.DeadlineExceeded, "gone fishing",
		}, {
			"cancelled in a call",
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(10*time.Second, func() { cancel(bored) })
				return ctx, func() { cancel(nil) }
			},
			&fake{wait: until(t, 100, nil)}, []error{context.Canceled, bored}, codes.Canceled, "bored",
		}, {
			"cancelled in a poll",
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Second, cancel)
				return ctx, cancel
			},
			&fake{get: until(t, 100, nil)}, []error{context.Canceled}, codes.Canceled, "context canceled",
		},
	} {
		t.Run(tt.name, bubble(func(t *testing.T) {
			op := follow(t, tt.fake)
			ctx, cancel := tt.ctx(t.Context())
			defer cancel()
			begun := time.Now()
			_, err := op.Wait(ctx)
			for _, is := range tt.is {
				if !errors.Is(err, is) {
					t.Errorf("error = %v, want errors.Is with %v", err, is)
				}
			}
			s, ok := status.FromError(err)
			if !ok || s.Code() != tt.code {
				t.Errorf("status = %v, %v; want %v", s, ok, tt.code)
			}
			for _, text := range []string{name, tt.text} {
				if !strings.Contains(fmt.Sprint(err), text) || !strings.Contains(s.Message(), text) {
					t.Errorf("error = %q, status %q; want %q in both", err, s.Message(), text)
				}
			}
			if took := time.Since(begun); took != 10*time.Second || op.Done() {
				t.Errorf("took %v, Done = %v; want 10s, false", took, op.Done())
			}
		}))
	}
}

// An outage that is over is no reason.
func TestWait_ContextEndsAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := until(t, 100, nil)
		f := &fake{wait: func(ctx context.Context, n int) (*longrunningpb.Operation, error) {
			if n == 1 {
				return nil, status.Error(codes.Unavailable, "gone fishing")
			}
			return wait(ctx, n)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Second, cancel)
		if _, err := follow(t, f).Wait(ctx); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "fishing") {
			t.Errorf("error = %v, want context.Canceled and nothing of the outage", err)
		}
	})
}

// A context that has ended asks nobody.
func TestWait_ContextHasEnded(t *testing.T) {
	t.Parallel()
	f := &fake{wait: always(running(t, 1), nil)}
	op := follow(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := op.Wait(ctx); !errors.Is(err, context.Canceled) || len(f.asked("wait")) != 0 {
		t.Errorf("Wait = %v after %d calls, want context.Canceled after none", err, len(f.asked("wait")))
	}
}

// An operation that ended for its own deadline is told from a Wait that ended for its
// caller's.
func TestWait_DeadlineOfTheOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{wait: always(failed(status.New(codes.DeadlineExceeded, "execution deadline passed")), nil)}
		op := follow(t, f)
		_, err := op.Wait(t.Context())
		wantCode(t, err, codes.DeadlineExceeded)
		if errors.Is(err, context.DeadlineExceeded) || !op.Done() {
			t.Errorf("error = %v, Done = %v; want the operation's own, true", err, op.Done())
		}
	})
}

// What another call has learnt ends a wait that is in a pause.
func TestWait_DoneByAnotherCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{
			wait: always(nil, status.Error(codes.Unavailable, "away")),
			get:  always(succeeded(t, wrapperspb.String("a book")), nil),
		}
		op := follow(t, f)
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(time.Minute)
			if _, err := op.Poll(t.Context()); err != nil {
				t.Errorf("Poll: %v", err)
			}
		})
		begun := time.Now()
		got, err := op.Wait(t.Context())
		want(t, got, err, "a book")
		if took := time.Since(begun); took > time.Minute+20*time.Second {
			t.Errorf("took %v, want a minute and a pause at most", took)
		}
		other.Wait()
	})
}
