package server

import (
	"fmt"

	"google.golang.org/protobuf/types/descriptorpb"
)

// disagreement returns what is in both files and means something else in each, nil if
// nothing is. What only one of them has is no disagreement: files grow, and options
// for languages and the like say nothing of the bytes.
func disagreement(a, b *descriptorpb.FileDescriptorProto) error {
	if a.GetPackage() != b.GetPackage() {
		return fmt.Errorf("package %q, not %q", b.GetPackage(), a.GetPackage())
	}
	if err := messagesDisagree(a.GetMessageType(), b.GetMessageType()); err != nil {
		return err
	}
	return enumsDisagree(a.GetEnumType(), b.GetEnumType())
}

func messagesDisagree(as, bs []*descriptorpb.DescriptorProto) error {
	known := byName(as)
	for _, b := range bs {
		a := known[b.GetName()]
		if a == nil {
			continue
		}
		err := fieldsDisagree(a.GetField(), b.GetField())
		if err == nil {
			err = messagesDisagree(a.GetNestedType(), b.GetNestedType())
		}
		if err == nil {
			err = enumsDisagree(a.GetEnumType(), b.GetEnumType())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b.GetName(), err)
		}
	}
	return nil
}

func fieldsDisagree(as, bs []*descriptorpb.FieldDescriptorProto) error {
	names := byName(as)
	numbers := map[int32]*descriptorpb.FieldDescriptorProto{}
	for _, a := range as {
		numbers[a.GetNumber()] = a
	}
	repeated := descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	for _, b := range bs {
		if a := names[b.GetName()]; a != nil && a.GetNumber() != b.GetNumber() {
			return fmt.Errorf("%s has number %d, not %d", b.GetName(), b.GetNumber(), a.GetNumber())
		}
		a := numbers[b.GetNumber()]
		if a == nil {
			continue
		}
		if a.GetName() != b.GetName() || a.GetType() != b.GetType() || a.GetTypeName() != b.GetTypeName() ||
			(a.GetLabel() == repeated) != (b.GetLabel() == repeated) {
			return fmt.Errorf("field %d is not %s as it is here", b.GetNumber(), a.GetName())
		}
	}
	return nil
}

func enumsDisagree(as, bs []*descriptorpb.EnumDescriptorProto) error {
	known := byName(as)
	for _, b := range bs {
		values := byName(known[b.GetName()].GetValue())
		for _, v := range b.GetValue() {
			if a := values[v.GetName()]; a != nil && a.GetNumber() != v.GetNumber() {
				return fmt.Errorf("%s: %s is %d, not %d", b.GetName(), v.GetName(), v.GetNumber(), a.GetNumber())
			}
		}
	}
	return nil
}

func byName[T interface{ GetName() string }](all []T) map[string]T {
	m := map[string]T{}
	for _, x := range all {
		m[x.GetName()] = x
	}
	return m
}
