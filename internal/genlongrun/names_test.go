package genlongrun

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// lro is an rpc of this name that starts operations.
func lro(name string) string {
	return "  rpc " + name + `(Req) returns (google.longrunning.Operation) { option (google.longrunning.operation_info) = { response_type: "Resp" metadata_type: "ReqMetadata" }; }
`
}

// What the Go compiler would find twice is refused by the line of the .proto file
// that can be changed.
func TestNames_Clashes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"begin", "service S {\n" + lro("Do") + lro("BeginDo") + "}",
			"acme.proto:11:3: acme.v1.S.Do: the generated Go needs the name SHandlers.BeginDo, which rpc acme.v1.S.BeginDo (acme.proto:12:3) has taken"},
		{"begin-is-no-operation", "service S {\n" + lro("Do") + "  rpc BeginDo(Req) returns (Resp);\n}", ""},
		{"operation", "service S {\n" + lro("DoOperation") + lro("Do") + "}",
			"acme.proto:12:3: acme.v1.S.Do: the generated Go needs the name SOperations.DoOperation, which rpc acme.v1.S.DoOperation (acme.proto:11:3) has taken"},
		{"same-in-go", "service S {\n" + lro("do_it") + lro("DoIt") + "}",
			"acme.proto:12:3: acme.v1.S.DoIt: the generated Go needs the name S_DoIt, which rpc acme.v1.S.do_it (acme.proto:11:3) has taken"},
		{"message-handlers", "message SHandlers {}\nservice S {\n" + lro("Do") + "}",
			"acme.proto:11:1: acme.v1.S: the generated Go needs the name SHandlers, which message acme.v1.SHandlers (acme.proto:10:1) has taken"},
		{"message-handle", "message HandleS {}\nservice S {\n" + lro("Do") + "}",
			"acme.proto:11:1: acme.v1.S: the generated Go needs the name HandleS, which message acme.v1.HandleS (acme.proto:10:1) has taken"},
		{"enum-starter", "enum SStarter { ZERO = 0; }\nservice S {\n" + lro("Do") + "}",
			"acme.proto:11:1: acme.v1.S: the generated Go needs the name SStarter, which enum acme.v1.SStarter (acme.proto:10:1) has taken"},
		{"message-method", "message S_Do {}\nservice S {\n" + lro("Do") + "}",
			"acme.proto:12:3: acme.v1.S.Do: the generated Go needs the name S_Do, which message acme.v1.S_Do (acme.proto:10:1) has taken"},
		{"wrapper-of-a-oneof", "message S { oneof x { string Do = 1; } }\nservice T {\n" + lro("Do") + "}", ""},
		{"stub", "service S {\n" + lro("ServiceDesc") + "}",
			"acme.proto:11:3: acme.v1.S.ServiceDesc: the generated Go needs the name S_ServiceDesc, which service acme.v1.S (acme.proto:10:1) has taken"},
		{"stream-of-another", "service S {\n" + lro("WatchClient") + "  rpc Watch(Req) returns (stream Resp);\n}",
			"acme.proto:11:3: acme.v1.S.WatchClient: the generated Go needs the name S_WatchClient, which rpc acme.v1.S.Watch (acme.proto:12:3) has taken"},
		{"two-services", "service S {\n" + lro("T_Do") + "}\nservice S_T {\n" + lro("Do") + "}",
			"acme.proto:14:3: acme.v1.S_T.Do: the generated Go needs the name S_T_Do, which rpc acme.v1.S.T_Do (acme.proto:11:3) has taken"},
		{"constructor", "service S {\n" + lro("Do") + "}\nservice NewS {\n" + lro("Do") + "}",
			"acme.proto:13:1: acme.v1.NewS: the generated Go needs the name NewSStarter, which service acme.v1.S (acme.proto:10:1) has taken\n" +
				"acme.proto:13:1: acme.v1.NewS: the generated Go needs the name NewSOperations, which service acme.v1.S (acme.proto:10:1) has taken"},
		{"embedded-in-the-starter", "service S {\n" + lro("UnimplementedSServer") + "}",
			"acme.proto:11:3: acme.v1.S.UnimplementedSServer: the generated Go needs the name SStarter.UnimplementedSServer, which service acme.v1.S (acme.proto:10:1) has taken"},
		{"fields-of-the-starter", "service S {\n" + lro("Svc") + lro("SvcMethod") + lro("svc_method_method") + "}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp, _ := Generate(shape(shapeHeader+tt.text).request(t, "", "acme.proto"), noFile)
			if got := resp.GetError(); got != tt.want {
				t.Errorf("error =\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// The names of one Go package are those of all its files.
func TestNames_AcrossFiles(t *testing.T) {
	t.Parallel()
	p := shape(shapeHeader + "service S {\n" + lro("Do") + "}")
	p["other.proto"] = `syntax = "proto3"; package other; option go_package = "example.com/acmepb"; message NewSStarter {}`
	resp, _ := Generate(p.request(t, "", "other.proto", "acme.proto"), noFile)
	want := "acme.proto:10:1: acme.v1.S: the generated Go needs the name NewSStarter, which message other.NewSStarter (other.proto:1:77) has taken"
	if got := resp.GetError(); got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	// In a package of its own nothing is taken.
	resp, _ = Generate(p.request(t, "package=example.com/s/slongrun", "other.proto", "acme.proto"), noFile)
	if resp.Error != nil || len(resp.File) != 1 {
		t.Errorf("got %q, %d files; want one file", resp.GetError(), len(resp.File))
	}
}

// Two files of one name in different folders would be one file of Go.
func TestNames_OneFileTwice(t *testing.T) {
	t.Parallel()
	p := shape(shapeHeader + "service S {\n" + lro("Do") + "}")
	p["v2/acme.proto"] = strings.NewReplacer("acme.v1", "acme.v2", "acmepb", "acmepb2", "service S ", "service S2 ").Replace(p["acme.proto"])
	resp, _ := Generate(p.request(t, "package=example.com/both", "acme.proto", "v2/acme.proto"), noFile)
	want := "v2/acme.proto: acme.v2.S2: both this and acme.proto would be written to example.com/both/acme_longrun.pb.go"
	if got := resp.GetError(); got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
}

// A package that is called like a variable of the generated code is imported by
// another name.
func TestNames_Imports(t *testing.T) {
	t.Parallel()
	p := shape(shapeHeader + "service S {\n" + lro("Do") + "}")
	p["acme.proto"] = strings.ReplaceAll(p["acme.proto"], "example.com/acmepb", "example.com/req")
	resp, _ := Generate(p.request(t, "package=example.com/slongrun", "acme.proto"), noFile)
	if resp.Error != nil {
		t.Fatal(resp.GetError())
	}
	code := resp.File[0].GetContent()
	for _, want := range []string{`imported_ "example.com/req"`, "client.New[*imported_.Resp, *imported_.ReqMetadata](c.cc, op)", "\timported_.UnimplementedSServer\n"} {
		if !strings.Contains(code, want) {
			t.Errorf("the code lacks %q:\n%s", want, code)
		}
	}
}

// AIP-122 and 134: which field of a request says where an operation lives, and
// which say how it is started.
func TestStartFields(t *testing.T) {
	t.Parallel()
	const none = "longrun.StartOptions{}"
	for _, tt := range []struct{ name, method, fields, parent, options string }{
		{"parent", "Do", "string parent = 1; string name = 2;", "longrun.UnderParent(req.GetParent())", none},
		{"name", "Do", "string name = 1; Resp parent = 2;", "longrun.BesideResource(req.GetName())", none},
		{"update", "UpdateBookShelf", "BookShelf book_shelf = 1;", "longrun.BesideResource(req.GetBookShelf().GetName())", none},
		{"update-acronym", "UpdateHTTPRoute", "BookShelf http_route = 1;", "longrun.BesideResource(req.GetHttpRoute().GetName())", none},
		{"update-many", "UpdateBookShelf", "repeated BookShelf book_shelf = 1;", "", none},
		{"update-without-name", "UpdateBookShelf", "Resp book_shelf = 1;", "", none},
		{"update-of-another", "UpdateBook", "BookShelf book_shelf = 1;", "", none},
		{"no-update", "Do", "BookShelf do = 1;", "", none},
		{"just-update", "Update", "BookShelf book_shelf = 1;", "", none},
		{"many", "Do", "repeated string parent = 1; bytes name = 2;", "", none},
		{"request-id", "Do", "string request_id = 1;", "", "longrun.StartOptions{RequestID: req.GetRequestId()}"},
		{"validate-only", "Do", "bool validate_only = 1;", "", "longrun.StartOptions{ValidateOnly: req.GetValidateOnly()}"},
		{"both", "Do", "optional string request_id = 1; oneof x { bool validate_only = 2; }", "", "longrun.StartOptions{RequestID: req.GetRequestId(), ValidateOnly: req.GetValidateOnly()}"},
		{"of-other-types", "Do", "int64 request_id = 1; string validate_only = 2;", "", none},
		{"many-ids", "Do", "repeated string request_id = 1; repeated bool validate_only = 2;", "", none},
		{"renamed-in-go", "Do", "string get_parent = 1; string parent = 2;", "longrun.UnderParent(req.GetParent_())", none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := "message In { " + tt.fields + " } message BookShelf { string name = 1; }\nservice S {\n" + strings.Replace(lro(tt.method), "(Req)", "(In)", 1) + "}"
			resp, _ := Generate(shape(shapeHeader+text).request(t, "", "acme.proto"), noFile)
			if resp.Error != nil {
				t.Fatal(resp.GetError())
			}
			code := resp.File[0].GetContent()
			_, rest, _ := strings.Cut(code, "Parent: func(req *In) string { return ")
			if got, _, _ := strings.Cut(rest, " }"); got != tt.parent {
				t.Errorf("Parent = %q, want %q", got, tt.parent)
			}
			_, rest, _ = strings.Cut(code, "Method, req, ")
			if got, _, _ := strings.Cut(rest, ")\n"); got != tt.options {
				t.Errorf("options = %q, want %q", got, tt.options)
			}
		})
	}
}

// The getters are those of the API that the messages have.
func TestStartFields_APILevels(t *testing.T) {
	t.Parallel()
	text := "message In { string get_parent = 1; string parent = 2; }\nservice S {\n" + strings.Replace(lro("Do"), "(Req)", "(In)", 1) + "}"
	for level, want := range map[string]string{
		"API_OPEN": "(req.GetParent_())", "API_HYBRID": "(req.Get_Parent())", "API_OPAQUE": "(req.GetParent())",
	} {
		resp, _ := Generate(shape(shapeHeader+text).request(t, "default_api_level="+level, "acme.proto"), noFile)
		if code := resp.GetFile()[0].GetContent(); !strings.Contains(code, want) {
			t.Errorf("%s: the code lacks %q", level, want)
		}
	}
}

func TestSnakeCase(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "Book": "book", "BookShelf": "book_shelf", "HTTPRoute": "http_route", "V2Route": "v2_route", "Book_Shelf": "book_shelf", "TLS": "tls", "book": "book",
	} {
		if got := snakeCase(in); got != want {
			t.Errorf("snakeCase(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlace_OfNowhere(t *testing.T) {
	t.Parallel()
	req := shape(shapeHeader+"service S {\n"+lro("Do")+lro("BeginDo")+"}").request(t, "", "acme.proto")
	for _, f := range req.ProtoFile {
		f.SourceCodeInfo, f.Name = nil, proto.String(strings.ReplaceAll(f.GetName(), "acme.proto", "ac\nme.proto"))
	}
	req.FileToGenerate = []string{"ac\nme.proto"}
	resp, _ := Generate(req, noFile)
	want := "ac?me.proto: acme.v1.S.Do: the generated Go needs the name SHandlers.BeginDo, which rpc acme.v1.S.BeginDo (ac?me.proto) has taken"
	if got := resp.GetError(); got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
}
