package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// books is a server of so many operations, which never fills a page beyond most.
type books struct {
	longrunningpb.OperationsClient
	n, most int
	sizes   []int32 // of the pages that were asked for
}

func (b *books) ListOperations(_ context.Context, r *longrunningpb.ListOperationsRequest, _ ...grpc.CallOption) (*longrunningpb.ListOperationsResponse, error) {
	b.sizes = append(b.sizes, r.GetPageSize())
	from := 0
	if r.GetPageToken() != "" {
		var err error
		if from, err = strconv.Atoi(r.GetPageToken()); err != nil {
			return nil, err
		}
	}
	to := min(from+b.most, b.n)
	if r.GetPageSize() > 0 {
		to = min(to, from+int(r.GetPageSize()))
	}
	page := &longrunningpb.ListOperationsResponse{}
	for i := from; i < to; i++ {
		page.Operations = append(page.Operations, &longrunningpb.Operation{Name: fmt.Sprintf("operations/%d", i)})
	}
	if to < b.n {
		page.NextPageToken = strconv.Itoa(to)
	}
	return page, nil
}

// PAG-04: pages may be short, and what counts is the token; --limit is exact.
func TestLister(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n, most, limit, pageSize int
		want                     int
		more                     bool
		sizes                    []int32
	}{
		{n: 0, most: 10, limit: 100, want: 0, sizes: []int32{100}},
		{n: 5, most: 10, limit: 100, want: 5, sizes: []int32{100}},
		{n: 5, most: 2, limit: 100, want: 5, sizes: []int32{100, 98, 96}},
		{n: 5, most: 2, limit: 3, want: 3, more: true, sizes: []int32{3, 1}},
		{n: 5, most: 2, limit: 5, want: 5, sizes: []int32{5, 3, 1}},
		{n: 5, most: 10, limit: 0, want: 5, sizes: []int32{0}},
		{n: 5, most: 10, limit: 0, pageSize: 2, want: 5, sizes: []int32{2, 2, 2}},
		{n: 5, most: 10, limit: 3, pageSize: 2, want: 3, more: true, sizes: []int32{2, 1}},
		{n: 3000, most: 3000, limit: 2500, want: 2500, more: true, sizes: []int32{1000, 1000, 500}},
	} {
		b := &books{n: tt.n, most: tt.most}
		l := lister{c: &client{ops: b}, parent: "-", limit: tt.limit, pageSize: tt.pageSize}
		ops, next, err := l.fetch(t.Context())
		if err != nil || len(ops) != tt.want || (next != "") != tt.more || !slices.Equal(b.sizes, tt.sizes) {
			t.Errorf("%+v: %d operations, token %q, pages of %v, %v", tt, len(ops), next, b.sizes, err)
		}
		for i, op := range ops {
			if want := fmt.Sprintf("operations/%d", i); op.GetName() != want {
				t.Fatalf("%+v: operation %d is %s, want %s", tt, i, op.GetName(), want)
			}
		}
	}
}

// patient is a server whose one operation ends at the last of its answers.
type patient struct {
	longrunningpb.OperationsClient
	answers []error // of WaitOperation; nil is a running operation, and then the end
}

func (p *patient) GetOperation(context.Context, *longrunningpb.GetOperationRequest, ...grpc.CallOption) (*longrunningpb.Operation, error) {
	return &longrunningpb.Operation{Name: "operations/x"}, nil
}

func (p *patient) WaitOperation(context.Context, *longrunningpb.WaitOperationRequest, ...grpc.CallOption) (*longrunningpb.Operation, error) {
	if len(p.answers) == 0 {
		return &longrunningpb.Operation{Name: "operations/x", Done: true, Result: &longrunningpb.Operation_Response{}}, nil
	}
	err := p.answers[0]
	p.answers = p.answers[1:]
	return &longrunningpb.Operation{Name: "operations/x"}, err
}

// A wait rides through a restart, says so once, and ends with what does not pass.
func TestWaiter(t *testing.T) {
	t.Parallel()
	away, gone := status.Error(codes.Unavailable, "restarting"), status.Error(codes.NotFound, "deleted")
	for _, tt := range []struct {
		name    string
		answers []error
		done    bool
		code    codes.Code
		said    int
	}{
		{"runs and ends", []error{nil, nil}, true, codes.OK, 0},
		{"restart", []error{nil, away, away, nil}, true, codes.OK, 2},
		{"deleted", []error{nil, gone}, false, codes.NotFound, 0},
	} {
		s := &silent{}
		w := &waiter{c: &client{ops: &patient{answers: tt.answers}}, name: "operations/x", pace: time.Second, show: s}
		op, err := w.wait(t.Context())
		if op.GetDone() != tt.done || status.Code(err) != tt.code || len(s.said) != tt.said {
			t.Errorf("%s: done %v, %v, said %d; want %v, %v, %d", tt.name, op.GetDone(), err, len(s.said), tt.done, tt.code, tt.said)
		}
	}
	// When the time is over, the latest state is the answer.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := &waiter{c: &client{ops: &patient{answers: []error{away}}}, name: "operations/x", pace: time.Second, show: &silent{}}
	if op, err := w.wait(ctx); op.GetDone() || err != nil {
		t.Errorf("wait past its time = %v, %v; want the latest state", op, err)
	}
}

// eraser is a server that knows one operation.
type eraser struct{ longrunningpb.OperationsClient }

func (eraser) DeleteOperation(_ context.Context, r *longrunningpb.DeleteOperationRequest, _ ...grpc.CallOption) (*emptypb.Empty, error) {
	if r.GetName() != "operations/x" {
		return nil, status.Error(codes.NotFound, "not found")
	}
	return &emptypb.Empty{}, nil
}

// A command with several names goes on after one that fails, and says each.
func TestNamed_GoesOn(t *testing.T) {
	t.Parallel()
	var out, talk bytes.Buffer
	a := &app{out: &out, err: &talk, env: func(string) string { return "" }}
	c := &client{addr: "127.0.0.1:9151", ops: eraser{}}
	cmd := a.named(&cobra.Command{Use: "delete"}, func(ctx context.Context, _ *client, form, name string) error {
		err := c.call(ctx, func(ctx context.Context) error {
			_, err := c.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: name})
			return err
		})
		if err == nil {
			fmt.Fprintln(&out, name)
		}
		return err
	})
	if err := cmd.ParseFlags(nil); err != nil {
		t.Fatal(err)
	}
	cmd.SetContext(t.Context())
	err := cmd.RunE(cmd, []string{"operations/a", "operations/x", "operations/b"})
	if got := report(&talk, err); got != exitFailure {
		t.Errorf("exit status = %d, want %d", got, exitFailure)
	}
	if out.String() != "operations/x\n" {
		t.Errorf("deleted %q, want operations/x", out.String())
	}
	if got := strings.Count(talk.String(), "not found"); got != 2 {
		t.Errorf("said %q, want two that were not found", talk.String())
	}
}
