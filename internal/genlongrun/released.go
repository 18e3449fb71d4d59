package genlongrun

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A promise is what a released method says that its operations end in: names in
// full, without leading dots.
type promise struct{ response, metadata protoreflect.FullName }

// compareWith reads the descriptors of an earlier release, a FileDescriptorSet or
// an image of buf, which is one too. Without a file it does nothing.
func (c *checker) compareWith(file string, read func(string) ([]byte, error)) error {
	if file == "" {
		return nil
	}
	body, err := read(file)
	if err != nil {
		return fmt.Errorf("option against: %w", err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(body, set); err != nil {
		return fmt.Errorf("option against: %s is no google.protobuf.FileDescriptorSet: %w", file, err)
	}
	if len(set.GetFile()) == 0 {
		return fmt.Errorf("option against: %s has no descriptors", file)
	}
	c.earlier = promises(set.GetFile())
	return nil
}

// promises are those of all annotated methods in files, in which what the files
// import may be missing.
func promises(files []*descriptorpb.FileDescriptorProto) map[protoreflect.FullName]promise {
	messages := map[protoreflect.FullName]bool{}
	for _, f := range files {
		addNames(messages, protoreflect.FullName(f.GetPackage()), f.GetMessageType())
	}
	promised := map[protoreflect.FullName]promise{}
	for _, f := range files {
		pkg := protoreflect.FullName(f.GetPackage())
		for _, s := range f.GetService() {
			for _, m := range s.GetMethod() {
				if info, ok := operationInfo(m.GetOptions()); ok {
					name := inPackage(pkg, s.GetName()+"."+m.GetName())
					promised[name] = promise{released(messages, pkg, info.GetResponseType()), released(messages, pkg, info.GetMetadataType())}
				}
			}
		}
	}
	return promised
}

func addNames(names map[protoreflect.FullName]bool, scope protoreflect.FullName, messages []*descriptorpb.DescriptorProto) {
	for _, m := range messages {
		name := inPackage(scope, m.GetName())
		names[name] = true
		addNames(names, name, m.GetNestedType())
	}
}

// released is the full name that name meant in a file of package pkg. The set may
// lack what the file imports, so a dotted name that is nowhere is complete.
func released(messages map[protoreflect.FullName]bool, pkg protoreflect.FullName, name string) protoreflect.FullName {
	complete := protoreflect.FullName(strings.TrimPrefix(name, "."))
	if name != "" && !strings.Contains(name, ".") || !messages[complete] && messages[inPackage(pkg, name)] {
		return inPackage(pkg, name)
	}
	return complete
}

// INF-06: what a released method ends in stays.
func (c *checker) checkUnchanged(m *method) {
	was, ok := c.earlier[m.Desc.FullName()]
	if !ok {
		return
	}
	c.compare(m, "response_type", responseTypeNumber, was.response, m.response)
	c.compare(m, "metadata_type", metadataTypeNumber, was.metadata, m.metadata)
}

func (c *checker) compare(m *method, field string, number int32, was protoreflect.FullName, is *protogen.Message) {
	if was != "" && was != is.Desc.FullName() {
		c.refuse(placeOf(m.Desc, optionsNumber, infoNumber, number), m.Desc, "INF-06",
			"%s was %s in %s and is %s: clients that are out there cannot read it", field, was, printable(c.options.against), is.Desc.FullName())
	}
}
