package genlongrun

import (
	"strings"
	"testing"
)

// Where the code goes, by the options that protoc-gen-go has too and by package.
func TestOptions_Files(t *testing.T) {
	t.Parallel()
	p := shape("")
	p["dir/acme.proto"] = shapeHeader + "service S {\n" + lro("Do") + "}"
	for _, tt := range []struct{ parameter, file, pkg string }{
		{"", "example.com/acmepb/acme_longrun.pb.go", "acmepb"},
		{"paths=import", "example.com/acmepb/acme_longrun.pb.go", "acmepb"},
		{"paths=source_relative", "dir/acme_longrun.pb.go", "acmepb"},
		{"module=example.com", "acmepb/acme_longrun.pb.go", "acmepb"},
		{"Mdir/acme.proto=example.com/other/mine", "example.com/other/mine/acme_longrun.pb.go", "acmepb"},
		{"Mdir/acme.proto=example.com/other/mine;yours", "example.com/other/mine/acme_longrun.pb.go", "yours"},
		{"package=example.com/a/b-c", "example.com/a/b-c/acme_longrun.pb.go", "b_c"},
		{"package=example.com/a/b;lr", "example.com/a/b/acme_longrun.pb.go", "lr"},
		{"package=example.com/a/b;lr,module=example.com/a", "b/acme_longrun.pb.go", "lr"},
		{"package=example.com/a/b;lr,paths=source_relative", "dir/acme_longrun.pb.go", "lr"},
		{"package=example.com/acmepb", "example.com/acmepb/acme_longrun.pb.go", "acmepb"},
		{"annotate_code=false,default_api_level=API_HYBRID,apilevelMdir/acme.proto=API_OPEN", "example.com/acmepb/acme_longrun.pb.go", "acmepb"},
		{",,", "example.com/acmepb/acme_longrun.pb.go", "acmepb"},
	} {
		resp, _ := Generate(p.request(t, tt.parameter, "dir/acme.proto"), noFile)
		if resp.Error != nil || len(resp.File) != 1 {
			t.Errorf("%s: %q, %d files; want one", tt.parameter, resp.GetError(), len(resp.File))
			continue
		}
		f := resp.File[0]
		if f.GetName() != tt.file || !strings.Contains(f.GetContent(), "\npackage "+tt.pkg+"\n") {
			t.Errorf("%s: %s, %q; want %s, package %s", tt.parameter, f.GetName(), lineWith(f.GetContent(), "\npackage "), tt.file, tt.pkg)
		}
	}
}

func lineWith(text, part string) string {
	_, rest, _ := strings.Cut(text, part)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

func TestOptions_Wrong(t *testing.T) {
	t.Parallel()
	p := shape(shapeHeader + "service S {\n" + lro("Do") + "}")
	for _, tt := range []struct{ parameter, want string }{
		{"pakcage=x", `unknown option "pakcage": want paths, module, M<file>, package, against, annotate_code, default_api_level or apilevelM<file>`},
		{"=x", ""},
		{"paths=there", `unknown path type "there": want "import" or "source_relative"`},
		{"module=a.b,paths=source_relative", "cannot use module= with paths=source_relative"},
		{"module=other.example", `example.com/acmepb/acme_longrun.pb.go: generated file does not match prefix "other.example"`},
		{"package=", "option package=: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun"},
		{"package=books", "option package=books: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun"},
		{"package=example.com/../x", "option package=example.com/../x: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun"},
		{"package=../x", "option package=../x: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun"},
		{"package=/etc/x", "option package=/etc/x: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun"},
		{"package=a.b/c d", "option package=a.b/c d: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun"},
		{`package=a.b/"c`, `option package=a.b/"c: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun`},
		{"package=a.b/c;d e", `option package=a.b/c;d e: "d e" is no name of a Go package`},
		{"package=a.b/c;func", `option package=a.b/c;func: "func" is no name of a Go package`},
		{"package=a.b/9", `option package=a.b/9: "9" is no name of a Go package`},
		{"package=example.com/acmepb;other", "acme.proto: acme.v1.S: option package calls \"example.com/acmepb\" other, and it is package acmepb"},
		{"Macme.proto=example.com/a;b c", `acme.proto: acme.v1.S: "b c" is no name of a Go package; see option go_package`},
		{"against=", "option against: want the name of a file with a google.protobuf.FileDescriptorSet"},
		{"against=none", "option against: open none: no such file"},
	} {
		resp, _ := Generate(p.request(t, tt.parameter, "acme.proto"), noFile)
		got := resp.GetError()
		if got = strings.ReplaceAll(got, "\u00a0", " "); got != tt.want {
			t.Errorf("%s: error =\n%s\nwant\n%s", tt.parameter, got, tt.want)
		}
		if resp.Error != nil && len(resp.File) > 0 {
			t.Errorf("%s: half generated", tt.parameter)
		}
	}
}
