package httpapi_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/longrun-dev/longrun/httpapi"
)

// The deadline of a call is what its client says, in either header, the earlier one.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left time.Duration
		h := (&library{do: func(ctx context.Context, book *dynamicpb.Message) (any, error) {
			left = 0
			if deadline, ok := ctx.Deadline(); ok {
				left = time.Until(deadline)
			}
			return book, nil
		}}).serve(t, httpapi.Options{})
		for _, tt := range []struct {
			headers []string
			want    time.Duration
		}{
			{nil, 0},
			{[]string{"Grpc-Timeout: 2S"}, 2 * time.Second},
			{[]string{"Grpc-Timeout: 1500m"}, 1500 * time.Millisecond},
			{[]string{"Grpc-Timeout: 1H"}, time.Hour},
			{[]string{"Grpc-Timeout: 3M"}, 3 * time.Minute},
			{[]string{"Grpc-Timeout: 5u"}, 5 * time.Microsecond},
			{[]string{"Grpc-Timeout: 7n"}, 7},
			{[]string{"Grpc-Timeout: 99999999H"}, 0},
			{[]string{"X-Server-Timeout: 1.5"}, 1500 * time.Millisecond},
			{[]string{"X-Server-Timeout: Infinity"}, 0},
			{[]string{"X-Server-Timeout: 10", "Grpc-Timeout: 2S"}, 2 * time.Second},
		} {
			if w := ask(h, "GET /v1/books/x", "", tt.headers...); w.Code != 200 || left != tt.want {
				t.Errorf("%v = %d with %v left, want 200 with %v", tt.headers, w.Code, left, tt.want)
			}
		}
		for _, header := range []string{
			"Grpc-Timeout: 2", "Grpc-Timeout: S", "Grpc-Timeout: 123456789S", "Grpc-Timeout: -1S", "Grpc-Timeout: 1x", "Grpc-Timeout: +1S",
			"X-Server-Timeout: 1s", "X-Server-Timeout: -1", "X-Server-Timeout: NaN", "X-Server-Timeout: ",
		} {
			expect(t, header, ask(h, "GET /v1/books/x", "", header), want{400, invalid, httpapi.ReasonInvalidHeader, ""})
		}
	})
}

// GRPC-06: a deadline that passes is 504.
func TestDeadline_Passes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := (&library{do: func(ctx context.Context, _ *dynamicpb.Message) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}).serve(t, httpapi.Options{})
		expect(t, "504", ask(h, "GET /v1/books/x", "", "Grpc-Timeout: 2S"), want{504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", ""})
	})
}
