package genlongrun

import (
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
)

// shapeHeader begins acme.proto in TestShapes: what a case says begins at line 10.
const shapeHeader = `syntax = "proto3";
package acme.v1;
import "google/longrunning/operations.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/struct.proto";
import "shared.proto";
option go_package = "example.com/acmepb";
message Req { string parent = 1; }
message Resp {} message ReqMetadata { message Nested {} map<string, string> labels = 1; } enum Color { RED = 0; }
`

// shapeImports are what acme.proto imports, and what that imports.
var shapeImports = protos{
	"shared.proto": `syntax = "proto3"; package acme.shared; import public "public.proto"; import "private.proto";
option go_package = "example.com/sharedpb"; message Shared { Private p = 1; message Deep {} } message Resp {}`,
	"public.proto":  `syntax = "proto3"; package acme.public; option go_package = "example.com/publicpb"; message Public {}`,
	"private.proto": `syntax = "proto3"; package acme.shared; option go_package = "example.com/sharedpb"; message Private {}`,
	"sibling.proto": `syntax = "proto3"; package acme.v1; option go_package = "example.com/acmepb"; message Sibling {}`,
	"nested.proto":  `syntax = "proto3"; package ReqMetadata; option go_package = "example.com/nestedpb"; message Nested {}`,
}

// annotated is a service with one method of these types.
func annotated(response, metadata string) string {
	return `service S {
  rpc Do(Req) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = {
      response_type: "` + response + `"
      metadata_type: "` + metadata + `"
    };
  }
}`
}

// Every shape that the annotation can have, by section 13 of docs/spec.md: what
// comes of it is the longrun.Method, or the refusal, word for word.
func TestShapes(t *testing.T) {
	t.Parallel()
	const do = "acme.proto:11:3: acme.v1.S.Do: "     // the rpc
	const option = "acme.proto:12:5: acme.v1.S.Do: " // its annotation
	for _, tt := range []struct{ name, text, want string }{
		// INF-01: what returns Operation has the annotation, and nothing else has it.
		{"plain", annotated("Resp", "ReqMetadata"), "[*Req, *Resp, *ReqMetadata]"},
		{"unannotated", `service S {
  rpc Do(Req) returns (google.longrunning.Operation);
}`, do + "returns google.longrunning.Operation without option (google.longrunning.operation_info), which says what the operation ends in (INF-01)"},
		{"returns-another", `service S {
  rpc Do(Req) returns (Resp) {
    option (google.longrunning.operation_info) = { response_type: "Resp" metadata_type: "ReqMetadata" };
  }
}`, option + "has operation_info and returns acme.v1.Resp: only what returns google.longrunning.Operation has it (INF-01)"},
		{"no-long-running", `service S { rpc Do(Req) returns (Resp); rpc Watch(Req) returns (stream Resp); }`, ""},
		{"mixin", `service S { rpc GetOperation(google.longrunning.GetOperationRequest) returns (google.longrunning.Operation);
rpc WaitOperation(google.longrunning.WaitOperationRequest) returns (google.longrunning.Operation); }`, ""},
		{"field-by-field", `service S {
  rpc Do(Req) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info).response_type = "Resp";
    option (google.longrunning.operation_info).metadata_type = "ReqMetadata";
  }
}`, "[*Req, *Resp, *ReqMetadata]"},

		// INF-02: both types are set.
		{"no-response", annotated("", "ReqMetadata"), option + "operation_info has no response_type (INF-02)"},
		{"no-metadata", annotated("Resp", ""), option + "operation_info has no metadata_type (INF-02)"},
		{"neither", annotated("", ""), option + "operation_info has no response_type and no metadata_type (INF-02)"},
		{"empty-annotation", `service S {
  rpc Do(Req) returns (google.longrunning.Operation) {
    option (google.longrunning.operation_info) = {};
  }
}`, option + "operation_info has no response_type and no metadata_type (INF-02)"},

		// INF-03: a name without a package is one of the same package, all others are complete.
		{"complete", annotated("acme.v1.Resp", "acme.v1.ReqMetadata"), "[*Req, *Resp, *ReqMetadata]"},
		{"leading-dot", annotated(".acme.v1.Resp", ".acme.v1.ReqMetadata"), "[*Req, *Resp, *ReqMetadata]"},
		{"nested", annotated("Resp", "ReqMetadata.Nested"), "[*Req, *Resp, *ReqMetadata_Nested]"},
		{"nested-complete", annotated("Resp", "acme.v1.ReqMetadata.Nested"), "[*Req, *Resp, *ReqMetadata_Nested]"},
		{"same-name-elsewhere", annotated("acme.shared.Resp", "ReqMetadata"), "[*Req, *sharedpb.Resp, *ReqMetadata]"},
		{"nested-or-complete", `import "nested.proto";
` + annotated("Resp", "ReqMetadata.Nested"), "[*Req, *Resp, *nestedpb.Nested]"},
		{"unknown", annotated("Respone", "ReqMetadata"), option + `response_type: there is no message "Respone" in package acme.v1 (INF-03)`},
		{"unknown-nested", annotated("Resp", "ReqMetadata.Other"), option + `metadata_type: no file that acme.proto imports has a message "ReqMetadata.Other" (INF-04)`},
		{"without-its-package", annotated("Empty", "ReqMetadata"),
			option + `response_type: there is no message "Empty": a name of another package is written in full, "google.protobuf.Empty" (INF-03)`},
		{"half-its-package", annotated("shared.Shared", "ReqMetadata"),
			option + `response_type: there is no message "shared.Shared": a name of another package is written in full, "acme.shared.Shared" (INF-03)`},
		{"dot-before-short-name", annotated(".Resp", "ReqMetadata"),
			option + `response_type: there is no message ".Resp": a name of another package is written in full, "acme.shared.Resp" (INF-03)`},
		{"enum", annotated("Color", "ReqMetadata"), option + `response_type: "Color" is an enum, not a message (INF-03)`},
		{"service", annotated("S", "ReqMetadata"), option + `response_type: "S" is a service, not a message (INF-03)`},
		{"method", annotated("S.Do", "ReqMetadata"), option + `response_type: "S.Do" is a method, not a message (INF-03)`},
		{"field", annotated("acme.v1.Req.parent", "ReqMetadata"), option + `response_type: "acme.v1.Req.parent" is a field, not a message (INF-03)`},
		{"map-entry", annotated("Resp", "ReqMetadata.LabelsEntry"), option + `metadata_type: "ReqMetadata.LabelsEntry" is an entry of a map, not a message (INF-03)`},
		{"package", annotated("acme.v1", "ReqMetadata"), option + `response_type: no file that acme.proto imports has a message "acme.v1" (INF-04)`},
		{"blank", annotated(" ", "ReqMetadata"), option + `response_type: there is no message " " in package acme.v1 (INF-03)`},
		{"odd", annotated("a..b", "..."), option + `response_type: no file that acme.proto imports has a message "a..b" (INF-04)` + "\n" +
			option + `metadata_type: no file that acme.proto imports has a message "..." (INF-04)`},

		// INF-04: the types are of the file itself, or of one that it imports, publicly or not.
		{"imported", annotated("acme.shared.Shared", "acme.shared.Shared.Deep"), "[*Req, *sharedpb.Shared, *sharedpb.Shared_Deep]"},
		{"imported-publicly", annotated("acme.public.Public", "ReqMetadata"), "[*Req, *publicpb.Public, *ReqMetadata]"},
		{"imported-by-an-import", annotated("acme.shared.Private", "ReqMetadata"),
			option + `response_type: "acme.shared.Private" is of private.proto, which acme.proto does not import (INF-04)`},
		{"not-imported", annotated("google.protobuf.Duration", "ReqMetadata"),
			option + `response_type: "google.protobuf.Duration" is of google/protobuf/duration.proto, which acme.proto does not import (INF-04)`},
		{"imported-by-nobody", annotated("google.protobuf.Timestamp", "ReqMetadata"),
			option + `response_type: no file that acme.proto imports has a message "google.protobuf.Timestamp" (INF-04)`},
		{"same-package-imported", `import "sibling.proto";
` + annotated("Sibling", "ReqMetadata"), "[*Req, *Sibling, *ReqMetadata]"},

		// INF-08: Struct and Any are types like others, and Any promises none.
		{"struct", annotated("Resp", "google.protobuf.Struct"), "[*Req, *Resp, *structpb.Struct]"},
		{"any", `import "google/protobuf/any.proto";
` + annotated("google.protobuf.Any", "google.protobuf.Any"), "[*Req, *anypb.Any, *anypb.Any]"},
		{"empty", annotated("google.protobuf.Empty", "google.protobuf.Empty"), "[*Req, *emptypb.Empty, *emptypb.Empty]"},

		// OP-22: the call that starts an operation is unary.
		{"server-streaming", strings.Replace(annotated("Resp", "ReqMetadata"), "returns (", "returns (stream ", 1),
			do + "returns a stream; the call that starts an operation is unary (OP-22)"},
		{"client-streaming", strings.Replace(annotated("Resp", "ReqMetadata"), "Do(", "Do(stream ", 1),
			do + "takes a stream; the call that starts an operation is unary (OP-22)"},
		{"streaming-unannotated", `service S {
  rpc Do(stream Req) returns (stream google.longrunning.Operation);
}`, do + "returns a stream; the call that starts an operation is unary (OP-22)\n" +
			do + "returns google.longrunning.Operation without option (google.longrunning.operation_info), which says what the operation ends in (INF-01)"},

		{"all-at-once", `service S {
  rpc A(Req) returns (google.longrunning.Operation);
  rpc B(Req) returns (google.longrunning.Operation) { option (google.longrunning.operation_info) = { response_type: "Nope" }; }
}`, "acme.proto:11:3: acme.v1.S.A: returns google.longrunning.Operation without option (google.longrunning.operation_info), which says what the operation ends in (INF-01)\n" +
			"acme.proto:12:55: acme.v1.S.B: operation_info has no metadata_type (INF-02)\n" +
			`acme.proto:12:55: acme.v1.S.B: response_type: there is no message "Nope" in package acme.v1 (INF-03)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp, _ := Generate(shape(shapeHeader+tt.text).request(t, "", "acme.proto"), noFile)
			got := resp.GetError()
			if len(resp.File) > 0 {
				got = methodTypes(resp.File[0].GetContent())
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if resp.Error != nil && len(resp.File) > 0 {
				t.Error("half generated")
			}
		})
	}
}

// shape is acme.proto with what it may import.
func shape(text string) protos {
	p := protos{"acme.proto": text}
	for name, text := range shapeImports {
		p[name] = text
	}
	return p
}

// methodTypes is the type parameters of the first longrun.Method in generated code.
func methodTypes(code string) string {
	_, rest, _ := strings.Cut(code, "= longrun.Method")
	types, _, _ := strings.Cut(rest, "{")
	return types
}

// Two files of one package see each other's types only by an import, also where
// both are generated at once (INF-04).
func TestShapes_TwoFiles(t *testing.T) {
	t.Parallel()
	p := shape(shapeHeader + annotated("Sibling", "ReqMetadata"))
	resp, _ := Generate(p.request(t, "", "sibling.proto", "acme.proto"), noFile)
	want := `acme.proto:12:5: acme.v1.S.Do: response_type: "Sibling" is of sibling.proto, which acme.proto does not import (INF-04)`
	if got := resp.GetError(); got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
}

// A descriptor without its source, such as a published one, is refused by names.
func TestShapes_WithoutSource(t *testing.T) {
	t.Parallel()
	req := shape(shapeHeader+annotated("Nope", "ReqMetadata")).request(t, "", "acme.proto")
	for _, f := range req.ProtoFile {
		f.SourceCodeInfo = nil
	}
	resp, _ := Generate(req, noFile)
	want := `acme.proto: acme.v1.S.Do: response_type: there is no message "Nope" in package acme.v1 (INF-03)`
	if got := resp.GetError(); got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
}

// buf says where each field of the annotation is, and a refusal names it.
func TestShapes_ExactPlaces(t *testing.T) {
	t.Parallel()
	p := shape(shapeHeader + annotated("Nope", "Color"))
	req := p.compile(t, protocompile.SourceInfoStandard|protocompile.SourceInfoExtraOptionLocations, "", []string{"acme.proto"})
	resp, _ := Generate(req, noFile)
	want := `acme.proto:13:7: acme.v1.S.Do: response_type: there is no message "Nope" in package acme.v1 (INF-03)
acme.proto:14:7: acme.v1.S.Do: metadata_type: "Color" is an enum, not a message (INF-03)`
	if got := resp.GetError(); got != want {
		t.Errorf("error =\n%s\nwant\n%s", got, want)
	}
}

// google.longrunning itself has no annotations, and is not refused for it.
func TestShapes_OperationsThemselves(t *testing.T) {
	t.Parallel()
	resp, warnings := Generate(protos{}.request(t, "", "google/longrunning/operations.proto"), noFile)
	if resp.Error != nil || len(resp.File) > 0 || len(warnings) > 0 {
		t.Errorf("got %v, %q; want nothing", resp, warnings)
	}
}
