package librarypb_test

import (
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
)

var file = pb.File_longrun_examples_library_v1_library_proto

// methods are those of the service.
func methods() (all []protoreflect.MethodDescriptor) {
	list := file.Services().Get(0).Methods()
	for i := range list.Len() {
		all = append(all, list.Get(i))
	}
	return all
}

// info is a method's operation_info, nil if it has none.
func info(m protoreflect.MethodDescriptor) *longrunningpb.OperationInfo {
	if !proto.HasExtension(m.Options(), longrunningpb.E_OperationInfo) {
		return nil
	}
	return proto.GetExtension(m.Options(), longrunningpb.E_OperationInfo).(*longrunningpb.OperationInfo)
}

// isLong reports whether a method returns an operation.
func isLong(m protoreflect.MethodDescriptor) bool {
	return m.Output().FullName() == "google.longrunning.Operation"
}

// INF-01, INF-02: methods that return an operation, and no others, say what it ends with.
// INF-07: their metadata is the shared one, or is named after the method. STA-01, STA-04,
// BAT-01: what may take long is one of them, and none of the rest.
func TestAPI_OperationInfo(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"CreateShelf":      "Shelf longrun.v1.OperationMetadata",
		"DeleteShelf":      "google.protobuf.Empty longrun.v1.OperationMetadata",
		"ImportBooks":      "ImportBooksResponse ImportBooksMetadata",
		"BatchCreateBooks": "BatchCreateBooksResponse BatchBooksOperationMetadata",
		"BatchDeleteBooks": "google.protobuf.Empty BatchBooksOperationMetadata",
	}
	for _, m := range methods() {
		i := info(m)
		if isLong(m) != (i != nil) {
			t.Errorf("INF-01: %s returns %s, and its operation_info is %v", m.Name(), m.Output().FullName(), i)
		}
		got := ""
		if i != nil {
			got = i.GetResponseType() + " " + i.GetMetadataType()
		}
		if got != want[string(m.Name())] {
			t.Errorf("INF-02: operation_info of %s = %q, want %q", m.Name(), got, want[string(m.Name())])
		}
	}
}

// INF-03, INF-04: the types are of the file, or of one that it imports, and then their
// names are full. INF-05: Empty is the response of what deletes, and nobody's metadata.
// STA-02: that of what creates is the resource.
func TestAPI_Types(t *testing.T) {
	t.Parallel()
	for _, m := range methods() {
		i := info(m)
		if i == nil {
			continue
		}
		for _, name := range []string{i.GetResponseType(), i.GetMetadataType()} {
			if !known(name) {
				t.Errorf("INF-04: %s of %s is neither of the file nor of one that it imports", name, m.Name())
			}
		}
		deletes := strings.Contains(string(m.Name()), "Delete")
		if isEmpty := i.GetResponseType() == "google.protobuf.Empty"; isEmpty != deletes {
			t.Errorf("INF-05: response of %s = %s", m.Name(), i.GetResponseType())
		}
		if i.GetMetadataType() == "google.protobuf.Empty" {
			t.Errorf("INF-05: metadata of %s is Empty", m.Name())
		}
		if what, ok := strings.CutPrefix(string(m.Name()), "Create"); ok && i.GetResponseType() != what {
			t.Errorf("STA-02: response of %s = %s, want %s", m.Name(), i.GetResponseType(), what)
		}
	}
}

// known reports whether a message can be named so in the file.
func known(name string) bool {
	if !strings.Contains(name, ".") {
		return file.Messages().ByName(protoreflect.Name(name)) != nil
	}
	full := protoreflect.FullName(name)
	for i := range file.Imports().Len() {
		imported := file.Imports().Get(i)
		if imported.Package() == full.Parent() && imported.Messages().ByName(full.Name()) != nil {
			return true
		}
	}
	return false
}

// OP-22: no method streams. STA-05: none is called Async. BAT-06: a batch is a POST with
// its name, and nothing that gets a batch takes long.
func TestAPI_Methods(t *testing.T) {
	t.Parallel()
	for _, m := range methods() {
		name := string(m.Name())
		if m.IsStreamingClient() || m.IsStreamingServer() {
			t.Errorf("OP-22: %s streams", name)
		}
		if strings.HasSuffix(name, "Async") {
			t.Errorf("STA-05: %s", name)
		}
		if strings.HasPrefix(name, "BatchGet") && isLong(m) {
			t.Errorf("BAT-06: %s returns an operation", name)
		}
		rule := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		for verb, want := range map[string]string{"BatchCreateBooks": "/v1/{parent=shelves/*}/books:batchCreate", "BatchDeleteBooks": "/v1/{parent=shelves/*}/books:batchDelete"} {
			if name == verb && rule.GetPost() != want {
				t.Errorf("BAT-06: %s is %v, want POST %s", name, rule, want)
			}
		}
	}
}

// IDM-01, VAL-01: whatever starts an operation takes a request id, which is a UUID4, and
// can be asked to check only. BAT-02, BAT-05: batches have the fields for partial success.
func TestAPI_Fields(t *testing.T) {
	t.Parallel()
	for _, m := range methods() {
		if !isLong(m) {
			continue
		}
		id, only := m.Input().Fields().ByName("request_id"), m.Input().Fields().ByName("validate_only")
		if id == nil || proto.GetExtension(id.Options(), annotations.E_FieldInfo).(*annotations.FieldInfo).GetFormat() != annotations.FieldInfo_UUID4 {
			t.Errorf("IDM-01: %s has no request_id that is a UUID4", m.Input().Name())
		}
		if only == nil || only.Kind() != protoreflect.BoolKind {
			t.Errorf("VAL-01: %s has no validate_only", m.Input().Name())
		}
	}
	failed := (&pb.BatchBooksOperationMetadata{}).ProtoReflect().Descriptor().Fields().ByName("failed_requests")
	if failed == nil || !failed.IsMap() || failed.MapKey().Kind() != protoreflect.Int32Kind || failed.MapValue().Message().FullName() != "google.rpc.Status" {
		t.Errorf("BAT-02: failed_requests = %v, want map<int32, google.rpc.Status>", failed)
	}
	if f := (&pb.BatchCreateBooksRequest{}).ProtoReflect().Descriptor().Fields().ByName("return_partial_success"); f == nil || f.Kind() != protoreflect.BoolKind {
		t.Errorf("BAT-05: return_partial_success = %v, want a bool", f)
	}
}

// OP-25, OP-27: metadata has the fields that most APIs share, with their numbers, and a
// state has a zero that means nothing.
func TestAPI_Metadata(t *testing.T) {
	t.Parallel()
	shared := []protoreflect.Name{"create_time", "end_time", "target", "verb", "status_message", "requested_cancellation", "api_version"}
	for _, m := range []proto.Message{&pb.ImportBooksMetadata{}, &pb.BatchBooksOperationMetadata{}} {
		var got []protoreflect.Name
		for i := range shared {
			if f := m.ProtoReflect().Descriptor().Fields().ByNumber(protoreflect.FieldNumber(i + 1)); f != nil {
				got = append(got, f.Name())
			}
		}
		if !slices.Equal(got, shared) {
			t.Errorf("OP-25: fields of %T = %v, want %v", m, got, shared)
		}
	}
	if got := pb.Shelf_State(0).String(); got != "STATE_UNSPECIFIED" {
		t.Errorf("OP-27: zero state = %s, want STATE_UNSPECIFIED", got)
	}
}

// AIP-203: every field of a request, and of what is in one, says how it behaves.
func TestAPI_FieldBehavior(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.FullName]bool{}
	var check func(protoreflect.MessageDescriptor)
	check = func(md protoreflect.MessageDescriptor) {
		if seen[md.FullName()] || md.ParentFile() != protoreflect.FileDescriptor(file) {
			return
		}
		seen[md.FullName()] = true
		for i := range md.Fields().Len() {
			f := md.Fields().Get(i)
			if behavior := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior); len(behavior) == 0 {
				t.Errorf("%s has no field_behavior", f.FullName())
			}
			if f.Message() != nil {
				check(f.Message())
			}
		}
	}
	for _, m := range methods() {
		check(m.Input())
	}
	if len(seen) < len(methods()) {
		t.Errorf("%d messages were looked at, want those of %d methods at least", len(seen), len(methods()))
	}
}
