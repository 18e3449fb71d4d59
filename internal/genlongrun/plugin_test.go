package genlongrun

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// runPlugin is the process: a request by its standard input.
func runPlugin(t *testing.T, req *pluginpb.CodeGeneratorRequest) (status int, resp *pluginpb.CodeGeneratorResponse, log string) {
	t.Helper()
	in, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status = Run(nil, bytes.NewReader(in), &out, &errs)
	resp = &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out.Bytes(), resp); err != nil {
		t.Fatal(err)
	}
	return status, resp, errs.String()
}

func TestRun_Generates(t *testing.T) {
	t.Parallel()
	req := shape(shapeHeader+annotated("Resp", "google.protobuf.Empty")).request(t, "", "acme.proto")
	status, resp, log := runPlugin(t, req)
	if status != 0 || resp.Error != nil || len(resp.File) != 1 {
		t.Errorf("status %d, %q, %d files; want 0 and a file", status, resp.GetError(), len(resp.File))
	}
	if want := "acme.proto:12:5: warning: acme.v1.S.Do: metadata_type is google.protobuf.Empty"; !strings.HasPrefix(log, want) {
		t.Errorf("log = %q, want %q...", log, want)
	}
}

// A refusal is an answer, in the response, with all that the plugin supports: else
// protoc would blame that.
func TestRun_Refuses(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]*pluginpb.CodeGeneratorRequest{
		"proto":  shape(shapeHeader+annotated("Nope", "ReqMetadata")).request(t, "", "acme.proto"),
		"option": shape(shapeHeader+annotated("Resp", "ReqMetadata")).request(t, "nope", "acme.proto"),
		"file":   {FileToGenerate: []string{"none.proto"}},
	} {
		status, resp, log := runPlugin(t, req)
		if status != 0 || resp.GetError() == "" || len(resp.File) > 0 || log != "" {
			t.Errorf("%s: status %d, %q, %d files, log %q; want 0 and an error alone", name, status, resp.GetError(), len(resp.File), log)
		}
		want := pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL | pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS
		if got := resp.GetSupportedFeatures(); got != uint64(want) || resp.GetMinimumEdition() == 0 || resp.GetMaximumEdition() == 0 {
			t.Errorf("%s: features %d, editions %d to %d", name, got, resp.GetMinimumEdition(), resp.GetMaximumEdition())
		}
	}
}

func TestRun_Process(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for _, tt := range []struct {
		name   string
		args   []string
		in     io.Reader
		status int
		out    string
		log    string
	}{
		{name: "version", args: []string{"--version"}, out: "protoc-gen-go-longrun " + Version + "\n"},
		{name: "argument", args: []string{"acme.proto"}, status: 1, log: `protoc-gen-go-longrun: unknown argument "acme.proto": protoc or buf run this program, see docs/plugin.md` + "\n"},
		{name: "no request", in: strings.NewReader("\xff"), status: 1, log: "protoc-gen-go-longrun: read the request: "},
		{name: "no input", in: failing{broken}, status: 1, log: "protoc-gen-go-longrun: broken pipe\n"},
	} {
		var out, log bytes.Buffer
		if got := Run(tt.args, tt.in, &out, &log); got != tt.status || out.String() != tt.out || !strings.HasPrefix(log.String(), tt.log) {
			t.Errorf("%s: status %d, out %q, log %q; want %d, %q, %q", tt.name, got, out.String(), log.String(), tt.status, tt.out, tt.log)
		}
	}
	var log bytes.Buffer
	if got := Run([]string{"--version"}, nil, failing{broken}, &log); got != 1 {
		t.Errorf("status = %d after a failed write, want 1", got)
	}
}

// failing neither reads nor writes.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestReadDescriptors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "v1.binpb")
	if err := os.WriteFile(file, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if body, err := readDescriptors(file); err != nil || string(body) != "abc" {
		t.Errorf("read %q, %v; want abc", body, err)
	}
	if _, err := readDescriptors(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read of none = %v", err)
	}
	if _, err := readDescriptors(dir); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("read of a folder = %v", err)
	}
	for _, tt := range []struct {
		size int64
		want string
	}{{maxDescriptors, ""}, {maxDescriptors + 1, "is larger than 64 MiB"}} {
		if err := os.Truncate(file, tt.size); err != nil {
			t.Fatal(err)
		}
		if _, err := readDescriptors(file); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("read of %d bytes = %v, want %q", tt.size, err, tt.want)
		}
	}
}

// Files of proto2 and of an edition are served like those of proto3.
func TestGenerate_Syntaxes(t *testing.T) {
	t.Parallel()
	text := shapeHeader + "message In { PARENT } message DoMetadata {}\nservice S {\n" + strings.Replace(lro("Do"), "(Req)", "(In)", 1) + "}"
	for syntax, field := range map[string]string{
		`syntax = "proto3";`: "string parent = 1; optional bool validate_only = 2;", `edition = "2023";`: "string parent = 1; bool validate_only = 2;",
		`syntax = "proto2";`: "optional string parent = 1; required bool validate_only = 2;",
	} {
		text := strings.NewReplacer(`syntax = "proto3";`, syntax, "PARENT", field).Replace(text)
		if strings.Contains(syntax, "proto2") {
			text = strings.Replace(text, "message Req { string", "message Req { optional string", 1)
		}
		resp, _ := Generate(shape(text).request(t, "", "acme.proto"), noFile)
		code := resp.GetFile()
		if resp.Error != nil || len(code) != 1 || !strings.Contains(code[0].GetContent(), "UnderParent(req.GetParent())") || !strings.Contains(code[0].GetContent(), "ValidateOnly: req.GetValidateOnly()") {
			t.Errorf("%s: %q, %d files", syntax, resp.GetError(), len(code))
		}
	}
}

// A comment of the .proto file stays a comment, and one alone.
func TestGenerate_Comments(t *testing.T) {
	t.Parallel()
	req := shape(shapeHeader+"service S {\n  //go:build never\n  //\n  //\tcode := 1\n  // second  \r\n"+lro("Do")+"}").request(t, "", "acme.proto")
	for _, f := range req.ProtoFile {
		for _, l := range f.GetSourceCodeInfo().GetLocation() {
			if l.LeadingComments != nil {
				l.LeadingComments = proto.String(l.GetLeadingComments() + " \ufeffone\rtwo\x00three\n\n")
			}
		}
	}
	resp, _ := Generate(req, noFile)
	if resp.Error != nil {
		t.Fatal(resp.GetError())
	}
	want := "\t// Do does the work of Do.\n\t//\n\t// go:build never\n\t//\n\t//\tcode := 1\n\t//\n\t// second\n\t// ?one?two?three\n\tDo func("
	if code := resp.File[0].GetContent(); !strings.Contains(code, want) {
		t.Errorf("the code lacks\n%s\n%s", want, code)
	}
}

// The header names the compiler as it names itself.
func TestGenerate_CompilerVersion(t *testing.T) {
	t.Parallel()
	req := shape(shapeHeader+annotated("Resp", "ReqMetadata")).request(t, "", "acme.proto")
	for want, version := range map[string]*pluginpb.Version{
		"v5.29.3":       {Major: proto.Int32(5), Minor: proto.Int32(29), Patch: proto.Int32(3)},
		"v3.21.12-rc1?": {Major: proto.Int32(3), Minor: proto.Int32(21), Patch: proto.Int32(12), Suffix: proto.String("rc1\n")},
		"(unknown)":     nil,
	} {
		req.CompilerVersion = version
		resp, _ := Generate(req, noFile)
		if got := lineWith(resp.GetFile()[0].GetContent(), "\n// - protoc                "); got != want {
			t.Errorf("header = %q, want %q", got, want)
		}
	}
}

// What protoc would never send is an error, not a crash.
func TestGenerate_Malformed(t *testing.T) {
	t.Parallel()
	name, pkg := proto.String("a.proto"), proto.String("example.com/a")
	options := &descriptorpb.FileOptions{GoPackage: pkg}
	for what, req := range map[string]*pluginpb.CodeGeneratorRequest{
		"unknown import": {FileToGenerate: []string{"a.proto"}, ProtoFile: []*descriptorpb.FileDescriptorProto{{Name: name, Options: options, Dependency: []string{"b.proto"}}}},
		"no go_package":  {FileToGenerate: []string{"a.proto"}, ProtoFile: []*descriptorpb.FileDescriptorProto{{Name: name}}},
		"bad name":       {FileToGenerate: []string{"a.proto"}, ProtoFile: []*descriptorpb.FileDescriptorProto{{Name: name, Options: options, MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("a b")}}}}},
		"twice":          {FileToGenerate: []string{"a.proto"}, ProtoFile: []*descriptorpb.FileDescriptorProto{{Name: name, Options: options, MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("A")}, {Name: proto.String("A")}}}}},
	} {
		resp, _ := Generate(req, noFile)
		if resp.GetError() == "" || len(resp.File) > 0 {
			t.Errorf("%s: %v, want an error", what, resp)
		}
	}
	if resp, _ := Generate(&pluginpb.CodeGeneratorRequest{}, noFile); resp.Error != nil || len(resp.File) > 0 {
		t.Errorf("nothing asked: %v, want nothing", resp)
	}
}
