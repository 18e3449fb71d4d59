package server

import (
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// maxDescriptorBytes limits a descriptor set: all of googleapis has half of it.
const maxDescriptorBytes = 64 << 20

const includeImports = "make it with: protoc --include_imports --descriptor_set_out=FILE, or: buf build -o FILE"

// LoadTypes reads descriptor sets, files that hold a google.protobuf.FileDescriptorSet
// with all imports, and returns the types of all and what is linked in. A file that is
// linked in too stands as it is linked in, and so does the first of two sets. It
// refuses, with a *Problem, a set that cannot be read, is damaged or larger than 64
// MiB, lacks an import, or gives a name that is known another meaning.
func LoadTypes(paths ...string) (*Types, error) {
	l := &loader{given: map[string]*givenFile{}, known: new(protoregistry.Files)}
	for _, path := range paths {
		raw, err := readSet(path)
		if err != nil {
			return nil, err
		}
		if err := l.add(path, raw); err != nil {
			return nil, err
		}
	}
	return l.link()
}

func readSet(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, setProblem(path, "cannot be read: "+cause(err), "name the file of a descriptor set; "+includeImports)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxDescriptorBytes+1))
	if err != nil {
		return nil, setProblem(path, "cannot be read: "+cause(err), "name the file of a descriptor set; "+includeImports)
	}
	if len(raw) > maxDescriptorBytes {
		return nil, setProblem(path, "is larger than 64 MiB", "leave out what no payload is made of")
	}
	return raw, nil
}

// cause is what the system says, without the path.
func cause(err error) string {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

func setProblem(path, msg, hint string) error {
	return &Problem{Msg: oneLine(fmt.Sprintf("descriptor set %q: %s", path, msg)), Hint: hint}
}

// loader collects the files of descriptor sets and links them.
type loader struct {
	given map[string]*givenFile // by path; not what is linked in
	order []*givenFile
	known *protoregistry.Files
}

// givenFile is a file of a set.
type givenFile struct {
	set     string
	file    *descriptorpb.FileDescriptorProto
	begun   bool
	refused error
}

// add takes the files of a set.
func (l *loader) add(set string, raw []byte) error {
	var fds descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &fds); err != nil || len(fds.ProtoReflect().GetUnknown()) > 0 {
		return setProblem(set, "is damaged, or no google.protobuf.FileDescriptorSet", includeImports)
	}
	if len(fds.GetFile()) == 0 {
		return setProblem(set, "has no files", includeImports)
	}
	for _, f := range fds.GetFile() {
		f.SourceCodeInfo = nil // reflection does not need the comments
		path := f.GetName()
		if path == "" {
			return setProblem(set, "is damaged: a file has no name", includeImports)
		}
		if linked, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
			if err := disagreement(protodesc.ToFileDescriptorProto(linked), f); err != nil {
				return setProblem(set, fmt.Sprintf("%s is not the file that this program has: %v", path, err), clashHint)
			}
			continue
		}
		if earlier := l.given[path]; earlier != nil {
			if !proto.Equal(earlier.file, f) {
				return setProblem(set, fmt.Sprintf("%s is another file than the one of %q", path, earlier.set), clashHint)
			}
			continue
		}
		g := &givenFile{set: set, file: f}
		l.given[path], l.order = g, append(l.order, g)
	}
	return nil
}

const clashHint = "one name has one meaning: build the sets from the same sources, without copies of what is known already"

// link makes types of all files, each after its imports.
func (l *loader) link() (*Types, error) {
	for _, g := range l.order {
		if err := l.linkFile(g); err != nil {
			return nil, err
		}
	}
	return newTypes(l.known), nil
}

func (l *loader) linkFile(g *givenFile) error {
	if g.begun {
		return g.refused
	}
	g.begun = true
	g.refused = setProblem(g.set, g.file.GetName()+" imports itself", includeImports) // until it is linked
	g.refused = l.linkNow(g)
	return g.refused
}

func (l *loader) linkNow(g *givenFile) error {
	for _, path := range g.file.GetDependency() {
		if _, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
			continue
		}
		imported := l.given[path]
		if imported == nil {
			return setProblem(g.set, fmt.Sprintf("%s imports %s, which is missing", g.file.GetName(), path), includeImports)
		}
		if err := l.linkFile(imported); err != nil {
			return err
		}
	}
	f, err := protodesc.NewFile(g.file, &Types{files: l.known})
	if err != nil {
		return setProblem(g.set, fmt.Sprintf("%s is damaged: %v", g.file.GetName(), err), includeImports)
	}
	if name := linkedName(f); name != "" {
		return setProblem(g.set, fmt.Sprintf("%s declares %s, which this program has already", g.file.GetName(), name), clashHint)
	}
	if err := l.known.RegisterFile(f); err != nil {
		return setProblem(g.set, fmt.Sprintf("%s clashes with another file: %v", g.file.GetName(), err), clashHint)
	}
	return nil
}

// linkedName returns a name that f declares and that is linked in, "" if there is
// none. Whatever is declared within a message has its own name from it.
func linkedName(f protoreflect.FileDescriptor) protoreflect.FullName {
	var names []protoreflect.FullName
	for i := range f.Messages().Len() {
		names = append(names, f.Messages().Get(i).FullName())
	}
	for i := range f.Enums().Len() {
		e := f.Enums().Get(i)
		names = append(names, e.FullName())
		for j := range e.Values().Len() {
			names = append(names, e.Values().Get(j).FullName())
		}
	}
	for i := range f.Extensions().Len() {
		names = append(names, f.Extensions().Get(i).FullName())
	}
	for i := range f.Services().Len() {
		names = append(names, f.Services().Get(i).FullName())
	}
	for _, name := range names {
		if _, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
			return name
		}
	}
	return ""
}
