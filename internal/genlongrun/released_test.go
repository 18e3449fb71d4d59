package genlongrun

import (
	"strings"
	"testing"
)

// INF-06: what a released method ends in stays. How a type is written does not
// matter, nor do methods that are new or gone.
func TestAgainst(t *testing.T) {
	t.Parallel()
	const at = "acme.proto:12:5: acme.v1.S.Do: "
	for _, tt := range []struct{ name, was, is, want string }{
		{"same", annotated("Resp", "ReqMetadata"), annotated("Resp", "ReqMetadata"), ""},
		{"written-otherwise", annotated("Resp", "ReqMetadata.Nested"), annotated(".acme.v1.Resp", "acme.v1.ReqMetadata.Nested"), ""},
		{"written-otherwise-back", annotated("acme.v1.Resp", "acme.v1.ReqMetadata.Nested"), annotated("Resp", "ReqMetadata.Nested"), ""},
		{"of-another-package", annotated("acme.shared.Resp", "ReqMetadata"), annotated("acme.shared.Resp", "ReqMetadata"), ""},
		{"response", annotated("Resp", "ReqMetadata"), annotated("Req", "ReqMetadata"),
			at + "response_type was acme.v1.Resp in v1.binpb and is acme.v1.Req: clients that are out there cannot read it (INF-06)"},
		{"metadata", annotated("Resp", "ReqMetadata"), annotated("Resp", "google.protobuf.Struct"),
			at + "metadata_type was acme.v1.ReqMetadata in v1.binpb and is google.protobuf.Struct: clients that are out there cannot read it (INF-06)"},
		{"same-name-elsewhere", annotated("Resp", "ReqMetadata"), annotated("acme.shared.Resp", "ReqMetadata"),
			at + "response_type was acme.v1.Resp in v1.binpb and is acme.shared.Resp: clients that are out there cannot read it (INF-06)"},
		{"new-method", "service S {}", annotated("Resp", "ReqMetadata"), ""},
		{"half-annotated-then", annotated("", "ReqMetadata"), annotated("Resp", "ReqMetadata"), ""},
		{"not-annotated-then", "service S { rpc Do(Req) returns (google.longrunning.Operation); }", annotated("Resp", "ReqMetadata"), ""},
		{"gone", strings.ReplaceAll(annotated("Resp", "ReqMetadata"), "Do(", "Did("), annotated("Resp", "ReqMetadata"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			released := shape(shapeHeader+tt.was).set(t, "acme.proto")
			resp, _ := Generate(shape(shapeHeader+tt.is).request(t, "against=v1.binpb", "acme.proto"), func(file string) ([]byte, error) {
				if file != "v1.binpb" {
					t.Errorf("read %q", file)
				}
				return released, nil
			})
			if got := resp.GetError(); got != tt.want {
				t.Errorf("error =\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A set without what its files import says what its names mean all the same.
func TestAgainst_WithoutImports(t *testing.T) {
	t.Parallel()
	full := shape(shapeHeader+annotated("google.protobuf.Struct", "acme.shared.Shared")).request(t, "", "acme.proto")
	for i, f := range full.ProtoFile {
		if f.GetName() == "acme.proto" {
			full.ProtoFile = full.ProtoFile[i : i+1]
			break
		}
	}
	want := promise{"google.protobuf.Struct", "acme.shared.Shared"}
	if got := promises(full.ProtoFile)["acme.v1.S.Do"]; got != want {
		t.Errorf("promise = %v, want %v", got, want)
	}
}

func TestAgainst_NoDescriptors(t *testing.T) {
	t.Parallel()
	req := shape(shapeHeader+annotated("Resp", "ReqMetadata")).request(t, "against=v1.binpb", "acme.proto")
	for body, want := range map[string]string{
		"":            "option against: v1.binpb has no descriptors",
		"syntax = ..": "option against: v1.binpb is no google.protobuf.FileDescriptorSet: ",
	} {
		resp, _ := Generate(req, func(string) ([]byte, error) { return []byte(body), nil })
		if got := strings.ReplaceAll(resp.GetError(), "\u00a0", " "); !strings.HasPrefix(got, want) {
			t.Errorf("error = %q, want %q", got, want)
		}
	}
}
