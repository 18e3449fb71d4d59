package genlongrun

import (
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// Version is the version of the plugin, as generated files name it. It changes
// when what is generated does.
const Version = "1.0.0"

// features are what the plugin promises to protoc and buf: it knows optional
// fields of proto3, and editions as far as protoc-gen-go does.
const (
	features       = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL | pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)
	minimumEdition = int32(descriptorpb.Edition_EDITION_PROTO2)
	maximumEdition = int32(descriptorpb.Edition_EDITION_2024)
)

// Run is the plugin as a process: it reads a CodeGeneratorRequest from in, writes
// the CodeGeneratorResponse to out and warnings to log, and returns the exit
// status. args are those of the command line without its name; those that are
// known are --version, and --google-protos FILE, which writes [GoogleProtos].
//
// A proto that is refused is exit status 0 and an error in the response, which
// protoc and buf show and fail by; 1 means that there was no request to answer.
func Run(args []string, in io.Reader, out, log io.Writer) int {
	if err := run(args, in, out, log); err != nil {
		fmt.Fprintln(log, "protoc-gen-go-longrun:", err)
		return 1
	}
	return 0
}

func run(args []string, in io.Reader, out, log io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "--version":
		_, err := fmt.Fprintln(out, "protoc-gen-go-longrun", Version)
		return err
	case len(args) == 2 && args[0] == "--google-protos":
		return writeGoogleProtos(args[1])
	case len(args) > 0:
		return fmt.Errorf("unknown argument %q: protoc or buf run this program, see docs/plugin.md", args[0])
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	req := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(body, req); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	resp, warnings := Generate(req, readDescriptors)
	for _, w := range warnings {
		fmt.Fprintln(log, w)
	}
	if body, err = proto.Marshal(resp); err != nil {
		return err
	}
	_, err = out.Write(body)
	return err
}

// Generate answers a request: with the generated files, or, where anything is
// wrong with it, with an error that has a line for each problem and with no file.
// Warnings are lines for people, and refuse nothing.
//
// read returns a file's content; it is called for the option against alone.
// Generate keeps no state and may be called by several goroutines.
func Generate(req *pluginpb.CodeGeneratorRequest, read func(file string) ([]byte, error)) (*pluginpb.CodeGeneratorResponse, []string) {
	resp, warnings, err := generate(req, read)
	if err != nil {
		resp = &pluginpb.CodeGeneratorResponse{Error: proto.String(err.Error())}
	}
	if resp.Error != nil {
		resp.File = nil
		// An error is text for people, and must be UTF-8 to be sent at all.
		resp.Error = proto.String(strings.ToValidUTF8(resp.GetError(), "?"))
	}
	resp.SupportedFeatures = proto.Uint64(features)
	resp.MinimumEdition, resp.MaximumEdition = proto.Int32(minimumEdition), proto.Int32(maximumEdition)
	return resp, warnings
}

func generate(req *pluginpb.CodeGeneratorRequest, read func(string) ([]byte, error)) (*pluginpb.CodeGeneratorResponse, []string, error) {
	o, err := parseOptions(req.GetParameter())
	if err != nil {
		return nil, nil, err
	}
	// What protogen does not know was parsed above.
	rest := protogen.Options{ParamFunc: func(string, string) error { return nil }, ImportRewriteFunc: importPath}
	plugin, err := rest.New(req)
	if err != nil {
		return nil, nil, err
	}
	c := newChecker(plugin, o)
	if err := c.compareWith(o.against, read); err != nil {
		return nil, nil, err
	}
	files := c.check()
	if err := c.problems.err(); err != nil {
		return nil, c.problems.warnings(), err
	}
	for _, f := range files {
		emit(plugin, f)
	}
	return plugin.Response(), c.problems.warnings(), nil
}

// maxDescriptors is the size of the largest file that the option against reads.
const maxDescriptors = 64 << 20

func readDescriptors(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", file)
	case info.Size() > maxDescriptors:
		return nil, fmt.Errorf("%s is larger than %d MiB", file, maxDescriptors>>20)
	}
	return os.ReadFile(file)
}
