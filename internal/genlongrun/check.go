package genlongrun

import (
	"strings"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A file is what one .proto file leads to.
type file struct {
	*protogen.File
	into     protogen.GoImportPath // the package that the code goes into
	pkgName  protogen.GoPackageName
	name     string // of the generated file
	services []*service
}

// A service has long-running methods, one at least.
type service struct {
	*protogen.Service
	methods []*method
}

// A method is one that starts operations, with its annotation resolved.
type method struct {
	*protogen.Method
	response, metadata *protogen.Message
	start              startFields
}

// checker finds out what is to be generated, and what is wrong.
type checker struct {
	problems
	plugin  *protogen.Plugin
	options options
	types   *types
	earlier map[protoreflect.FullName]promise // of the option against
}

func newChecker(plugin *protogen.Plugin, o options) *checker {
	return &checker{plugin: plugin, options: o, types: newTypes(plugin.Files)}
}

// check returns the files to write: those that are to be generated and have a
// long-running method. They are whole only if no problem was found.
func (c *checker) check() []*file {
	var files []*file
	for _, f := range c.plugin.Files {
		if !f.Generate || f.Desc.Package() == operationsPackage {
			continue
		}
		checked := &file{File: f, into: f.GoImportPath, pkgName: f.GoPackageName, name: c.fileName(f)}
		if c.options.pkg != "" {
			checked.into, checked.pkgName = c.options.pkg, c.options.pkgName
		}
		for _, s := range f.Services {
			if methods := c.methods(s); len(methods) > 0 {
				checked.services = append(checked.services, &service{Service: s, methods: methods})
			}
		}
		if len(checked.services) > 0 {
			files = append(files, checked)
		}
	}
	c.checkNames(files)
	return files
}

func (c *checker) methods(s *protogen.Service) []*method {
	var methods []*method
	for _, m := range s.Methods {
		if found := c.method(m); found != nil {
			methods = append(methods, found)
		}
	}
	return methods
}

const (
	operationsPackage = "google.longrunning"
	operationName     = "google.longrunning.Operation"
)

// method returns m if it starts operations and nothing is wrong with it.
func (c *checker) method(m *protogen.Method) *method {
	info, annotated := operationInfo(optionsOf(m))
	if m.Output.Desc.FullName() != operationName {
		if annotated {
			c.refuse(placeOf(m.Desc, infoPath...), m.Desc, "INF-01", "has operation_info and returns %s: only what returns %s has it", m.Output.Desc.FullName(), operationName)
		}
		return nil
	}
	if isMixin(m) && !annotated {
		return nil
	}
	before := len(c.refused)
	c.checkUnary(m)
	if !annotated {
		c.refuse(placeOf(m.Desc), m.Desc, "INF-01", "returns %s without option (google.longrunning.operation_info), which says what the operation ends in", operationName)
		return nil
	}
	c.checkSet(m, info)
	found := &method{
		Method:   m,
		response: c.typeOf(m, "response_type", info.GetResponseType()),
		metadata: c.typeOf(m, "metadata_type", info.GetMetadataType()),
		start:    startFieldsOf(m),
	}
	if len(c.refused) > before {
		return nil
	}
	c.checkUnchanged(found)
	c.adviseOn(found)
	return found
}

// isMixin reports whether m is one of the methods of google.longrunning that
// a service declares itself: GetOperation returns an operation and starts none.
func isMixin(m *protogen.Method) bool {
	return m.Input.Desc.ParentFile().Package() == operationsPackage
}

// The numbers of MethodDescriptorProto.options, and of operation_info and its
// fields in there.
const (
	optionsNumber      = 4
	infoNumber         = 1049
	responseTypeNumber = 1
	metadataTypeNumber = 2
)

var infoPath = []int32{optionsNumber, infoNumber}

// operationInfo returns the annotation of a method, and whether it has one.
func operationInfo(o *descriptorpb.MethodOptions) (*longrunningpb.OperationInfo, bool) {
	if !proto.HasExtension(o, longrunningpb.E_OperationInfo) {
		return nil, false
	}
	info, ok := proto.GetExtension(o, longrunningpb.E_OperationInfo).(*longrunningpb.OperationInfo)
	return info, ok
}

// optionsOf are the options of m; nil, which reads as none, where it has none.
func optionsOf(m *protogen.Method) *descriptorpb.MethodOptions {
	o, _ := m.Desc.Options().(*descriptorpb.MethodOptions)
	return o
}

// OP-22: the call that starts an operation is unary.
func (c *checker) checkUnary(m *protogen.Method) {
	switch {
	case m.Desc.IsStreamingServer():
		c.refuse(placeOf(m.Desc), m.Desc, "OP-22", "returns a stream; the call that starts an operation is unary")
	case m.Desc.IsStreamingClient():
		c.refuse(placeOf(m.Desc), m.Desc, "OP-22", "takes a stream; the call that starts an operation is unary")
	}
}

// INF-02: both types are set.
func (c *checker) checkSet(m *protogen.Method, info *longrunningpb.OperationInfo) {
	var missing []string
	if info.GetResponseType() == "" {
		missing = append(missing, "response_type")
	}
	if info.GetMetadataType() == "" {
		missing = append(missing, "metadata_type")
	}
	if len(missing) > 0 {
		c.refuse(placeOf(m.Desc, infoPath...), m.Desc, "INF-02", "operation_info has no %s", strings.Join(missing, " and no "))
	}
}

// typeOf resolves one of the two types; nil where it is unset or refused.
func (c *checker) typeOf(m *protogen.Method, field, name string) *protogen.Message {
	if name == "" {
		return nil
	}
	found, wrong := c.types.resolve(m.Desc.ParentFile(), name)
	if wrong != nil {
		number := int32(responseTypeNumber)
		if field == "metadata_type" {
			number = metadataTypeNumber
		}
		c.refuse(placeOf(m.Desc, optionsNumber, infoNumber, number), m.Desc, wrong.rule, "%s: %s", field, wrong.text)
		return nil
	}
	return found
}
