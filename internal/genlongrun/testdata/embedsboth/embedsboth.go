// Package embedsboth does not compile: whoever embeds the starter beside
// UnimplementedLibraryServer, and not instead of it, is told so by the compiler.
package embedsboth

import "github.com/longrun-dev/longrun/internal/genlongrun/testdata/acmepb"

type server struct {
	*acmepb.LibraryStarter
	acmepb.UnimplementedLibraryServer
}

var _ acmepb.LibraryServer = server{}
