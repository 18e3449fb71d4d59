package workerpython

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

var update = flag.Bool("update", false, "write longrun.binpb anew")

// longrun.binpb is what the Python worker knows of the protos: the descriptors of
// the Dispatcher and all that it imports, each after what it imports itself.
func TestDescriptors_AreCurrent(t *testing.T) {
	t.Parallel()
	set, seen := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	var add func(f protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(longrunpb.File_longrun_v1_dispatcher_proto)
	add(errdetails.File_google_rpc_error_details_proto)
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("longrun.binpb", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("longrun.binpb")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("longrun.binpb is not of these protos: go -C examples test ./worker-python -run Descriptors -update")
	}
}
