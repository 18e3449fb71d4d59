package cli

import (
	"net/url"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

// QRY-01: fields as parameters: scalars, enums, bytes, messages with a text form, lists,
// and what is inside messages.
func TestWeb_Parameters(t *testing.T) {
	t.Parallel()
	w := newWeb("http://x")
	for _, tt := range []struct {
		m    proto.Message
		want string
	}{
		{&longrunningpb.ListOperationsRequest{Filter: "a b", PageSize: 3, ReturnPartialSuccess: true}, "filter=a+b&pageSize=3&returnPartialSuccess=true"},
		{&longrunningpb.WaitOperationRequest{Timeout: durationpb.New(time.Second)}, "timeout=1s"},
		{&longrunpb.OperationMetadata{State: longrunpb.OperationMetadata_RUNNING, Attempt: 5, CreateTime: timestamppb.New(time.Unix(0, 0)),
			Progress: &longrunpb.Progress{Phase: "p", CompletedUnits: 9007199254740993}},
			"attempt=5&createTime=1970-01-01T00%3A00%3A00Z&progress.completedUnits=9007199254740993&progress.phase=p&state=RUNNING"},
		{&longrunpb.OperationMetadata{State: 99}, "state=99"},
		{&longrunpb.CommandRequest{Arguments: []string{"a", "b"}}, "arguments=a&arguments=b"},
		{&longrunpb.CommandResponse{OutputTail: []byte("\xff\xfe")}, "outputTail=%2F%2F4%3D"},
	} {
		query := url.Values{}
		if err := w.parameters(query, "", tt.m.ProtoReflect()); err != nil || query.Encode() != tt.want {
			t.Errorf("parameters of %v = %s, %v; want %s", tt.m, query.Encode(), err, tt.want)
		}
	}
	for _, m := range []proto.Message{
		&longrunpb.OperationMetadata{Labels: map[string]string{"a": "b"}},
		&longrunningpb.Operation{Metadata: &anypb.Any{TypeUrl: "x/y"}},
	} {
		if err := w.parameters(url.Values{}, "", m.ProtoReflect()); status.Code(err) != codes.Unimplemented {
			t.Errorf("parameters of %v: %v, want UNIMPLEMENTED", m, err)
		}
	}
}

func TestMessageText(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]proto.Message{
		"1.500s": durationpb.New(1500 * time.Millisecond), "a,bC": &fieldmaskpb.FieldMask{Paths: []string{"a", "b_c"}}, "7": wrapperspb.Int64(7), "true": wrapperspb.Bool(true), "x": wrapperspb.String("x"),
	} {
		if got, ok := messageText(m.ProtoReflect()); !ok || got != want {
			t.Errorf("messageText(%v) = %q, %v; want %q", m, got, ok, want)
		}
	}
	for _, m := range []proto.Message{&longrunpb.Progress{}, &anypb.Any{}} {
		if got, ok := messageText(m.ProtoReflect()); ok {
			t.Errorf("messageText(%v) = %q, want none", m, got)
		}
	}
}

// Rules with a field as the body, or as the reply, and any HTTP method.
func TestWeb_Fill(t *testing.T) {
	t.Parallel()
	w := newWeb("http://x")
	m := &longrunningpb.Operation{Name: "operations/x", Done: true, Metadata: &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Empty"}}
	req, err := w.fill(server.HTTPRoute{HTTPMethod: "*", Body: "metadata", ResponseBody: "response"}, "/v1/x", proto.Clone(m).ProtoReflect())
	if err != nil || req.method != "POST" || req.target != "/v1/x?done=true&name=operations%2Fx" || !sameJSON(t, string(req.body), `{"@type": "type.googleapis.com/google.protobuf.Empty"}`) {
		t.Errorf("fill = %+v, %v", req, err)
	}
	op := new(longrunningpb.Operation)
	if err := w.read(req, &webReply{status: 200, body: []byte(`{"@type": "type.googleapis.com/google.protobuf.Empty"}`)}, op); err != nil || op.GetResponse() == nil {
		t.Errorf("read = %v, %v; want the response alone", op, err)
	}
	m.Metadata = nil
	if req, err = w.fill(server.HTTPRoute{HTTPMethod: "PUT", Body: "metadata"}, "/v1/x", m.ProtoReflect()); err != nil || string(req.body) != "{}" || req.method != "PUT" {
		t.Errorf("fill without the field = %+v, %v", req, err)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, value string
		want           bool
	}{
		{"*", "a", true}, {"*", "", false}, {"*", "a/b", false}, {"**", "", true}, {"**", "a/b/c", true},
		{"operations", "operations", true}, {"operations", "x", false}, {"operations/**", "operations", true}, {"operations/**", "operations/a/b", true},
		{"**/operations/*", "operations/x", true}, {"**/operations/*", "a/b/operations/x", true}, {"**/operations/*", "a/operations", false}, {"**/operations/*", "x", false},
		{"a/*/b", "a/x/b", true}, {"a/*/b", "a/x/c", false}, {"**", "a//b", false}, {"**", "a/./b", false}, {"*", "a\x00", false},
	} {
		if got := matches(tt.pattern, tt.value); got != tt.want {
			t.Errorf("matches(%q, %q) = %v, want %v", tt.pattern, tt.value, got, tt.want)
		}
	}
}
