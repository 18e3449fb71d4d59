package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/google/uuid"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun/longrunpb"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestLook(t *testing.T) {
	t.Parallel()
	md := &longrunpb.OperationMetadata{
		Method: "command", State: longrunpb.OperationMetadata_RUNNING, CreateTime: timestamppb.New(noon), Attempt: 2,
		StatusMessage: "half\x1bway", Progress: &longrunpb.Progress{CompletedUnits: 1, TotalUnits: 2}, RequestedCancellation: true,
	}
	running := &longrunningpb.Operation{Name: "operations/x", Metadata: pack(t, md)}
	foreign := &longrunningpb.Operation{Name: "operations/y", Metadata: &anypb.Any{TypeUrl: "acme/T"}}
	cancelled := &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Code: 1, Message: "stopped"}}}
	failed := &longrunningpb.Operation{Done: true, Result: &longrunningpb.Operation_Error{Error: &statuspb.Status{Code: 2}}}
	for _, tt := range []struct {
		name                     string
		op                       *longrunningpb.Operation
		state, progress, message string
	}{
		{"running", running, "RUNNING", "50%", "half?way"},
		{"metadata of its own", foreign, "-", "", ""},
		{"cancelled", cancelled, "CANCELLED", "", "stopped"},
		{"failed", failed, "FAILED", "", ""},
		{"succeeded", &longrunningpb.Operation{Done: true}, "SUCCEEDED", "", ""},
	} {
		v := look(tt.op)
		if v.state != tt.state || v.progress() != tt.progress || v.message != tt.message {
			t.Errorf("%s: %q %q %q, want %q %q %q", tt.name, v.state, v.progress(), v.message, tt.state, tt.progress, tt.message)
		}
	}
	if v := look(running); !v.created.Equal(noon) || v.attempt != 2 || !v.cancelling || v.method != "command" {
		t.Errorf("look = %+v", v)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		done, total int64
		want        string
	}{{0, 0, ""}, {7, 0, "7"}, {0, 3, "0%"}, {1, 3, "33%"}, {3, 3, "100%"}, {9, 3, "100%"}} {
		if got := (view{done: tt.done, total: tt.total}).progress(); got != tt.want {
			t.Errorf("progress of %d/%d = %q, want %q", tt.done, tt.total, got, tt.want)
		}
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0s"}, {59 * time.Second, "59s"}, {time.Minute, "1m"}, {59 * time.Minute, "59m"},
		{time.Hour, "1h"}, {47 * time.Hour, "47h"}, {48 * time.Hour, "2d"},
	} {
		if got := ago(noon, noon.Add(tt.d)); got != tt.want {
			t.Errorf("ago %v = %q, want %q", tt.d, got, tt.want)
		}
	}
	if got := ago(time.Time{}, noon); got != "-" {
		t.Errorf("ago of no time = %q, want -", got)
	}
}

func TestTook(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{1234567, "1ms"}, {1234 * time.Millisecond, "1.23s"}, {12345 * time.Millisecond, "12s"},
		{3725 * time.Second, "1h2m0s"},
	} {
		if got := took(tt.d); got != tt.want {
			t.Errorf("took(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestPrintOperation(t *testing.T) {
	t.Parallel()
	op := &longrunningpb.Operation{
		Name: "operations/x", Done: true,
		Metadata: pack(t, &longrunpb.OperationMetadata{Method: "command", State: longrunpb.OperationMetadata_SUCCEEDED,
			Labels: map[string]string{"team": "blue", "env": "test", "k": ""}}),
		Result: &longrunningpb.Operation_Response{Response: pack(t, &longrunpb.CommandResponse{})},
	}
	for _, tt := range []struct{ form, want string }{
		{asName, "operations/x\n"},
		{asTable, "name:      operations/x\nmethod:    command\nlabels:    env=test, k=, team=blue\nstate:     SUCCEEDED\nresponse:  longrun.v1.CommandResponse\n"},
	} {
		var b bytes.Buffer
		if err := (&app{out: &b}).printOperation(t.Context(), &client{types: newTypes(nil)}, tt.form, op); err != nil || b.String() != tt.want {
			t.Errorf("-o %s: %q, %v; want %q", tt.form, b.String(), err, tt.want)
		}
	}
}

func TestPrintList(t *testing.T) {
	t.Parallel()
	ops := []*longrunningpb.Operation{
		{Name: "projects/long/name/operations/x", Metadata: pack(t, &longrunpb.OperationMetadata{
			Method: "m", State: longrunpb.OperationMetadata_RUNNING, CreateTime: timestamppb.New(noon), RequestedCancellation: true})},
		{Name: "operations/\x1by", Metadata: &anypb.Any{TypeUrl: "acme/T"}},
	}
	var b bytes.Buffer
	if err := (&app{out: &b}).printList(asTable, ops, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	want := `NAME                             STATE                 AGE  PROGRESS  METHOD
projects/long/name/operations/x  RUNNING (cancelling)  1m   -         m
operations/?y                    -                     -    -         -
`
	if b.String() != want {
		t.Errorf("list:\n%s\nwant:\n%s", b.String(), want)
	}
}

// An output that is full or closed is an error, and so an exit status.
func TestPrint_OutputGone(t *testing.T) {
	t.Parallel()
	a := &app{out: brokenWriter{}}
	for _, form := range []string{asTable, asJSON, asName} {
		if err := a.printOperation(t.Context(), &client{types: newTypes(nil)}, form, &longrunningpb.Operation{Name: "operations/x"}); !errors.Is(err, errBroken) {
			t.Errorf("-o %s: %v, want %v", form, err, errBroken)
		}
	}
	if err := a.printList(asTable, nil, noon); !errors.Is(err, errBroken) {
		t.Errorf("list: %v, want %v", err, errBroken)
	}
}

var errBroken = errors.New("no space left on device")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestTail(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, tailBytes - 1, tailBytes, tailBytes + 1, 3 * tailBytes} {
		all := strings.Repeat("0123456789abcde\n", 1+n/16)[:n]
		var tl tail
		var passed bytes.Buffer
		o := &output{w: &passed, tail: &tl}
		for chunk := all; chunk != ""; {
			k := min(len(chunk), 1000)
			if m, err := o.Write([]byte(chunk[:k])); m != k || err != nil {
				t.Fatalf("Write = %d, %v", m, err)
			}
			chunk = chunk[k:]
		}
		if got, want := string(tl.bytes()), all[max(0, n-tailBytes):]; got != want {
			t.Errorf("tail of %d bytes has %d, want the last %d", n, len(got), len(want))
		}
		if passed.String() != all {
			t.Errorf("of %d bytes %d were passed on", n, passed.Len())
		}
	}
	if _, err := (&output{w: brokenWriter{}, tail: &tail{}}).Write([]byte("x")); !errors.Is(err, errBroken) {
		t.Errorf("Write = %v, want %v: the command gets SIGPIPE", err, errBroken)
	}
}

// Operations with metadata of their own have an age too.
func TestLook_CreatedByName(t *testing.T) {
	t.Parallel()
	before := time.Now().Add(-time.Second)
	id := uuid.Must(uuid.NewV7())
	v := look(&longrunningpb.Operation{Name: "shelves/s/operations/" + id.String()})
	if v.created.Before(before) || v.created.After(time.Now().Add(time.Second)) {
		t.Errorf("created = %v, want now", v.created)
	}
	for _, name := range []string{"", "operations/7", "operations/" + uuid.NewString()} {
		if v := look(&longrunningpb.Operation{Name: name}); !v.created.IsZero() {
			t.Errorf("created = %v of %q, want that nobody knows", v.created, name)
		}
	}
}
