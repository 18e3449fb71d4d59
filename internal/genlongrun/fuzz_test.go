package genlongrun

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// FuzzPlugin: whatever the request and its options, there is an answer: files, or
// an error and none. Google's files are added to what is asked for, so that inputs
// are small.
func FuzzPlugin(f *testing.F) {
	google := map[string]*descriptorpb.FileDescriptorProto{}
	for _, text := range []string{
		annotated("Resp", "ReqMetadata"), annotated("google.protobuf.Any", "."), annotated("a..b", "Color"),
		"service S {\n" + lro("Do") + lro("BeginDo") + "}", "service S { rpc Do(Req) returns (google.longrunning.Operation); }",
	} {
		req := shape(shapeHeader+text).request(f, "", "acme.proto")
		req.ProtoFile = slices.DeleteFunc(req.ProtoFile, func(f *descriptorpb.FileDescriptorProto) bool {
			f.SourceCodeInfo = nil
			linked := strings.HasPrefix(f.GetName(), "google/")
			if linked {
				google[f.GetName()] = f
			}
			return linked
		})
		for _, parameter := range []string{"", "package=a.b/c;d,paths=source_relative", "against=x", "module=,M=,=", "Macme.proto=x/y;z"} {
			body, err := proto.Marshal(req)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body, parameter, body[len(body)-100:])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, parameter string, released []byte) {
		req := &pluginpb.CodeGeneratorRequest{}
		if proto.Unmarshal(body, req) != nil {
			t.Skip()
		}
		added := map[string]bool{}
		for i := 0; i < len(req.ProtoFile); i++ {
			for _, name := range req.ProtoFile[i].GetDependency() {
				if linked := google[name]; linked != nil && !added[name] {
					added[name] = true
					req.ProtoFile = append(req.ProtoFile, linked)
				}
			}
		}
		if utf8.ValidString(parameter) {
			req.Parameter = proto.String(parameter)
		}
		read := func(string) ([]byte, error) {
			if len(released) == 0 {
				return nil, errors.New("none")
			}
			return released, nil
		}
		resp, warnings := Generate(req, read)
		if resp.Error != nil && (resp.GetError() == "" || len(resp.File) > 0) {
			t.Errorf("error %q with %d files", resp.GetError(), len(resp.File))
		}
		for _, w := range warnings {
			if strings.ContainsAny(w, "\n\r") {
				t.Errorf("a warning of two lines: %q", w)
			}
		}
		if _, err := proto.Marshal(resp); err != nil {
			t.Errorf("the answer cannot be sent: %v", err)
		}
	})
}
