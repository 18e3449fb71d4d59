package longrun

import (
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// A Promise is what the operations of a method are made of: the full names of the
// messages that operation_info names. An empty one promises nothing, and neither does
// google.protobuf.Any.
type Promise struct {
	// Response is what an operation that succeeds has.
	Response protoreflect.FullName
	// Metadata is what every operation has.
	Metadata protoreflect.FullName
}

// promise returns what is promised of a method: by the method, where it is known
// here, else by Options.Promised.
func (s *Service) promise(name string) Promise {
	if m := s.method(name); m != nil {
		return m.promise
	}
	if s.opts.Promised == nil {
		return Promise{}
	}
	p := s.opts.Promised(name)
	return Promise{Response: promised(p.Response), Metadata: promised(p.Metadata)}
}

// keeps reports whether a is of the type that is promised, or any was.
func keeps(want protoreflect.FullName, a *anypb.Any) bool {
	return want == "" || a.MessageName() == want
}

// checkMetadata checks metadata that the run of op has written.
func (s *Service) checkMetadata(op *Operation, field string, m *anypb.Any) error {
	if m != nil && !keeps(s.promise(op.Method).Metadata, m) {
		return otherMetadata(field)
	}
	return checkMetadata(m)
}

func otherMetadata(field string) error {
	return fieldError(field, field+" is not of the type of metadata that the method has")
}

// brokenPromise is the end of a run that has returned a response of another type than
// its method's (OP-06).
type brokenPromise struct {
	id  string // under which the log has err
	err error
}

// hold returns the end of op's run as it counts: an absent response as an empty message
// of the method's type, and one of another type as an INTERNAL error, which it notes
// in broken. The same end is made again for the same run.
func (s *Service) hold(op *Operation, end RunEnd, absent bool, broken *atomic.Pointer[brokenPromise]) RunEnd {
	want := s.promise(op.Method).Response
	switch {
	case end.Response == nil || want == "":
		return end
	case absent:
		end.Response = emptyAny(want)
		return end
	case keeps(want, end.Response):
		return end
	}
	broken.CompareAndSwap(nil, &brokenPromise{
		id:  errorID(),
		err: fmt.Errorf("the response is a %q, and the method promises a %q", end.Response.MessageName(), want),
	})
	end.Response, end.Error = nil, internalStatus(broken.Load().id)
	return end
}
