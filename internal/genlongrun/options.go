package genlongrun

import (
	"fmt"
	"go/token"
	"path"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// options are the plugin's own, out of the parameter that protoc and buf hand
// over. The rest of it is protogen's.
type options struct {
	// pkg is the package that everything goes into. Empty means that of the
	// messages.
	pkg protogen.GoImportPath
	// pkgName is its name; never empty where pkg is not.
	pkgName protogen.GoPackageName
	// against is a file with the descriptors of an earlier release. Empty means
	// that there was none.
	against string
	// sourceRelative says that files go beside their .proto files.
	sourceRelative bool
}

// parseOptions reads key=value pairs with commas between them. It does not judge
// the values of protogen's options, which does so itself.
func parseOptions(parameter string) (options, error) {
	var o options
	for pair := range strings.SplitSeq(parameter, ",") {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "", "module", "annotate_code", "default_api_level":
		case "paths":
			o.sourceRelative = value == "source_relative"
		case "package":
			if err := o.setPackage(value); err != nil {
				return options{}, err
			}
		case "against":
			if value == "" {
				return options{}, fmt.Errorf("option against: want the name of a file with a google.protobuf.FileDescriptorSet")
			}
			o.against = value
		default:
			if !strings.HasPrefix(key, "M") && !strings.HasPrefix(key, "apilevelM") {
				return options{}, fmt.Errorf("unknown option %q: want paths, module, M<file>, package, against, annotate_code, default_api_level or apilevelM<file>", key)
			}
		}
	}
	return o, nil
}

func (o *options) setPackage(value string) error {
	importPath, name, _ := strings.Cut(value, ";")
	if !validImportPath(importPath) {
		return fmt.Errorf("option package=%s: want IMPORT/PATH;NAME, such as example.com/books/bookslongrun;bookslongrun", value)
	}
	if name == "" {
		name = strings.NewReplacer("-", "_", ".", "_").Replace(path.Base(importPath))
	}
	if !token.IsIdentifier(name) || name == "_" {
		return fmt.Errorf("option package=%s: %q is no name of a Go package", value, name)
	}
	o.pkg, o.pkgName = protogen.GoImportPath(importPath), protogen.GoPackageName(name)
	return nil
}

// validImportPath is stricter than Go: the path becomes that of a file, too.
func validImportPath(p string) bool {
	odd := func(r rune) bool { return !token.IsIdentifier("a"+string(r)) && !strings.ContainsRune("-./~+", r) }
	return strings.ContainsAny(p, "./") && !strings.ContainsFunc(p, odd) && path.Clean(p) == p && !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, ".")
}
