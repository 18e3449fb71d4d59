package cli

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
)

// typeTeller is a server whose reflection says what a test wants.
type typeTeller struct {
	reflectpb.UnimplementedServerReflectionServer
	answer func(*reflectpb.ServerReflectionRequest) (*reflectpb.ServerReflectionResponse, error)
}

func (f *typeTeller) ServerReflectionInfo(stream grpc.BidiStreamingServer[reflectpb.ServerReflectionRequest, reflectpb.ServerReflectionResponse]) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		r, err := f.answer(req)
		if err != nil {
			return err
		}
		if err := stream.Send(r); err != nil {
			return err
		}
	}
}

// serveTest runs a gRPC server for as long as the test, and connects to it.
func serveTest(t *testing.T, register func(*grpc.Server)) (addr string, conn *grpc.ClientConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	register(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with Stop
	}()
	t.Cleanup(func() { s.Stop(); <-done })
	conn, err = grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return l.Addr().String(), conn
}

// tells returns types that ask a server that knows these files, in text form, and
// sends each without its imports.
func tells(t *testing.T, files ...string) *types {
	t.Helper()
	byPath, bySymbol := map[string][]byte{}, map[string][]byte{}
	for _, text := range files {
		f := &descriptorpb.FileDescriptorProto{}
		if err := prototext.Unmarshal([]byte(text), f); err != nil {
			t.Fatal(err)
		}
		raw, err := proto.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		byPath[f.GetName()] = raw
		for _, m := range f.GetMessageType() {
			bySymbol[f.GetPackage()+"."+m.GetName()] = raw
		}
	}
	return asks(t, func(r *reflectpb.ServerReflectionRequest) (*reflectpb.ServerReflectionResponse, error) {
		raw := byPath[r.GetFileByFilename()]
		if raw == nil {
			raw = bySymbol[r.GetFileContainingSymbol()]
		}
		if raw == nil {
			return &reflectpb.ServerReflectionResponse{MessageResponse: &reflectpb.ServerReflectionResponse_ErrorResponse{
				ErrorResponse: &reflectpb.ErrorResponse{ErrorCode: int32(codes.NotFound)}}}, nil
		}
		return said(raw), nil
	})
}

func said(files ...[]byte) *reflectpb.ServerReflectionResponse {
	return &reflectpb.ServerReflectionResponse{MessageResponse: &reflectpb.ServerReflectionResponse_FileDescriptorResponse{
		FileDescriptorResponse: &reflectpb.FileDescriptorResponse{FileDescriptorProto: files}}}
}

func asks(t *testing.T, answer func(*reflectpb.ServerReflectionRequest) (*reflectpb.ServerReflectionResponse, error)) *types {
	t.Helper()
	_, conn := serveTest(t, func(s *grpc.Server) { reflectpb.RegisterServerReflectionServer(s, &typeTeller{answer: answer}) })
	return newTypes(conn)
}

const (
	sizeFile  = `name: "size.proto" package: "acme" syntax: "proto3" message_type { name: "Size" field { name: "width" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "width" } }`
	thingFile = `name: "thing.proto" package: "acme" syntax: "proto3" dependency: "size.proto" dependency: "google/protobuf/any.proto" message_type { name: "Thing"
		field { name: "size" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".acme.Size" json_name: "size" }
		field { name: "inner" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".google.protobuf.Any" json_name: "inner" } }`
	deepFile = `name: "deep.proto" package: "acme" syntax: "proto3" message_type { name: "Deep" field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "name" } }`
)

// thing is an acme.Thing of width 7 that holds an acme.Deep.
func thing(t *testing.T) *anypb.Any {
	t.Helper()
	deep, err := proto.Marshal(&anypb.Any{TypeUrl: typeHost + "acme.Deep", Value: []byte{10, 1, 'x'}})
	if err != nil {
		t.Fatal(err)
	}
	return &anypb.Any{TypeUrl: typeHost + "acme.Thing", Value: append([]byte{10, 2, 8, 7, 18, byte(len(deep))}, deep...)}
}

const asBytes = `{"metadata":{"@type":"type.googleapis.com/acme.Thing","value":"`

func shown(t *testing.T, ctx context.Context, ty *types) string {
	t.Helper()
	op := &longrunningpb.Operation{Metadata: thing(t)}
	ty.learn(ctx, op)
	b, err := toJSONBy(op, ty)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Errorf("%s is not JSON", b)
	}
	return compact(t, b)
}

// Types are asked for with their imports, and so are those that only show within a
// payload of a type that was asked for.
func TestLearn(t *testing.T) {
	t.Parallel()
	got := shown(t, t.Context(), tells(t, sizeFile, thingFile, deepFile))
	want := `{"metadata":{"@type":"type.googleapis.com/acme.Thing","size":{"width":7},"inner":{"@type":"type.googleapis.com/acme.Deep","name":"x"}}}`
	if got != want {
		t.Errorf("shown:\n got %s\nwant %s", got, want)
	}
}

// What the server does not say stays bytes, and is no error.
func TestLearn_Within(t *testing.T) {
	t.Parallel()
	got := shown(t, t.Context(), tells(t, sizeFile, thingFile))
	want := `{"metadata":{"@type":"type.googleapis.com/acme.Thing","size":{"width":7},"inner":{"@type":"type.googleapis.com/acme.Deep","value":"CgF4"}}}`
	if got != want {
		t.Errorf("shown:\n got %s\nwant %s", got, want)
	}
}

// Whatever a server says of its types, payloads are shown, as bytes at worst.
func TestLearn_Nonsense(t *testing.T) {
	t.Parallel()
	answers := func(raw ...[]byte) *types {
		return asks(t, func(*reflectpb.ServerReflectionRequest) (*reflectpb.ServerReflectionResponse, error) {
			return said(raw...), nil
		})
	}
	for name, ty := range map[string]*types{
		"nothing":       tells(t),
		"no import":     tells(t, thingFile),
		"in a circle":   tells(t, `name: "thing.proto" package: "acme" dependency: "b.proto" message_type { name: "Thing" }`, `name: "b.proto" dependency: "thing.proto"`),
		"itself":        tells(t, `name: "thing.proto" package: "acme" dependency: "thing.proto" message_type { name: "Thing" }`),
		"another type":  answers([]byte{10, 1, 'x'}),
		"no descriptor": answers([]byte("nonsense"), nil),
		"breaks off": asks(t, func(*reflectpb.ServerReflectionRequest) (*reflectpb.ServerReflectionResponse, error) {
			return nil, status.Error(codes.Internal, "no")
		}),
	} {
		if got := shown(t, t.Context(), ty); !strings.HasPrefix(got, asBytes) {
			t.Errorf("%s: %s, want bytes", name, got)
		}
	}
	_, conn := serveTest(t, func(*grpc.Server) {})
	mute := newTypes(conn)
	if got := shown(t, t.Context(), mute); !strings.HasPrefix(got, asBytes) || mute.deaf == nil {
		t.Errorf("without reflection: %s, deaf = %v; want bytes, an error", got, mute.deaf)
	}
}

// ProtoJSON relies on what these types look like, so nobody may redefine them.
func TestLearn_WellKnownTypesStand(t *testing.T) {
	t.Parallel()
	ty := tells(t, `name: "mine.proto" package: "google.protobuf" syntax: "proto3" message_type { name: "Surprise" }`)
	op := &longrunningpb.Operation{Metadata: &anypb.Any{TypeUrl: typeHost + "google.protobuf.Surprise", Value: []byte{1}}}
	ty.learn(t.Context(), op)
	if _, err := ty.FindMessageByName("google.protobuf.Surprise"); err == nil {
		t.Error("google.protobuf.Surprise is known, want it left out")
	}
}

// A server that does not answer costs no more than the limit.
func TestLearn_Bounded(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	ty := asks(t, func(*reflectpb.ServerReflectionRequest) (*reflectpb.ServerReflectionResponse, error) {
		<-gone
		return nil, status.Error(codes.Internal, "no")
	})
	t.Cleanup(func() { close(gone) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := shown(t, ctx, ty); !strings.HasPrefix(got, asBytes) {
		t.Errorf("shown: %s, want bytes", got)
	}
}

// Nothing is asked twice, and nothing that is linked in.
func TestLearn_AsksOnce(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	ty := asks(t, func(r *reflectpb.ServerReflectionRequest) (*reflectpb.ServerReflectionResponse, error) {
		asked <- r.GetFileContainingSymbol()
		return said(), nil
	})
	shown(t, t.Context(), ty)
	shown(t, t.Context(), ty)
	ty.learnName(t.Context(), typeHost+"acme.Thing")
	ty.learnName(t.Context(), typeHost+"google.rpc.Status")
	ty.learnName(t.Context(), "not a name")
	if n := len(asked); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// Whatever bytes a server calls a descriptor, payloads are shown.
func FuzzLearn(f *testing.F) {
	f.Add([]byte{10, 1, 'x'}, []byte{8, 7})
	f.Add([]byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, raw, value []byte) {
		ty := newTypes(nil)
		file := &descriptorpb.FileDescriptorProto{}
		if proto.Unmarshal(raw, file) != nil {
			return
		}
		ty.told[file.GetName()], ty.deaf = file, io.EOF
		ty.link(nil, file.GetName())
		op := &longrunningpb.Operation{Metadata: &anypb.Any{TypeUrl: typeHost + "acme.Thing", Value: value}}
		if b, err := toJSONBy(op, ty); err != nil || !json.Valid(b) {
			t.Errorf("toJSON = %s, %v", b, err)
		}
	})
}
