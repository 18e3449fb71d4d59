package server

import (
	"fmt"
	"strings"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/longrun-dev/longrun"
)

// Promised returns what the descriptor sets promise of a method by its operation_info:
// nothing where the method, the annotation or a type of it is not in the sets.
func (t *Types) Promised(method string) longrun.Promise { return t.promises[method] }

// promise notes the operation_info of a file's methods.
func (t *Types) promise(file protoreflect.FileDescriptor) {
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		for j := range service.Methods().Len() {
			m := service.Methods().Get(j)
			info, ok := proto.GetExtension(m.Options(), longrunningpb.E_OperationInfo).(*longrunningpb.OperationInfo)
			if !ok || info == nil {
				continue
			}
			t.promises[fmt.Sprintf("/%s/%s", service.FullName(), m.Name())] = longrun.Promise{
				Response: t.promisedName(file, info.GetResponseType()),
				Metadata: t.promisedName(file, info.GetMetadataType()),
			}
		}
	}
}

// promisedName resolves a type of an operation_info as protoc-gen-go-longrun does
// (INF-03): a name without a dot is of the file's package; one with dots is a full one,
// perhaps behind a dot, and where there is none, nested in a message of the package. It
// is "" where there is no such message.
func (t *Types) promisedName(file protoreflect.FileDescriptor, name string) protoreflect.FullName {
	full := strings.TrimPrefix(name, ".")
	own := name
	if file.Package() != "" {
		own = string(file.Package()) + "." + name
	}
	switch {
	case strings.Contains(name, ".") && t.hasMessage(full):
		return protoreflect.FullName(full)
	case t.hasMessage(own):
		return protoreflect.FullName(own)
	}
	return ""
}

func (t *Types) hasMessage(name string) bool {
	_, err := t.FindMessageByName(protoreflect.FullName(name))
	return err == nil && protoreflect.FullName(name).IsValid()
}
