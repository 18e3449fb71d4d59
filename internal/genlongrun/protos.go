package genlongrun

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "cloud.google.com/go/longrunning/autogen/longrunningpb"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// GoogleProtos returns Google's .proto files that annotated APIs import, as the Go
// packages linked in carry them: google/api, google/longrunning, google/rpc and
// google/protobuf, each after those it imports. With protoc's --descriptor_set_in,
// what is compiled against is then what is linked, and no copy of googleapis is
// needed.
func GoogleProtos() *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	var linked []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(fd.Path(), "google/") {
			linked = append(linked, fd)
		}
		return true
	})
	slices.SortFunc(linked, func(a, b protoreflect.FileDescriptor) int { return cmp.Compare(a.Path(), b.Path()) })
	seen := map[string]bool{}
	var add func(fd protoreflect.FileDescriptor)
	add = func(fd protoreflect.FileDescriptor) {
		if seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		for i := range fd.Imports().Len() {
			add(fd.Imports().Get(i))
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(fd))
	}
	for _, fd := range linked {
		add(fd)
	}
	return set
}

func writeGoogleProtos(file string) error {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(GoogleProtos())
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o644)
}
