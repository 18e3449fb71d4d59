package genlongrun

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	_ "google.golang.org/genproto/googleapis/api/annotations"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "goroutines leaked:\n\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of the goroutines that run our code after the tests,
// given a moment to end.
func leaked() (stacks string) {
	for range 6000 {
		buf := make([]byte, 1<<20)
		stacks = ""
		for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(s, "longrun-dev/longrun") && !strings.Contains(s, "TestMain") {
				stacks += s + "\n\n"
			}
		}
		if stacks == "" {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return stacks
}

// protos are .proto files by their names.
type protos map[string]string

// request is what protoc would hand to the plugin to generate files.
func (p protos) request(t testing.TB, parameter string, files ...string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	return p.compile(t, protocompile.SourceInfoStandard, parameter, files)
}

func (p protos) compile(t testing.TB, info protocompile.SourceInfoMode, parameter string, files []string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(p)},
			protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
				linked, err := protoregistry.GlobalFiles.FindFileByPath(path)
				return protocompile.SearchResult{Desc: linked}, err
			}),
		}),
		SourceInfoMode: info,
	}
	compiled, err := compiler.Compile(context.Background(), files...)
	if err != nil {
		t.Fatal(err)
	}
	req := &pluginpb.CodeGeneratorRequest{FileToGenerate: files, CompilerVersion: &pluginpb.Version{Major: proto.Int32(3), Minor: proto.Int32(21), Patch: proto.Int32(12)}}
	if parameter != "" {
		req.Parameter = proto.String(parameter)
	}
	seen := map[string]bool{}
	for _, f := range compiled {
		addFile(req, seen, f)
	}
	// Over the wire, as protoc does it: options are then of linked types.
	body, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	req = &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(body, req); err != nil {
		t.Fatal(err)
	}
	return req
}

// addFile adds f after what it imports.
func addFile(req *pluginpb.CodeGeneratorRequest, seen map[string]bool, f protoreflect.FileDescriptor) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		addFile(req, seen, imports.Get(i).FileDescriptor)
	}
	req.ProtoFile = append(req.ProtoFile, protodesc.ToFileDescriptorProto(f))
}

// set is a descriptor set of the files and all that they import.
func (p protos) set(t testing.TB, files ...string) []byte {
	t.Helper()
	body, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: p.request(t, "", files...).ProtoFile})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// noFile is for requests that read none.
func noFile(file string) ([]byte, error) { return nil, fmt.Errorf("open %s: no such file", file) }
