package grpcapi_test

import (
	"context"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
)

// withMask returns a context whose calls have these response masks.
func withMask(ctx context.Context, masks ...string) context.Context {
	for _, m := range masks {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-goog-fieldmask", m)
	}
	return ctx
}

func (s *system) getMasked(t *testing.T, name string, masks ...string) *longrunningpb.Operation {
	t.Helper()
	op, err := s.ops.GetOperation(withMask(t.Context(), masks...), &longrunningpb.GetOperationRequest{Name: name})
	if err != nil {
		t.Fatalf("Get with the mask %q: %v", masks, err)
	}
	return op
}

// SYS-06, GRPC-03: the metadata x-goog-fieldmask is a response mask. Absent or "*"
// is everything. GET-09: so the full message is returned without one.
func TestMask_Get(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	f := s.fixtures(t, parent)
	full := s.get(t, f.E)
	for _, tt := range []struct {
		masks []string
		want  *longrunningpb.Operation
	}{
		{[]string{"*"}, full},
		{[]string{""}, full},
		{[]string{"name"}, &longrunningpb.Operation{Name: f.E}},
		{[]string{"name,done"}, &longrunningpb.Operation{Name: f.E, Done: true}},
		{[]string{"name", "done"}, &longrunningpb.Operation{Name: f.E, Done: true}},
		{[]string{"error"}, &longrunningpb.Operation{Result: full.GetResult()}},
		{[]string{"response"}, &longrunningpb.Operation{}},
	} {
		if got := s.getMasked(t, f.E, tt.masks...); !proto.Equal(got, tt.want) {
			t.Errorf("Get with the mask %q = %v, want %v", tt.masks, got, tt.want)
		}
	}
}

// SYS-07: the mask is relative to the reply, and written with dots, slashes or
// parentheses. SYS-08: repeated fields may be on the way.
func TestMask_List(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fixtures(t, parent)
	names := s.list(t, parent)
	for _, text := range []string{"operations.name", "operations/name", "operations(name)", "operations.*.name"} {
		page, err := s.ops.ListOperations(withMask(t.Context(), text), &longrunningpb.ListOperationsRequest{Name: parent, PageSize: 3})
		if err != nil {
			t.Fatalf("List with the mask %q: %v", text, err)
		}
		want := &longrunningpb.ListOperationsResponse{}
		for _, name := range names[:3] {
			want.Operations = append(want.Operations, &longrunningpb.Operation{Name: name})
		}
		if !proto.Equal(page, want) {
			t.Errorf("List with the mask %q = %v, want %v", text, page, want)
		}
	}
	for _, text := range []string{"nextPageToken", "next_page_token"} {
		page, err := s.ops.ListOperations(withMask(t.Context(), text), &longrunningpb.ListOperationsRequest{Name: parent, PageSize: 3})
		if err != nil || page.GetNextPageToken() == "" || len(page.GetOperations()) != 0 {
			t.Errorf("List with the mask %q = %v, %v, want a token alone", text, page, err)
		}
	}
}

// SYS-06: Wait honours it as Get does, and still says when to ask again.
func TestMask_Wait(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	name := s.run(t, parent).name
	op, err := s.ops.WaitOperation(withMask(t.Context(), "name"), &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(0)})
	if want := (&longrunningpb.Operation{Name: name}); err != nil || !proto.Equal(op, want) {
		t.Errorf("Wait = %v, %v, want %v", op, err, want)
	}
}

// SYS-12: masks reach inside Any, whose type is kept.
func TestMask_Any(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	r.report(t, &longrunpb.OperationMetadata{StatusMessage: "halfway", Progress: &longrunpb.Progress{CompletedUnits: 1, TotalUnits: 2}})
	for text, want := range map[string]*longrunpb.OperationMetadata{
		"metadata.statusMessage":                          {StatusMessage: "halfway"},
		"metadata.status_message":                         {StatusMessage: "halfway"},
		"metadata(progress.totalUnits,progress/phase)":    {Progress: &longrunpb.Progress{TotalUnits: 2}},
		"metadata.@type":                                  {},
		"metadata(status_message,nothing,progress.phase)": {StatusMessage: "halfway", Progress: &longrunpb.Progress{}},
	} {
		got := s.getMasked(t, r.name, text)
		if m := metadataOf(t, got); !proto.Equal(m, want) || got.GetName() != "" {
			t.Errorf("metadata with the mask %q = %v, want %v", text, m, want)
		}
	}
}

// JSN-11, SYS-12: a payload that cannot be opened is whole and fails no list.
func TestMask_AnyOfUnknownType(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	strange := &anypb.Any{TypeUrl: "type.googleapis.com/nobody.Knows", Value: []byte{1, 2, 3}}
	s.run(t, parent).finish(t, longrun.Result{Response: strange})
	s.run(t, parent).finish(t, longrun.Result{Response: pack(t, durationpb.New(0))})
	page, err := s.ops.ListOperations(withMask(t.Context(), "operations.response.anything"), &longrunningpb.ListOperationsRequest{Name: parent})
	if err != nil || len(page.GetOperations()) != 2 {
		t.Fatalf("List = %v, %v, want two operations", page, err)
	}
	if got := page.GetOperations()[1].GetResponse(); !proto.Equal(got, strange) {
		t.Errorf("response = %v, want %v", got, strange)
	}
}

// Options.Types has types of payloads that are not linked into the program.
func TestMask_Types(t *testing.T) {
	t.Parallel()
	book := bookType(t)
	types := &protoregistry.Types{}
	if err := types.RegisterMessage(book); err != nil {
		t.Fatal(err)
	}
	payload := func(title, author string) *anypb.Any {
		m := book.New()
		for i, v := range []string{title, author} {
			if v != "" {
				m.Set(book.Descriptor().Fields().Get(i), protoreflect.ValueOfString(v))
			}
		}
		return pack(t, m.Interface())
	}
	whole := payload("Emma", "Austen")
	for known, want := range map[bool]*anypb.Any{true: payload("Emma", ""), false: whole} {
		set := settings{}
		if known {
			set.grpc.Types = types
		}
		s := newSystemWith(t, set)
		r := s.run(t, parent)
		r.finish(t, longrun.Result{Response: whole})
		if got := s.getMasked(t, r.name, "response.title").GetResponse(); !proto.Equal(got, want) {
			t.Errorf("response, with its type known = %v: %v, want %v", known, got, want)
		}
	}
}

// bookType returns a type that is not linked in, with the fields title and author.
func bookType(t *testing.T) protoreflect.MessageType {
	t.Helper()
	text := func(name string, number int32) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, JsonName: &name, Number: &number,
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("book.proto"), Package: proto.String("library"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Book"), Field: []*descriptorpb.FieldDescriptorProto{text("title", 1), text("author", 2)}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessageType(file.Messages().ByName("Book"))
}

// expectBadMask checks the error of a mask that is refused. ERR-06: the segment that
// the message shows is in the metadata. ERR-08: the field at fault.
func expectBadMask(t *testing.T, err error, segment string) {
	t.Helper()
	st := status.Convert(err)
	info := errorInfoOf(st)
	if st.Code() != codes.InvalidArgument || info.GetReason() != "INVALID_FIELD_MASK" || info.GetDomain() != domain {
		t.Errorf("error = %v with %v, want INVALID_ARGUMENT and INVALID_FIELD_MASK", err, info)
	}
	if got := info.GetMetadata()["segment"]; got != segment {
		t.Errorf("segment = %q, want %q", got, segment)
	}
	if quoted := strings.Split(st.Message(), `"`); len(quoted) > 1 && quoted[1] != segment {
		t.Errorf("message = %q, want what it quotes in the metadata %q", st.Message(), info.GetMetadata())
	}
	for _, d := range st.Details() {
		if b, ok := d.(*errdetails.BadRequest); ok {
			if v := b.GetFieldViolations(); len(v) == 1 && v[0].GetField() == "x-goog-fieldmask" && v[0].GetReason() == "INVALID_FIELD_MASK" {
				return
			}
		}
	}
	t.Errorf("details = %v, want a BadRequest for x-goog-fieldmask", st.Details())
}

// SYS-09: an index into a repeated field is INVALID_ARGUMENT, inside Any too.
// SYS-10: so is a path that leads nowhere, and a mask that makes no sense.
func TestMask_Refused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.run(t, parent)
	r.report(t, &longrunpb.OperationMetadata{StatusMessage: "x"})
	for text, segment := range map[string]string{
		"operations.name": "operations", "name,nmae": "nmae", "name.x": "x",
		"error.details.0": "0", "metadata.warnings.0": "0", "response.0.x": "0",
		"name,": "", "a(b": "", "a b": "", strings.Repeat("a", 8193): "",
	} {
		_, err := s.ops.GetOperation(withMask(t.Context(), text), &longrunningpb.GetOperationRequest{Name: r.name})
		expectBadMask(t, err, segment)
		_, err = s.wait(withMask(t.Context(), text), r.name, 0)
		expectBadMask(t, err, segment)
	}
	for text, segment := range map[string]string{
		"name": "name", "operations.0.name": "0", "operations.nmae": "nmae", "operations.metadata.warnings.7": "7", ",": "",
	} {
		_, err := s.ops.ListOperations(withMask(t.Context(), text), &longrunningpb.ListOperationsRequest{Name: parent})
		expectBadMask(t, err, segment)
	}
}

// SYS-11: errors are whole.
func TestMask_ErrorsAreWhole(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	missing := parent + "/operations/" + longrun.NewID().String()
	_, err := s.ops.GetOperation(withMask(t.Context(), "name"), &longrunningpb.GetOperationRequest{Name: missing})
	expectNamed(t, err, notFound, missing)
	_, err = s.ops.ListOperations(withMask(t.Context(), "operations.name"), &longrunningpb.ListOperationsRequest{Name: parent, PageToken: "forged"})
	expect(t, err, badToken)
}

// SYS-06: Cancel and Delete have an empty reply, which takes any mask that can be read.
// One that cannot is refused before anything is done.
func TestMask_EmptyReply(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	name := s.run(t, parent).name
	bad, good := withMask(t.Context(), "name,"), withMask(t.Context(), "name,done")

	_, err := s.ops.CancelOperation(bad, &longrunningpb.CancelOperationRequest{Name: name})
	expectBadMask(t, err, "")
	_, err = s.ops.DeleteOperation(bad, &longrunningpb.DeleteOperationRequest{Name: name})
	expectBadMask(t, err, "")
	if op := s.get(t, name); metadataOf(t, op).GetRequestedCancellation() {
		t.Errorf("Get = %v, want it untouched", op)
	}
	if _, err := s.ops.CancelOperation(good, &longrunningpb.CancelOperationRequest{Name: name}); err != nil {
		t.Errorf("Cancel: %v", err)
	}
	if _, err := s.ops.DeleteOperation(good, &longrunningpb.DeleteOperationRequest{Name: name}); err != nil {
		t.Errorf("Delete: %v", err)
	}
	expectNamed(t, s.getError(t, name), notFound, name)
}

// AUT-02: who may is asked before the mask is judged, and AUT-03: with the same answer
// as without one. The order of checks: a bad mask is said before what is not there.
func TestMask_AccessFirst(t *testing.T) {
	t.Parallel()
	s := newSystemWith(t, settings{Options: longrun.Options{Authorize: deny("bob")}, server: callersByMetadata()})
	name := s.start(t, parent)
	for verb, call := range map[string]func(context.Context, string) error{
		"get": func(ctx context.Context, name string) error {
			_, err := s.ops.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
			return err
		},
		"wait": func(ctx context.Context, name string) error { _, err := s.wait(ctx, name, 0); return err },
		"cancel": func(ctx context.Context, name string) error {
			_, err := s.ops.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: name})
			return err
		},
		"delete": func(ctx context.Context, name string) error {
			_, err := s.ops.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: name})
			return err
		},
	} {
		refused := call(withMask(as(t, "bob"), ","), name)
		expectNamed(t, refused, denied, name)
		if a, b := shape(t, refused, name), shape(t, call(as(t, "bob"), name), name); a != b {
			t.Errorf("%s: refusal with a bad mask = %q, without %q", verb, a, b)
		}
		expectBadMask(t, call(withMask(as(t, "alice"), ","), parent+"/operations/"+longrun.NewID().String()), "")
	}
	_, err := s.ops.ListOperations(withMask(as(t, "bob"), ","), &longrunningpb.ListOperationsRequest{Name: parent})
	expect(t, err, denied)
}
